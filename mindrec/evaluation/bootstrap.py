"""How sure a ratio of two answers to the same users is.

Shape legend: S seeds (checkpoints a side), U users.
"""

import numpy as np

from mindrec.errors import MindRecError

RESAMPLES = 5000


def bootstrap_ratio(
    left_SU: np.ndarray, right_SU: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, float]:
    """sum(left) / sum(right), and the middle 95 % of it when users are drawn anew with replacement.

    A draw takes a user with all its values of both sides, so what users share cancels out. Seeds are not redrawn: the
    interval is about users, the deviation over seeds is told beside it.
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
