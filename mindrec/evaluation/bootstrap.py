"""How sure a ratio, or a difference, of two rankings of the same users is: a paired bootstrap over users.

Shape legend: S seeds (checkpoints a side), U users.
"""

import numpy as np

from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import hit_at_k, ndcg_at_k

MEASURES = {
    "hit@1": lambda ranks: hit_at_k(ranks, 1),
    "hit@10": lambda ranks: hit_at_k(ranks, 10),
    "ndcg@10": lambda ranks: ndcg_at_k(ranks, 10),
}
RESAMPLES, SHORT = 5000, 1000


def bootstrap_ratio(
    left_SU: np.ndarray, right_SU: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """sum(left) / sum(right), and the middle 95 % of it when users are drawn anew with replacement.

    A draw takes a user with all its values of both sides, so what users share cancels out. Seeds are not redrawn: the
    interval is about users, the deviation over seeds is reported beside it.

    Args:
        left_SU, right_SU: a value for each of S seeds and U users, users in one order.

    Raises:
        MindRecError: other numbers of users, or a right side that sums to 0.
    """
    left_U, right_U = left_SU.sum(0), right_SU.sum(0)
    if left_U.shape != right_U.shape:
        raise MindRecError(f"{len(left_U)} and {len(right_U)} users cannot be paired; ask both sides the same cases")
    if right_U.sum() == 0:
        raise MindRecError("the right side has no hit at all: a ratio to it means nothing; ask more users")
    rng, users = np.random.default_rng(seed), len(left_U)
    ratios = np.empty(resamples)
    for n in range(resamples):
        drawn = np.bincount(rng.integers(0, users, users), minlength=users)
        ratios[n] = (drawn @ left_U) / max(drawn @ right_U, 1e-12)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return {"ratio": float(left_U.sum() / right_U.sum()), "low": float(low), "high": float(high)}


def ratios_of_ranks(left_U: np.ndarray, right_U: np.ndarray, seed: int = 0) -> dict[str, dict[str, float] | None]:
    """`bootstrap_ratio` of each of MEASURES of two rankings of the same users; None where the right side has no hit.

    Args:
        left_U, right_U: the rank of each user's true item, 0 the best, -1 for none.
    """
    out = {}
    for name, of in MEASURES.items():
        left, right = of(left_U)[None], of(right_U)[None]
        out[name] = bootstrap_ratio(left, right, SHORT, seed) if right.sum() else None
    return out


def difference(values: np.ndarray, seed: int, resamples: int = 2000) -> dict[str, float]:
    """The mean of paired differences (U,), and the middle 95 % of it when histories are drawn anew."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)]
    low, high = np.percentile(means, (2.5, 97.5))
    return {name: round(float(v), 5) for name, v in (("mean", values.mean()), ("low", low), ("high", high))}
