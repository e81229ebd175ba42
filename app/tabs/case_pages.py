"""A page about one item, or one category, of a table of cases: how often it is the truth, and what becomes of it.

A page is named "item:ID" or "category:LEVEL.CODE", as in a link.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from app.tabs.case_table import CaseTable
from app.words import sentences as text
from app.words.case_page_words import CASE_PAGE as WORDS
from app.words.case_page_words import counted
from mindrec.diagnosis.cases import causes, wilson
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

MAX_LINES = 8
"""Lines of each list; the rest is counted in a last one."""
ITEM, CATEGORY = "item", "category"


def case_page(table: CaseTable, recommender: Recommender, name: str) -> dict:
    """The page of that name.

    Returns:
        name, kind; title and crumbs, [words, name of a page]; said, sentences; links, [words, filter]; and lists, each
        of title, lines and rest (how many lines were left out). A line has words, count, and a `page` or a `filter` to
        go to, or neither.

    Raises:
        MindRecError: no such item or category.
    """
    kind, _, key = name.partition(":")
    if kind == ITEM:
        page = _item_page(table, recommender, key)
    elif kind == CATEGORY:
        page = _category_page(table, recommender, key)
    else:
        raise MindRecError(WORDS["unknown"].format(name=name[:60]))
    return {"name": name, "kind": kind} | page


def _item_page(table: CaseTable, recommender: Recommender, key: str) -> dict:
    row = recommender.catalog.ids.row(key)
    if row is None:
        raise MindRecError(WORDS["unknown"].format(name=key[:60]))
    item, view = recommender.catalog.items[row], table.view
    true, given = ((view[name] == item.item_id).to_numpy(dtype=bool) for name in ("gold", "top_item"))
    popularity = recommender.checkpoint.popularity
    said = [_truth(view[true]), _given(given, true)]
    if popularity is not None:
        said.insert(0, WORDS["popularity"].format(trips=counted(popularity[row], "trip")))
    names = _Items(recommender)
    lists = [
        _causes(table, true, {"item": item.item_id}),
        _list("instead", view["top_item"][true & ~view["hit"].to_numpy()], names.line),
        _list("in_front_of", view["gold"][given & ~true], names.line),
    ]
    links = _links(true, given, {"item": item.item_id}, {"answer": item.item_id})
    crumbs = _crumbs(recommender, row, len(recommender.index.levels.categories))
    named = {"name": f"{ITEM}:{item.item_id}", "title": item.title}
    return named | {"crumbs": crumbs, "said": said, "links": links, "lists": lists}


def _category_page(table: CaseTable, recommender: Recommender, key: str) -> dict:
    levels, depth = recommender.tokenizer.levels, len(recommender.index.levels.categories)
    try:
        level, code = (int(part) for part in key.split("."))
        label = levels[level].labels[code] if 0 <= level < depth and code >= 0 else None
    except (ValueError, IndexError):
        label = None
    codes = recommender.tokenizer.codes
    inside = np.flatnonzero(codes[:, level] == code) if label is not None else ()
    if not len(inside):
        raise MindRecError(WORDS["unknown"].format(name=key[:60]))
    key = f"{level}.{code}"
    view, hit = table.view, table.view["hit"].to_numpy()
    true, given = table.gold[:, level] == code, table.top[:, level] == code
    said = [WORDS["size"].format(items=counted(len(inside), "item")), _truth(view[true]), _given(given, true)]

    def line(value: int) -> dict:
        words = levels[level].labels[value]
        if value == code:
            return {"words": WORDS["same_category"].format(category=words)}
        return {"words": words, "page": f"{CATEGORY}:{level}.{value}"}

    answered, golds = (pd.Series(part[:, level]) for part in (table.top, table.gold))
    names = _Items(recommender)
    lists = [
        _causes(table, true, {"gold": key}),
        _list("instead_category", answered[true & ~hit & (answered.to_numpy() >= 0)], line),
        _list("in_front_of_category", golds[given & ~true & (golds.to_numpy() >= 0)], line),
        _list("lost_items", view["gold"][true & ~hit], names.line),
    ]
    links = _links(true, given, {"gold": key}, {"top": key})
    crumbs = _crumbs(recommender, int(inside[0]), level)
    named = {"name": f"{CATEGORY}:{key}", "title": label}
    return named | {"crumbs": crumbs, "said": said, "links": links, "lists": lists}


class _Items:
    """Lines that name items, each with its page."""

    def __init__(self, recommender: Recommender):
        self.catalog = recommender.catalog

    def line(self, item_id: str) -> dict:
        row = self.catalog.ids.row(item_id)
        if row is None:
            return {"words": text.DIAGNOSE["no_item"]}
        return {"words": self.catalog.items[row].title, "page": f"{ITEM}:{item_id}"}


def _crumbs(recommender: Recommender, row: int, depth: int) -> list[list[str]]:
    """The categories above, coarse to fine: [words, name of its page]."""
    levels, codes = recommender.tokenizer.levels, recommender.tokenizer.codes[row]
    return [[levels[at].labels[codes[at]], f"{CATEGORY}:{at}.{codes[at]}"] for at in range(depth)]


def _truth(cases: pd.DataFrame) -> str:
    """How often it is the true next item, and how often that is a hit."""
    n, hits = len(cases), int(cases["hit"].sum())
    if not n:
        return WORDS["never_true"]
    low, high = (float(end) for end in wilson(hits, n))
    rate = {"rate": f"{hits / n:.0%}", "low": f"{low:.0%}", "high": f"{high:.0%}"}
    return WORDS["true"].format(cases=counted(n, "case"), hits=counted(hits, "hit"), **rate)


def _given(given: np.ndarray, true: np.ndarray) -> str:
    """How often it is the first answer, and how often that is right."""
    n = int(given.sum())
    right = counted(int((given & true).sum()), "time")
    return WORDS["given"].format(cases=counted(n, "case"), right=right) if n else WORDS["never_given"]


def _links(true: np.ndarray, given: np.ndarray, of_truth: dict, of_answer: dict) -> list[list]:
    """Ways to the cases in the table: [words, filter]; none where there are no cases."""
    both = (("its_cases", true, of_truth), ("its_answers", given, of_answer))
    return [
        [WORDS[name].format(cases=counted(int(which.sum()), "case")), chosen]
        for name, which, chosen in both
        if which.any()
    ]


def _causes(table: CaseTable, true: np.ndarray, chosen: dict) -> dict:
    by_cause = causes(table.diagnosis.cases[true])
    rows = by_cause[by_cause["misses"] > 0].sort_values("misses", ascending=False, kind="stable")
    lines = [
        {"words": text.CAUSE_NAMES[r.cause], "count": int(r.misses), "filter": chosen | {"cause": r.cause}}
        for r in rows.itertuples()
    ]
    return {"title": WORDS["causes"], "lines": lines, "rest": 0}


def _list(title: str, values: Iterable, line: Callable[..., dict]) -> dict:
    """The commonest values, each as a line with its count."""
    counts = pd.Series(values).dropna().value_counts(sort=False).sort_values(ascending=False, kind="stable")
    lines = [line(value) | {"count": int(n)} for value, n in counts.head(MAX_LINES).items()]
    return {"title": WORDS[title], "lines": lines, "rest": max(0, len(counts) - MAX_LINES)}
