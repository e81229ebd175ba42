"""Training on a machine that others use: idle threads sleep, and `bench train` measures it."""

import os
import subprocess
import sys

import pytest
from paths import ROOT

from mindrec.bench import train_beside, train_speed

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
        timeout=120,
        check=False,
    )
    assert process.stdout.splitlines()[-1:] == [wanted], process.stderr


def test_a_step_is_timed_quiet_and_beside_a_process_that_works(chain_data, tiny_preset, monkeypatch):
    monkeypatch.setattr(train_beside, "WORK", "import time; print('works', flush=True); time.sleep(60)")
    monkeypatch.setattr(train_speed, "TIMED", 2)
    found = train_beside.bench_busy(chain_data, tiny_preset, "cpu")
    assert found["omp_wait_policy"] == os.environ["OMP_WAIT_POLICY"]
    for stage in ("dense", "block"):
        assert found[stage]["quiet_ms"] > 0
        assert found[stage]["ratio"] == pytest.approx(found[stage]["busy_ms"] / found[stage]["quiet_ms"], rel=0.1)


def test_the_working_process_ends_with_the_block(monkeypatch):
    monkeypatch.setattr(train_beside, "WORK", "import time; print('works', flush=True); time.sleep(60)")
    with pytest.raises(KeyboardInterrupt), train_beside.working() as process:  # noqa: PT012
        assert process.poll() is None
        raise KeyboardInterrupt
    assert process.poll() is not None
