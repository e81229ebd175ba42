"""A category tree for a catalog without one: clusters of items, split again while that separates them.

Shape legend: N items, D vector width, K clusters.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import normalize

from mindrec.data.catalog import Catalog
from mindrec.data.category_tree import HERE
from mindrec.errors import MindRecError
from mindrec.text.features import Embed
from mindrec.text.keywords import class_keywords
from mindrec.tokens.semantic_id import item_vectors

MAX_LEVELS = 3
MIN_LEAF = 4
"""Smallest mean size of a node's children: a finest category should still leave the semantic ID something to say."""
SPLIT_ABOVE = 12
"""A node with at most this many items is not split."""
CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 24, 32)
SAMPLE = 1500
"""Items on which a candidate number of clusters is judged."""
MIN_SILHOUETTE = 0.02
NEAR_BEST = 0.75
"""The fewest children that reach this share of the best silhouette are taken: on text it creeps up with the number."""
UNKNOWN = "Nothing known"
WORDS = 2


@dataclass(frozen=True)
class Induced:
    """A catalog with a made tree, and what there is to say of it.

    Attributes:
        report: levels, nodes a level, children a node, silhouette of the first split, padded and unknown items.
    """

    catalog: Catalog
    report: dict


def induce_tree(
    catalog: Catalog, sequences: Sequence[np.ndarray], seed: int = 0, embed: Embed | None = None
) -> Induced:
    """Cluster items by text and by what they are taken with in training `sequences` of item rows (length,).

    At each node the number of children comes from the silhouettes of the candidates on a sample; a node whose best
    split separates nothing, and a small node, stays whole, so that the depth too comes from the data.

    Raises:
        MindRecError: the catalog has categories, or nothing to compare its items by.
    """
    if any(item.categories for item in catalog.items):
        raise MindRecError(f"{catalog.name!r} has categories; a tree is induced only for a catalog without any")
    vectors_ND = normalize(item_vectors([item.text for item in catalog.items], sequences, seed, embed))
    known = np.abs(vectors_ND).sum(1) > 0
    if known.sum() < 2 * MIN_LEAF or len(np.unique(vectors_ND[known], axis=0)) < 2:
        raise MindRecError(
            f"{catalog.name!r} has fewer than {2 * MIN_LEAF} items with words in common or taken together: nothing to "
            "induce a tree from; add titles, or longer sequences"
        )
    titles = [item.title if item.title != f"Item {item.item_id}" else "" for item in catalog.items]
    paths: list[tuple[str, ...]] = [() for _ in titles]
    scores: list[float] = []
    for row in np.flatnonzero(~known):
        paths[row] = (UNKNOWN,)
    open_nodes = [np.flatnonzero(known)]
    for level in range(MAX_LEVELS):
        children = []
        for rows_K in open_nodes:
            labels, score = _split(vectors_ND[rows_K], seed, force=level == 0)
            if labels is None:
                continue
            scores.append(score)
            names = node_names([titles[r] for r in rows_K], labels, paths[rows_K[0]])
            for row, label in zip(rows_K, labels, strict=True):
                paths[row] += (names[label],)
            children += [rows_K[labels == label] for label in range(len(names))]
        open_nodes = children
    items = tuple(replace(item, categories=path) for item, path in zip(catalog.items, paths, strict=True))
    made = replace(catalog, items=items, induced=True, category_depth=None)
    return Induced(made, _report(made, int((~known).sum()), scores[0]))


def _split(points: np.ndarray, seed: int, *, force: bool) -> tuple[np.ndarray | None, float]:
    """Labels of the best split and its silhouette; no labels where the node should stay whole."""
    if len(points) <= SPLIT_ABOVE and not force:
        return None, 0.0
    distinct = len(np.unique(points, axis=0))
    rng = np.random.default_rng(seed)
    sample = points[np.sort(rng.choice(len(points), min(SAMPLE, len(points)), replace=False))]
    tried: list[tuple[float, KMeans]] = []
    for clusters in CANDIDATES:
        if clusters >= distinct or clusters * MIN_LEAF > len(points):
            break
        model = KMeans(clusters, n_init=2, random_state=seed, max_iter=100).fit(sample)
        if 1 < len(np.unique(model.labels_)) < len(sample):
            tried.append((float(silhouette_score(sample, model.labels_)), model))
    top = max((score for score, _ in tried), default=-1.0)
    if not tried or (top < MIN_SILHOUETTE and not force):
        return None, top
    score, best = next(pair for pair in tried if pair[0] >= NEAR_BEST * top or top <= 0)
    if len(sample) < len(points):
        best = KMeans(best.n_clusters, init=best.cluster_centers_, n_init=1, max_iter=50).fit(points)
    return np.unique(best.labels_, return_inverse=True)[1], score


def node_names(titles: Sequence[str], labels: np.ndarray, ancestors: Sequence[str] = ()) -> list[str]:
    """Names of the clusters of `labels` (n,), unlike siblings and ancestors: words that mark each, or its number.

    Words that an ancestor's name has already used are left out: they hold for every sibling.
    """
    said = {word for name in ancestors for word in name.lower().split(", ")}
    taken = {*ancestors}
    names = []
    for number, keywords in enumerate(class_keywords(titles, labels, int(labels.max()) + 1, WORDS + len(said)), 1):
        words = [word for word in keywords if word not in said][:WORDS]
        name = ", ".join(w if n else w.capitalize() for n, w in enumerate(words)) or f"Group {number}"
        while name in taken:
            name += f" ({number})"
        taken.add(name)
        names.append(name)
    return names


def _report(catalog: Catalog, unknown: int, score: float) -> dict:
    tree = catalog.tree
    children = [np.array(list(Counter(node[:-1] for node in nodes).values())) for nodes in tree.levels]
    leaf = tree.items_per_leaf()
    return {
        "levels": tree.depth,
        "nodes": tree.sizes,
        "children_mean": [round(float(c.mean()), 2) for c in children],
        "children_max": [int(c.max()) for c in children],
        "silhouette_first_split": round(score, 4),
        "items_per_leaf_mean": round(float(leaf.mean()), 2),
        "items_per_leaf_max": int(leaf.max()),
        "padded_items": tree.padded,
        "padding": HERE,
        "items_nothing_known": unknown,
    }
