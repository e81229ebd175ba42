"""`bench train`: training speed, and the share of the machine's measured matrix throughput that it reaches."""

import time
from itertools import islice

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mindrec.catalog import PreparedData
from mindrec.checkpoint import pick_device
from mindrec.evaluation.protocol import training_sequences
from mindrec.model.compact import CompactConfig, CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.training.batches import batches
from mindrec.training.loop import fast_bf16
from mindrec.training.objectives import block_loss
from mindrec.training.presets import Preset
from mindrec.training.run import make_tokenizer

WARM, TIMED = 3, 15
SIDE = 2048


def bench_train(data: PreparedData, preset: Preset, device: str = "auto") -> dict:
    """Time optimizer steps of a preset on its data. A sample is one next-item target; tokens are its positions."""
    place = pick_device(device)
    tokenizer = make_tokenizer(data, preset)
    model = CompactDenoiser(
        CompactConfig(tokenizer.level_sizes, tokenizer.n_items, **preset.model), torch.from_numpy(tokenizer.codes)
    ).to(place)
    table = CodeTable(torch.from_numpy(tokenizer.codes), tokenizer.level_sizes).to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    generator = torch.Generator().manual_seed(0)
    sequences = training_sequences(data.interactions)
    stream = batches(
        sequences, model.max_history + 1, preset.train.batch_targets, seed=0, ordered=data.interactions.ordered
    )
    some = list(islice(stream, WARM + TIMED))

    def step(rows: torch.Tensor) -> int:
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=fast_bf16(place)):
            out = block_loss(model, table, rows.to(place), preset.train.loss, generator)
        optimizer.zero_grad(set_to_none=True)
        out.loss.backward()
        optimizer.step()
        return out.targets

    for rows in some[:WARM]:
        step(rows)
    with FlopCounterMode(display=False) as counter:
        step(some[0])
    flops_a_target = counter.get_total_flops() / int((some[0][:, 1:] >= 0).sum())
    started = time.perf_counter()
    targets = sum(step(rows) for rows in some[WARM:])
    if place.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    reached = targets * flops_a_target / seconds
    peak = _matrix_throughput(place)
    return {
        "dataset": data.catalog.name,
        "device": place.type,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "samples_per_second": round(targets / seconds, 1),
        "tokens_per_second": round(targets * tokenizer.n_levels / seconds, 1),
        "gflops_reached": round(reached / 1e9, 1),
        "gflops_of_bare_products": round(peak / 1e9, 1),
        "utilisation": round(reached / peak, 4),
    }


def _matrix_throughput(device: torch.device) -> float:
    """Floating-point operations a second of a square matrix product in the type that training uses."""
    dtype = torch.bfloat16 if fast_bf16(device) else torch.float32
    left, right = (torch.randn(SIDE, SIDE, dtype=dtype, device=device) for _ in range(2))
    times = []
    for _ in range(8):
        started = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return 2 * SIDE**3 / float(np.median(times[2:]))
