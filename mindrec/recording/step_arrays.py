"""The tensors of some steps in a row as plain arrays, for all users of a batch at once: what recording reads.

Many small arrays cost more than one large one, so that all that can be is made of all these steps together.

Shape legend: A beams expanded, S beams, S' beams before, C candidates, L levels, T tokens, N items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import Beams, rank_within
from mindrec.decoding.item_index import ItemIndex, Members
from mindrec.decoding.scoring import BeamScores
from mindrec.recording.positions import Opened, Tables, open_positions
from mindrec.recording.possible_items import PossibleItems

DROPPED = 12
"""Candidates listed below the cut."""
Lost = tuple[list[int], float, int, bool]
"""A candidate that was not kept: its codes, score and parent, and whether another path's state took it over."""


@dataclass(frozen=True)
class BeamLists:
    """Beams as Python lists, which are read one value at a time: see mindrec.decoding.beams.Beams.

    Attributes:
        first: the number of each user's best beam.
        possible: where these beams begin among those of PossibleItems.
    """

    user: np.ndarray
    codes: list[list[int]]
    score: list[float]
    rank: list[int]
    parent: list[int]
    items: list[int]
    forced: list[list[bool]]
    first: dict[int, int]
    possible: int


class StepsTogether:
    """Some steps in a row of one search.

    Attributes:
        before, now: the beams before each step, None at the start, and those that it kept.
    """

    def __init__(self, index: ItemIndex, steps: Sequence[Step]):
        self.index, self.steps = index, steps
        self._beams: list[Beams] = []
        before, now = [], []
        for step in steps:
            known = bool(self._beams) and step.before is not None and step.before.codes is self._beams[-1].codes
            if step.before is not None and not known:
                self._beams.append(step.before)
            before.append(None if step.before is None else len(self._beams) - 1)
            now.append(len(self._beams))
            self._beams.append(step.beams)
        self._first = np.cumsum([0, *(len(beams.user) for beams in self._beams)]).tolist()
        lists = self._lists()
        self.before = [None if number is None else lists[number] for number in before]
        self.now = [lists[number] for number in now]

    def arrays(self) -> "list[StepArrays]":
        """Those of each step."""
        return [StepArrays(self, number) for number in range(len(self.steps))]

    def _lists(self) -> list[BeamLists]:
        users = max((int(beams.user[-1]) for beams in self._beams if len(beams.user)), default=0) + 1
        key = torch.cat([beams.user + users * number for number, beams in enumerate(self._beams)])
        rank, columns = rank_within(key).tolist(), [(key % users).cpu().numpy()]
        for name in ("codes", "score", "parent", "items", "forced"):
            columns.append(torch.cat([getattr(beams, name) for beams in self._beams]).tolist())
        out = []
        for first, end in pairwise(self._first):
            user, codes, score, parent, items, forced = (column[first:end] for column in columns)
            ranks = rank[first:end]
            best = {own: s for s, (own, at) in enumerate(zip(user.tolist(), ranks, strict=True)) if at == 0}
            out.append(BeamLists(user, codes, score, ranks, parent, items, forced, best, first))
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
        for beams, lists in zip((step.beams for step in self.steps), self.now, strict=True):
            if isinstance(beams.members, Members):
                own = slice(*possible.start[[lists.possible, lists.possible + len(lists.user)]])
                left = np.zeros((max(lists.user, default=-1) + 1, self.index.n_items), dtype=bool)
                left[lists.user[possible.state[own] - lists.possible], possible.item[own]] = True
                counts = left.sum(1)
            else:
                counts = np.bincount(lists.user, weights=lists.items).astype(np.int64)
            out.append(dict(enumerate(counts.tolist())))
        return out

    # -- scores --------------------------------------------------------------------------------------------------------

    @cached_property
    def expanded(self) -> list[list[int]]:
        """Of each step, the number of each row of the scores among the beams before."""
        return [step.expanded.tolist() for step in self.steps]

    @cached_property
    def rows(self) -> list[slice]:
        """Where the scores of each step lie."""
        first = np.cumsum([0, *map(len, self.expanded)]).tolist()
        return [slice(*ends) for ends in pairwise(first)]

    @cached_property
    def logp(self) -> np.ndarray:
        """(A, T), log-probability of each code, -inf where illegal."""
        return self._joined(lambda scores: scores.logp).cpu().numpy()

    def _joined(self, part: Callable[[BeamScores], torch.Tensor]) -> torch.Tensor:
        return torch.cat([part(step.scores) for step in self.steps if step.scores is not None])

    @cached_property
    def opened(self) -> list[Opened]:
        """The open positions of each row of the scores of all steps."""
        scored = [(lists, own) for lists, own in zip(self.before, self.expanded, strict=True) if lists is not None]
        if not scored:
            return []
        codes = np.array([lists.codes[beam] for lists, own in scored for beam in own], dtype=np.int64)
        codes = codes.reshape(-1, self.index.n_levels)
        logits, legal = self._joined(lambda scores: scores.denoiser_logits), self._joined(lambda scores: scores.legal)
        levels, one = self.index.levels, next(step.scores for step in self.steps if step.scores is not None)
        token = levels.legal_log_softmax(logits, legal > 0, np.flatnonzero((codes < 0).any(0)).tolist())
        tables = Tables(
            user=np.concatenate([lists.user[own] for lists, own in scored]),
            codes=codes,
            p=self._shares(lambda scores: scores.logp),
            raw=levels.softmax(logits).double().cpu().numpy(),
            token=token.exp().double().cpu().numpy(),
            evidence=None if one.evidence is None else self._joined(lambda s: s.evidence).double().cpu().numpy(),
            legal=legal.cpu().numpy(),
            sides=tuple(self._shares(lambda scores, n=n: scores.sides[n]) for n in range(len(one.sides or ()))),
            excluded=self.steps[0].excluded,
            beams=np.concatenate([np.array(own, dtype=np.int64) + lists.possible for lists, own in scored]),
            possible=self.possible,
        )
        return open_positions(self.index, tables)

    def _shares(self, part: Callable[[BeamScores], torch.Tensor]) -> np.ndarray:
        return self._joined(part).exp().double().cpu().numpy()


class StepArrays:
    """One of these steps.

    Attributes:
        before, beams: the beams before, None at the start, and those kept.
        expanded: the numbers of those before that the scores have a row for.
    """

    def __init__(self, together: StepsTogether, number: int):
        self.together, self.number = together, number
        self.index, self.step = together.index, together.steps[number]
        self.before, self.beams = together.before[number], together.now[number]
        self.expanded = together.expanded[number]
        self.items_left = together.items_left[number]

    @cached_property
    def row_of(self) -> dict[int, int]:
        """The row of `logp` of each expanded beam."""
        first = self.together.rows[self.number].start
        return {beam: first + row for row, beam in enumerate(self.expanded)}

    @property
    def logp(self) -> np.ndarray:
        """(A, T), log-probability of each code, -inf where illegal; of all steps together, see `row_of`."""
        return self.together.logp

    @cached_property
    def opened(self) -> list[Opened]:
        """The open positions of each expanded beam."""
        return self.together.opened[self.together.rows[self.number]]

    @cached_property
    def expanded_user(self) -> np.ndarray:
        """(A,), whose beam each row of the scores is."""
        return self.before.user[self.expanded] if self.expanded else np.zeros(0, dtype=np.int64)

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

    def possible(self, beam: int) -> tuple[int, ...]:
        """Rows of the first items of a beam kept."""
        return self.together.possible_of_beams[self.beams.possible + beam]

    # -- candidates ----------------------------------------------------------------------------------------------------

    @cached_property
    def _lost(self) -> tuple[np.ndarray, list[Lost]]:
        """The best candidates of each user that were not kept, by user and then best first; the user of each before."""
        c = self.step.candidates
        score = c.score.cpu().numpy()
        open_ = np.isfinite(score)
        open_[c.kept.cpu().numpy()] = False
        which = np.flatnonzero(open_)
        user = self.before.user[c.parent.cpu().numpy()[which]]
        order = np.lexsort((-score[which], user))
        user = user[order]
        listed = np.arange(len(user)) - np.searchsorted(user, user) < DROPPED
        which = torch.from_numpy(which[order][listed]).to(c.parent.device)
        merged = [False] * len(which) if c.merged_into is None else (c.merged_into[which] >= 0).tolist()
        columns = (c.codes(which).tolist(), c.score[which].tolist(), c.parent[which].tolist(), merged)
        return user[listed], list(zip(*columns, strict=True))

    def lost_of(self, user: int) -> list[Lost]:
        """The best candidates of one user that were not kept, at most DROPPED."""
        users, lost = self._lost
        return lost[slice(*np.searchsorted(users, [user, user + 1]))]
