"""The map of a catalog: every item a point on one plane, near to those that a model takes for alike.

t-SNE (van der Maaten and Hinton, 2008) of the trained item vectors joined with one-hots of the category path, so that
sections become continents and aisles islands. A checkpoint keeps it in map.json, 16 bits a coordinate.

Shape legend: N items, D vector width, C category nodes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError
from mindrec.system.files import read_json, write_json

FILE = "map.json"
FORMAT = 1
EXTENT = 32767
"""The longer side of a map reaches from minus this to this."""
MAX_ITEMS = 20_000
"""A larger catalog gets no map: t-SNE takes minutes, and its points would cover each other."""
PATH_WEIGHTS = (0.45, 0.2, 0.1)
"""Weight of a path's node at each depth, coarse to fine, where an item vector has length 1; deeper ones weigh nothing.
Sections then lie apart, and what was learned decides where in its section an item lies: with twice as much, an aisle
shrinks to a dot."""
PERPLEXITY = 50.0
ROUNDS = 500
"""Rounds of t-SNE; more move no continent."""


@dataclass(frozen=True)
class ItemMap:
    """One point an item, in the order of the catalog: whole numbers from -EXTENT to EXTENT, (N,) each."""

    x: tuple[int, ...]
    y: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.x)

    def save(self, folder: Path) -> None:
        """Write map.json of a checkpoint folder, whole or not at all."""
        write_json(Path(folder) / FILE, {"format": FORMAT, "x": list(self.x), "y": list(self.y)}, indent=None)


def read_map(folder: Path, n_items: int) -> ItemMap | None:
    """The map that a checkpoint folder holds; None where it has none.

    Raises:
        MindRecError: map.json is damaged, or of a catalog of another size.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    raw = read_json(path, "map")
    axes = [raw.get(axis) for axis in ("x", "y")] if isinstance(raw, dict) else []
    for values in axes:
        good = isinstance(values, list) and len(values) == n_items
        if not good or not all(type(v) is int and -EXTENT <= v <= EXTENT for v in values):
            axes = []
            break
    if not axes or raw.get("format") != FORMAT:
        raise MindRecError(
            f"{path} is no map of {n_items:,} items in format {FORMAT}; `python -m mindrec draw-map --checkpoint "
            f"{folder}` draws it again"
        )
    return ItemMap(*map(tuple, axes))


def draw(vectors_ND: np.ndarray, codes_NC: np.ndarray) -> ItemMap | None:
    """Draw a map; the same input gives the same one. None for a catalog of more than MAX_ITEMS.

    Args:
        vectors_ND: what a model knows of each item.
        codes_NC: the nodes of each item's category path, coarse to fine; no columns where there are no categories.
    """
    n_items = len(vectors_ND)
    if n_items > MAX_ITEMS:
        return None
    if n_items < 6:  # t-SNE needs neighbours
        return ItemMap(tuple(round(v) for v in np.linspace(-EXTENT, EXTENT, n_items)), (0,) * n_items)
    from sklearn.manifold import TSNE

    tsne = TSNE(perplexity=min(PERPLEXITY, (n_items - 1) / 3), init="pca", random_state=0, max_iter=ROUNDS, n_jobs=1)
    plane = tsne.fit_transform(_features(vectors_ND, codes_NC)).astype(np.float64)
    plane -= (plane.max(0) + plane.min(0)) / 2
    plane = np.rint(plane * (EXTENT / max(np.abs(plane).max(), 1e-12))).astype(int)
    return ItemMap(*(tuple(axis) for axis in plane.T.tolist()))


def _features(vectors_ND: np.ndarray, codes_NC: np.ndarray) -> np.ndarray:
    """Item vectors of length 1 with weighted one-hots of their paths beside them, float32 (N, D + nodes)."""
    vectors = vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)
    parts = [vectors]
    for depth, weight in enumerate(PATH_WEIGHTS[: codes_NC.shape[1]], 1):
        # A node is its whole path: two nodes of one name under different parents are two.
        _, node = np.unique(codes_NC[:, :depth], axis=0, return_inverse=True)
        parts.append(weight * np.eye(node.max() + 1)[node.ravel()])
    return np.concatenate(parts, axis=1).astype(np.float32)
