"""Two kinds of checkpoint on the same users: the ratio of their hits, with a bootstrap interval over users.

Shape legend: S seeds (checkpoints a side), U users, K ranks.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.bootstrap import MEASURES, bootstrap_ratio
from mindrec.evaluation.metrics import gold_ranks
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import answerable_cases, open_checkpoint, ranked, sampled_cases
from mindrec.recommender import Recommender

Opened = tuple[Recommender, DecodeConfig]
"""A checkpoint and the settings that it is compared with."""


def compare_checkpoints(
    left: Sequence[Path],
    right: Sequence[Path],
    data: PreparedData,
    protocol: Protocol = USUAL,
) -> dict:
    """Evaluate two lists of checkpoints, one a training seed, on the same cases.

    Returns:
        The measures of every checkpoint, mean and deviation a side, and the ratio left / right of each measure. Who
        has nothing left to be recommended by one of the checkpoints is counted in `nothing_left` and left out of all.
        Raises MindRecError for other numbers of checkpoints on both sides, and for one that does not fit the data.
    """
    if len(left) != len(right) or not left:
        raise MindRecError(f"{len(left)} checkpoints against {len(right)}: give as many --left as --right, one a seed")
    settings, seed = protocol.settings or {}, protocol.seed
    opened = {
        side: [_opened(folder, data, settings, protocol.device) for folder in folders]
        for side, folders in (("left", left), ("right", right))
    }
    answerable, nothing_left = _answerable_to_all(
        [one for side in opened.values() for one in side], sampled_cases(data, protocol)
    )
    out = {
        "dataset": data.catalog.name,
        "split": protocol.split,
        "users": len(answerable),
        "nothing_left": nothing_left,
        "seed": seed,
    }
    out["settings"] = settings
    ranks_SU: dict[str, list[np.ndarray]] = {"left": [], "right": []}
    for side, checkpoints in opened.items():
        rows = []
        for recommender, config in checkpoints:
            ranks, about = _ranks(recommender, config, answerable, protocol.batch)
            ranks_SU[side].append(ranks)
            rows.append(about | {name: float(of(ranks).mean()) for name, of in MEASURES.items()})
        out |= _over_seeds(side, rows)
    out["ratio"] = {
        name: bootstrap_ratio(*(np.stack([of(r) for r in ranks_SU[side]]) for side in ("left", "right")), seed=seed)
        for name, of in MEASURES.items()
    }
    return out


def _over_seeds(side: str, rows: list[dict]) -> dict:
    """A side's checkpoints, and the mean and deviation of each measure over them."""
    return {
        side: rows,
        f"{side}_mean": {name: float(np.mean([r[name] for r in rows])) for name in MEASURES},
        f"{side}_deviation": {
            name: float(np.std([r[name] for r in rows], ddof=1)) if len(rows) > 1 else None for name in MEASURES
        },
    }


def _opened(folder: Path, data: PreparedData, settings: dict, device: str) -> Opened:
    recommender = open_checkpoint(folder, data, device)
    return recommender, recommender.settings(settings)


def _answerable_to_all(checkpoints: Sequence[Opened], sample: Sequence[Case]) -> tuple[list[Case], int]:
    """The cases to whom every checkpoint can recommend something, and how many others there are."""
    kept = list(sample)
    for recommender, config in checkpoints:
        kept, _ = answerable_cases(recommender, kept, config)
    return kept, len(sample) - len(kept)


def _ranks(
    recommender: Recommender, config: DecodeConfig, sample: Sequence[Case], batch: int
) -> tuple[np.ndarray, dict]:
    """Rank of each target (U,), and what the checkpoint is and took."""
    ranking = ranked(recommender, sample, config, batch)
    training = recommender.checkpoint.training or {}
    block = [record for record in training.get("curve", ()) if record.get("stage") == "block"]
    about = {
        "checkpoint": recommender.name,
        "fingerprint": recommender.checkpoint.fingerprint,
        "objective": recommender.denoiser.config.objective,
        "training_seed": training.get("seed"),
        "block_epochs": len(block),
        "block_seconds": round(sum(record["seconds"] for record in block), 1),
        "nfe": ranking.nfe,
        "decode_seconds": round(ranking.seconds, 1),
    }
    return gold_ranks(ranking.rows, np.array([c.target for c in sample])), about
