"""Tokens for items that came after training: nothing of the old ones moves.

An item that was never trained on has words and a category path, and no more. Its vector is predicted from its words
by way of the old items' vectors, whatever these are; its path and codes are then the nearest that exist.

Shape legend: N old items, M new ones, S semantic-ID levels, D vector width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from mindrec.data.category_tree import HERE, CategoryTree
from mindrec.errors import MindRecError
from mindrec.text.features import WORD, Embed
from mindrec.tokens.semantic_id import first_free, group_means

NEIGHBOURS, BATCH = 10, 512


def predicted_vectors(
    texts: Sequence[str], vectors_ND: np.ndarray, new_texts: Sequence[str], embed: Embed | None = None
) -> np.ndarray:
    """Vectors of new items, (M, D): the mean of the old items with the likest texts, each weighted by its likeness.

    An item that shares no word with any other gets the mean of all.
    """
    old, new = _comparable(texts, new_texts, embed)
    predicted_MD = np.tile(vectors_ND.mean(0), (len(new_texts), 1)).astype(np.float32)
    for first in range(0, len(new_texts), BATCH):
        likeness = new[first : first + BATCH] @ old.T
        likeness = likeness.toarray() if sp.issparse(likeness) else likeness
        near = np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS]
        weight = np.maximum(np.take_along_axis(likeness, near, 1), 0)
        known = np.flatnonzero(weight.sum(1) > 0)
        share = weight[known] / weight[known].sum(1, keepdims=True)
        predicted_MD[first + known] = (share[:, :, None] * vectors_ND[near[known]]).sum(1)
    return predicted_MD


def _comparable(texts: Sequence[str], new_texts: Sequence[str], embed: Embed | None):
    """Rows of unit length for old and new texts, whose products are their likeness."""
    if embed is not None:
        return embed(texts), embed(new_texts)
    tfidf = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    try:
        return tfidf.fit_transform(texts), tfidf.transform(new_texts)
    except ValueError:  # no text has a word
        return np.zeros((len(texts), 1)), np.zeros((len(new_texts), 1))


def known_path(
    tree: CategoryTree, path: Sequence[str], vector_D: np.ndarray, means: Sequence[np.ndarray]
) -> tuple[str, ...]:
    """The finest node that `path` leads to: its own steps while the tree has them, below that the nearest children.

    Args:
        means: for each level, the mean item vector of every node, (nodes, D).
    """
    wanted = tuple(path[: tree.depth]) + (HERE,) * (tree.depth - len(path))
    node: tuple[str, ...] = ()
    for level, nodes in enumerate(tree.levels):
        below = [code for code, path in enumerate(nodes) if path[:-1] == node]
        matching = [code for code in below if nodes[code] == wanted[: level + 1]]
        code = matching[0] if matching else min(below, key=lambda c: float(((means[level][c] - vector_D) ** 2).sum()))
        node = nodes[code]
    return node


@dataclass(frozen=True)
class Codebook:
    """The centres that existing codes have in a space of item vectors.

    A centre is the mean of what the levels before it leave over in the items of its code: for residual k-means that is
    what it was made from, and for parallel codes, whose parts do not overlap, the same as their own centres. So codes
    of any maker can be assigned, and nothing beside the items needs to be kept.

    Attributes:
        leaf_means: (leaves, D).
        centers: for each semantic-ID level (codes, D); a code that no item has is infinitely far.
    """

    leaf_means: np.ndarray
    centers: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, vectors_ND: np.ndarray, leaf_N: np.ndarray, codes_NS: np.ndarray, sizes: Sequence[int]) -> "Codebook":
        """`sizes` are the codes of each level."""
        leaf_means = group_means(vectors_ND, leaf_N)
        residual, centers = vectors_ND - leaf_means[leaf_N], []
        for codes, size in zip(codes_NS.T, sizes, strict=True):
            means = np.full((size, vectors_ND.shape[1]), np.inf, dtype=np.float32)
            used = np.unique(codes)
            means[used] = group_means(residual, codes)[used]
            centers.append(means)
            residual = residual - means[codes]
        return cls(leaf_means, tuple(centers))

    def assign(self, vectors_MD: np.ndarray, leaf_M: np.ndarray, taken: set[tuple[int, ...]]) -> np.ndarray:
        """Codes of new items, int32 (M, S): the nearest centre at each level, or the nearest free tuple.

        Args:
            taken: (leaf, codes…) of all items so far; grows by the new ones.

        Raises:
            MindRecError: a category has no free tuple of codes left.
        """
        sizes, out = [len(c) for c in self.centers], []
        for vector, leaf in zip(vectors_MD, leaf_M, strict=True):
            residual, codes, distance = vector - self.leaf_means[leaf], [], np.zeros(0)
            for centers in self.centers:
                distance = ((centers - residual) ** 2).sum(1)
                codes.append(int(distance.argmin()))
                residual = residual - centers[codes[-1]]
            free = first_free(int(leaf), codes, np.argsort(distance, kind="stable"), sizes, taken)
            if free is None:
                raise MindRecError(
                    f"a category already holds all {int(np.prod(sizes)):,} items that its {len(sizes)} levels of codes "
                    "can name; train again with a higher --sid-levels or --codebook-size"
                )
            taken.add((int(leaf), *free))
            out.append(free)
        return np.array(out, dtype=np.int32).reshape(len(out), len(sizes))


def node_means(tree: CategoryTree, vectors_ND: np.ndarray) -> list[np.ndarray]:
    """Mean item vector of every node, (nodes, D) for each level."""
    return [group_means(vectors_ND, codes) for codes in tree.codes.T]
