"""`bench train --busy` and `--memory`: a training step beside a process that works, and what a training holds."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from mindrec.bench.train_speed import WARM, finish, first_batches, losses, make_step, new_model
from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.system.devices import pick_device
from mindrec.system.files import read_json
from mindrec.training.presets import Preset
from mindrec.training.starting import make_tokenizer

WORK = """
import os, torch
torch.set_num_threads(os.cpu_count())
parent, square = os.getppid(), torch.rand(1024, 1024)
print("works", flush=True)
while os.getppid() == parent:
    square @ square
"""
"""A product of matrices after the other on every core, until whoever started it ends."""
SEQUENCES = 3000


def bench_busy(data: PreparedData, preset: Preset, device: str = "auto") -> dict:
    """Milliseconds of a step of each stage, quiet and beside a process that works on every core, and their ratio.

    A fair share of the cores makes a step take twice as long; threads that spin while they wait, many times as long.
    """
    place, tokenizer = pick_device(device), make_tokenizer(data, preset)
    model = new_model(tokenizer, preset, "diffusion", place)
    some = first_batches(data, preset, model)
    steps = {name: make_step(model, loss) for name, loss in losses(model, tokenizer, preset).items()}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    quiet = {name: _milliseconds(step, some) for name, step in steps.items()}
    with working():
        busy = {name: _milliseconds(step, some) for name, step in steps.items()}
    return {
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "cores": os.cpu_count(),
        "load_before": None if load is None else round(load, 1),
    } | {
        name: {
            "quiet_ms": round(quiet[name], 1),
            "busy_ms": round(busy[name], 1),
            "ratio": round(busy[name] / quiet[name], 2),
        }
        for name in steps
    }


def _milliseconds(step: Callable[[torch.Tensor], int], some: list[torch.Tensor]) -> float:
    """The median step."""
    took = []
    for rows in some:
        started = time.perf_counter()
        step(rows)
        finish(rows.device)
        took.append(time.perf_counter() - started)
    return 1000 * float(np.median(took[WARM:]))


@contextmanager
def working() -> Iterator[subprocess.Popen]:
    """A process of its own keeps every core busy with products of matrices until the block ends."""
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
