"""Slices of a diagnosis as lines of text: every measure with its interval, and the filter that a line stands for."""

from collections.abc import Sequence

import pandas as pd

from app.views.diagnosis_charts import YES_OR_NO, span
from app.words import sentences as text
from mindrec.recommender import Recommender

POPULAR = 10
"""One item in so many counts as popular: those that most training sequences hold."""


def popular_items(recommender: Recommender) -> list[str] | None:
    """Ids of the most popular tenth of a catalog; None where nobody has counted."""
    counts = recommender.checkpoint.popularity
    if counts is None:
        return None
    first = pd.Series(counts).sort_values(ascending=False, kind="stable").index[: -(-len(counts) // POPULAR)]
    return [recommender.catalog.items[row].item_id for row in first]


def slice_table(frame: pd.DataFrame, by: str, k: int) -> dict:
    """{"head": words of the columns, "lines": [{"filter", "cells"}]}; the first cell is the slice itself."""
    words, with_popular = text.CHARTS, "popular" in frame
    head = [words[f"by_{by}"], *(words[f"slice_{name}"].format(k=k) for name in _columns(with_popular))]
    return {"head": head, "lines": [_line(row, by, with_popular) for row in frame.itertuples()]}


def _columns(with_popular: bool) -> Sequence[str]:
    return ("cases", "rate", "ndcg", "answers", *(("popular",) if with_popular else ()), "p")


def _line(row, by: str, with_popular: bool) -> dict:
    cells = [
        span(row.lowest, row.highest, text.CHARTS if by in YES_OR_NO else None),
        f"{row.users:,}",
        f"{row.rate:.1%} ({row.low:.1%} – {row.high:.1%})",
        f"{row.ndcg:.3f} ({row.ndcg_low:.3f} – {row.ndcg_high:.3f})",
        f"{row.answers:,}",
    ]
    if with_popular:
        cells.append(f"{row.popular:.0%} ({row.popular_low:.0%} – {row.popular_high:.0%})")
    cells.append("< 0.001" if row.p < 0.001 else f"{row.p:.3f}")
    return {"filter": {by: f"{row.lowest!r}..{row.highest!r}"}, "cells": cells}
