"""Gaps and odd ones out, measured on test histories: an item that was taken away, and one that was put in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindrec.data.catalog import Interactions, PreparedData
from mindrec.data.splits import cases, sampled
from mindrec.decoding.gaps import CANDIDATES, RIGHT, Belonging, fill_gaps, least, odd_one_out
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import difference
from mindrec.evaluation.metrics import hit_at_k, ndcg_at_k
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import open_checkpoint

BATCH = 32
"""Histories that are decoded at once, whatever the protocol says: each stands for several."""


def evaluate_gaps(
    checkpoint: Path,
    data: PreparedData,
    protocol: Protocol = USUAL,
    *,
    candidates: int = CANDIDATES,
    right: int = RIGHT,
) -> dict:
    """Take an item out of each test history: its rank by both sides, against the left side alone.

    Leave-one-out data is asked for the second-last item, which training did not see; histories that are held out
    whole, for an item drawn from their inside.

    Raises:
        MindRecError: no test history has an item on both sides of another.
    """
    recommender = open_checkpoint(checkpoint, data, protocol.device)
    config, seed = recommender.settings(protocol.settings or {}), protocol.seed
    sample = _sample(_gaps(data.interactions, seed), protocol.users, seed, "an item on both sides of another")
    both, left = [], []
    for first in range(0, len(sample), BATCH):
        part = sample[first : first + BATCH]
        gaps = [(before, after) for before, _, after in part]
        filled = fill_gaps(recommender.denoiser, recommender.index, gaps, config, candidates=candidates, right=right)
        for (_, hidden, _), fillings in zip(part, filled, strict=True):
            both.append(_rank_of([f.row for f in fillings], hidden))
            left.append(_rank_of([f.row for f in sorted(fillings, key=lambda f: -f.left)], hidden))
    ranks = {"both_sides": np.array(both), "left_alone": np.array(left)}
    return {
        "checkpoint": recommender.name,
        "gaps": len(sample),
        "candidates": candidates,
        "right": right,
        "decode": config.to_dict(),
        "among_candidates": round(float((ranks["left_alone"] >= 0).mean()), 5),
        **{
            name: {
                "hit@10": round(float(hit_at_k(r, 10).mean()), 5),
                "ndcg@10": round(float(ndcg_at_k(r, 10).mean()), 5),
            }
            for name, r in ranks.items()
        },
        "hit@10_both_minus_left": difference(
            hit_at_k(ranks["both_sides"], 10) - hit_at_k(ranks["left_alone"], 10), seed
        ),
    }


def evaluate_odd(checkpoint: Path, data: PreparedData, protocol: Protocol = USUAL) -> dict:
    """Put an item of another test history into each one: how often it is the one that does not belong.

    Raises:
        MindRecError: no test history has two different items.
    """
    recommender = open_checkpoint(checkpoint, data, protocol.device)
    config, seed = recommender.settings(protocol.settings or {}), protocol.seed
    sample = _sample(_intruders(data.interactions, seed), protocol.users, seed, "three different items")
    by_lift, by_probability = [], []
    for first in range(0, len(sample), BATCH):
        part = sample[first : first + BATCH]
        by_history = odd_one_out(recommender.denoiser, recommender.index, [history for history, _ in part], config)
        for (_, position), lifts in zip(part, by_history, strict=True):
            by_lift.append(least(lifts) == position)
            by_probability.append(least(_without_lift(lifts)) == position)
    return {
        "checkpoint": recommender.name,
        "histories": len(sample),
        "decode": config.to_dict(),
        "chance": round(float(np.mean([1 / len(history) for history, _ in sample])), 5),
        "by_lift": round(float(np.mean(by_lift)), 5),
        "by_probability": round(float(np.mean(by_probability)), 5),
    }


def _gaps(interactions: Interactions, seed: int) -> list[tuple[list[int], int, list[int]]]:
    """Left side, hidden item and right side of each test history; the hidden item stands nowhere else in it."""
    rng, out = np.random.default_rng(seed), []
    for case in cases(interactions, "test"):
        whole = [*case.history, case.target]
        if len(whole) < 3:
            continue
        at = len(whole) - 2 if interactions.split is None else int(rng.integers(1, len(whole) - 1))
        if whole.count(whole[at]) == 1:
            out.append((whole[:at], whole[at], whole[at + 1 :]))
    return out


def _intruders(interactions: Interactions, seed: int) -> list[tuple[list[int], int]]:
    """Each test history with one item of another in the place of one of its own, and that place."""
    rng, wholes = np.random.default_rng(seed), []
    for case in cases(interactions, "test"):
        wholes.append(list(dict.fromkeys((*case.history, case.target))))
    out = []
    for whole in wholes:
        other = wholes[int(rng.integers(len(wholes)))]
        row, position = other[int(rng.integers(len(other)))], int(rng.integers(len(whole)))
        if len(whole) >= 3 and row not in whole:
            out.append(([*whole[:position], row, *whole[position + 1 :]], position))
    return out


def _sample(candidates: list, users: int | None, seed: int, needed: str) -> list:
    if not candidates:
        raise MindRecError(f"no test history has {needed}; use data with longer ones")
    return sampled(candidates, users, seed)


def _rank_of(rows: Sequence[int], row: int) -> int:
    return rows.index(row) if row in rows else -1


def _without_lift(items: Sequence[Belonging]) -> list[Belonging]:
    return [replace(item, lift=None) for item in items]
