"""Ranking and diversity measures. Plain numpy.

Shape legend: U users, K ranks.
"""

from collections.abc import Sequence

import numpy as np

from mindrec.tokens.levels import Levels

HITS = (1, 5, 10)
NDCGS = (5, 10)


def gold_ranks(ranked_UK: np.ndarray, targets_U: np.ndarray) -> np.ndarray:
    """Rank of each target, 0 the best, -1 where it is not among the ranked rows, (U,)."""
    hit = ranked_UK == targets_U[:, None]
    return np.where(hit.any(1), hit.argmax(1), -1)


def hit_at_k(ranks_U: np.ndarray, k: int) -> np.ndarray:
    """1 where the target is among the first k, (U,)."""
    return ((ranks_U >= 0) & (ranks_U < k)).astype(float)


def ndcg_at_k(ranks_U: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(rank + 2) within the first k, else 0, (U,); the ideal is 1 with one target."""
    hit_U = (ranks_U >= 0) & (ranks_U < k)
    return np.where(hit_U, 1 / np.log2(np.maximum(ranks_U, 0) + 2), 0.0)


def accuracy(ranks_U: np.ndarray) -> dict[str, float]:
    """Mean Hit@k and NDCG@k over users."""
    out = {f"hit@{k}": float(hit_at_k(ranks_U, k).mean()) for k in HITS}
    return out | {f"ndcg@{k}": float(ndcg_at_k(ranks_U, k).mean()) for k in NDCGS}


def semantic_accuracy(ranked_UK: np.ndarray, targets_U: np.ndarray, semantic_NS: np.ndarray) -> dict[str, float]:
    """Accuracy where an answer counts that has the target's semantic-ID codes, whatever its category (the released
    MindRec evaluation). Never below strict item credit; empty where items have no codes.
    """
    if not semantic_NS.shape[1]:
        return {}
    same = np.unique(semantic_NS, axis=0, return_inverse=True)[1].reshape(-1)
    ids_UK = np.where(ranked_UK >= 0, same[ranked_UK.clip(min=0)], -1)
    return accuracy(gold_ranks(ids_UK, same[targets_U]))


def diversity(ranked: Sequence[Sequence[int]], codes: np.ndarray, n_items: int) -> dict[str, float]:
    """The published diversity figures over all answers, and the share of the catalog that was ever recommended.

    `cc` counts answers off the catalog (row -1 within a list), `entropy` is that of the generated tokens in bits,
    `ttr` distinct over total tokens (MindRec's released utils.py defines them over semantic-ID tokens; here over all
    levels of the answer). `codes` are of all items, (N, L).
    """
    rows = np.array([row for answer in ranked for row in answer], dtype=np.int64)
    valid = rows[rows >= 0]
    tokens = Levels(codes.max(0) + 1).tokens(codes[valid]).reshape(-1)
    counts = np.bincount(tokens) if len(tokens) else np.zeros(1)
    share = counts[counts > 0] / max(counts.sum(), 1)
    return {
        "cc": int((rows < 0).sum()),
        "entropy": float(-(share * np.log2(share)).sum()),
        "ttr": float((counts > 0).sum() / max(counts.sum(), 1)),
        "catalog_coverage": float(len(np.unique(valid)) / n_items),
    }
