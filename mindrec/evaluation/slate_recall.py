"""Slates against separate answers: how much of the hidden end of a history they bring back.

The last n items of each test history are hidden; n items are recommended from what comes before them, as one slate or
as the first n answers, plain and guided.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, sampled
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.slates import WIDTH, SlateShape, slates
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import difference
from mindrec.evaluation.evaluate import rank
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import open_checkpoint
from mindrec.recommender import Recommender

BATCH = 32
"""Histories that are decoded at once, whatever the protocol says: each stands for several."""
Way = Callable[[Sequence[Case]], list[list[int]]]


def evaluate_slates(
    checkpoint: Path,
    data: PreparedData,
    protocol: Protocol = USUAL,
    *,
    n: int = 5,
    guidance: float = 0.5,
    width: int = WIDTH,
) -> dict:
    """Of each way to choose n items: the share of the hidden items among them, and how many categories they are of.

    Args:
        protocol: its users are a sample of the test histories with more than n items, all without.
        guidance: of the guided rows.

    Raises:
        MindRecError: no test history is long enough; a checkpoint of another catalog.
    """
    recommender = open_checkpoint(checkpoint, data, protocol.device)
    config = recommender.settings(protocol.settings or {})
    sample = _hidden(cases(data.interactions, "test"), n, protocol.users, protocol.seed)
    shown = [case for case, _ in sample]
    hidden = [set(new) for _, new in sample]
    chosen = {
        name: [row for first in range(0, len(shown), BATCH) for row in way(shown[first : first + BATCH])]
        for name, way in _ways(recommender, config, guidance, n, width).items()
    }
    return {
        "checkpoint": recommender.name,
        "histories": len(sample),
        "hidden": n,
        "guidance": guidance,
        "width": width,
        "decode": config.to_dict(),
        "ways": _measured(recommender, chosen, hidden, protocol.seed),
    }


def _ways(recommender: Recommender, config: DecodeConfig, guidance: float, n: int, width: int) -> dict[str, Way]:
    """Each way to choose n items for some cases, by name; `top` is what the others are compared with."""
    plain, guided = replace(config, guidance=0.0), replace(config, guidance=guidance)
    return {
        "top": lambda part: _top(recommender, part, plain, n),
        "top_guided": lambda part: _top(recommender, part, guided, n),
        "slate": lambda part: _slates(recommender, part, plain, n, width),
        "slate_guided": lambda part: _slates(recommender, part, guided, n, width),
        "slate_one_a_category": lambda part: _slates(recommender, part, plain, n, width, 1),
    }


def _measured(recommender: Recommender, chosen: dict[str, list[list[int]]], hidden: list[set[int]], seed: int) -> dict:
    """Of each way, recall with its paired distance from `top`, and variety: categories a slate, items ever chosen."""
    category = recommender.index.codes_NL[:, max(recommender.index.levels.n_categories - 1, 0)]
    recall = {name: np.array(list(map(_recall, rows, hidden))) for name, rows in chosen.items()}
    return {
        name: {
            "recall": round(float(recall[name].mean()), 5),
            "recall_minus_top": difference(recall[name] - recall["top"], seed),
            "categories": round(float(np.mean([len(set(category[row].tolist())) for row in rows])), 3),
            "items_ever": len({item for row in rows for item in row}),
        }
        for name, rows in chosen.items()
    }


def _hidden(sample: Sequence[Case], n: int, users: int | None, seed: int) -> list[tuple[Case, tuple[int, ...]]]:
    """Histories without their last n items, and those that are new among them; a seeded sample."""
    out = []
    for case in sample:
        whole = (*case.history, case.target)
        known, last = whole[:-n], whole[-n:]
        if known and (new := tuple(row for row in last if row not in known)):
            out.append((replace(case, history=known, target=new[0]), new))
    if not out:
        raise MindRecError(f"no test history has more than {n} items; hide fewer with --n")
    return sampled(out, users, seed)


def _top(recommender: Recommender, part: Sequence[Case], config: DecodeConfig, n: int) -> list[list[int]]:
    wide = replace(config, beam_size=max(config.beam_size, n))
    rows = rank(recommender.denoiser, recommender.index, part, wide, batch=len(part)).rows[:, :n]
    return [[row for row in ranked if row >= 0] for ranked in rows.tolist()]


def _slates(recommender: Recommender, part, config: DecodeConfig, n: int, width: int, limit=None) -> list[list[int]]:
    histories = [case.history for case in part]
    by_history = slates(recommender.denoiser, recommender.index, histories, config, SlateShape(n, width, limit))
    return [list(ranked[0].rows) for ranked in by_history]


def _recall(rows: Sequence[int], hidden: set[int]) -> float:
    return len(hidden & set(rows)) / len(hidden)
