"""Why this item: its exact standing for one history, and the pull and the vote of every item of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.without_beams import answers_above, score_of
from mindrec.diagnosis.pulls import Pull, pulls_on_items, pulls_on_path
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
        vote: its vote in item evidence by pairs counted in training; None where there are none, or for a partial
            answer.
    """

    item_id: str
    title: str
    nats: float
    factor: float
    vote: float | None = None


@dataclass(frozen=True)
class Explanation:
    """Why an item, or a partial answer, is as likely as it is.

    Attributes:
        item_id, title: of the item; None for a partial answer.
        probability, rank: exact, without beams; 1 is the best rank. None for a partial answer.
        pulls: of each item of the history, strongest first.
    """

    item_id: str | None
    title: str | None
    probability: float | None
    rank: int | None
    pulls: tuple[Influence, ...]


def explain_item(recommender: "Recommender", history: Sequence[int], row: int, config: DecodeConfig) -> Explanation:
    """Explain one item after a history of item rows.

    Raises:
        MindRecError: the item is ruled out; settings whose scores are defined by beams.
    """
    r, targets = recommender, torch.tensor([row], device=recommender.torch_device)
    item = r.catalog.items[row]
    score = score_of(r.denoiser, r.index, [history], config, targets)
    if not bool(score.isfinite()):
        raise MindRecError(f"{item.item_id!r} is ruled out by the history or the settings, so nothing pulls at it")
    above = answers_above(r.denoiser, r.index, [history], config, score, targets_B=targets)
    exact, rank = (float(values[0]) for values in above.of(targets))
    counted = getattr(r.denoiser, "votes", lambda: None)()
    votes = {} if counted is None or config.evidence == "off" else counted.votes_for(history, row)
    pulls = pulls_on_items(r.denoiser, r.index, [history], config, [row])[0]
    return Explanation(item.item_id, item.title, exp(exact), int(rank) + 1, _named(r, pulls, votes))


def explain_path(
    recommender: "Recommender",
    history: Sequence[int],
    path: Sequence[tuple[int, int]],
    config: DecodeConfig,
    *,
    last_only: bool = False,
) -> Explanation:
    """Explain a beam by its (position, code) pairs in the order of their reveal, or its last token alone."""
    r = recommender
    pulls = pulls_on_path(r.denoiser, r.index, history, config, path, last_only=last_only)
    return Explanation(None, None, None, None, _named(r, pulls, {}))


def _named(recommender: "Recommender", pulls: Sequence[Pull], votes: dict[int, float]) -> tuple[Influence, ...]:
    items = recommender.catalog.items
    return tuple(
        Influence(items[p.row].item_id, items[p.row].title, p.nats, exp(min(p.nats, 700)), votes.get(p.row))
        for p in pulls
    )
