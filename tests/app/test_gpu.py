"""A GPU that the host lends for each decode: `spaces` stood in for by what it does, plain data through a pipe."""

import functools
import inspect
import os
import pickle
import subprocess
import sys

import pytest
import torch
from paths import ROOT
from traces import same

from app.server import gpu
from app.server.service import Service
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

HISTORIES = [["i1", "i2"], ["i5"], ["i7", "i8", "i9"]]


@pytest.fixture
def lending(monkeypatch):
    """As ZeroGPU: arguments and every value that is yielded are pickled, and an error reaches nobody as itself."""
    calls = []

    def lend(function):
        assert inspect.isgeneratorfunction(function)

        @functools.wraps(function)
        def call(*args):
            calls.append(len(args[0]))
            try:
                for value in function(*pickle.loads(pickle.dumps(args))):
                    yield pickle.loads(pickle.dumps(value))
            except Exception as error:
                raise RuntimeError("ZeroGPU worker error") from error

        return call

    monkeypatch.setattr(gpu, "on_gpu", lend)
    return calls


@pytest.fixture
def fresh(checkpoint) -> Recommender:
    return Recommender.from_pretrained(checkpoint, "cpu")


def test_nothing_is_lent_here(recommender):
    assert gpu.lent(lambda: recommender) is None


def test_decodes_on_a_lent_gpu_are_the_same(fresh, lending):
    service = Service({"chain": fresh}, lambda name: None)
    config = DecodeConfig(beam_size=3)
    jobs = [service.start("chain", ids, config, "i3") for ids in HISTORIES]
    for job, ids in zip(jobs, HISTORIES, strict=True):
        assert service.wait(job, 60)
        trace = job.result()
        assert same(trace, fresh.recommend(ids, config, target="i3").trace)
        assert len(job.steps) == len(trace.steps)
    assert sum(lending) == len(HISTORIES)


def test_an_error_on_it_is_told_in_its_own_words(fresh, lending):
    service = Service({"chain": fresh}, lambda name: None)
    job = service.start("chain", ["i1"], DecodeConfig(forbid_items=tuple(range(40))))
    assert service.wait(job, 60)
    with pytest.raises(MindRecError, match="no item is left"):
        job.result()


def test_memory_that_runs_out_on_it_ends_in_words(fresh, lending, monkeypatch):
    """A batch is halved down to one history, and that one is told to take fewer beams."""

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(fresh.denoiser, "token_logits", full)
    service = Service({"chain": fresh}, lambda name: None)
    jobs = [service.start("chain", ids, DecodeConfig(evidence="off")) for ids in HISTORIES]
    for job in jobs:
        assert service.wait(job, 60)
        with pytest.raises(MindRecError, match=text.NO_MEMORY.split("(")[0].strip()):
            job.result()
    assert len(lending) <= 2 * len(HISTORIES)


def test_the_hosts_package_is_used_where_it_is_there(tmp_path):
    """A package named spaces, imported before anything touches CUDA."""
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "__init__.py").write_text(
        "import sys\nassert 'gradio' not in sys.modules\ndef GPU(function):\n    return lambda *args: iter(())\n"
    )
    code = "from app.server import gpu; import spaces; print(gpu.on_gpu is spaces.GPU, gpu.lent(lambda: None) is None)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]
