"""From the search's tensors to the trace's records, for one user of a batch.

Shape legend: S beams, L levels, G known items.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import rank_within
from mindrec.decoding.item_index import ItemIndex
from mindrec.recording.kept_beams import kept_beams
from mindrec.recording.lost_candidates import lost_candidates
from mindrec.recording.many_records import maker
from mindrec.recording.rounding import six_digits_all
from mindrec.recording.step_arrays import StepsTogether
from mindrec.trace.records import DecodeStep, GoldStep, Opinion, Possible, six_digits

_opinion_records = maker(Opinion)


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

    def step(self, step: Step) -> DecodeStep:
        """The record of one step."""
        golds = [None] * self.user + [self.gold]
        return next(record for _, record in records(self.index, [step], golds, {self.user}, every=True))


def records(
    index: ItemIndex,
    steps: Sequence[Step],
    golds: Sequence[int | None],
    users: Collection[int],
    every: bool = False,
) -> Iterator[tuple[int, DecodeStep]]:
    """Some steps in a row of one search, recorded together: each with the number of the user it is of.

    Args:
        golds: of every user of the batch.
        users: those to record. Who has no open beam left is done, whatever the others of the batch still need.
        every: also those who are done.
    """
    together = StepsTogether(index, steps)
    kept, lost, possible = kept_beams(together), lost_candidates(together), together.possible_of_beams
    opinions, alternatives = _opinions(together), together.opened.possible
    owner, expanded = together.beams.user.tolist(), together.beams.user[together.expanded].tolist()
    coverage = None
    if steps[0].coverage is not None:
        coverage = six_digits_all(torch.stack([step.coverage for step in steps]).cpu()).tolist()
    nfe, rows = (torch.stack([getattr(step, name) for step in steps]).tolist() for name in ("nfe", "rows"))
    for number, (step, first) in enumerate(zip(steps, together.first_kept, strict=True)):
        opened = expanded[together.rows[number]]
        for user in users if every or not step.index else set(users) & set(opened):
            mine = [s for s, of in enumerate(owner[first : first + len(step.beams.user)]) if of == user]
            scored = [n for n, of in enumerate(opened, together.rows[number].start) if of == user]
            dropped, behind = lost.get((number, user), ((), ()))
            gold = golds[user]
            yield (
                user,
                DecodeStep(
                    index=step.index,
                    opinions=tuple([opinions[n] for n in scored]),
                    beams=tuple([kept[number][s] for s in mine]),
                    dropped=dropped,
                    coverage=None if coverage is None else coverage[number][user],
                    items_left=together.items_left[number].get(user, 0),
                    nfe=nfe[number][user],
                    rows=rows[number][user],
                    gold=None if gold is None else gold_step(index, step, user, gold),
                    possible=Possible(
                        tuple([possible[first + s] for s in mine]), tuple([alternatives[n] for n in scored]), behind
                    ),
                ),
            )


def _opinions(together: StepsTogether) -> list[Opinion]:
    """Opinions on each beam that the steps expanded."""
    opened, levels = together.opened, range(together.index.n_levels)
    chosen = [tuple(compress(levels, on)) for on in together.chosen]
    return _opinion_records(together.beams.rank[together.expanded].tolist(), chosen, opened.positions, opened.sides)


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
    of_user = step.beams.user[:, None] == users
    worst = step.beams.score[:, None].where(of_user, torch.inf).amin(0)
    known = (best >= 0) & worst.isfinite()
    margin = torch.full_like(worst, torch.inf)
    margin[known] = worst[known] - step.candidates.score[best[known]]
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
