"""Settings and fixtures of the whole suite: two threads, seeded examples, and one small trained checkpoint."""

import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent / "support")]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read by OpenMP when torch is imported

import pytest  # noqa: E402
import torch  # noqa: E402
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


class _ByFile(LoadScopeScheduling):
    """A process takes whole files, so that what a file sets up is set up once; one takes all that needs a browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "browser" if "browser/" in file else file


@pytest.hookimpl(optionalhook=True)  # the tests run without xdist's workers too
def pytest_xdist_make_scheduler(config, log):
    return _ByFile(config, log)


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
def checkpoint(chain_data, tiny_preset, tmp_path_factory) -> Path:
    """A folder with a model trained on `chain_data`; read only: copy it before you damage it."""
    from mindrec.training.run import train_checkpoint

    folder = tmp_path_factory.mktemp("trained") / "chain"
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=10, batch_targets=300))
    train_checkpoint(chain_data, recipe, folder, device="cpu", command="pytest", progress=False)
    return folder


@pytest.fixture(scope="session")
def recommender(checkpoint):
    from mindrec.recommender import Recommender

    return Recommender.from_pretrained(checkpoint, "cpu")
