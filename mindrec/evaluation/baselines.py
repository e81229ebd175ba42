"""Rankings that need no training: the floor any model must beat.

Shape legend: U users, N items, K ranks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp

from mindrec.data.splits import Case
from mindrec.errors import MindRecError

WINDOW = 3
RECENT = 10
CELLS = 2_000_000
"""Scores that are held at once, of some users and all items: about 50 MB while they are ranked."""

Scores = Callable[[Sequence[Case]], np.ndarray]
"""Scores of every item for some cases, (U, N), from what was counted once."""


def popularity(train: Sequence[np.ndarray], n_items: int, ordered: bool) -> Scores:
    """Score items by the number of training sequences that hold them, (U, N), the same for all cases."""
    counts = np.bincount(np.concatenate([np.unique(s) for s in train]), minlength=n_items).astype(np.float32)
    return lambda cases: np.broadcast_to(counts, (len(cases), n_items))


def covisit(train: Sequence[np.ndarray], n_items: int, ordered: bool) -> Scores:
    """Co-occurrence with the history, counted in training sequences of item rows (length,).

    Where order means something, items at most three places apart in a training sequence count, and the last ten of
    the history vote, the recent more (weight 1 / distance from the end). Where it means nothing, all items of one
    sequence count and all of the history votes alike; counts are divided by the root of the voter's popularity, the
    usual damping, since staples otherwise decide everything.
    """
    pairs = _pairs(train, n_items, ordered)
    popular = np.maximum(np.asarray(pairs.sum(1)).ravel(), 1)
    if not ordered:
        pairs = sp.diags(popular**-0.5) @ pairs
    pairs = pairs.tocsr()
    return lambda cases: (_voters(cases, n_items, ordered) @ pairs).toarray()


def _voters(cases: Sequence[Case], n_items: int, ordered: bool) -> sp.csr_matrix:
    """The weight of each item of a history, (U, N)."""
    rows, columns, votes = [], [], []
    for user, case in enumerate(cases):
        recent = case.history[::-1][:RECENT] if ordered else case.history
        for distance, item in enumerate(recent, 1):
            rows.append(user)
            columns.append(item)
            votes.append(1 / distance if ordered else 1.0)
    return sp.csr_matrix((np.array(votes, np.float32), (rows, columns)), shape=(len(cases), n_items))


def _pairs(train: Sequence[np.ndarray], n_items: int, ordered: bool) -> sp.csr_matrix:
    if not ordered:
        indptr = np.cumsum([0, *(len(s) for s in train)])
        held = sp.csr_matrix((np.ones(indptr[-1], np.float32), np.concatenate(train), indptr), (len(train), n_items))
        pairs = (held.T @ held).tocsr()
        return (pairs - sp.diags(pairs.diagonal())).tocsr()
    left = np.concatenate([s[:-gap] for gap in range(1, WINDOW + 1) for s in train if len(s) > gap])
    right = np.concatenate([s[gap:] for gap in range(1, WINDOW + 1) for s in train if len(s) > gap])
    pairs = sp.coo_matrix((np.ones(len(left), np.float32), (left, right)), (n_items, n_items)).tocsr()
    return pairs + pairs.T


BASELINES: dict[str, Callable[[Sequence[np.ndarray], int, bool], Scores]] = {
    "popularity": popularity,
    "covisit": covisit,
}


def rank_baseline(
    name: str,
    train: Sequence[np.ndarray],
    cases: Sequence[Case],
    n_items: int,
    *,
    ordered: bool,
    exclude_seen: bool,
    k: int = 10,
    batch: int | None = None,
) -> np.ndarray:
    """The first k rows of each user, (U, k), -1 where fewer are allowed; ties by row.

    Args:
        batch: users that are ranked at once; None for as many as `CELLS` allows.

    Raises:
        MindRecError: no baseline of this name.
    """
    if name not in BASELINES:
        raise MindRecError(f"baseline {name!r} is not one of {', '.join(BASELINES)}")
    out, scores_of = [], BASELINES[name](train, n_items, ordered)
    batch = batch or max(1, CELLS // n_items)
    for first in range(0, len(cases), batch):
        part = cases[first : first + batch]
        scores = np.array(scores_of(part), dtype=np.float32)
        if exclude_seen:
            for user, case in enumerate(part):
                scores[user, list(case.history)] = -np.inf
        out.append(best_rows(scores, k))
    return np.concatenate(out)


def best_rows(scores_UN: np.ndarray, k: int) -> np.ndarray:
    """The first k columns of each row by score, (U, k); ties by column; -1 in place of those at minus infinity."""
    first = np.argsort(-scores_UN, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(scores_UN, first, 1) == -np.inf, -1, first)
