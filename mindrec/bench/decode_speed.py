"""`bench decode`: our search against the published one, and against the bare matrix products it cannot avoid."""

import time
from collections.abc import Callable
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
    ours, published = DecodeConfig(), DecodeConfig(algorithm="published")
    no_evidence, guided, votes = DecodeConfig(evidence="off"), DecodeConfig(guidance=0.5), DecodeConfig(votes=4)
    if recommender.index.popularity_N is None:
        guided = ours  # this checkpoint was never told what anybody takes: the ratio is that of noise
    out = {
        "checkpoint": recommender.name,
        "device": device_name(recommender.torch_device),
        "threads": torch.get_num_threads(),
        "beams": ours.beam_size,
        "history": HISTORY,
        "positions": recommender.index.n_levels,
        "ms_per_user": {},
        "ms_per_user_published": {},
        "ms_per_user_evidence_off": {},
        "ms_per_user_guided": {},
        "ms_per_user_votes": {},
        "ratio_guided": {},
        "ratio_votes": {},
        "ratio_vs_published": {},
        "ratio_to_floor": {},
        "legality_share": {},
        "forced_rows_spared": {},
    }
    for batch in BATCHES:
        some = histories[:batch]

        def run(config, some=some):
            return final(_steps(recommender, some, config))

        floor = _floor(lambda run=run: run(ours))
        times = _interleaved(
            {
                "ours": lambda run=run: run(ours),
                "off": lambda run=run: run(no_evidence),
                "guided": lambda run=run: run(guided),
                "votes": lambda run=run: run(votes),
                "published": lambda run=run: run(published),
                "floor": floor,
            },
            repeats,
            recommender.torch_device,
        )
        key = str(batch)
        out["ms_per_user"][key] = times["ours"] / batch
        out["ms_per_user_published"][key] = times["published"] / batch
        out["ms_per_user_evidence_off"][key] = times["off"] / batch
        out["ms_per_user_guided"][key] = times["guided"] / batch
        out["ms_per_user_votes"][key] = times["votes"] / batch
        out["ratio_votes"][key] = times["votes"] / times["ours"]
        out["ratio_guided"][key] = times["guided"] / times["ours"]
        out["ratio_vs_published"][key] = times["published"] / times["ours"]
        out["ratio_to_floor"][key] = times["ours"] / times["floor"]
        out["legality_share"][key] = legality_share(lambda run=run: run(no_evidence))
        last = run(ours)
        full = sum(min(ours.beam_size, recommender.index.n_items) for _ in range(recommender.index.n_levels - 1)) + 1
        out["forced_rows_spared"][key] = 1 - float(last.rows.double().mean()) / full
    return _rounded(out)


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
