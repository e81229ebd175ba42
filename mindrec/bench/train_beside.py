"""`bench train --busy` and `--memory`: a training step beside a process that works, and what a training holds."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from mindrec.bench.train_speed import WARM, drawn_tokenizer, finish, first_batches, losses, make_step, new_model
from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.system.devices import pick_device
from mindrec.system.files import read_json
from mindrec.system.memory import say
from mindrec.training.presets import Preset

WORK = """
import os, torch
torch.set_num_threads(os.cpu_count())
parent, square = os.getppid(), torch.rand(1024, 1024)
print("works", flush=True)
while os.getppid() == parent:
    square @ square
"""
"""A product of matrices after the other on every core, until whoever started it ends."""
PAIRS = 8
SEQUENCES = 600


def bench_busy(data: PreparedData, preset: Preset, device: str = "auto") -> dict:
    """Milliseconds of a step of each stage, quiet and beside a process that works on every core, and their ratio.

    A fair share of the cores makes a step take twice as long; threads that spin while they wait, many times as long.
    Each of `PAIRS` batches is trained on twice, once with the other process held and once with it running, so that
    whatever else slows the machine down slows both. The ratio is the median of the pairs'.
    """
    tokenizer = drawn_tokenizer(data, preset)
    model = new_model(tokenizer, preset, "diffusion", pick_device(device))
    some = first_batches(data, preset, model)[: WARM + PAIRS]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    out = {
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "cores": os.cpu_count(),
        "load_before": None if load is None else round(load, 1),
        "steps": PAIRS,
    }
    with working() as other:
        for stage, loss in losses(model, tokenizer, preset).items():
            quiet_P, busy_P = in_turns(make_step(model, loss), some, other)
            out[stage] = {
                "quiet_ms": round(float(np.median(quiet_P)), 1),
                "busy_ms": round(float(np.median(busy_P)), 1),
                "ratio": round(float(np.median(busy_P / quiet_P)), 2),
            }
            say(f"{stage}: {out[stage]}")
    return out


def in_turns(
    step: Callable[[torch.Tensor], int], some: list[torch.Tensor], other: subprocess.Popen
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of a step on each batch, with the other process held and with it running, (P,) each."""
    _hold(other)
    for rows in some[:WARM]:
        step(rows)
    took: dict[bool, list[float]] = {False: [], True: []}
    for number, rows in enumerate(some[WARM:]):
        for busy in (False, True) if number % 2 else (True, False):
            (_let_go if busy else _hold)(other)
            started = time.perf_counter()
            step(rows)
            finish(rows.device)
            took[busy].append(1000 * (time.perf_counter() - started))
    return np.array(took[False]), np.array(took[True])


def _hold(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGSTOP)


def _let_go(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGCONT)


@contextmanager
def working() -> Iterator[subprocess.Popen]:
    """A process of its own keeps every core busy with products of matrices until the block ends.

    Raises:
        MindRecError: the system cannot hold a process, or it ended.
    """
    if not hasattr(signal, "SIGSTOP"):
        raise MindRecError(
            "--busy holds a process and lets it go on, which this system cannot; run it on Linux or macOS"
        )
    process = subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "works":
            raise MindRecError("the process that was to keep the cores busy ended; is there memory for a second torch?")
        yield process
    finally:
        process.kill()
        process.communicate()


def bench_memory(data: Path, preset: str, device: str = "auto") -> dict:
    """The most memory that a whole `train` of a preset holds, in a process of its own.

    One epoch a stage on `SEQUENCES` sequences: every batch is as large as in a full training, and all that comes after
    the epochs (semantic IDs, validation, weighing) is done on all items and as many cases.

    Raises:
        MindRecError: the training failed.
    """
    short = ["--epochs", "1", "--dense-epochs", "1", "--sequences", str(SEQUENCES)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        words = ["train", "--data", str(data), "--preset", preset, "--device", device, *short, "--out", str(out)]
        done = subprocess.run([sys.executable, "-m", "mindrec", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MindRecError(f"`mindrec train --preset {preset}` failed: {done.stderr.strip()[-300:]}")
        training = read_json(out / "training.json", "training record")
    return {"train": " ".join(["--preset", preset, *short]), "peak_mb": training["peak_memory_mb"]}
