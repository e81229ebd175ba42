"""Carts of "Beat the machine": a test trip, six aisles and nine items to choose from, and what the machines choose."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.tabs.handlers import Handlers
from mindrec.data.catalog import Catalog
from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig

AISLES, ITEMS = 6, 9
SHORTEST, LONGEST = 3, 12
"""Items of a history that can be taken in within the time."""


@dataclass(frozen=True)
class Cart:
    """A question of two parts.

    Attributes:
        history, target: rows of the catalog.
        aisles, aisle: paths to choose from, and the number of the right one.
        items, item: rows of that aisle to choose from, and the number of the right one.
    """

    history: tuple[int, ...]
    target: int
    aisles: tuple[tuple[str, ...], ...]
    aisle: int
    items: tuple[int, ...]
    item: int


def aisle_of(catalog: Catalog, row: int) -> tuple[str, ...]:
    """The second level of the tree, the first where there is one level only."""
    return catalog.items[row].categories[:2]


def deal(catalog: Catalog, counts: np.ndarray, cases: Sequence[Case], seed: str) -> Cart:
    """The cart of a seed: always the same one for the same catalog and cases.

    The other aisles and items are drawn by how often they were taken in training, so that no choice is absurd; none of
    the items is in the history.

    Args:
        counts: (I,) how often each item of the catalog was taken in training.
    """
    chance = random.Random(seed)
    fit = [c for c in cases if SHORTEST <= len(c.history) <= LONGEST and c.target not in c.history]
    case = chance.choice(fit or list(cases))
    aisles: dict[tuple[str, ...], float] = {}
    for row in range(len(catalog)):
        path = aisle_of(catalog, row)
        aisles[path] = aisles.get(path, 0.0) + float(counts[row]) + 1.0
    right = aisle_of(catalog, case.target)
    paths = [right, *_drawn(chance, [path for path in aisles if path != right], aisles, AISLES - 1)]
    taken = {*case.history, case.target}
    free = {row: float(counts[row]) + 1.0 for row in range(len(catalog)) if row not in taken}
    rows = [case.target]
    for near in (2, 1, 0):  # from the aisle, then from its section, then from anywhere
        pool = [r for r in free if r not in rows and catalog.items[r].categories[:near] == right[:near]]
        rows += _drawn(chance, pool, free, ITEMS - len(rows))
    chance.shuffle(paths)
    chance.shuffle(rows)
    return Cart(case.history, case.target, tuple(paths), paths.index(right), tuple(rows), rows.index(case.target))


def _drawn(chance: random.Random, pool: list, weights: dict, count: int) -> list:
    """Up to `count` different ones of a pool, by weight."""
    pool, out = list(pool), []
    while pool and len(out) < count:
        one = chance.choices(pool, [weights[each] for each in pool])[0]
        pool.remove(one)
        out.append(one)
    return out


def machines(handlers: Handlers, name: str) -> dict[str, tuple[str, DecodeConfig]]:
    """Checkpoint and settings of each machine that plays: the twin only where one of the same catalog is open."""
    config = handlers.recommenders[name].default_config
    players = {"greedy": (name, replace(config, beam_size=1)), "beams": (name, config)}
    twin = handlers.twin(handlers.recommenders[name].catalog.fingerprint)
    return players if twin is None else players | {"twin": (twin, handlers.recommenders[twin].default_config)}


def choices(handlers: Handlers, machine: tuple[str, DecodeConfig], cart: Cart) -> tuple[int, int]:
    """A machine's aisle and item, as numbers of the cart's options; it may decode nothing but these.

    Raises Busy where the decodes cannot begin.
    """
    name, config = machine
    catalog = handlers.recommenders[name].catalog
    of_aisles = [row for row in range(len(catalog)) if aisle_of(catalog, row) in cart.aisles]
    first = _first(handlers, name, config, cart.history, of_aisles)
    item = _first(handlers, name, config, cart.history, cart.items)
    return cart.aisles.index(aisle_of(catalog, first)), cart.items.index(item)


def _first(handlers: Handlers, name: str, config: DecodeConfig, history: Sequence[int], allowed: Sequence[int]) -> int:
    """The row that a search names first when only the allowed rows are legal."""
    catalog, kept = handlers.recommenders[name].catalog, set(allowed)
    others = tuple(row for row in range(len(catalog)) if row not in kept)
    ids = [catalog.items[row].item_id for row in history]
    config = replace(config, forbid_items=others)
    return handlers.answer_of(name, ids, config, lambda trace: trace.results[0].row)
