"""One evaluation, or a sweep of them, as plain JSON (design section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, item_counts, repeats_warning, training_sequences
from mindrec.decoding.answerable import answerable
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import BASELINES, rank_baseline
from mindrec.evaluation.bootstrap import bootstrap_ratio
from mindrec.evaluation.evaluate import Ranking, dense_ranking, measure, rank
from mindrec.evaluation.metrics import accuracy, diversity, gold_ranks, ndcg_at_k, semantic_accuracy
from mindrec.evaluation.slices import reach, slices
from mindrec.recommender import Recommender
from mindrec.system import distributed as processes

GROCERY_USERS = 5000
DECODED = {
    "one_pass": {"steps": 1},
    "left_to_right": {"order": "left_to_right"},
    "evidence_off": {"evidence": "off"},
    "evidence_only": {"evidence": "only"},
    "published": {"algorithm": "published", "beam_size": 10},
}
"""Comparators that are the same checkpoint decoded otherwise; changes to the settings that are measured."""


def evaluate_checkpoint(
    checkpoint: Path,
    data: PreparedData,
    *,
    split: str = "test",
    users: int | None = None,
    settings: dict | None = None,
    baselines: Sequence[str] = (),
    twin: Path | None = None,
    sweep: list[dict] | None = None,
    seed: int = 0,
    batch: int = 64,
    device: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Evaluate a checkpoint and the named baselines on the same cases.

    Args:
        baselines: popularity, covisit, dense, or a name in DECODED.
        twin: another checkpoint of the same catalog, measured by its own default decode and with evidence off.
        say: is called first with a line where exclude_seen rules most targets out.

    Raises:
        MindRecError: the checkpoint and the data name different catalogs.
    """
    unknown = set(baselines) - {*BASELINES, "dense", *DECODED}
    if unknown:
        raise MindRecError(f"baseline {min(unknown)!r} is not one of {', '.join((*BASELINES, 'dense', *DECODED))}")
    processes.start()
    recommender = open_checkpoint(checkpoint, data, device)
    asked, nothing_left = answerable_cases(
        recommender, cases(data.interactions, split, sample_size(data, users), seed), recommender.settings(settings)
    )
    if recommender.settings(settings).exclude_seen and (line := repeats_warning(asked, split)):
        say(line)
    base = recommender.default_config.to_dict()
    if sweep is not None:
        configs = [DecodeConfig.from_dict(base | (settings or {}) | row) for row in sweep]
        return {"rows": _sweep(recommender, data, asked, split, seed, configs, batch)}
    config = recommender.settings(settings)
    out, _ = _one(recommender, data, asked, split, seed, config, batch, sliced=True)
    out["nothing_left"] = nothing_left
    measured = {name: _baseline(name, recommender, data, asked, config, batch) for name in baselines}
    if twin is not None:
        other = open_checkpoint(twin, data, device)
        default = other.default_config
        measured["twin"] = _decoded(other, asked, default, batch)
        measured["twin_evidence_off"] = _decoded(other, asked, replace(default, evidence="off"), batch)
        out["twin"] = {
            "name": other.name,
            "fingerprint": other.checkpoint.fingerprint,
            "objective": (other.checkpoint.training or {}).get("objective"),
        }
    return out | ({"baselines": measured} if measured else {})


def answerable_cases(recommender: Recommender, asked: Sequence[Case], config: DecodeConfig) -> tuple[list[Case], int]:
    """The cases to whom something can be recommended, and how many others there are.

    Raises MindRecError where nobody is left.
    """
    able = answerable(recommender.index, [c.history for c in asked], config)
    kept = [case for case, ok in zip(asked, able, strict=True) if ok]
    if not kept:
        raise MindRecError(
            f"none of the {len(asked):,} cases has an item left to recommend: the histories hold the whole catalog; "
            "set exclude_seen=false, or give a larger catalog"
        )
    return kept, len(asked) - len(kept)


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


def ranked(recommender: Recommender, asked: Sequence[Case], config: DecodeConfig, batch: int) -> Ranking:
    """A checkpoint's answers to cases, with a bar of progress."""
    return rank(
        recommender.denoiser,
        recommender.index,
        asked,
        config,
        batch=batch,
        progress=True,
    )


def _decoded(recommender: Recommender, asked, config: DecodeConfig, batch: int) -> dict:
    """Measures of one decode, and the denoiser calls a user that it took."""
    ranking = ranked(recommender, asked, config, batch)
    codes, n_items = recommender.tokenizer.codes, recommender.tokenizer.n_items
    return measure(ranking, asked, codes, n_items) | {"nfe": ranking.nfe}


def _sweep(recommender, data, asked, split, seed, configs: Sequence[DecodeConfig], batch: int) -> list[dict]:
    """A row for each config; from the second on with its ratio to the first one's NDCG@10, paired by user."""
    rows, first_U = [], None
    for config in configs:
        row, ranks_U = _one(recommender, data, asked, split, seed, config, batch)
        ndcg_U = ndcg_at_k(ranks_U, 10)
        if first_U is None:
            first_U = ndcg_U
        elif first_U.any():
            row["ndcg@10_to_first"] = bootstrap_ratio(ndcg_U[None], first_U[None])
        rows.append(row)
    return rows


def _one(
    recommender, data, asked, split, seed, config: DecodeConfig, batch: int, *, sliced: bool = False
) -> tuple[dict, np.ndarray]:
    """What is said of one decode, and the rank of each true item, -1 where it is not among the answers, (U,)."""
    ranking = ranked(recommender, asked, config, batch)
    metrics = measure(ranking, asked, recommender.tokenizer.codes, recommender.tokenizer.n_items)
    targets = np.array([c.target for c in asked])
    semantic = recommender.tokenizer.codes[:, len(recommender.index.levels.categories) :]
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
    popularity = item_counts(data.interactions)
    metrics |= reach(ranking.rows, targets, popularity)
    ranks_U = gold_ranks(ranking.rows, targets)
    if sliced:
        out["slices"] = slices(ranking, ranks_U, asked, popularity)
    return out, ranks_U


def _baseline(name: str, recommender, data: PreparedData, asked, config: DecodeConfig, batch: int) -> dict:
    if name in DECODED:
        changed = DecodeConfig.from_dict(config.to_dict() | DECODED[name])
        return _decoded(recommender, asked, changed, batch)
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
    targets, codes = np.array([c.target for c in asked]), recommender.tokenizer.codes
    measured = accuracy(gold_ranks(rows, targets)) | diversity(rows.tolist(), codes, recommender.tokenizer.n_items)
    return measured | reach(rows, targets, item_counts(data.interactions))
