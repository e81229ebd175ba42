"""The problem that a Lab run learns, and its measure: the toy shop and the distance to its law, or carts and Hit@10.

Shape legend: N items, B held-out histories.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import item_counts
from mindrec.evaluation.metrics import gold_ranks, hit_at_k
from mindrec.lab.dials import Dials
from mindrec.lab.trips_world import read_carts
from mindrec.lab.world import LENGTH, distance, entropy, make_world

CART = 3
"""Items of the toy shop's cart."""
K = 10
"""Answers among which the next item counts as found."""


@dataclass(frozen=True)
class Problem:
    """Data to train on, and a measure of how well it is learned.

    Attributes:
        data: the training histories.
        held_out: histories that no training sees, a tuple of item rows each.
        cart: item rows of the cart that is decoded after every epoch.
        likeliest: row of the item that follows it: by the law, or in the trip that the cart is of.
        law: probability of each item to come next in the cart, float64 (N,); None where no law is known.
        measure: "distance" (KL divergence from the law to the model, in nats) or "hit" (share of the held-out histories
            whose next item is among the model's first K).
        chance: the measure of an even guess, or of naming the most taken items.
        worth: the measure, from the model's log-probabilities of every item after each held-out history, (B, N).
        repeats: whether an item may follow a history that holds it.
        level_names: of the category levels, coarse to fine.
        note: a sentence for the checkpoint.
    """

    data: PreparedData
    held_out: Sequence[tuple[int, ...]]
    cart: tuple[int, ...]
    likeliest: int
    law: np.ndarray | None
    measure: str
    chance: float
    worth: Callable[[np.ndarray], float]
    repeats: bool
    level_names: tuple[str, ...]
    note: str


def toy_shop(dials: Dials) -> Problem:
    """Histories drawn from the toy shop's law, which the models are measured against."""
    world = make_world(dials.sharpness, dials.seed)
    held_out = world.held_out(dials.seed)
    laws = [world.law(history) for history in held_out]
    cart = tuple(map(int, world.walks(1, dials.seed + 2, CART)[0]))
    law = world.law(cart)

    def worth(log_p_BN: np.ndarray) -> float:
        return float(np.mean([distance(law, log_p_N) for law, log_p_N in zip(laws, log_p_BN, strict=True)]))

    return Problem(
        data=world.data(dials.histories, dials.seed + 1),
        held_out=held_out,
        cart=cart,
        likeliest=int(law.argmax()),
        law=law,
        measure="distance",
        chance=float(np.log(len(world.catalog)) - np.mean([entropy(law) for law in laws])),
        worth=worth,
        repeats=True,
        level_names=("Section", "Shelf"),
        note="Trained in the Lab on a toy shop whose law is known.",
    )


def pantry(dials: Dials) -> Problem:
    """Trips of the grocery data as far as they hold the pantry's most taken items. Raises MindRecError without it."""
    data, held_out = read_carts(dials.histories, dials.seed)
    histories = [tuple(map(int, rows[:-1])) for rows in held_out]
    targets_B = np.array([rows[-1] for rows in held_out])
    whole = max(range(len(held_out)), key=lambda n: (len(histories[n]) == LENGTH - 1, -n))

    def worth(scores_BN: np.ndarray) -> float:
        ranked_BK = (-scores_BN).argsort(1, kind="stable")[:, :K]
        return float(hit_at_k(gold_ranks(ranked_BK, targets_B), K).mean())

    counts_BN = np.tile(item_counts(data.interactions), (len(histories), 1))
    for counts_N, history in zip(counts_BN, histories, strict=True):
        counts_N[list(history)] = -1
    return Problem(
        data=data,
        held_out=histories,
        cart=histories[whole],
        likeliest=int(targets_B[whole]),
        law=None,
        measure="hit",
        chance=worth(counts_BN),
        worth=worth,
        repeats=False,
        level_names=("Aisle", "Category"),
        note="Trained in the Lab on the pantry's part of the grocery trips; the source calls its data simulated.",
    )


WORLDS: dict[str, Callable[[Dials], Problem]] = {"toy": toy_shop, "pantry": pantry}
"""By the value of the `world` dial."""
