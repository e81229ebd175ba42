"""Training on a machine that others use: idle threads sleep, and `bench train` measures it."""

import json
import os
import runpy
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from commands import ours
from paths import ROOT

from mindrec.bench import train_beside, train_speed
from mindrec.data.catalog import save_prepared

STOP_AT_TORCH = """
import os, runpy, sys

class Look:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            sys.exit()

sys.meta_path.insert(0, Look)
sys.argv = sys.argv[1:]
run = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
run(sys.argv[0], run_name="__main__")
"""
COMMANDS = {
    "the command line": ("mindrec", "bench", "scale"),
    "the app": ("app.py",),
}


@pytest.mark.parametrize(("given", "wanted"), [(None, "passive"), ("active", "active")])
@pytest.mark.parametrize("command", COMMANDS)
def test_idle_threads_sleep_unless_the_user_says_otherwise(command, given, wanted):
    """OpenMP reads it when torch is loaded; the process ends there and tells."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | {"HF_HUB_OFFLINE": "1"}
    if given:
        environment["OMP_WAIT_POLICY"] = given
    process = subprocess.run(
        [sys.executable, "-c", STOP_AT_TORCH, *COMMANDS[command]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.stdout.splitlines()[-1:] == [wanted], process.stderr


def test_the_command_prints_a_steps_time_beside_others_and_the_memory_of_a_training(chain_data, tmp_path, monkeypatch):
    """What `render` makes a sentence of. The training that is measured runs in this process, which saves its start."""
    monkeypatch.setattr(train_beside, "WORK", "import time; print('works', flush=True); time.sleep(60)")
    monkeypatch.setattr(train_beside, "PAIRS", 2)
    monkeypatch.setattr(train_beside, "SEQUENCES", 100)
    monkeypatch.setattr(train_speed, "TIMED", 2)
    monkeypatch.setattr(train_speed, "SIDE", 64)
    started = []

    def train(words: list[str], **how) -> subprocess.CompletedProcess:
        started.append(words[:3])
        code, out, err = ours(*words[3:])
        return subprocess.CompletedProcess(words, code, out, err)

    monkeypatch.setattr(train_beside.subprocess, "run", train)
    save_prepared(chain_data, tmp_path / "data")
    words = ("--data", tmp_path / "data", "--preset", "tiny", "--device", "cpu", "--busy", "--memory")
    code, out, err = ours("bench", "train", *words, "--json", tmp_path / "bench-train.json")
    assert code == 0, err
    result = json.loads(out)
    assert result == json.loads((tmp_path / "bench-train.json").read_text())
    assert started == [[sys.executable, "-m", "mindrec"]]
    for stage in ("dense", "block"):
        assert result["busy"][stage]["quiet_ms"] > 0
        assert result["busy"][stage]["busy_ms"] > 0
        assert f"{stage}: " in err
    assert result["busy"]["omp_wait_policy"] == os.environ["OMP_WAIT_POLICY"]
    assert result["memory"]["peak_mb"] > 100
    sentence = runpy.run_path(str(ROOT / "assets/results/render.py"))["sections"](tmp_path)[0]
    assert f"{result['busy']['block']['ratio']} times" in sentence
    assert f"{result['memory']['peak_mb']:,} MB" in sentence


def test_the_other_process_works_during_the_busy_steps_alone():
    """Each batch is trained on twice, and which comes first takes turns."""
    signals = []

    class Other:
        def send_signal(self, which):
            signals.append({signal.SIGSTOP: "held", signal.SIGCONT: "works"}[which])

    seen = []
    some = [torch.tensor([[n, n]]) for n in range(train_beside.WARM + 2)]
    train_beside.in_turns(lambda rows: seen.append((int(rows[0, 0]), signals[-1])), some, Other())
    first = train_beside.WARM
    warm = [(n, "held") for n in range(first)]
    assert seen == [
        *warm,
        (first, "works"),
        (first, "held"),
        (first + 1, "held"),
        (first + 1, "works"),
    ]


@pytest.mark.parametrize("sizes", [(2, 8), (3, 4)])
def test_drawn_semantic_ids_have_the_shape_of_the_preset_and_name_every_item(chain_data, tiny_preset, sizes):
    levels, codes = sizes
    recipe = replace(tiny_preset, sid_levels=levels, codebook_size=codes)
    tokenizer = train_speed.drawn_tokenizer(chain_data, recipe)
    assert [level.size for level in tokenizer.levels if level.kind == "semantic"] == [codes] * levels
    assert len({tuple(row) for row in tokenizer.codes.tolist()}) == len(chain_data.catalog)


def test_the_working_process_ends_with_the_block(monkeypatch):
    monkeypatch.setattr(train_beside, "WORK", "import time; print('works', flush=True); time.sleep(60)")
    with pytest.raises(KeyboardInterrupt), train_beside.working() as process:  # noqa: PT012
        assert process.poll() is None
        raise KeyboardInterrupt
    assert process.poll() is not None
