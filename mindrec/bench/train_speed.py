"""`bench train`: training speed of both stages and of the auto-regressive twin's block, the share of the machine's
measured matrix throughput that each reaches, and the catalog's cross-entropy against PyTorch's own."""

import time
from collections.abc import Callable
from itertools import chain, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import training_sequences
from mindrec.model.architecture import OBJECTIVES, CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.model.softmax import catalog_cross_entropy
from mindrec.system.devices import pick_device
from mindrec.tokens.semantic_id import Quantised, finest_category, fitting_size
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer
from mindrec.training.batches import batches
from mindrec.training.loop import fast_bf16
from mindrec.training.objectives import block_loss, dense_loss
from mindrec.training.presets import Preset

WARM, TIMED = 2, 12
SIDE = 2048


def bench_train(data: PreparedData, preset: Preset, device: str = "auto") -> dict:
    """Time optimizer steps of a preset on its data. A sample is one next-item target; tokens are its positions."""
    torch_device = pick_device(device)
    tokenizer = drawn_tokenizer(data, preset)
    model, twin = (new_model(tokenizer, preset, objective, torch_device) for objective in OBJECTIVES)
    some = first_batches(data, preset, model)
    peak = _matrix_throughput(torch_device)
    dense, block = (_stage(model, some, peak, loss) for loss in losses(model, tokenizer, preset).values())
    of_twin = _stage(twin, some, peak, losses(twin, tokenizer, preset)["block"])
    return {
        "dataset": data.catalog.name,
        "device": torch_device.type,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "gflops_of_bare_products": round(peak / 1e9, 1),
        "dense": dense,
        "block": block | {"tokens_per_second": round(block["samples_per_second"] * tokenizer.n_levels, 1)},
        "twin": of_twin | {"ratio": round(of_twin["samples_per_second"] / block["samples_per_second"], 2)},
        "cross_entropy": _cross_entropies(model, some, torch_device),
    }


def drawn_tokenizer(data: PreparedData, preset: Preset) -> Tokenizer:
    """Semantic IDs of a preset's shape, drawn at random.

    A step costs by how many codes there are, not by which; to cluster a catalog into them takes longer than all steps.
    """
    categories_N = finest_category(data.catalog)
    size = fitting_size(categories_N, preset.sid_levels, preset.codebook_size)
    shape = (len(data.catalog), preset.sid_levels)
    drawn = np.random.default_rng(0).integers(size, size=shape, dtype=np.int32)
    nowhere = Quantised(drawn, np.zeros((len(drawn), 1), np.float32), np.zeros((size, 1), np.float32))
    return build_tokenizer(data.catalog, nowhere.unique(categories_N, size), preset.level_names)


def new_model(tokenizer: Tokenizer, preset: Preset, objective: str, torch_device: torch.device) -> CompactDenoiser:
    """An untrained model of a preset's sizes."""
    config = CompactConfig(tokenizer.level_sizes, tokenizer.n_items, objective=objective, **preset.model)
    return CompactDenoiser(config, torch.from_numpy(tokenizer.codes)).to(torch_device)


def first_batches(data: PreparedData, preset: Preset, model: CompactDenoiser) -> list[torch.Tensor]:
    """The first WARM + TIMED batches of a training, windows (B, W) each; small data comes again."""
    sequences, ordered = training_sequences(data.interactions), data.interactions.ordered
    width, targets = model.max_history + 1, preset.train.batch_targets
    epochs = (batches(sequences, width, targets, seed, ordered=ordered) for seed in range(WARM + TIMED))
    stream = chain.from_iterable(epochs)
    return [rows.to(model.tokens_NL.device) for rows in islice(stream, WARM + TIMED)]


def losses(model: CompactDenoiser, tokenizer: Tokenizer, preset: Preset) -> dict[str, Callable]:
    """The loss of each stage, by its name: windows -> BatchLoss."""
    table = CodeTable(torch.from_numpy(tokenizer.codes), tokenizer.level_sizes).to(model.tokens_NL.device)
    generator = torch.Generator().manual_seed(0)
    config, learns = preset.train.loss, preset.train.dense_rate > 0
    return {
        "dense": lambda rows: dense_loss(model, rows, config, generator),
        "block": lambda rows: block_loss(model, table, rows, config, generator, dense=learns),
    }


def make_step(model: CompactDenoiser, loss: Callable) -> Callable[[torch.Tensor], int]:
    """One step of the optimizer on a batch of item rows (B, W), which gives the number of its targets."""
    torch_device = model.tokens_NL.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(rows: torch.Tensor) -> int:
        with torch.autocast(torch_device.type, dtype=torch.bfloat16, enabled=fast_bf16(torch_device)):
            out = loss(rows)
        optimizer.zero_grad(set_to_none=True)
        out.loss.backward()
        optimizer.step()
        return out.targets

    return step


def _stage(model: CompactDenoiser, some: list[torch.Tensor], peak: float, loss: Callable) -> dict:
    """Samples a second of one stage's steps, and their share of `peak` (floating-point operations a second)."""
    torch_device, step = some[0].device, make_step(model, loss)
    for rows in some[:WARM]:
        step(rows)
    with FlopCounterMode(display=False) as counter:
        step(some[0])
    flops_a_target = counter.get_total_flops() / int((some[0][:, 1:] >= 0).sum())
    finish(torch_device)
    started = time.perf_counter()
    targets = sum(step(rows) for rows in some[WARM:])
    finish(torch_device)
    seconds = time.perf_counter() - started
    reached = targets * flops_a_target / seconds
    return {
        "samples_per_second": round(targets / seconds, 1),
        "gflops_reached": round(reached / 1e9, 1),
        "utilisation": round(reached / peak, 4),
    }


def _cross_entropies(model: CompactDenoiser, some: list[torch.Tensor], torch_device: torch.device) -> dict:
    """Milliseconds of a dense step, forward and backward, with our cross-entropy and F.cross_entropy of all logits.

    Of the whole step, because by itself, on memory that is at hand, the table of logits costs less than in between.
    """

    def plain(states, items, bias, target):
        return F.cross_entropy((states @ items.T + bias).float(), target)

    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for number, rows in enumerate(some):
        both = [("ours", catalog_cross_entropy), ("plain", plain)]
        for name, of in both if number % 2 else both[::-1]:
            model.zero_grad(set_to_none=True)
            started = time.perf_counter()
            with torch.autocast(torch_device.type, dtype=torch.bfloat16, enabled=fast_bf16(torch_device)):
                states_BHD, items_ND = model.encode_states(rows[:, :-1].clamp(min=0))
                valid_BR, target_BR = rows[:, 1:] >= 0, rows[:, 1:]
                loss = of(states_BHD[valid_BR], items_ND, model.item_bias, target_BR[valid_BR])
            loss.backward()
            finish(torch_device)
            times[name].append(time.perf_counter() - started)
    ours, other = (float(np.median(kept[WARM:])) * 1000 for kept in times.values())
    return {
        "items": model.n_items,
        "step_ms": round(ours, 1),
        "step_ms_plain": round(other, 1),
        "ratio": round(other / ours, 2),
    }


def finish(torch_device: torch.device) -> None:
    """Wait until an accelerator has done what it was given."""
    if torch_device.type == "cuda":
        torch.cuda.synchronize()


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
