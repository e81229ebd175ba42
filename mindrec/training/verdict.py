"""Is a trained model better than counting? One sentence, on the validation cases that training used."""

from collections.abc import Sequence

import numpy as np

from mindrec.data.catalog import Interactions
from mindrec.data.splits import Case, training_sequences
from mindrec.evaluation.baselines import rank_baseline
from mindrec.evaluation.metrics import gold_ranks, ndcg_at_k

NEAR = 1.02  # two per cent: below it the model is about level with the baseline
PERFECT = 0.98  # a baseline above this leaves nothing to be ahead of
FEW_TARGETS = 5


def verdict(
    interactions: Interactions, sample: Sequence[Case], ndcg: float, *, exclude_seen: bool = True
) -> tuple[str, bool]:
    """Compare a model's NDCG@10 on `sample` with popularity and co-visit.

    Returns:
        the sentence, and whether the model is clearly ahead of both.
    """
    train = training_sequences(interactions)
    targets = np.array([case.target for case in sample])
    floors = {}
    for name, title in (("popularity", "popularity"), ("covisit", "co-visit")):
        ranked = rank_baseline(
            name, train, sample, interactions.n_items, ordered=interactions.ordered, exclude_seen=exclude_seen
        )
        floors[title] = float(ndcg_at_k(gold_ranks(ranked, targets), 10).mean())
    best = max(floors, key=floors.__getitem__)
    shown = f"NDCG@10 {ndcg:.4f} on {len(sample):,} validation cases ({best}: {floors[best]:.4f})"
    if ndcg > NEAR * floors[best]:
        return f"The model is ahead of popularity and co-visit: {shown}.", True
    if floors[best] > PERFECT:
        return f"Counting is enough here, and the model is level with it: {shown}.", False
    where = "level with" if ndcg * NEAR >= floors[best] else "behind"
    return f"The model is {where} {best}: {shown}. {_reason(interactions, train)}", False


def _reason(interactions: Interactions, train: Sequence[np.ndarray]) -> str:
    an_item = sum(len(s) for s in train) / interactions.n_items
    if an_item < FEW_TARGETS:
        return f"Likely reason: {an_item:.1f} interactions an item are few; raise --core or bring more data."
    if interactions.ordered:
        return "Likely reasons: the order of the interactions is not that of time, or training was short."
    return "Likely reason: training was short; try more epochs."
