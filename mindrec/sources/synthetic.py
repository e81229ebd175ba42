"""A made-up catalog whose next item is predictable to a chosen degree: the truth for learning floors."""

import numpy as np

from mindrec.catalog import Catalog, Interactions, Item, PreparedData
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
    children at each category level; items are spread evenly over the leaves.
    """
    if not 0 <= predictability <= 1:
        raise MindRecError(f"predictability {predictability} is outside 0..1")
    if n_items < 2 or length < 3 or n_users < 1:
        raise MindRecError("synthetic data needs n_items >= 2, length >= 3 and n_users >= 1")
    rng = np.random.default_rng(seed)
    items = tuple(Item(f"i{n}", f"Item {n}", _path(n, branching)) for n in range(n_items))
    cycle = rng.permutation(n_items)
    successor = np.empty(n_items, dtype=np.int64)
    successor[cycle] = np.roll(cycle, -1)
    sequences = []
    for _ in range(n_users):
        walk = [int(rng.integers(n_items))]
        for _ in range(length - 1):
            follow = rng.random() < predictability
            walk.append(int(successor[walk[-1]]) if follow else int(rng.integers(n_items)))
        sequences.append(np.array(walk, dtype=np.int32))
    catalog = Catalog(items, name="synthetic")
    interactions = Interactions(tuple(f"u{n}" for n in range(n_users)), tuple(sequences), n_items)
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
