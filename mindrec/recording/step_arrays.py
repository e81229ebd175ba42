"""The tensors of some steps in a row as plain arrays, for all users of a batch at once: what recording reads.

Many small arrays cost more than one large one, so that all that can be is made of all these steps together.

Shape legend: A beams expanded, S beams of all steps, C candidates, L levels, T tokens, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import Beams
from mindrec.decoding.item_index import ItemIndex, Members
from mindrec.recording.positions import Opened, Tables, open_positions
from mindrec.recording.possible_items import PossibleItems


@dataclass(frozen=True)
class BeamArrays:
    """Beams as arrays (S, ...): see mindrec.decoding.beams.Beams.

    Attributes:
        rank: within the user, 0 the best.
        parent: among the beams before the step.
    """

    user: np.ndarray
    codes: np.ndarray
    score: np.ndarray
    rank: np.ndarray
    parent: np.ndarray
    items: np.ndarray
    forced: np.ndarray


class StepsTogether:
    """Some steps in a row of one search. Their beams are numbered through: those before the first, then those kept.

    Attributes:
        first_before: the number of the first beam before each step; None at the start.
        first_kept: the number of the first beam that each step kept.
        beams: all of them.
        offsets: (L,), the first token of each level.
    """

    def __init__(self, index: ItemIndex, steps: Sequence[Step]):
        self.index, self.steps, self.offsets = index, steps, np.array(index.levels.offsets)
        self._beams: list[Beams] = []
        self.first_before: list[int | None] = []
        self.first_kept: list[int] = []
        count = last = 0
        for step in steps:
            known = bool(self._beams) and step.before is not None and step.before.codes is self._beams[-1].codes
            if known:  # the search may have listed their items since they were kept
                self._beams[-1] = step.before
            elif step.before is not None:
                self._beams.append(step.before)
                last, count = count, count + len(step.before.user)
            self.first_before.append(None if step.before is None else last)
            self.first_kept.append(count)
            self._beams.append(step.beams)
            last, count = count, count + len(step.beams.user)
        self.beams = _arrays(self._beams)

    @cached_property
    def kept(self) -> np.ndarray:
        """The numbers (n,) of the beams that the steps kept, step after step."""
        pairs = zip(self.first_kept, self.steps, strict=True)
        return np.concatenate([np.arange(first, first + len(step.beams.user)) for first, step in pairs])

    @cached_property
    def parent_of(self) -> np.ndarray:
        """The number of the parent of each beam that a step kept, (S,); -1 at the start and for all others."""
        out = np.full(len(self.beams.user), -1)
        for before, first, step in zip(self.first_before, self.first_kept, self.steps, strict=True):
            if before is not None:
                kept = slice(first, first + len(step.beams.user))
                out[kept] = self.beams.parent[kept] + before
        return out

    @cached_property
    def possible(self) -> PossibleItems:
        """The items that all these beams can become."""
        return PossibleItems(self.index, self.steps[0], self._beams)

    @cached_property
    def possible_of_beams(self) -> list[tuple[int, ...]]:
        """Rows of the first items of each beam."""
        return self.possible.of_beams()

    @cached_property
    def items_left(self) -> list[dict[int, int]]:
        """Of each step and user, how many items are possible in any of the beams kept."""
        possible, out = self.possible, []
        for first, beams in zip(self.first_kept, (step.beams for step in self.steps), strict=True):
            user = self.beams.user[first : first + len(beams.user)]
            if isinstance(beams.members, Members):
                listed = slice(*possible.start[[first, first + len(user)]])
                left = np.zeros((user.max(initial=-1) + 1, self.index.n_items), dtype=bool)
                left[user[possible.state[listed] - first], possible.item[listed]] = True
                counts = left.sum(1)
            else:
                counts = np.bincount(user, weights=self.beams.items[first : first + len(user)]).astype(np.int64)
            out.append(dict(enumerate(counts.tolist())))
        return out

    # -- scores --------------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[slice]:
        """Where the scores of each step lie."""
        first = np.cumsum([0, *self._count_rows]).tolist()
        return [slice(*ends) for ends in pairwise(first)]

    @cached_property
    def expanded(self) -> np.ndarray:
        """The number of the beam that each row of the scores is of, (A,)."""
        first = [first or 0 for first in self.first_before]
        return torch.cat([step.expanded for step in self.steps]).cpu().numpy() + np.repeat(first, self._count_rows)

    @property
    def _count_rows(self) -> list[int]:
        return [len(step.expanded) for step in self.steps]

    @cached_property
    def row_of(self) -> np.ndarray:
        """The row of the scores of each beam, (S,); -1 for one that was not expanded."""
        out = np.full(len(self.beams.user), -1)
        out[self.expanded] = np.arange(len(self.expanded))
        return out

    @cached_property
    def chosen(self) -> list[list[bool]]:
        """(A, L), the positions that each row of the scores branched on."""
        return torch.cat([step.chosen for step in self.steps]).tolist()

    @cached_property
    def logp(self) -> np.ndarray:
        """(A, T), log-probability of each code, -inf where illegal."""
        return self._joined("logp").cpu().numpy()

    def _joined(self, name: str) -> torch.Tensor:
        """One of the scores (A, T) of all steps, by its name in BeamScores."""
        return torch.cat([getattr(step.scores, name) for step in self.steps if step.scores is not None])

    @cached_property
    def opened(self) -> Opened:
        """The open positions of each row of the scores of all steps."""
        scored = [step.scores for step in self.steps if step.scores is not None]
        if not scored:
            return Opened([], [], [])
        logp, logits, legal = (self._joined(name).cpu() for name in ("logp", "denoiser_logits", "legal"))
        sides = zip(*(scores.sides for scores in scored), strict=True) if scored[0].sides is not None else ()
        tables = Tables(
            user=self.beams.user[self.expanded],
            codes=self.beams.codes[self.expanded],
            logp=logp,
            logits=logits,
            evidence=None if scored[0].evidence is None else self._joined("evidence").cpu(),
            legal=legal,
            sides=tuple([torch.cat(side).cpu() for side in sides]),
            excluded=self.steps[0].excluded,
            beams=self.expanded,
            possible=self.possible,
        )
        return open_positions(self.index, tables)


def _arrays(beams: Sequence[Beams]) -> BeamArrays:
    """All of some sets of beams in a row."""
    names = ("user", "codes", "score", "parent", "items", "forced")
    columns = {name: torch.cat([getattr(each, name) for each in beams]).cpu().numpy() for name in names}
    number = np.repeat(np.arange(len(beams)), [len(each.user) for each in beams])
    key = number * (columns["user"].max(initial=0) + 1) + columns["user"]
    counts = np.bincount(key)
    return BeamArrays(rank=np.arange(len(key)) - (counts.cumsum() - counts)[key], **columns)
