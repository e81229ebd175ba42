"""Two and more diagnoses of the same cases: tests of the difference, and where each case went. Plain pandas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mindrec.diagnosis.cases import Diagnosis, hits, ndcg, wilson
from mindrec.diagnosis.kinds import CAUSES, HIT
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import HITS


@dataclass(frozen=True)
class Comparison:
    """Two diagnoses of the same cases.

    Attributes:
        cases: how many cases both have.
        tests: measure, left, right, difference, only_left, only_right, p, test. McNemar's exact test on hit@k,
            Wilcoxon's signed-rank test on the reciprocal rank ("mrr").
        flipped: user_id, gold, left_rank, right_rank, left_cause, right_cause, better: the cases hit at k on one side.
    """

    cases: int
    tests: pd.DataFrame
    flipped: pd.DataFrame


def compare(left: Diagnosis, right: Diagnosis, k: int = 10) -> Comparison:
    """Pair the cases of two diagnoses and test the difference (right minus left).

    Raises:
        MindRecError: the diagnoses are of two catalogs or splits, or share no case.
    """
    both = _both(left, right)
    ranks = {side: both[f"gold_rank_{side}"].to_numpy(dtype=float, na_value=np.inf) for side in ("left", "right")}
    rows = [_mcnemar(f"hit@{n}", ranks["left"] < n, ranks["right"] < n) for n in sorted({*HITS, k})]
    rows.append(_wilcoxon("mrr", 1 / (ranks["left"] + 1), 1 / (ranks["right"] + 1)))
    left_hit, right_hit = ranks["left"] < k, ranks["right"] < k
    flipped = both.assign(better=np.where(right_hit, "right", "left"))[left_hit != right_hit]
    names = {f"{what}_{side}": f"{side}_{what.removeprefix('gold_')}" for what in PAIRED for side in ("left", "right")}
    columns = ["user_id", "gold", *names.values(), "better"]
    return Comparison(len(both), pd.DataFrame(rows), flipped.rename(columns=names)[columns].reset_index(drop=True))


def transitions(left: Diagnosis, right: Diagnosis, k: int = 10) -> pd.DataFrame:
    """left, right, cases: how many paired cases went from each fate to each; a fate is a hit, or the cause of a miss.

    Every pair of fates that occur on either side has a row, in the order of `kinds.CAUSES`.

    Raises:
        MindRecError: as `compare`.
    """
    both = _both(left, right)
    fates = {}
    for side in ("left", "right"):
        is_hit = both[f"gold_rank_{side}"].to_numpy(dtype=float, na_value=np.inf) < k
        fates[side] = np.where(is_hit, HIT, both[f"cause_{side}"].fillna(CAUSES[-1]))
    used = [outcome for outcome in (HIT, *CAUSES) if any((values == outcome).any() for values in fates.values())]
    counts = pd.crosstab(fates["left"], fates["right"]).reindex(index=used, columns=used, fill_value=0)
    long = counts.rename_axis(index="left", columns="right").stack().rename("cases").reset_index()
    return long.astype({"cases": int})


def side_by_side(runs: Mapping[str, Diagnosis], k: int = 10) -> pd.DataFrame:
    """run, cases, rate, low, high, ndcg, and each cause's share of the cases: one row a diagnosis.

    `low` and `high` are the 95% interval of the hit rate.
    """
    rows = []
    for name, run in runs.items():
        cases, users = run.cases, max(len(run.cases), 1)
        hit = hits(cases, k)
        low, high = wilson(hit.sum(), len(cases))
        shares = {cause: float(((cases["cause"] == cause) & ~hit).sum() / users) for cause in CAUSES}
        rate = {"rate": hit.sum() / users, "low": float(low), "high": float(high), "ndcg": ndcg(cases, k).sum() / users}
        rows.append({"run": name, "cases": len(cases), **rate, **shares})
    return pd.DataFrame(rows)


PAIRED = ("gold_rank", "cause")


def _both(left: Diagnosis, right: Diagnosis) -> pd.DataFrame:
    """The paired cases. Raises MindRecError: two catalogs or splits, or no case that both have."""
    for what, ours, theirs in (
        ("catalog", left.about["catalog"]["fingerprint"], right.about["catalog"]["fingerprint"]),
        ("split", left.about["split"], right.about["split"]),
    ):
        if ours != theirs:
            raise MindRecError(f"left is of {what} {ours!r}, right of {theirs!r}; compare two of one {what}")
    both = _paired(left.cases, right.cases)
    if both.empty:
        raise MindRecError("the two diagnoses share no case; run both with the same --split, --users and --seed")
    return both


def _paired(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Inner join of cases; those alike in user, history and gold are paired in order."""
    sides = []
    for cases in (left, right):
        keyed = cases[["user_id", "gold", *PAIRED]].assign(asked=["\0".join(h) for h in cases["history"]])
        sides.append(keyed.assign(n=keyed.groupby(["user_id", "asked", "gold"], dropna=False).cumcount()))
    return sides[0].merge(sides[1], on=["user_id", "asked", "gold", "n"], suffixes=("_left", "_right"))


def _mcnemar(measure: str, left: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    from scipy.stats import binomtest

    only_left, only_right = int((left & ~right).sum()), int((right & ~left).sum())
    flips = only_left + only_right
    p = binomtest(only_left, flips).pvalue if flips else 1.0
    return _sides(measure, left, right) | {"p": float(p), "test": "McNemar, exact"}


def _wilcoxon(measure: str, left: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    from scipy.stats import wilcoxon

    p = wilcoxon(left, right).pvalue if (left != right).any() else 1.0
    return _sides(measure, left, right) | {"p": float(p), "test": "Wilcoxon, signed rank"}


def _sides(measure: str, left: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The means of both sides, their difference, and how many cases each side has better."""
    ours, theirs = float(left.mean()), float(right.mean())
    return {
        "measure": measure,
        "left": ours,
        "right": theirs,
        "difference": theirs - ours,
        "only_left": int((left > right).sum()),
        "only_right": int((right > left).sum()),
    }
