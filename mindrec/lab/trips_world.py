"""A slice of the grocery carts: trips of the default data, as far as they hold the most taken items of the pantry."""

from dataclasses import replace

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, PreparedData, Ragged, load_prepared
from mindrec.data.splits import item_counts
from mindrec.lab.world import LENGTH
from mindrec.sources import prepared

SECTION = "Pantry"
ITEMS = 100
LEAST = 4
"""Items of the slice that a trip must hold."""
HELD_OUT = 300
"""Validation trips on which a model's Hit@10 is measured."""


def read_carts(count: int, seed: int) -> tuple[PreparedData, list[np.ndarray]]:
    """`count` training trips as prepared data, and the held-out trips (length,), whose last item is to be named.

    A trip keeps at most LENGTH items. Which trips are drawn goes by `seed`. The slice's categories begin below its
    section.

    Raises:
        MindRecError: the grocery data is not here and cannot be made.
    """
    whole = load_prepared(prepared("grocery"), name="grocery")
    catalog, row_of = _slice(whole)
    trips: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for rows, split in zip(whole.interactions.sequences, whole.interactions.split, strict=True):
        held = row_of[rows]
        held = held[held >= 0][-LENGTH:]
        if len(held) >= LEAST:
            trips[split].append(held)
    rng = np.random.default_rng(seed)
    train, held_out = (
        [trips[split][n] for n in rng.permutation(len(trips[split]))[:limit]]
        for split, limit in (("train", count), ("validation", HELD_OUT))
    )
    users = tuple(f"trip {n}" for n in range(len(train)))
    log = Interactions(users, Ragged.of(train), len(catalog), ("train",) * len(train), ordered=False)
    return PreparedData(catalog, log), held_out


def _slice(whole: PreparedData) -> tuple[Catalog, np.ndarray]:
    """The slice's catalog, and for each row of the whole catalog its row here, -1 for what is not in it."""
    items = whole.catalog.items
    inside = np.flatnonzero([item.categories[0] == SECTION for item in items])
    by_count = (-item_counts(whole.interactions)[inside]).argsort(kind="stable")
    kept = np.sort(inside[by_count[:ITEMS]])
    row_of = np.full(len(items), -1, dtype=np.int32)
    row_of[kept] = np.arange(len(kept))
    kept_items = tuple(replace(items[row], categories=items[row].categories[1:]) for row in kept)
    return Catalog(kept_items, name="grocery pantry", category_depth=2), row_of
