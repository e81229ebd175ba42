"""A toy shop of 36 items whose next-item law is known exactly.

The law looks at the last item alone: p(next | history) is proportional to exp(beta u(last, next)). The utilities u are
random, one part for each pair of shelves, one for each pair of places on a shelf and one for each next item, so that
the category tree says much and not everything. `sharpness` s gives beta = GAIN s / (1 - s): chance at 0, certainty
at 1.

Shape legend: N items, B histories.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, Ragged

SHOP = {
    "Fresh": {
        "Fruit": ("Apples", "Bananas", "Pears"),
        "Vegetables": ("Carrots", "Peppers", "Spinach"),
        "Herbs": ("Basil", "Mint", "Parsley"),
    },
    "Bakery": {
        "Bread": ("Rye bread", "Baguette", "Rolls"),
        "Cakes": ("Cheesecake", "Brownies", "Apple pie"),
        "Biscuits": ("Shortbread", "Oat biscuits", "Crackers"),
    },
    "Dairy": {
        "Milk": ("Whole milk", "Oat drink", "Cream"),
        "Cheese": ("Cheddar", "Brie", "Feta"),
        "Yoghurt": ("Plain yoghurt", "Skyr", "Kefir"),
    },
    "Pantry": {
        "Pasta": ("Spaghetti", "Penne", "Lasagne sheets"),
        "Sauces": ("Tomato sauce", "Pesto", "Soy sauce"),
        "Drinks": ("Coffee", "Black tea", "Orange juice"),
    },
}
"""Sections, their shelves, and three items on each shelf."""

LENGTH = 8
"""Items of a history."""
GAIN = 1.6
PLACES = 3
"""Items on each shelf."""
HELD_OUT = 64
"""Histories on which a model's distance to the law is measured."""


@dataclass(frozen=True)
class World:
    """The shop with its law.

    Attributes:
        catalog: the 36 items.
        utility_NN: float64, of the next item (column) after the last one (row).
        beta: inverse temperature of the law; infinite where nothing is left to chance.
    """

    catalog: Catalog
    utility_NN: np.ndarray
    beta: float

    def law(self, history: Sequence[int]) -> np.ndarray:
        """Probability of each item to come next, float64 (N,)."""
        utility = self.utility_NN[history[-1]]
        if np.isinf(self.beta):
            return (np.arange(len(utility)) == utility.argmax()).astype(np.float64)
        weight = np.exp(self.beta * (utility - utility.max()))
        return weight / weight.sum()

    def walks(self, count: int, seed: int, length: int = LENGTH) -> np.ndarray:
        """Histories drawn from the law, int32 (count, length); the first item is drawn evenly."""
        rng, n_items = np.random.default_rng(seed), len(self.utility_NN)
        below_NN = np.cumsum([self.law([row]) for row in range(n_items)], axis=1)
        rows = np.empty((count, length), dtype=np.int32)
        rows[:, 0] = rng.integers(n_items, size=count)
        for step in range(1, length):
            drawn = (below_NN[rows[:, step - 1]] <= rng.random((count, 1))).sum(1)
            rows[:, step] = drawn.clip(max=n_items - 1)  # a sum of shares may end a last digit below 1
        return rows

    def data(self, count: int, seed: int) -> PreparedData:
        """`count` training histories as prepared data."""
        walks = self.walks(count, seed)
        rows = Ragged(walks.reshape(-1), np.arange(count + 1, dtype=np.int64) * walks.shape[1])
        users = tuple(f"u{n}" for n in range(count))
        interactions = Interactions(users, rows, len(self.catalog), split=("train",) * count)
        return PreparedData(self.catalog, interactions)

    def held_out(self, seed: int) -> list[tuple[int, ...]]:
        """Histories of one to seven items that no training draws, a tuple of item rows each."""
        walks = self.walks(HELD_OUT, seed + 1_000_003)
        return [tuple(map(int, rows[: 1 + n % (LENGTH - 1)])) for n, rows in enumerate(walks)]


def make_world(sharpness: float, seed: int) -> World:
    """The shop with utilities drawn from `seed`, and a law as sharp as asked for, 0 to 1."""
    items = tuple(
        Item(name.lower().replace(" ", "-"), name, (section, shelf))
        for section, shelves in SHOP.items()
        for shelf, names in shelves.items()
        for name in names
    )
    catalog = Catalog(items, name="toy shop")
    rng = np.random.default_rng(seed)
    shelf_N = catalog.tree.codes[:, -1]
    shelves = int(shelf_N.max()) + 1
    column_N = np.arange(len(items)) % PLACES
    of_shelves, of_places = rng.normal(size=(shelves, shelves)), rng.normal(scale=0.7, size=(PLACES, PLACES))
    of_items = rng.normal(scale=0.4, size=len(items))
    utility_NN = of_shelves[np.ix_(shelf_N, shelf_N)] + of_places[np.ix_(column_N, column_N)] + of_items
    return World(catalog, utility_NN, np.inf if sharpness >= 1 else GAIN * sharpness / (1 - sharpness))


def entropy(p: np.ndarray) -> float:
    """Entropy in nats of a distribution, whatever its shape (N, ...)."""
    held = p[p > 0]
    return float(-(held * np.log(held)).sum())


def distance(law: np.ndarray, log_p: np.ndarray) -> float:
    """KL divergence in nats from the law to a model's log-probabilities, both of one shape (N, ...)."""
    held = law > 0
    return float((law[held] * (np.log(law[held]) - log_p[held])).sum())
