"""From the search's tensors to the trace's records, for one user of a batch.

Shape legend: A beams looked at, S beams, L levels, T tokens, N items.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.opinions import normalise
from mindrec.decoding.state import rank_within
from mindrec.decoding.trace import Alternative, Beam, DecodeStep, Dropped, GoldStep, OpenPosition, Opinion, Reveal
from mindrec.tokens.item_index import ItemIndex, Members

ALTERNATIVES = 8
ILLEGAL = 2
DROPPED = 12


@dataclass(frozen=True)
class Recorder:
    """Turns `Step`s into `DecodeStep`s.

    Attributes:
        index: of the catalog.
        user: which user of the batch.
        gold: row of the true next item, if known.
        alternatives: legal codes listed at each open position, besides up to two likely illegal ones.
        dropped: candidates listed below the cut.
    """

    index: ItemIndex
    user: int = 0
    gold: int | None = None
    alternatives: int = ALTERNATIVES
    dropped: int = DROPPED

    @cached_property
    def _codes_NL(self) -> np.ndarray:
        return (self.index.tokens_NL - self.index.offsets).cpu().numpy()

    def record(self, steps: Iterator[Step]) -> Iterator[DecodeStep]:
        for step in steps:
            yield self.step(step)

    def step(self, step: Step) -> DecodeStep:
        beams = step.beams
        mine = (beams.user == self.user).nonzero()[:, 0]
        items_left = int(beams.items[mine].sum())
        if isinstance(beams.members, Members):
            here = beams.user[beams.members.state] == self.user
            items_left = len(beams.members.item[here].unique())
        opinions, dropped = (), ()
        if step.before is not None:
            opinions, dropped = self._opinions(step), self._dropped(step, mine)
        return DecodeStep(
            index=step.index,
            opinions=opinions,
            beams=tuple(self._beam(step, int(s)) for s in mine),
            dropped=dropped,
            coverage=None if step.coverage is None else float(step.coverage[self.user]),
            items_left=items_left,
            nfe=int(step.nfe[self.user]),
            rows=int(step.rows[self.user]),
            gold=None if self.gold is None else gold_step(self.index, step, self.user, self.gold),
        )

    def _beam(self, step: Step, s: int) -> Beam:
        beams = step.beams
        codes = beams.codes[s].tolist()
        parent, revealed = None, ()
        if step.before is not None:
            p = int(beams.parent[s])
            parent = int(step.before.rank[p])
            revealed = self._reveals(step, s, p)
        elif beams.codes[s].max() >= 0:
            revealed = tuple(
                Reveal(n, c, None if not beams.forced[s, n] else 1.0, bool(beams.forced[s, n]))
                for n, c in enumerate(codes)
                if c >= 0
            )
        item = None
        if int(beams.items[s]) == 1 and min(codes) >= 0:
            item = int(beams.members.item[beams.members.state == s][0])
        return Beam(
            codes=tuple(None if c < 0 else c for c in codes),
            score=float(beams.score[s]),
            parent=parent,
            revealed=revealed,
            items=int(beams.items[s]),
            item=item,
        )

    def _reveals(self, step: Step, s: int, parent: int) -> tuple[Reveal, ...]:
        new = (step.beams.codes[s] >= 0) & (step.before.codes[parent] < 0)
        gain = float(step.beams.score[s] - step.before.score[parent])
        single = int((new & ~step.beams.forced[s]).sum()) == 1
        out = []
        for position in new.nonzero()[:, 0].tolist():
            forced = bool(step.beams.forced[s, position])
            p = 1.0 if forced else float(np.exp(self._logp(step, parent, position, s, gain))) if single else None
            out.append(Reveal(position, int(step.beams.codes[s, position]), p, forced))
        # A position that was chosen comes before those that only followed from it.
        return tuple(sorted(out, key=lambda r: (r.forced, r.position)))

    def _logp(self, step: Step, parent: int, position: int, s: int, gain: float) -> float:
        row = (step.looked == parent).nonzero()[:, 0]
        token = int(self.index.offsets[position]) + int(step.beams.codes[s, position])
        value = float(step.opinions.logp[int(row[0]), token])
        return min(value, 0.0) if np.isfinite(value) else min(gain, 0.0)

    def _opinions(self, step: Step) -> tuple[Opinion, ...]:
        mine = (step.before.user[step.looked] == self.user).nonzero()[:, 0]
        if not len(mine):
            return ()
        opinions, sizes = step.opinions, self.index.level_sizes
        raw = opinions.raw[mine]
        raw_p = torch.cat([part.softmax(1) for part in raw.split(sizes, 1)], 1).double().cpu().numpy()
        legal = opinions.legal[mine]
        token_p = normalise(raw, legal > 0, sizes).exp().double().cpu().numpy()
        p = opinions.logp[mine].exp().double().cpu().numpy()
        evidence = None if opinions.evidence is None else opinions.evidence[mine].double().cpu().numpy()
        legal, offsets = legal.cpu().numpy(), self.index.offsets.tolist()
        out = []
        for n, row in enumerate(mine.tolist()):
            place = int(step.looked[row])
            codes = step.before.codes[place].cpu().numpy()
            chosen = step.chosen[row].nonzero()[:, 0].tolist()
            positions = []
            for position in np.flatnonzero(codes < 0).tolist():
                own = slice(offsets[position], offsets[position] + sizes[position])
                spread = p[n, own][p[n, own] > 0]
                positions.append(
                    OpenPosition(
                        position=position,
                        entropy=float(-(spread * np.log(spread)).sum()),
                        legal=float(raw_p[n, own][legal[n, own] > 0].sum()),
                        alternatives=self._alternatives(
                            codes,
                            position,
                            p[n, own],
                            raw_p[n, own],
                            token_p[n, own],
                            None if evidence is None else evidence[n, own],
                            legal[n, own],
                        ),
                    )
                )
            out.append(Opinion(int(step.before.rank[place]), tuple(chosen), tuple(positions)))
        return tuple(out)

    def _alternatives(self, codes, position, p, raw, token, evidence, legal) -> tuple[Alternative, ...]:
        best = [c for c in np.argsort(-p, kind="stable")[: self.alternatives].tolist() if p[c] > 0]
        likely = [c for c in np.argsort(-raw, kind="stable")[: self.alternatives].tolist() if legal[c] == 0]
        return tuple(
            Alternative(
                code=c,
                p=float(p[c]),
                raw=float(raw[c]),
                token=float(token[c]),
                evidence=None if evidence is None else float(evidence[c]),
                items=int(legal[c]),
                why=None if legal[c] else self._why(codes, position, c),
            )
            for c in best + likely[:ILLEGAL]
        )

    def _why(self, codes: np.ndarray, position: int, code: int) -> str:
        """Whether the catalog has no such item, or only items that were ruled out."""
        known = np.flatnonzero(codes >= 0)
        table = self._codes_NL
        agree = (table[:, known] == codes[known]).all(1) & (table[:, position] == code)
        return "excluded" if agree.any() else "illegal"

    def _dropped(self, step: Step, mine: torch.Tensor) -> tuple[Dropped, ...]:
        """The best candidates that were not kept: the lost by score, then paths that another one took over."""
        c, before = step.candidates, step.before
        user = before.user[c.parent]
        lost = (user == self.user) & c.score.isfinite()
        lost[c.kept] = False
        which = lost.nonzero()[:, 0]
        which = which[c.score[which].argsort(descending=True, stable=True)][: self.dropped]
        worst = float(step.beams.score[mine].min()) if len(mine) else 0.0
        out = []
        for n, codes in zip(which.tolist(), c.codes(which).tolist(), strict=True):
            parent = int(c.parent[n])
            new = [p for p, code in enumerate(codes) if code >= 0 and int(before.codes[parent, p]) < 0]
            merged = c.merged_into is not None and int(c.merged_into[n]) >= 0
            out.append(
                Dropped(
                    codes=tuple(None if v < 0 else v for v in codes),
                    score=float(c.score[n]),
                    parent=int(before.rank[parent]),
                    position=new[0] if new else -1,
                    code=codes[new[0]] if new else -1,
                    why="merged" if merged else "cut",
                    behind=worst - float(c.score[n]),
                )
            )
        return tuple(out)


def gold_step(index: ItemIndex, step: Step, user: int, gold: int) -> GoldStep:
    """Where one known item stands after a step."""
    beams, margin = gold_standing(index, step, torch.tensor([user]), torch.tensor([gold]))
    ranks = rank_within(step.beams.user)[beams[:, 0]]
    return GoldStep(
        beams=int(beams.sum()),
        rank=int(ranks.min()) if len(ranks) else None,
        margin=None if not bool(margin.isfinite()[0]) else float(margin[0]),
    )


def gold_standing(
    index: ItemIndex, step: Step, users: torch.Tensor, gold: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """For known items (G,) of some users: which beams can still become each, and by how much each was cut.

    Returns:
        beams: bool (S, G).
        margin: float64 (G,), worst kept score minus the best candidate that could become it; -inf at the start,
            +inf where no candidate could.
    """
    users, gold = users.to(step.beams.user.device), gold.to(step.beams.user.device)
    codes = index.tokens_NL[gold] - index.offsets
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
    codes = index.tokens_NL[gold] - index.offsets
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
