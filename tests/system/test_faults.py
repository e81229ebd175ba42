"""The README's fault table: each fault is made to happen, and what was there before is still whole."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from commands import done, mindrec, ours, refused
from curves import assert_same_curve, curve
from page_answers import AsPage
from paths import ROOT
from safetensors import SafetensorError

from app.tabs.handlers import Handlers
from app.tabs.shelf import load_stories
from app.tabs.watching import Watching
from app.words import sentences as text
from mindrec.checkpoint import load_checkpoint
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis.cases import read_cases
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.system.files import refused_by_disk
from mindrec.trace.records import DecodeTrace

linux = pytest.mark.skipif(sys.platform != "linux", reason="resource limits and users as on Linux")


def digest(path: Path) -> dict[str, str]:
    """Of every file under a path."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# -- a disk that is full, or may not be written ------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("most", [3_000, 30_000])
def test_a_full_disk_leaves_the_old_checkpoint_and_names_the_remedy(recommender, tmp_path, most):
    """The kernel refuses the write: first that of the weights, then that of a file that is written after them."""
    import resource

    out = tmp_path / "model"
    recommender.save_pretrained(out)
    before, old = digest(out), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, old[1]))
    try:
        with pytest.raises((OSError, SafetensorError)) as caught:
            recommender.save_pretrained(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "File too large" in refused_by_disk(caught.value)
    assert digest(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_the_command_line_says_in_one_line_what_the_disk_refused(tmp_path, monkeypatch, code):
    def replace(source, target):
        raise OSError(code, os.strerror(code), str(target))

    prepare = ("prepare", "synthetic", "--items", 24, "--users", 30, "--out", tmp_path / "data")
    assert ours(*prepare)[0] == 0
    before = digest(tmp_path / "data")
    monkeypatch.setattr(os, "replace", replace)
    line = refused(*prepare)
    assert os.strerror(code) in line
    assert "nothing that was there is changed" in line
    assert digest(tmp_path / "data") == before
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


@pytest.fixture
def unprivileged():
    """A folder that this process may read and not write, also where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = os.geteuid() == 0
    yield folder, lambda: os.seteuid(65534) if root else None
    if root:
        os.seteuid(0)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


@linux
def test_a_checkpoint_folder_that_may_not_be_written_opens_and_decodes(checkpoint, recommender, unprivileged):
    folder, drop = unprivileged
    copy = shutil.copytree(checkpoint, folder / "model")
    for path in [*copy.iterdir(), copy, folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = digest(copy)
    drop()
    opened = Recommender.from_pretrained(copy, "cpu")
    want = recommender.recommend(["i1"], trace=False).items
    assert [i.row for i in opened.recommend(["i1"], trace=False).items] == [i.row for i in want]
    with pytest.raises(PermissionError):
        opened.save_pretrained(copy)
    assert digest(copy) == before


@linux
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "catalog.json", "tokenizer.json"])
def test_a_file_that_may_not_be_read_is_named(checkpoint, recommender, unprivileged, name):
    folder, drop = unprivileged
    copy = shutil.copytree(checkpoint, folder / "model")
    for path in [*copy.iterdir(), copy]:
        path.chmod(0o755)
    (copy / name).chmod(0)
    drop()
    with pytest.raises(MindRecError, match=name):
        load_checkpoint(copy, "cpu")


# -- files that are not what they were ---------------------------------------------------------------------------------


def test_a_story_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "1.json").write_bytes(b"\x00\xff{")
    with pytest.raises(MindRecError, match=r"1\.json"):
        load_stories(tmp_path)
    (tmp_path / "1.json").unlink()
    (tmp_path / "1.json").mkdir()
    with pytest.raises(MindRecError, match=r"1\.json"):
        load_stories(tmp_path)


def test_weights_cut_anywhere_are_refused_by_name(checkpoint, tmp_path):
    copy = shutil.copytree(checkpoint, tmp_path / "model")
    whole = (copy / "model.safetensors").read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        (copy / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(MindRecError, match=r"model\.safetensors is damaged"):
            load_checkpoint(copy, "cpu")


@pytest.mark.parametrize("version", [0, 999, None, "1", []])
def test_json_of_another_version_is_refused_with_the_one_that_is_read(checkpoint, recommender, tmp_path, version):
    copy = shutil.copytree(checkpoint, tmp_path / "model")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"format": version}))
    with pytest.raises(MindRecError, match="this release reads"):
        load_checkpoint(copy, "cpu")
    trace = recommender.recommend(["i1"]).trace.to_dict()
    trace["schema"] = version
    with pytest.raises(MindRecError, match="schema"):
        DecodeTrace.from_dict(trace)


# -- machines that fail under a decode ---------------------------------------------------------------------------------


def test_a_gpu_that_vanishes_falls_back_to_the_cpu_and_says_so(checkpoint, recommender, monkeypatch):
    handlers = Handlers.load([checkpoint])
    first = handlers.recommenders["chain"]

    def lost(*args, **kwargs):
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(type(first), "device", property(lambda self: "cuda" if self is first else "cpu"))
    monkeypatch.setattr(first.denoiser, "encode", lost)
    answer = AsPage(Watching(handlers)).decode({"ids": ["i0", "i1"]})
    want = recommender.recommend(["i0", "i1"]).trace
    assert [r["row"] for r in answer["trace"]["results"]] == [r.row for r in want.results]
    second = handlers.recommenders["chain"]
    assert second is not first
    assert text.FELL_BACK in second.notes
    assert "error" not in AsPage(Watching(handlers)).decode({"ids": ["i2"]})


def test_memory_that_runs_out_fails_one_decode_in_words_and_not_the_next(checkpoint, monkeypatch):
    handlers = Handlers.load([checkpoint])
    denoiser = handlers.recommenders["chain"].denoiser
    read = denoiser.token_logits

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(denoiser, "token_logits", full)
    answer = AsPage(Watching(handlers)).decode({"ids": ["i0"], "config": {"evidence": "off"}})
    assert answer["error"].startswith(text.NO_MEMORY.split("{")[0])
    monkeypatch.setattr(denoiser, "token_logits", read)
    assert "trace" in AsPage(Watching(handlers)).decode(
        {"ids": ["i0"], "config": DecodeConfig(evidence="off").to_dict()}
    )


# -- kill -9 -----------------------------------------------------------------------------------------------------------


def killed_at(seen, *arguments) -> None:
    """Start a command and kill it, without a word of warning, once `seen()` is true."""
    command = [sys.executable, "-m", "mindrec", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    deadline = time.monotonic() + 120
    while not seen():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Prepared data, and a model that was trained without a stop."""
    folder = tmp_path_factory.mktemp("killed")
    done("prepare", "synthetic", "--items", 24, "--users", 1500, "--out", folder / "data")
    done(*training(folder, "whole"))
    return folder


def training(folder: Path, name: str) -> tuple:
    recipe = ("--preset", "tiny", "--epochs", 3, "--seed", 5, "--device", "cpu")
    return ("train", "--data", folder / "data", "--out", folder / name, *recipe)


@pytest.mark.slow
def test_training_that_is_killed_resumes_to_the_same_curve_and_keeps_the_old_model(made):
    shutil.copytree(made / "whole", made / "cut")
    before = digest(made / "cut")
    killed_at(lambda: list(made.glob("cut.partial/**/state.json")), *training(made, "cut"))
    assert digest(made / "cut") == before
    assert list(made.glob("cut.partial/**/state.json"))
    done(*training(made, "cut"), "--resume")
    one, other = (load_checkpoint(made / name, "cpu") for name in ("whole", "cut"))
    assert_same_curve(curve(one), curve(other))
    assert digest(made / "cut")["config.json"] == digest(made / "whole")["config.json"] or one.decode == other.decode
    for (name, a), (_, b) in zip(one.denoiser.named_parameters(), other.denoiser.named_parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name


@pytest.mark.slow
def test_prepare_that_is_killed_leaves_the_old_data(made, tmp_path):
    out = shutil.copytree(made / "data", tmp_path / "data")
    before = digest(out)
    killed_at(
        lambda: list(tmp_path.glob(".data.*/*")),
        "prepare",
        "synthetic",
        "--items",
        5000,
        "--users",
        60000,
        "--out",
        out,
    )
    assert digest(out) == before


@pytest.mark.slow
def test_diagnose_that_is_killed_leaves_the_old_table_and_resumes_to_the_same(made, tmp_path):
    out = tmp_path / "cases.parquet"
    command = ("diagnose", "--checkpoint", made / "whole", "--data", made / "data", "--users", 1400, "--device", "cpu")
    done(*command, "--out", tmp_path / "whole.parquet")
    shutil.copy(tmp_path / "whole.parquet", out)
    before = digest(out)
    parts = tmp_path / "cases.parquet.partial"
    killed_at(lambda: list(parts.glob("0*.parquet")), *command, "--out", out)
    assert digest(out) == before
    first = {path.name: path.stat().st_mtime_ns for path in parts.glob("0*.parquet")}
    assert first
    process = mindrec(*command, "--out", out, "--resume")
    assert process.returncode == 0, process.stderr
    assert read_cases(out).cases.equals(read_cases(tmp_path / "whole.parquet").cases)
