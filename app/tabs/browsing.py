"""The catalog by its categories: what lies under one branch, for a person who picks items by looking."""

import numpy as np

from app.tabs.asking import plainly
from app.tabs.handlers import Handlers
from app.words import sentences as text
from mindrec.data.catalog import Catalog
from mindrec.data.category_tree import HERE
from mindrec.errors import MindRecError

MAX_ITEMS = 200
"""Items listed in one place; more are found by search."""


class Browsing:
    """Answers the history builder's browser. It keeps nothing of any person."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def browse(self, ask: dict) -> dict:
        """One place in the category tree.

        `path` holds the names from the top; it is empty at the start. The answer has `branches`, each {"label",
        "items"}, the `items` that belong right here, at most MAX_ITEMS, and how many there are, `count`.
        """
        recommender, path = self.handlers.recommender(ask), ask.get("path", [])
        if not isinstance(path, list) or not all(isinstance(name, str) for name in path):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="path"))
        branches, rows = level_below(recommender.catalog, tuple(path))
        items = [self.handlers.item(recommender, int(row)) for row in rows[:MAX_ITEMS]]
        return {"path": path, "branches": branches, "items": items, "count": len(rows)}

    @plainly
    def known(self, ask: dict) -> dict:
        """Which of `ids`, at most MAX_ITEMS, are items of the catalog, in their order: {"ids"}."""
        rows, ids = self.handlers.recommender(ask).catalog.row_of, ask.get("ids")
        if not isinstance(ids, list) or len(ids) > MAX_ITEMS or not all(isinstance(i, str) for i in ids):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="ids"))
        return {"ids": [item_id for item_id in ids if item_id in rows]}


def level_below(catalog: Catalog, path: tuple[str, ...]) -> tuple[list[dict], np.ndarray]:
    """Branches under a path, in the order of their names, and the rows (n,) of the items that are nowhere deeper.

    Raises:
        MindRecError: no category has this path.
    """
    tree, depth = catalog.tree, len(path)
    rows = np.arange(len(catalog))
    if path:
        if depth > tree.depth or path not in tree.levels[depth - 1] or path[-1] == HERE:
            raise MindRecError(text.NO_SUCH_CATEGORY.format(path=" › ".join(path)[:120]))
        rows = rows[tree.codes[:, depth - 1] == tree.levels[depth - 1].index(path)]
    if depth == tree.depth:
        return [], rows
    codes, counts = np.unique(tree.codes[rows, depth], return_counts=True)
    named = [(tree.levels[depth][code][-1], int(code), int(n)) for code, n in zip(codes, counts, strict=True)]
    here = [code for label, code, _ in named if label == HERE]
    branches = [{"label": label, "items": n} for label, _, n in named if label != HERE]
    return branches, rows[np.isin(tree.codes[rows, depth], here)]
