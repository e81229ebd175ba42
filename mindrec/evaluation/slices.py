"""Slices of a ranking's hits: by history length, by popularity, by its own confidence.

Shape legend: U users, K ranks, N items.
"""

from collections.abc import Sequence

import numpy as np

from mindrec.data.splits import Case
from mindrec.evaluation.evaluate import Ranking
from mindrec.evaluation.metrics import gold_ranks, hit_at_k, ndcg_at_k

K, BINS, HEAD, TAIL = 10, 10, 0.1, 0.2
PROPENSITY = 0.5
"""Power of an item's count in its propensity: 0 counts users alike, 1 counts items alike."""
LENGTHS = ((1, 3), (4, 5), (6, 10), (11, 20), (21, None))


def slices(ranking: Ranking, ranks_U: np.ndarray, cases: Sequence[Case], popularity_N: np.ndarray) -> dict:
    """Hit@10 and NDCG@10 by history length and by fifths of target popularity; popularity bias; calibration.

    Args:
        popularity_N: how many training sequences hold each item.
    """
    targets = np.array([c.target for c in cases])
    lengths = np.array([len(c.history) for c in cases])
    return {
        "by_history_length": [
            _slice(f"{low} and more" if high is None else f"{low} to {high}", ranks_U, inside)
            for low, high in LENGTHS
            if (inside := (lengths >= low) & (lengths <= (high or np.inf))).any()
        ],
        "by_target_popularity": _by_popularity(ranks_U, popularity_N[targets]),
        "popularity_bias": popularity_bias(ranking, targets, popularity_N),
        "calibration": calibration(ranking, targets),
    }


def _slice(name: str, ranks_U: np.ndarray, inside_U: np.ndarray) -> dict:
    ranks = ranks_U[inside_U]
    return {
        "slice": name,
        "users": len(ranks),
        "hit@10": float(hit_at_k(ranks, K).mean()),
        "ndcg@10": float(ndcg_at_k(ranks, K).mean()),
    }


def _by_popularity(ranks_U: np.ndarray, popularity_U: np.ndarray) -> list[dict]:
    """Fifths of users by how popular their target is; ties stay together, so fifths differ in size."""
    edges = np.unique(np.quantile(popularity_U, np.linspace(0, 1, 6)[1:-1]))
    group = np.searchsorted(edges, popularity_U, side="left")
    out = []
    for n in np.unique(group):
        inside = group == n
        low, high = int(popularity_U[inside].min()), int(popularity_U[inside].max())
        out.append(_slice(f"target in {low:,} to {high:,} training sequences", ranks_U, inside))
    return out


def popularity_bias(ranking: Ranking, targets_U: np.ndarray, popularity_N: np.ndarray) -> dict[str, float]:
    """Share of the first ten answers, and of the true items, that are among the most popular tenth of the catalog."""
    head_N = _head(popularity_N)
    answers = ranking.rows[:, :K][np.isfinite(ranking.scores[:, :K]) & (ranking.rows[:, :K] >= 0)]
    return {
        "head_share_of_answers": float(head_N[answers].mean()) if len(answers) else 0.0,
        "head_share_of_targets": float(head_N[targets_U].mean()),
    }


def _head(popularity_N: np.ndarray) -> np.ndarray:
    """Whether each item is among the most popular tenth, bool (N,); of equally popular ones the first are."""
    head = np.zeros(len(popularity_N), dtype=bool)
    head[np.argsort(-popularity_N, kind="stable")[: max(1, round(HEAD * len(popularity_N)))]] = True
    return head


def reach(rows_UK: np.ndarray, targets_U: np.ndarray, popularity_N: np.ndarray) -> dict:
    """How far the first ten answers reach beyond the items that everybody takes.

    Args:
        rows_UK: answers, best first, -1 where there is none.
        popularity_N: how many training sequences hold each item.

    Returns:
        coverage@10, the share of the catalog that is an answer to somebody; tail_hit@10, Hit@10 of the cases whose true
        item is in the least taken fifth of the catalog (None without such cases); popular_share, the share of answers
        among the most taken tenth; propensity_hit@10, Hit@10 with every case weighted by the inverse propensity of its
        true item, (training sequences that hold it + 1) ** PROPENSITY, the weights adding up to 1 over the cases
        (Swaminathan and Joachims 2015, "The self-normalized estimator for counterfactual learning").
    """
    rows = rows_UK[:, :K]
    answers = rows[rows >= 0]
    hits_U = hit_at_k(gold_ranks(rows, targets_U), K)
    tail = np.zeros(len(popularity_N), dtype=bool)
    tail[np.argsort(popularity_N, kind="stable")[: round(TAIL * len(popularity_N))]] = True
    of_tail = tail[targets_U]
    weights_U = (popularity_N[targets_U] + 1.0) ** -PROPENSITY
    return {
        "coverage@10": len(np.unique(answers)) / len(popularity_N),
        "tail_hit@10": float(hits_U[of_tail].mean()) if of_tail.any() else None,
        "popular_share": float(_head(popularity_N)[answers].mean()) if len(answers) else 0.0,
        "propensity_hit@10": float(hits_U @ weights_U / weights_U.sum()),
    }


def calibration(ranking: Ranking, targets_U: np.ndarray) -> dict:
    """Is an answer given with probability p right in a share p of cases?

    The first ten answers of all users are cut into ten bins of as many answers each, by probability. `error` is the
    mean distance of a bin's probability from its hit rate (expected calibration error).
    """
    rows, scores = ranking.rows[:, :K], ranking.scores[:, :K]
    given = np.isfinite(scores) & (rows >= 0)
    right, said = (rows == targets_U[:, None])[given], np.exp(scores[given])
    order = np.argsort(said, kind="stable")
    bins = [
        {"answers": len(part), "probability": float(said[part].mean()), "hit_rate": float(right[part].mean())}
        for part in np.array_split(order, BINS)
        if len(part)
    ]
    total = sum(b["answers"] for b in bins)
    error = sum(b["answers"] * abs(b["probability"] - b["hit_rate"]) for b in bins) / max(total, 1)
    return {"bins": bins, "error": float(error)}
