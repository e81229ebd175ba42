"""The answer of a recommender: ranked items, and the trace of how they came about."""

from collections.abc import Sequence
from dataclasses import dataclass

from mindrec.data.catalog import Item
from mindrec.notebook import recommendation_html
from mindrec.trace.records import DecodeTrace

EMPTY_HISTORY = (
    "The history is empty, and the model was never asked about an empty one: this is what anybody takes, by how often "
    "each item was taken in training."
)


@dataclass(frozen=True)
class Recommended:
    """One recommended item.

    Attributes:
        rank: 1 is the best. (`Result.rank` in a trace counts from 0: its schema says so.)
        probability: exp(score): the search's own, not a chance of being right.
    """

    rank: int
    row: int
    item: Item
    score: float
    probability: float


@dataclass(frozen=True)
class Recommendation:
    """Ranked items, best first, and how they came about (None where no trace was asked for).

    `notes` is what a person must know of the answer: that the history was empty, say.
    """

    items: tuple[Recommended, ...]
    trace: DecodeTrace | None
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Show the recommendation in a notebook; see mindrec.notebook."""
        return recommendation_html(self)


def answer_notes(history: Sequence[int]) -> tuple[str, ...]:
    """Notes on the answer to a history of item rows."""
    return () if history else (EMPTY_HISTORY,)
