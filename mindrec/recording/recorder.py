"""From the search's tensors to the trace's records, for one user of a batch.

Shape legend: A beams expanded, S beams, L levels, T tokens, N items.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import rank_within
from mindrec.decoding.item_index import ItemIndex
from mindrec.recording.many_records import maker
from mindrec.recording.step_arrays import StepArrays, StepsTogether
from mindrec.trace.records import Beam, DecodeStep, Dropped, GoldStep, Opinion, Possible, Reveal, six_digits

T = TypeVar("T")
_beams, _dropped = maker(Beam), maker(Dropped)


@dataclass(frozen=True)
class Recorder:
    """Turns `Step`s into `DecodeStep`s.

    Attributes:
        index: of the catalog.
        user: which user of the batch.
        gold: row of the true next item, if known.
    """

    index: ItemIndex
    user: int = 0
    gold: int | None = None

    def record(self, steps: Iterator[Step]) -> Iterator[DecodeStep]:
        """The records of a search's steps, one by one as they come."""
        for step in steps:
            yield self.step(step)

    def step(self, step: Step, arrays: StepArrays | None = None) -> DecodeStep:
        """One step; `arrays` is the same step's, where they were made for the other users of the batch already."""
        arrays = arrays or StepsTogether(self.index, [step]).arrays()[0]
        mine = np.flatnonzero(arrays.beams.user == self.user).tolist()
        opinions, dropped, alternatives, behind = (), (), (), ()
        if step.before is not None:
            opinions, alternatives = self._opinions(arrays)
            dropped = _made(_dropped, self._lost(arrays, mine))
            behind = _behind(arrays, self.user, dropped)
        return DecodeStep(
            index=step.index,
            opinions=opinions,
            beams=_made(_beams, (self._beam(arrays, s) for s in mine)),
            dropped=dropped,
            coverage=None if step.coverage is None else six_digits(step.coverage[self.user]),
            items_left=arrays.items_left.get(self.user, 0),
            nfe=int(step.nfe[self.user]),
            rows=int(step.rows[self.user]),
            gold=None if self.gold is None else gold_step(self.index, step, self.user, self.gold),
            possible=Possible(tuple([arrays.possible(s) for s in mine]), alternatives, behind),
        )

    def _beam(self, arrays: StepArrays, s: int) -> tuple:
        """The fields of a Beam."""
        codes, forced = arrays.beams.codes[s], arrays.beams.forced[s]
        parent, revealed = None, ()
        if arrays.step.before is not None:
            beam = arrays.beams.parent[s]
            parent, revealed = arrays.before.rank[beam], self._reveals(arrays, s, beam)
        elif max(codes) >= 0:
            revealed = tuple(Reveal(n, c, 1.0 if forced[n] else None, forced[n]) for n, c in enumerate(codes) if c >= 0)
        alone = arrays.beams.items[s] == 1 and min(codes) >= 0
        return (
            tuple([None if c < 0 else c for c in codes]),
            six_digits(arrays.beams.score[s]),
            parent,
            revealed,
            arrays.beams.items[s],
            arrays.item_of[s] if alone else None,
        )

    def _reveals(self, arrays: StepArrays, s: int, parent: int) -> tuple[Reveal, ...]:
        codes, was, forced = arrays.beams.codes[s], arrays.before.codes[parent], arrays.beams.forced[s]
        if codes == was:
            return ()
        new = [n for n, code in enumerate(codes) if code >= 0 and was[n] < 0]
        single = sum(not forced[n] for n in new) == 1
        out = []
        for n in new:
            p = 1.0 if forced[n] else None
            if p is None and single:
                p = six_digits(math.exp(self._logp(arrays, parent, n, codes[n], arrays.beams.score[s])))
            out.append(Reveal(n, codes[n], p, forced[n]))
        # A position that was chosen comes before those that only followed from it.
        return tuple(sorted(out, key=lambda r: (r.forced, r.position)))

    def _logp(self, arrays: StepArrays, parent: int, position: int, code: int, score: float) -> float:
        value = float(arrays.logp[arrays.row_of[parent], self.index.levels.offsets[position] + code])
        return min(value if math.isfinite(value) else score - arrays.before.score[parent], 0.0)

    def _opinions(self, arrays: StepArrays) -> tuple[tuple[Opinion, ...], tuple]:
        """What was thought of each expanded beam, and the first items behind each alternative."""
        rows = np.flatnonzero(arrays.expanded_user == self.user).tolist()
        ranks = [arrays.before.rank[arrays.expanded[row]] for row in rows]
        chosen = [tuple([n for n, on in enumerate(arrays.chosen[row]) if on]) for row in rows]
        opened = [arrays.opened[row] for row in rows]
        triples = zip(ranks, chosen, opened, strict=True)
        opinions = tuple([Opinion(rank, on, found.positions, found.sides) for rank, on, found in triples])
        return opinions, tuple([found.possible for found in opened])

    def _lost(self, arrays: StepArrays, mine: list[int]) -> Iterator[tuple]:
        """The fields of each Dropped: the lost by score, then paths that another one took over."""
        worst = min((arrays.beams.score[s] for s in mine), default=0.0)
        for codes, score, parent, taken_over in arrays.lost_of(self.user):
            was = arrays.before.codes[parent]
            new = next((n for n, code in enumerate(codes) if code >= 0 and was[n] < 0), -1)
            yield (
                tuple([None if v < 0 else v for v in codes]),
                six_digits(score),
                arrays.before.rank[parent],
                new,
                codes[new] if new >= 0 else -1,
                "merged" if taken_over else "cut",
                six_digits(worst - score),
            )


def _made(make: Callable[..., list[T]], rows: Iterable[tuple]) -> tuple[T, ...]:
    """Records by a maker, from the fields of each."""
    columns = list(zip(*rows, strict=True))
    return tuple(make(*columns)) if columns else ()


def records(
    index: ItemIndex, steps: Sequence[Step], golds: Sequence[int | None], users: Collection[int]
) -> Iterator[tuple[int, DecodeStep]]:
    """Some steps in a row of one search, recorded together: each with the number of the user it is of.

    Args:
        golds: of every user of the batch.
        users: those to record. Who has no open beam left is done, whatever the others of the batch still need.
    """
    for step, arrays in zip(steps, StepsTogether(index, steps).arrays(), strict=True):
        for user in set(users) & set(arrays.expanded_user.tolist()) if step.index else users:
            yield user, Recorder(index, user, golds[user]).step(step, arrays)


def _behind(arrays: StepArrays, user: int, dropped: tuple[Dropped, ...]) -> tuple[tuple[int, ...], ...]:
    """Rows of the first items that each dropped candidate could have become; none at a category level."""
    behind, single, categories = [()] * len(dropped), [], arrays.index.levels.categories
    possible = arrays.together.possible
    for n, lost in enumerate(dropped):
        if lost.position in categories:
            continue
        beam = arrays.before.first[user] + lost.parent
        was = arrays.before.codes[beam]
        new = {at: code for at, code in enumerate(lost.codes) if code is not None and was[at] < 0}
        if len(new) == 1:
            single.append((n, lost.position, arrays.before.possible + beam, lost.code))
        else:
            behind[n] = tuple(possible.that_fit(arrays.before.possible + beam, new))
    if single:
        numbers, *asked = zip(*single, strict=True)
        for n, rows in zip(numbers, possible.with_codes(*map(np.array, asked)), strict=True):
            behind[n] = rows
    return tuple(behind)


def gold_step(index: ItemIndex, step: Step, user: int, gold: int) -> GoldStep:
    """Where one known item stands after a step: nowhere, if the search rules it out."""
    users, golds = torch.tensor([[user], [gold]], device=step.beams.user.device)
    if step.excluded is not None and not bool(step.excluded.allows(users, golds)):
        return GoldStep(0, None, None)
    beams, margin = gold_standing(index, step, users, golds)
    ranks = rank_within(step.beams.user)[beams[:, 0]]
    return GoldStep(
        beams=int(beams.sum()),
        rank=int(ranks.min()) if len(ranks) else None,
        margin=None if not bool(margin.isfinite()[0]) else six_digits(margin[0]),
    )


def gold_standing(
    index: ItemIndex, step: Step, users: torch.Tensor, gold: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """For known items (G,) of some users: which beams can still become each, and by how much each was cut.

    By their codes alone: an item that the search rules out may agree with a beam that cannot become it.

    Returns:
        beams: bool (S, G).
        margin: float64 (G,), worst kept score minus the best candidate that could become it; -inf at the start,
            +inf where no candidate could.
    """
    users, gold = users.to(step.beams.user.device), gold.to(step.beams.user.device)
    codes = index.levels.codes(index.tokens_NL[gold])
    beams = _agrees(step.beams.codes, step.beams.user, codes, users)
    if step.candidates is None:
        return beams, torch.full((len(gold),), -torch.inf, dtype=torch.float64, device=users.device)
    best = best_gold_candidate(index, step, users, gold)
    own = step.beams.user[:, None] == users
    worst = step.beams.score[:, None].where(own, torch.inf).amin(0)
    found = (best >= 0) & worst.isfinite()
    margin = torch.full_like(worst, torch.inf)
    margin[found] = worst[found] - step.candidates.score[best[found]]
    return beams, margin


def best_gold_candidate(index: ItemIndex, step: Step, users: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """The best candidate of a step that could become each of some known items (G,), int64 (G,); -1 where none could.

    Only candidates of beams that could become the item are looked at, so that the work follows their number.
    """
    c, before = step.candidates, step.before
    codes = index.levels.codes(index.tokens_NL[gold])
    fit = _agrees(before.codes, before.user, codes, users)
    which = (fit.any(1)[c.parent] & c.score.isfinite()).nonzero()[:, 0]
    pair, g = fit[c.parent[which]].nonzero(as_tuple=True)
    filled = c.codes(which)[pair]
    agree = ((filled < 0) | (filled == codes[g])).all(1)
    candidate, g = which[pair[agree]], g[agree]
    score = c.score[candidate]
    top = torch.full((len(gold),), -torch.inf, dtype=score.dtype, device=score.device)
    top.scatter_reduce_(0, g, score, "amax")
    first = score == top[g]
    nowhere = len(c.parent)
    best = torch.full((len(gold),), nowhere, dtype=torch.int64, device=score.device)
    best.scatter_reduce_(0, g[first], candidate[first], "amin")
    return torch.where(best == nowhere, -1, best)


def _agrees(codes: torch.Tensor, owner: torch.Tensor, gold_codes: torch.Tensor, users: torch.Tensor) -> torch.Tensor:
    same = (codes[:, None] < 0) | (codes[:, None] == gold_codes)
    return same.all(-1) & (owner[:, None] == users)
