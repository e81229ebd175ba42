"""The category tree of a catalog's items. No torch.

Shape legend: N items, C category levels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

HERE = "(here)"
"""Explicit child that pads a category path which ends early."""


class CategoryTree:
    """Category nodes keyed by their whole path, so that one name under two parents is two nodes.

    Attributes:
        depth: number of levels C; 0 for a catalog without categories.
        levels: for each level, the sorted paths of its nodes; a node's code is its place in that list.
        codes: int32 (N, C), the node code of every item at every level.
    """

    def __init__(self, paths: Sequence[Sequence[str]], depth: int | None = None):
        longest = max((len(p) for p in paths), default=0)
        self.depth = longest if depth is None else min(depth, longest)
        padded = [tuple(p[: self.depth]) + (HERE,) * (self.depth - len(p)) for p in paths]
        self.padded = sum(len(p) < self.depth for p in paths)
        self.cut = sum(len(p) > self.depth for p in paths)
        self.levels: list[list[tuple[str, ...]]] = [
            sorted({p[: level + 1] for p in padded}) for level in range(self.depth)
        ]
        where = [{path: code for code, path in enumerate(nodes)} for nodes in self.levels]
        self.codes = np.array(
            [[where[level][p[: level + 1]] for level in range(self.depth)] for p in padded], dtype=np.int32
        ).reshape(len(paths), self.depth)

    @property
    def sizes(self) -> list[int]:
        """Number of nodes of every level."""
        return [len(nodes) for nodes in self.levels]

    def to_graph(self) -> "nx.DiGraph":
        """The tree as a graph from parent to child; nodes are whole paths, the root is ().

        Attributes of a node: level (-1 of the root), code, name, and items (how many lie below it).
        """
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_node((), level=-1, code=0, name="", items=len(self.codes))
        for level, nodes in enumerate(self.levels):
            counts = np.bincount(self.codes[:, level], minlength=len(nodes)).tolist()
            for code, (path, items) in enumerate(zip(nodes, counts, strict=True)):
                graph.add_node(path, level=level, code=code, name=path[-1], items=items)
                graph.add_edge(path[:-1], path)
        return graph

    def items_per_leaf(self) -> np.ndarray:
        """Number of items of every finest category, (leaves,)."""
        return np.bincount(self.codes[:, -1], minlength=self.sizes[-1]) if self.depth else np.array([len(self.codes)])
