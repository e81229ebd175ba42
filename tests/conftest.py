"""Settings and fixtures of the whole suite: two threads, seeded examples, and one small trained checkpoint."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent / "support")]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read by OpenMP when torch is imported

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from paths import ROOT  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)
settings.register_profile(
    "mindrec",
    max_examples=20,
    deadline=None,  # timings never decide a test
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("mindrec")


MAX_PROCESSES = 4
OF_WATCH = ("test_address.py", "test_front.py", "test_map.py", "test_watch.py")
"""The browser's tests that meet the Watch tab: about half of the time that all of them take."""


class _ByFile(LoadScopeScheduling):
    """A process takes whole files, so that what a file sets up is set up once; two share all that needs a browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        if "browser/" not in file:
            return file
        return "browser: watch" if file.endswith(OF_WATCH) else "browser: other tabs"


@pytest.hookimpl(optionalhook=True)  # the tests run without xdist's workers too
def pytest_xdist_make_scheduler(config, log):
    return _ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config) -> int:
    """Two processes a core: those that meet a browser or a command wait for most of their time."""
    return min(MAX_PROCESSES, 2 * (os.cpu_count() or 1))


def pytest_collection_modifyitems(items) -> None:
    """The browser's tests, which take longest, begin first."""
    items.sort(key=lambda item: "browser/" not in item.nodeid)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def chain_data():
    """A catalog in which the last item decides the next one."""
    from mindrec.sources.synthetic import load

    return load(n_items=40, n_users=300, predictability=1.0)


@pytest.fixture(scope="session")
def tiny_preset():
    from mindrec.training.presets import preset

    return preset("tiny")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)`: a folder that `make` fills, made by one of the suite's processes and read by all."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, part = shared / name, shared / f"{name}-part"
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                part.mkdir()
                make(part)
                part.rename(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def checkpoint(chain_data, tiny_preset, made_once) -> Path:
    """A folder with a model trained on `chain_data`; read only: copy it before you damage it."""
    from mindrec.training.run import train_checkpoint
    from mindrec.training.running import Running

    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=10, batch_targets=300))

    def make(folder: Path) -> None:
        train_checkpoint(chain_data, recipe, folder / "chain", running=Running("cpu", command="pytest", progress=False))

    return made_once("trained", make) / "chain"


@pytest.fixture(scope="session")
def recommender(checkpoint):
    from mindrec.recommender import Recommender

    return Recommender.from_pretrained(checkpoint, "cpu")
