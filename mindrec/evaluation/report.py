"""One evaluation, or a sweep of them, as plain JSON (design section 4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindrec import processes
from mindrec.catalog import PreparedData
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import rank_baseline
from mindrec.evaluation.evaluate import dense_ranking, measure, rank
from mindrec.evaluation.metrics import accuracy, diversity, gold_ranks, semantic_accuracy
from mindrec.evaluation.protocol import cases, training_sequences
from mindrec.evaluation.slices import slices
from mindrec.recommender import Recommender

GROCERY_USERS = 5000


def evaluate_checkpoint(
    checkpoint: Path,
    data: PreparedData,
    *,
    split: str = "test",
    users: int | None = None,
    settings: dict | None = None,
    baselines: Sequence[str] = (),
    sweep: list[dict] | None = None,
    seed: int = 0,
    batch: int = 64,
    device: str = "auto",
) -> dict:
    """Evaluate a checkpoint and the named baselines on the same cases.

    Raises:
        MindRecError: the checkpoint and the data name different catalogs.
    """
    processes.start()
    recommender = open_checkpoint(checkpoint, data, device)
    asked = cases(data.interactions, split, sample_size(data, users), seed)
    base = recommender.default_config.to_dict()
    if sweep is not None:
        rows = [
            _one(recommender, data, asked, split, seed, DecodeConfig.from_dict(base | (settings or {}) | row), batch)
            for row in sweep
        ]
        return {"rows": rows}
    config = DecodeConfig.from_dict(base | (settings or {}))
    out = _one(recommender, data, asked, split, seed, config, batch, sliced=True)
    if baselines:
        out["baselines"] = {name: _baseline(name, recommender, data, asked, config) for name in baselines}
    return out


def open_checkpoint(checkpoint: Path, data: PreparedData, device: str) -> Recommender:
    """Load a checkpoint to ask it about `data`. Raises MindRecError where they name different catalogs."""
    recommender = Recommender.from_pretrained(checkpoint, device)
    if recommender.catalog.fingerprint != data.catalog.fingerprint:
        raise MindRecError(
            f"checkpoint {checkpoint} was trained on catalog {recommender.catalog.fingerprint}, the data is "
            f"{data.catalog.fingerprint}; give the data it was trained on, or train again "
            "(evaluate --cold asks for items that were held out)"
        )
    return recommender


def sample_size(data: PreparedData, users: int | None) -> int | None:
    """How many cases to draw where nobody said: grocery has far more than a figure needs."""
    return GROCERY_USERS if users is None and data.catalog.name == "grocery" else users


def _one(recommender, data, asked, split, seed, config: DecodeConfig, batch: int, *, sliced: bool = False) -> dict:
    ranking = rank(
        recommender.denoiser,
        recommender.index,
        asked,
        config,
        n_categories=recommender.n_categories,
        batch=batch,
        progress=True,
    )
    metrics = measure(ranking, asked, recommender.tokenizer.codes, recommender.tokenizer.n_items)
    targets = np.array([c.target for c in asked])
    semantic = recommender.tokenizer.codes[:, recommender.n_categories :]
    metrics |= {f"sid_{name}": value for name, value in semantic_accuracy(ranking.rows, targets, semantic).items()}
    out = {
        "dataset": data.catalog.name,
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "split": split,
        "users": len(asked),
        "seed": seed,
        "decoder": config.to_dict(),
        "nfe": ranking.nfe,
        "beam_rows": ranking.beam_rows,
        "metrics": metrics,
        "seconds": round(ranking.seconds, 3),
        "device": recommender.device,
    }
    if sliced:
        counts = [np.unique(s) for s in training_sequences(data.interactions)]
        popularity = np.bincount(np.concatenate(counts), minlength=len(data.catalog))
        out["slices"] = slices(ranking, gold_ranks(ranking.rows, targets), asked, popularity)
    return out


def _baseline(name: str, recommender, data: PreparedData, asked, config: DecodeConfig) -> dict:
    if name == "dense":
        rows = dense_ranking(recommender.denoiser, asked, exclude_seen=config.exclude_seen)
    else:
        rows = rank_baseline(
            name,
            training_sequences(data.interactions),
            asked,
            len(data.catalog),
            ordered=data.interactions.ordered,
            exclude_seen=config.exclude_seen,
        )
    ranks = gold_ranks(rows, np.array([c.target for c in asked]))
    return accuracy(ranks) | diversity(rows.tolist(), recommender.tokenizer.codes, recommender.tokenizer.n_items)
