"""A catalog without some of its items, as if they were not there yet, to measure cold items."""

from dataclasses import replace

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, PreparedData, Ragged
from mindrec.errors import MindRecError


def hold_out(data: PreparedData, share: float, seed: int = 0) -> PreparedData:
    """`data` without a random `share` of its items: they leave the catalog and every sequence.

    Sequences with fewer than two items left are dropped. `evaluate --cold` asks for the items held out.

    Raises:
        MindRecError: a share outside 0..1, or one that leaves no two items or no sequence.
    """
    n_items = len(data.catalog)
    held = round(share * n_items) if 0 < share < 1 else 0
    if not 0 < held <= n_items - 2:
        raise MindRecError(
            f"--hold-out {share} of {n_items:,} items holds out {held:,}; a share between 0 and 1 that holds out one "
            "item and leaves two is needed"
        )
    stays = np.ones(n_items, dtype=bool)
    stays[np.random.default_rng(seed).choice(n_items, held, replace=False)] = False
    row_of_N = np.where(stays, stays.cumsum() - 1, -1).astype(np.int32)
    left = [row_of_N[rows][stays[rows]] for rows in data.interactions.sequences]
    kept = [n for n, rows in enumerate(left) if len(rows) >= 2]
    if not kept:
        raise MindRecError(f"--hold-out {share} leaves no sequence of two items; hold out fewer")
    items = tuple(data.catalog.items[row] for row in np.flatnonzero(stays))
    split = data.interactions.split
    interactions = Interactions(
        tuple(data.interactions.user_ids[n] for n in kept),
        Ragged.of(left[n] for n in kept),
        len(items),
        split and tuple(split[n] for n in kept),
        data.interactions.ordered,
    )
    catalog = Catalog(items, data.catalog.name, data.catalog.induced, data.catalog.category_depth)
    kept_ids = data.semantic_ids and {item.item_id: data.semantic_ids[item.item_id] for item in items}
    return replace(data, catalog=catalog, interactions=interactions, semantic_ids=kept_ids)
