"""How well cold items, never seen in training, are found: ranked among all items and among themselves.

Shape legend: U users, N items, K ranks.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from mindrec.checkpoint import load_checkpoint
from mindrec.cold.add_items import add_items, check_lift
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, sampled
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import best_rows
from mindrec.evaluation.evaluate import dense_ranking
from mindrec.evaluation.metrics import accuracy, gold_ranks
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import ranked
from mindrec.recommender import Recommender
from mindrec.text.features import WORD, Embed

JUDGED, EVERYONE = 5_000, 2_000
"""Validation cases that a lift is chosen on; cases as they come that are ranked with it."""
RECENT = 10
SAME_TITLE = 200
"""Characters of a title that must agree; longer ones may have been cut when the data was prepared."""


def evaluate_cold(
    checkpoint: Path,
    data: PreparedData,
    protocol: Protocol = USUAL,
    *,
    embed: Embed | None = None,
    lifts: Sequence[float] = (0.0,),
) -> dict:
    """Ask for the items of `data` that the checkpoint was not trained on, and rank them by text likeness beside it.

    Items that the checkpoint lacks are added first; nothing is trained. Only cases whose true next item is cold are
    asked. "among_all" ranks the whole catalog, "among_cold" the cold items alone. "everyone" are cases as they come,
    most of them with a true item that is not cold: what a lift gives to the cold it takes from them.

    Args:
        embed: the text model that the checkpoint's semantic IDs were made with, if any.
        lifts: see mindrec.cold.add_items.add_items. Of several, the one with the best NDCG@10 of item evidence on
            validation cases is taken.

    Raises:
        MindRecError: the checkpoint holds items that the data does not, or there is no cold item to ask for.
    """
    recommender = _with_all_items(checkpoint, data, protocol.device, embed)
    rows, split, seed = _row_in_checkpoint(recommender, data), protocol.split, protocol.seed
    first_cold = len(recommender.catalog) - recommender.checkpoint.cold
    lift, tried = _choose_lift(recommender, data, rows, lifts, seed)
    everyone = _in_checkpoint(cases(data.interactions, split, EVERYONE, seed), rows)
    sample = _cold_cases(data, rows, first_cold, protocol)
    config, batch = recommender.settings(protocol.settings or {}), protocol.batch
    return {
        "dataset": data.catalog.name,
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "split": split,
        "users": len(sample),
        "seed": seed,
        "items": {"trained": first_cold, "cold": recommender.checkpoint.cold},
        "lift": lift,
        "lifts_on_validation": tried,
        "decoder": config.to_dict(),
        **_measured(recommender, sample, {"among_all": config, "among_cold": _only_cold(config, first_cold)}, batch),
        "everyone": {"users": len(everyone), **_of_everyone(recommender, everyone, config, batch)},
        "device": recommender.device,
    }


def _measured(recommender: Recommender, sample: Sequence[Case], fields: dict[str, DecodeConfig], batch: int) -> dict:
    """The decode and its two baselines in each field of items that are ranked."""
    return {
        "metrics": {name: _decoded(recommender, sample, config, batch) for name, config in fields.items()},
        "baselines": {
            "dense": {name: _dense(recommender, sample, config) for name, config in fields.items()},
            "tfidf": {name: _by_text(recommender, sample, config) for name, config in fields.items()},
        },
    }


def _of_everyone(recommender: Recommender, everyone: Sequence[Case], config: DecodeConfig, batch: int) -> dict:
    """The same for cases as they come."""
    return {
        "metrics": _decoded(recommender, everyone, config, batch),
        "dense": _dense(recommender, everyone, config),
        "tfidf": _by_text(recommender, everyone, config),
    }


def _choose_lift(recommender: Recommender, data: PreparedData, rows, lifts, seed: int) -> tuple[float, list[dict]]:
    """The lift that the recommender has from now on, and what of several each gave on validation."""
    for lift in lifts:
        check_lift(lift, recommender.checkpoint)
    tried = []
    if len(lifts) > 1:
        judged = _in_checkpoint(cases(data.interactions, "validation", JUDGED, seed), rows)
        tried = [_tried(recommender, judged, lift) for lift in lifts]
    lift = max(tried, key=lambda one: one["ndcg@10"])["lift"] if tried else lifts[0]
    _lift(recommender, lift)
    return lift, tried


def _cold_cases(data: PreparedData, rows, first_cold: int, protocol: Protocol) -> list[Case]:
    """The cases whose true next item is cold, or a seeded sample of the protocol's users."""
    split = protocol.split
    sample = [c for c in _in_checkpoint(cases(data.interactions, split), rows) if c.target >= first_cold]
    if not sample:
        raise MindRecError(f"no {split} case of {data.catalog.name!r} has a cold item as its target: none to measure")
    return sampled(sample, protocol.users, protocol.seed)


def _with_all_items(checkpoint: Path, data: PreparedData, device: str, embed: Embed | None) -> Recommender:
    loaded = load_checkpoint(checkpoint, device)
    new = [item for item in data.catalog.items if item.item_id not in loaded.catalog.row_of]
    loaded = add_items(loaded, new, embed).checkpoint if new else loaded
    if not loaded.cold:
        raise MindRecError(
            f"{checkpoint} was trained on all {len(loaded.catalog):,} items of {data.catalog.name!r}: none is cold; "
            "`prepare --hold-out 0.05` makes data to train on without some"
        )
    return Recommender(loaded)


def _row_in_checkpoint(recommender: Recommender, data: PreparedData) -> np.ndarray:
    """For each row of the data its row in the checkpoint, (N,)."""
    for item in recommender.catalog.items:
        row = data.catalog.row_of.get(item.item_id)
        if row is None or data.catalog.items[row].title[:SAME_TITLE] != item.title[:SAME_TITLE]:
            differs = "not there" if row is None else f"{data.catalog.items[row].title!r}"
            raise MindRecError(
                f"item {item.item_id!r} of the checkpoint ({item.title!r}) is {differs} in {data.catalog.name!r}; give "
                "the whole data that it was held out of"
            )
    return np.array(recommender.catalog.rows(item.item_id for item in data.catalog.items))


def _in_checkpoint(held_out: Sequence[Case], rows: np.ndarray) -> list[Case]:
    """The data's cases in the checkpoint's rows."""
    return [Case(c.user_id, tuple(int(rows[r]) for r in c.history), int(rows[c.target])) for c in held_out]


def _lift(recommender: Recommender, by: float) -> None:
    """Add to the logits of the cold items: a checkpoint's own lift stays beneath it."""
    if by:
        with torch.no_grad():
            raised = recommender.denoiser.bias_for(by)
            recommender.denoiser.item_bias[len(recommender.catalog) - recommender.checkpoint.cold :] += raised


def _tried(recommender: Recommender, judged: Sequence[Case], lift: float) -> dict:
    """Metrics of item evidence with one lift: over all cases as they come, and over those with a cold true item."""
    first_cold = len(recommender.catalog) - recommender.checkpoint.cold
    _lift(recommender, lift)
    ranking = dense_ranking(recommender.denoiser, judged, transitions=True)
    ranks = gold_ranks(ranking, targets := _targets(judged))
    _lift(recommender, -lift)
    cold = targets >= first_cold
    of_cold = accuracy(ranks[cold])["hit@10"] if cold.any() else None
    measures = accuracy(ranks)
    return {"lift": lift, "ndcg@10": measures["ndcg@10"], "hit@10": measures["hit@10"], "cold_hit@10": of_cold}


def _only_cold(config: DecodeConfig, first_cold: int) -> DecodeConfig:
    return replace(config, forbid_items=tuple(sorted({*config.forbid_items, *range(first_cold)})))


def _decoded(recommender: Recommender, sample: Sequence[Case], config: DecodeConfig, batch: int) -> dict:
    ranking = ranked(recommender, sample, config, batch)
    return accuracy(gold_ranks(ranking.rows, _targets(sample)))


def _targets(sample: Sequence[Case]) -> np.ndarray:
    return np.array([case.target for case in sample])


def _dense(recommender: Recommender, sample: Sequence[Case], config: DecodeConfig) -> dict | None:
    """The dense head of the same weights; None where the denoiser has none."""
    if recommender.denoiser.kind != "compact":
        return None
    rows = dense_ranking(recommender.denoiser, sample, exclude_seen=config.exclude_seen, forbidden=config.forbid_items)
    return accuracy(gold_ranks(rows, _targets(sample)))


def _by_text(recommender: Recommender, sample: Sequence[Case], config: DecodeConfig) -> dict:
    items = recommender.catalog.items
    rows = nearest_to_history(
        [item.text for item in items], sample, forbidden=config.forbid_items, exclude_seen=config.exclude_seen
    )
    return accuracy(gold_ranks(rows, _targets(sample)))


def nearest_to_history(
    texts: Sequence[str],
    sample: Sequence[Case],
    *,
    forbidden: Sequence[int] = (),
    exclude_seen: bool = True,
    k: int = 10,
) -> np.ndarray:
    """The k items whose words are likest to those of the history's last ten, the recent ones weighing more, (U, k).

    -1 where fewer are allowed. TF-IDF of words and pairs of words; each item of the history votes with its cosine over
    its distance from the end.
    """
    tfidf = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD, ngram_range=(1, 2)).fit_transform(texts)
    out = np.zeros((len(sample), min(k, len(texts))), dtype=np.int64)
    for user, case in enumerate(sample):
        recent = case.history[::-1][:RECENT]
        profile = sum(tfidf[row] / distance for distance, row in enumerate(recent, 1))
        scores = (tfidf @ profile.T).toarray().ravel()
        scores[list(forbidden)] = -np.inf
        if exclude_seen:
            scores[list(case.history)] = -np.inf
        out[user] = best_rows(scores[None], k)[0]
    return out
