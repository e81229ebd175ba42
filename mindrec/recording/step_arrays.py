"""One step's tensors as plain arrays, for all users of a batch at once: what recording reads.

Shape legend: A beams expanded, S beams, S' beams before, C candidates, L levels, T tokens, N items.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import Beams
from mindrec.decoding.item_index import ItemIndex, Members
from mindrec.recording.positions import Opened, Tables, open_positions
from mindrec.recording.possible_items import PossibleItems


@dataclass(frozen=True)
class BeamLists:
    """Beams as Python lists, which are read one value at a time: see mindrec.decoding.beams.Beams."""

    user: np.ndarray
    codes: list[list[int]]
    score: list[float]
    rank: list[int]

    @cached_property
    def first(self) -> dict[int, int]:
        """The number of each user's best beam."""
        return {int(user): s for s, (user, rank) in enumerate(zip(self.user, self.rank, strict=True)) if rank == 0}

    @classmethod
    def of(cls, beams: Beams) -> "BeamLists":
        """The same beams as lists."""
        return cls(beams.user.cpu().numpy(), beams.codes.tolist(), beams.score.tolist(), beams.rank.tolist())


class StepArrays:
    """Lazily: a step asks for the scores of its beams, the start has none.

    Args:
        last: of the step before, where it was recorded; what is known of its beams is taken over.
    """

    def __init__(self, index: ItemIndex, step: Step, last: "StepArrays | None" = None):
        self.index, self.step = index, step
        self._last = last if last is not None and last.step.beams is step.before else None
        if last is not None:
            last._last = None  # so that no step holds all before it
        self.beams = BeamLists.of(step.beams)
        self.parent = step.beams.parent.tolist()
        self.items = step.beams.items.tolist()
        self.forced = step.beams.forced.tolist()
        self.expanded = step.expanded.tolist()
        self.row_of = {beam: row for row, beam in enumerate(self.expanded)}

    @cached_property
    def before(self) -> BeamLists:
        """The beams that were expanded."""
        return BeamLists.of(self.step.before) if self._last is None else self._last.beams

    @cached_property
    def expanded_user(self) -> np.ndarray:
        """(A,), whose beam each row of the scores is."""
        return self.before.user[np.array(self.expanded, dtype=np.int64)]

    @cached_property
    def chosen(self) -> list[list[bool]]:
        """(A, L), the positions that each row of the scores branched on."""
        return self.step.chosen.tolist()

    @cached_property
    def item_of(self) -> list[int]:
        """(S,), an item of each beam: the one it names where one is left; -1 where none is listed."""
        out = torch.full_like(self.step.beams.user, -1)
        members = self.step.beams.members
        if isinstance(members, Members):
            out[members.state] = members.item
        return out.tolist()

    @cached_property
    def items_left(self) -> dict[int, int]:
        """Of each user, how many items are possible in any of its beams."""
        beams = self.step.beams
        if isinstance(beams.members, Members):
            of = self.possible_now
            counts = np.bincount(
                np.unique(self.beams.user[of.state] * self.index.n_items + of.item) // self.index.n_items
            )
        else:
            counts = torch.bincount(beams.user, weights=beams.items.double()).long()
        return dict(enumerate(counts.tolist()))

    # -- scores --------------------------------------------------------------------------------------------------------

    @cached_property
    def opened(self) -> list[Opened]:
        """The open positions of each row of the scores."""
        scores = self.step.scores
        tables = Tables(
            user=self.expanded_user,
            codes=np.array([self.before.codes[beam] for beam in self.expanded]).reshape(-1, self.index.n_levels),
            p=scores.logp.exp().double().cpu().numpy(),
            raw=self._raw(),
            token=self._token(),
            evidence=None if scores.evidence is None else scores.evidence.double().cpu().numpy(),
            legal=scores.legal.cpu().numpy(),
            sides=tuple(side.exp().double().cpu().numpy() for side in scores.sides or ()),
            excluded=self.step.excluded,
            beams=np.array(self.expanded, dtype=np.int64),
            possible=self.possible_before,
        )
        return open_positions(self.index, tables)

    @cached_property
    def possible_before(self) -> PossibleItems:
        """The items that the expanded beams can become."""
        if self._last is not None:
            return self._last.possible_now
        return PossibleItems(self.index, self.step, self.step.before)

    @cached_property
    def possible_now(self) -> PossibleItems:
        """The items that the beams kept can become."""
        return PossibleItems(self.index, self.step, self.step.beams)

    @cached_property
    def possible(self) -> list[list[int]]:
        """Rows of the first items of each beam kept."""
        return self.possible_now.of_beams()

    @cached_property
    def logp(self) -> np.ndarray:
        """(A, T), log-probability of each code, -inf where illegal."""
        return self.step.scores.logp.cpu().numpy()

    def _raw(self) -> np.ndarray:
        """(A, T), the denoiser's own probabilities over each level's whole vocabulary."""
        return self.index.levels.softmax(self.step.scores.denoiser_logits).double().cpu().numpy()

    def _token(self) -> np.ndarray:
        """(A, T), the same over legal codes only."""
        scores, open_ = self.step.scores, [level for level in range(self.index.n_levels) if self._is_open(level)]
        logp = self.index.levels.legal_log_softmax(scores.denoiser_logits, scores.legal > 0, open_)
        return logp.exp().double().cpu().numpy()

    def _is_open(self, level: int) -> bool:
        return any(self.before.codes[beam][level] < 0 for beam in self.expanded)

    # -- candidates ----------------------------------------------------------------------------------------------------

    @cached_property
    def lost(self) -> tuple[np.ndarray, np.ndarray]:
        """Candidates that were not kept, by user and then best first; and the user of each."""
        c = self.step.candidates
        score = c.score.cpu().numpy()
        open_ = np.isfinite(score)
        open_[c.kept.cpu().numpy()] = False
        which = np.flatnonzero(open_)
        user = self.before.user[c.parent.cpu().numpy()[which]]
        order = np.lexsort((-score[which], user))
        return which[order], user[order]

    def lost_of(self, user: int, most: int) -> np.ndarray:
        """The best of one user's."""
        which, users = self.lost
        first, end = np.searchsorted(users, [user, user + 1])
        return which[first : min(end, first + most)]
