"""Why this item: its exact standing for one history, and the pull and the vote of every item of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.pulls import Pull, pulls_on_items
from mindrec.decoding.without_beams import answers_above, open_exact, score_of
from mindrec.errors import MindRecError

if TYPE_CHECKING:
    from mindrec.recommender import Recommender


@dataclass(frozen=True)
class Influence:
    """The influence of one item of a history on an answer.

    Attributes:
        item_id, title: of the item.
        nats: its pull: how much log-probability the answer loses without it.
        factor: the same as a factor: 2 where the answer is twice as likely with the item, 0.5 where half as likely.
        vote: its vote in item evidence by pairs counted in training; None where there are none.
    """

    item_id: str
    title: str
    nats: float
    factor: float
    vote: float | None = None


@dataclass(frozen=True)
class Explanation:
    """Why an item is as likely as it is.

    Attributes:
        item_id, title: of the item.
        probability, rank: exact, without beams; 1 is the best rank.
        pulls: of each item of the history, strongest first.
    """

    item_id: str
    title: str
    probability: float
    rank: int
    pulls: tuple[Influence, ...]


def explain_item(recommender: "Recommender", history: Sequence[int], row: int, config: DecodeConfig) -> Explanation:
    """Explain one item after a history of item rows.

    Raises:
        MindRecError: the item is ruled out; settings whose scores are defined by beams.
    """
    r, targets = recommender, torch.tensor([row], device=recommender.torch_device)
    item = r.catalog.items[row]
    search = open_exact(r.denoiser, r.index, [history], config)
    score = score_of(search, targets)
    if not bool(score.isfinite()):
        raise MindRecError(f"{item.item_id!r} is ruled out by the history or the settings, so nothing pulls at it")
    above = answers_above(search, score, targets)
    exact, rank = (float(values[0]) for values in above.of(targets))
    counted = getattr(r.denoiser, "votes", lambda: None)()
    votes = {} if counted is None or config.evidence == "off" else counted.votes_for(history, row)
    pulls = pulls_on_items(r.denoiser, r.index, [history], config, [row])[0]
    return Explanation(item.item_id, item.title, exp(exact), int(rank) + 1, _named(r, pulls, votes))


def _named(recommender: "Recommender", pulls: Sequence[Pull], votes: dict[int, float]) -> tuple[Influence, ...]:
    items = recommender.catalog.items
    return tuple(
        Influence(items[p.row].item_id, items[p.row].title, p.nats, exp(min(p.nats, 700)), votes.get(p.row))
        for p in pulls
    )
