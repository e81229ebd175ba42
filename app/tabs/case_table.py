"""A diagnosis as a table that answers filters quickly: pandas in, row numbers and plain rows out. No gradio."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.words import sentences as text
from mindrec.diagnosis.cases import SLICES, Diagnosis, hits
from mindrec.diagnosis.kinds import CAUSES, ERRORS, RESCUES, rescue_kind
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

PAGE = 15
MAX_PAGE = 100
SORTABLE = (
    "user_id",
    "title",
    "answer",
    "gold_rank",
    "cause",
    "died_step",
    "margin",
    "history_length",
    "item_popularity",
    "top_probability",
)
FILTERS = ("q", "outcome", "cause", "error", "rescue", "step", "level", "gold", "top", "item", "answer", "probability")
FILTERS += (*SLICES, "only")
"""Filters that narrow a table, all together. Values are text, as in a link: "early_category", "2", "0.7" for a
category's level and code, an item's id, "1..5" for a range with both ends included, "3,17" for chosen case numbers."""


@dataclass(frozen=True)
class CaseTable:
    """One opened file or sample.

    Attributes:
        name: what the page calls it, unique.
        checkpoint: name of the recommender that it was checked against.
        view: the diagnosis's own columns and title, answer, hit, words; one row a case.
        gold, top: category codes (cases, levels).
    """

    name: str
    checkpoint: str
    diagnosis: Diagnosis
    view: pd.DataFrame
    gold: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, name: str, checkpoint: str, diagnosis: Diagnosis, recommender: Recommender) -> "CaseTable":
        """A diagnosis with its titles and paths joined, ready to be filtered and shown."""
        cases, catalog = diagnosis.cases, recommender.catalog
        titles = {item.item_id: item.title for item in catalog.items}
        paths = {item.item_id: " › ".join(item.categories) for item in catalog.items}
        view = cases.drop(
            columns=["history", "gold_beams", "gold_best_rank", "levels_passed", "gold_path", "top_path", "pulls"]
        )
        view = view.assign(
            title=cases["gold"].map(titles).fillna(text.DIAGNOSE["no_item"]),
            path=cases["gold"].map(paths).fillna(""),
            answer=cases["top_item"].map(titles).fillna(text.DIAGNOSE["no_item"]),
            hit=hits(cases, diagnosis.about["k"]),
        )
        words = view["user_id"].astype(str).str.cat([view["title"], view["path"], view["answer"]], sep=" ")
        view = view.assign(words=words.str.lower())
        return cls(name, checkpoint, diagnosis, view, _codes(cases["gold_path"]), _codes(cases["top_path"]))

    def chosen(self, filters: dict) -> np.ndarray:
        """Row numbers (n,) that pass every filter, in the file's order. Raises MindRecError naming a bad filter."""
        keep = np.ones(len(self.view), dtype=bool)
        for name, value in filters.items():
            if name not in FILTERS:
                raise MindRecError(text.DIAGNOSE["bad_filter"].format(name=str(name)[:40], value=str(value)[:40]))
            if value in (None, ""):
                continue
            try:
                keep &= self._passes(name, str(value))
            except (ValueError, IndexError) as error:
                words = text.DIAGNOSE["bad_filter"].format(name=name, value=str(value)[:40])
                raise MindRecError(words) from error
        return np.flatnonzero(keep)

    def _passes(self, name: str, value: str) -> np.ndarray:
        view = self.view
        if name == "q":
            words = value.lower().split()
            holds_word = [view["words"].str.contains(w, regex=False).to_numpy(dtype=bool) for w in words]
            return np.logical_and.reduce(holds_word) if holds_word else np.ones(len(view), dtype=bool)
        if name == "outcome":
            return view["hit"].to_numpy() == {"hit": True, "miss": False}[_one_of(value, ("hit", "miss"))]
        if name == "cause":
            return (view["cause"] == _one_of(value, CAUSES)).to_numpy()
        if name == "error":
            return (view["error"] == _one_of(value, ERRORS)).to_numpy()
        if name == "rescue":
            kinds = view["rescue"].map(rescue_kind, na_action="ignore")
            return (kinds == _one_of(value, RESCUES)).to_numpy()
        if name in ("step", "level"):
            return view[f"died_{name}"].eq(int(value)).fillna(False).to_numpy(dtype=bool)
        if name in ("gold", "top"):
            level, code = map(int, value.split("."))
            return (self.gold if name == "gold" else self.top)[:, level] == code
        if name in ("item", "answer"):
            return view["gold" if name == "item" else "top_item"].eq(value).fillna(False).to_numpy(dtype=bool)
        if name == "only":
            return np.isin(np.arange(len(view)), [int(n) for n in value.split(",") if n])
        column = view["top_probability" if name == "probability" else name].to_numpy(dtype=float, na_value=np.nan)
        low, high = _ends(value)
        return (column >= low) & (column <= high)

    def sorted(self, rows: np.ndarray, by: str | None, down: bool) -> np.ndarray:
        """Row numbers (n,) in the order of a column; unknown values stand last either way."""
        if not by:
            return rows
        column = self.view[_one_of(by, SORTABLE)].iloc[rows].reset_index(drop=True)
        order = column.sort_values(ascending=not down, kind="stable", na_position="last").index
        return rows[order.to_numpy()]

    def lines(self, rows: np.ndarray) -> list[dict]:
        """The cases of row numbers (n,) as the page shows them: plain values, titles as they are."""
        return [self._line(int(n), case) for n, case in zip(rows, self.view.iloc[rows].itertuples(), strict=True)]

    def _line(self, number: int, case) -> dict:
        levels = self.diagnosis.about["levels"]
        died = None if pd.isna(case.died_step) else int(case.died_step)
        level = None if pd.isna(case.died_level) else levels[int(case.died_level)]["name"]
        return {
            "n": number,
            "user": case.user_id,
            "title": case.title,
            "path": case.path,
            "answer": case.answer,
            "pages": self._pages(number, case),
            "hit": bool(case.hit),
            "rank": None if pd.isna(case.gold_rank) else int(case.gold_rank),
            "cause": case.cause if isinstance(case.cause, str) else None,
            "step": died,
            "level": level,
            "margin": None if pd.isna(case.margin) else round(float(case.margin), 3),
            "length": int(case.history_length),
            "popularity": int(case.item_popularity),
            "error": case.error if isinstance(case.error, str) else None,
            "exact_rank": None if pd.isna(case.exact_rank) else int(case.exact_rank),
            "rescue": case.rescue if isinstance(case.rescue, str) else None,
            "probability": float(f"{case.top_probability:.3g}"),
        }

    def _pages(self, number: int, case) -> dict[str, str | None]:
        """Names of the pages (app.tabs.case_pages) about a case's true item, its finest category, and its answer."""
        path = self.gold[number]
        deepest = len(path) - 1
        return {
            "item": f"item:{case.gold}" if isinstance(case.gold, str) else None,
            "category": f"category:{deepest}.{path[-1]}" if deepest >= 0 and path[-1] >= 0 else None,
            "answer": f"item:{case.top_item}" if isinstance(case.top_item, str) else None,
        }


def _ends(value: str) -> tuple[float, float]:
    """The two ends of "1..5", "5.." or "..3"; a single number is both."""
    low, dots, high = value.partition("..")
    if not dots:
        high = low
    return float(low) if low.strip() else -np.inf, float(high) if high.strip() else np.inf


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(value)
    return value


def _codes(column: pd.Series) -> np.ndarray:
    return np.stack(column.to_list()) if len(column) else np.zeros((0, 1), dtype=int)
