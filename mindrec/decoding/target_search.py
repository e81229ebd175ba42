"""A beam search for the sake of one item a user: where it ranks, with no work for users whose item is lost.

A user's beams compete among themselves alone, and what no beam can become any more never comes back. So the users whose
item is lost leave the batch after the step that lost it, and the others go on as if nothing had happened: the rank is
that of the whole search. Most misses are lost at a category, after the first few of a decode's rows.

Shape legend: B users, S beams of all users, L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beam_search import Step, answers, final, open_search, steps_of
from mindrec.decoding.beams import taken
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.decoding.without_beams import SLACK
from mindrec.model.denoiser import Denoiser


@dataclass(frozen=True)
class Targets:
    """The items that B users are searched for.

    Attributes:
        item: int64 (B,), an item row each.
        floor: float64 (B,), the log-probability of each in a search without beams, where the caller knows it: as no
            answer scores above what it came from, beams below the floor can neither become the item nor rank above it.
    """

    item: torch.Tensor
    floor: torch.Tensor | None = None


@dataclass(frozen=True)
class Standings:
    """Where the items of B users rank.

    Attributes:
        rank: int64 (B,), among the answers of a beam search: 0 is the best, -1 for no answer.
        whole: bool (B,), whether beams lost nothing that scores as much as the floor, so that any more of them would
            answer the same; False without a floor.
    """

    rank: torch.Tensor
    whole: torch.Tensor


def target_ranks(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    targets: Targets,
    excluded: Excluded | None = None,
) -> Standings:
    """Decode B histories as far as their users' items go.

    Args:
        excluded: the items that may not be recommended, where it is not the settings and histories that say so.

    Raises:
        MindRecError: as `search`; the published algorithm is another search.
    """
    with torch.inference_mode():
        opened = open_search(denoiser, index, histories, config, excluded=excluded)
        narrowing = _Narrowing(index, config.beam_size, targets)
        last = final(steps_of(opened, narrowing))
        rank = torch.full_like(targets.item, -1)
        if len(last.beams.user):
            rows, _ = answers(index, last, len(histories), config.beam_size)
            hit = rows == targets.item[:, None]
            rank = torch.where(hit.any(1), hit.int().argmax(1), -1)
        return Standings(rank, narrowing.whole)


class _Narrowing:
    """Takes away the beams that do not matter, and remembers for whom one that does may have been cut."""

    def __init__(self, index: ItemIndex, beam_size: int, targets: Targets):
        self.beam_size, self.floor = beam_size, targets.floor
        self.wanted_BL = index.levels.codes(index.tokens_NL[targets.item])
        self.whole = torch.full_like(targets.item, targets.floor is not None, dtype=torch.bool)

    def __call__(self, step: Step) -> Step:
        user, codes = step.beams.user, step.beams.codes
        alive = torch.zeros_like(self.whole)
        alive[user[((codes < 0) | (codes == self.wanted_BL[user])).all(1)]] = True
        keep = alive[user]
        if self.floor is not None:
            near = step.beams.score >= self.floor[user] - SLACK
            self.whole &= torch.bincount(user[near], minlength=len(alive)) < self.beam_size
            keep = keep & near
        return step if bool(keep.all()) else replace(step, beams=taken(step.beams, keep.nonzero()[:, 0]))
