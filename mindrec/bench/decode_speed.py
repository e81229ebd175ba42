"""`bench decode`: our search against the published one, and against the bare matrix products it cannot avoid."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mindrec.decoding.beam_search import final
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.recommender import Recommender
from mindrec.system.devices import device_name

HISTORY = 20
BATCHES = (1, 64)
PRODUCTS = {
    "aten.mm.default": 0,
    "aten.bmm.default": 0,
    "aten.matmul.default": 0,
    "aten.linear.default": 0,
    "aten.addmm.default": 1,
}
"""Where the left operand of each kind of matrix product stands."""


def bench_decode(checkpoint: Path, device: str = "auto", repeats: int = 7) -> dict:
    """Time 10 beams on random histories of 20, seven positions where the checkpoint has seven.

    Both searches use the same weights; `forced` tells how many denoiser rows ours spared because a beam had one item
    left. `ratio_to_floor` divides by the time of the matrix products of the same decode, replayed bare;
    `ratio_guided` divides the time of a guided decode by that of the same without guidance, `ratio_votes` that of a
    decode with four votes by that of one.
    """
    recommender = Recommender.from_pretrained(checkpoint, device)
    rng = np.random.default_rng(0)
    histories = [rng.choice(recommender.index.n_items, HISTORY, replace=False).tolist() for _ in range(max(BATCHES))]
    out = {
        "checkpoint": recommender.name,
        "device": device_name(recommender.torch_device),
        "threads": torch.get_num_threads(),
        "beams": DecodeConfig().beam_size,
        "history": HISTORY,
        "positions": recommender.index.n_levels,
    }
    for batch in BATCHES:
        for name, value in _of_batch(recommender, histories[:batch], repeats).items():
            out.setdefault(name, {})[str(batch)] = value
    return _rounded(out)


def _of_batch(recommender: Recommender, histories: list[list[int]], repeats: int) -> dict[str, float]:
    """The times and ratios of one batch of histories, by name; see `bench_decode`."""
    ours, index = DecodeConfig(), recommender.index
    configs = {
        "ours": ours,
        "off": DecodeConfig(evidence="off"),
        # A checkpoint that was never told what anybody takes has no guidance: the ratio is that of noise.
        "guided": ours if index.popularity_N is None else DecodeConfig(guidance=0.5),
        "votes": DecodeConfig(votes=4),
        "published": DecodeConfig(algorithm="published"),
    }

    def run(name: str):
        return final(_steps(recommender, histories, configs[name]))

    sides = {name: partial(run, name) for name in configs}
    times = _interleaved(sides | {"floor": _floor(sides["ours"])}, repeats, recommender.torch_device)
    full = sum(min(ours.beam_size, index.n_items) for _ in range(index.n_levels - 1)) + 1
    return {
        "ms_per_user": times["ours"] / len(histories),
        "ms_per_user_published": times["published"] / len(histories),
        "ms_per_user_evidence_off": times["off"] / len(histories),
        "ms_per_user_guided": times["guided"] / len(histories),
        "ms_per_user_votes": times["votes"] / len(histories),
        "ratio_guided": times["guided"] / times["ours"],
        "ratio_votes": times["votes"] / times["ours"],
        "ratio_vs_published": times["published"] / times["ours"],
        "ratio_to_floor": times["ours"] / times["floor"],
        "legality_share": legality_share(sides["off"]),
        "forced_rows_spared": 1 - float(run("ours").rows.double().mean()) / full,
    }


def legality_share(run: Callable) -> float:
    """Share of a decode's time spent on which items and codes are possible (postings, counts, members of children)."""
    import mindrec.decoding.beam_search as beam_search
    import mindrec.decoding.children as children
    from mindrec.decoding.item_index import ItemIndex

    spent = [0.0]

    def timed(function):
        def wrapper(*args, **kwargs):
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - started

        return wrapper

    places = [
        (ItemIndex, "token_places"),
        (ItemIndex, "count_by_token"),
        (ItemIndex, "count_in_postings"),
        (ItemIndex, "expand"),
        (children, "_child_postings"),
        (children, "_child_members"),
        (children, "_fill_forced"),
        (beam_search, "rule_out"),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name in places]
    try:
        for owner, name, function in kept:
            setattr(owner, name, timed(function))
        run()
        shares = []
        for _ in range(5):
            spent[0] = 0.0
            started = time.perf_counter()
            run()
            shares.append(spent[0] / (time.perf_counter() - started))
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
    return float(np.median(shares))


class _Products(TorchDispatchMode):
    """Records the shapes of every matrix product."""

    def __init__(self):
        super().__init__()
        self.shapes: list[tuple[torch.Size, torch.Size, torch.dtype, torch.device]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        first = PRODUCTS.get(str(function))
        if first is not None and not args[first].is_sparse_csr:
            left, right = args[first], args[first + 1]
            if "linear" in str(function):
                right = right.T
            self.shapes.append((left.shape, right.shape, left.dtype, left.device))
        return function(*args, **(kwargs or {}))


def _floor(run: Callable) -> Callable:
    """A function that does only the matrix products of `run`, on random operands."""
    with _Products() as products:
        run()
    operands = [
        (torch.randn(a, dtype=t, device=d), torch.randn(b, dtype=t, device=d)) for a, b, t, d in products.shapes
    ]

    def floor() -> None:
        with torch.inference_mode():
            for left, right in operands:
                left @ right

    return floor


def _steps(recommender: Recommender, histories, config: DecodeConfig):
    return decode(
        recommender.denoiser,
        recommender.index,
        histories,
        config,
        full_trace=False,
    )


def _interleaved(runs: dict[str, Callable], repeats: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each, the runs taking turns so that the machine's drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first round warms up
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: float(np.median(t)) for name, t in times.items()}


def _rounded(value):
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
