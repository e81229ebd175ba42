"""A made-up catalog whose next item is predictable to a chosen degree: the truth for learning floors."""

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, Ragged
from mindrec.errors import MindRecError


def load(
    *,
    n_items: int = 60,
    n_users: int = 400,
    length: int = 10,
    predictability: float = 1.0,
    branching: tuple[int, ...] = (3, 4),
    seed: int = 0,
) -> PreparedData:
    """Walks on a fixed random cycle through all items; each step follows it with probability `predictability`.

    At 1.0 the next item is a function of the last one, at 0.0 it is uniform noise. `branching` gives the number of
    children at each category level; items are spread evenly over the leaves. Ten million steps take seconds.

    Raises MindRecError for sizes or a predictability out of range.
    """
    if not 0 <= predictability <= 1:
        raise MindRecError(f"predictability {predictability} is outside 0..1")
    if n_items < 2 or length < 3 or n_users < 1:
        raise MindRecError("synthetic data needs n_items >= 2, length >= 3 and n_users >= 1")
    rng = np.random.default_rng(seed)
    items = tuple(Item(f"i{n}", f"Item {n}", _path(n, branching)) for n in range(n_items))
    cycle = rng.permutation(n_items)
    successor = np.empty(n_items, dtype=np.int32)
    successor[cycle] = np.roll(cycle, -1)
    walks = np.empty((n_users, length), dtype=np.int32)
    walks[:, 0] = rng.integers(n_items, size=n_users)
    for step in range(1, length):
        follow = rng.random(n_users) < predictability
        walks[:, step] = np.where(follow, successor[walks[:, step - 1]], rng.integers(n_items, size=n_users))
    catalog = Catalog(items, name="synthetic")
    sequences = Ragged(walks.reshape(-1), np.arange(n_users + 1, dtype=np.int64) * length)
    interactions = Interactions(tuple(f"u{n}" for n in range(n_users)), sequences, n_items)
    notes = (
        f"# Synthetic\n{n_items} items, {n_users} walks of {length}, predictability {predictability}, seed {seed}.\n"
    )
    return PreparedData(catalog, interactions, notes=notes)


def _path(n: int, branching: tuple[int, ...]) -> tuple[str, ...]:
    path = []
    for level, width in enumerate(branching):
        path.append(f"L{level + 1}.{n % width}")
        n //= width
    return tuple(path)
