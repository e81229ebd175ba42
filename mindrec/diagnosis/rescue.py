"""Rescues: for each miss, the smallest change of the decode that puts the true item into the first k.

Changes are tried by cost, and of equal ones in the order of `KINDS`; the first that works is the rescue. The cost says
how deep a change goes:

- twice the beams look further under the same scores: 1, and 1 more each time again; so does one more denoiser step: 1;
- another order, a level left open, votes of several orders ask the same model differently: 2;
- guidance weighs its answer anew: 2 and the change of weight;
- without evidence, or by evidence alone, half of the model is gone: 3;
- with an item of the history left out, it is another question: 4.

A rescue knows the true item. Of some thirty changes one may work by luck, so a rescue explains a case and is no method:
how often a change would have saved a miss says nothing of what it would have cost elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mindrec.data.splits import Case
from mindrec.decoding.config import MAX_BEAMS, DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.orders import ORDERS
from mindrec.decoding.pulls import variants
from mindrec.decoding.rethink import check_rethink, may_find
from mindrec.decoding.target_search import Targets, target_ranks
from mindrec.decoding.without_beams import is_defined
from mindrec.diagnosis.kinds import NONE, WITHOUT
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import rank
from mindrec.evaluation.metrics import gold_ranks
from mindrec.model.denoiser import Denoiser

VOTES = (2, 4)
GUIDANCE = (0.0, 0.25, 0.5, 1.0, 2.0)
BATCH = 64


@dataclass(frozen=True)
class Change:
    """A change of a decode's settings.

    Attributes:
        name: as the table has it, "setting=value".
        cost: how deep it goes.
        config: the settings changed.
    """

    name: str
    cost: float
    config: DecodeConfig


@dataclass(frozen=True)
class Rescue:
    """The change that saved a miss: its name and cost, and the row of an item left out; `NONE` where nothing did."""

    name: str
    cost: float | None
    row: int | None = None

    def label(self, ids: Sequence[str]) -> str:
        """Its name in the table, "setting=value"."""
        return self.name if self.row is None else f"{WITHOUT}={ids[self.row]}"


def _beams(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    """Twice as many, again and again, up to the most that a decode may have."""
    out, beams = [], config.beam_size
    while beams < MAX_BEAMS:
        beams = min(2 * beams, MAX_BEAMS)
        out.append(_changed(config, len(out) + 1, beam_size=beams))
    return out


def _step(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    """One more; where every position has its own already, a second look at the best answer."""
    for name in ("steps", "resolve"):
        value = getattr(config, name)
        if value is not None:
            more = {name: value + 1} if value + 1 < n_levels else {name: None}
            return [_changed(config, 1, **more)]
    return [] if config.rethink else [_changed(config, 1, rethink=True)]


def _order(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    return [_changed(config, 2, order=name) for name in ORDERS if name != config.order]


def _level(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    return [_changed(config, 2, postpone=level) for level in range(n_levels) if level != config.postpone]


def _votes(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    return [_changed(config, 2, votes=number) for number in VOTES if number > config.votes]


def _guidance(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    others = [weight for weight in GUIDANCE if weight != config.guidance]
    return [_changed(config, 2 + abs(weight - config.guidance), guidance=weight) for weight in others]


def _evidence(config: DecodeConfig, n_levels: int) -> list[Change | None]:
    return [_changed(config, 3, evidence=name) for name in ("off", "only") if name != config.evidence]


def _changed(config: DecodeConfig, cost: float, **values) -> Change | None:
    """One setting changed; None where the others forbid it."""
    ((name, value),) = values.items()
    try:
        return Change(f"{name}={str(value).lower()}", cost, replace(config, **values))
    except MindRecError:
        return None


KINDS: dict[str, Callable[[DecodeConfig, int], list[Change | None]]] = {
    "beams": _beams,
    "step": _step,
    "order": _order,
    "level": _level,
    "votes": _votes,
    "guidance": _guidance,
    "evidence": _evidence,
}
"""Changes of settings by kind: given the decode's settings and the number of levels."""
LEFT_OUT = 4.0
"""Cost of a history with one item left out."""


def changes(config: DecodeConfig, n_levels: int) -> list[Change]:
    """All changes of settings, cheapest first."""
    every = [change for of_kind in KINDS.values() for change in of_kind(config, n_levels)]
    return sorted((change for change in every if change is not None), key=lambda change: change.cost)


def rescued(text: str, config: DecodeConfig, n_levels: int) -> tuple[DecodeConfig, str | None] | None:
    """Read a table's rescue, "setting=value": the settings, and the id of the item that is left out, if one is.

    None where nothing saved the case, or the settings know no such change.
    """
    name, _, value = text.partition("=")
    if name == WITHOUT:
        return config, value
    return next(((change.config, None) for change in changes(config, n_levels) if change.name == text), None)


@dataclass(frozen=True)
class Decoded:
    """The facts of missed cases from their decode: what follows from them need not be decoded again.

    Attributes:
        rows: int64 (B, K), the answers.
        score: float64 (B,), the target's log-probability without beams, nan where the settings define none.
    """

    rows: np.ndarray
    score: np.ndarray


def rescues(
    denoiser: Denoiser, index: ItemIndex, missed: Sequence[Case], config: DecodeConfig, k: int, decoded: Decoded
) -> list[Rescue]:
    """The smallest change that puts each case's target, which must be possible, into the first k.

    A change that the denoiser refuses, as an order that it does not have, is not tried. Each change is decoded for all
    cases that no smaller one has saved, as far as it may matter: what equals the plain decode is left out.
    """
    trial = _Trial(denoiser, index, config, decoded, k)
    out: list[Rescue | None] = [None] * len(missed)
    for change in changes(config, index.n_levels):
        left = np.array([n for n, rescue in enumerate(out) if rescue is None], dtype=np.int64)
        try:
            ranks = trial.ranks(missed, left, change)
        except MindRecError:
            continue
        for n, gold_rank in zip(left, ranks, strict=True):
            if 0 <= gold_rank < k:
                out[n] = Rescue(change.name, change.cost)
    left = [n for n, rescue in enumerate(out) if rescue is None]
    for n, row in zip(left, trial.without_one([missed[n] for n in left]), strict=True):
        out[n] = Rescue(NONE, None) if row is None else Rescue(WITHOUT, LEFT_OUT, row)
    return out


class _Trial:
    """Tries changes on the cases of one decode, and remembers for whom more beams are of no use."""

    def __init__(self, denoiser: Denoiser, index: ItemIndex, config: DecodeConfig, decoded: Decoded, k: int):
        self.denoiser, self.index, self.config, self.decoded, self.k = denoiser, index, config, decoded, k
        self.wider_differs = np.ones(len(decoded.rows), dtype=bool)

    def ranks(self, missed: Sequence[Case], left: np.ndarray, change: Change) -> np.ndarray:
        """Rank of the targets of the cases `left` after a change; -1 where it is no answer, or no other than before."""
        setting, floor = change.name.partition("=")[0], None
        tried = left
        if setting == "votes":  # the last beams in another order
            tried = left[[missed[n].target in self.decoded.rows[n] for n in left]]
        if setting == "rethink":
            tried = self._may_rethink(missed, left)
        if setting == "beam_size":
            tried = left[self.wider_differs[left]]
            floor = self.decoded.score if is_defined(self.config) and not self.config.temperature else None
        ranks = np.full(len(missed), -1)
        for first in range(0, len(tried), BATCH):
            which = tried[first : first + BATCH]
            near = None if floor is None else floor[which]
            ranks[which], whole = self._ranks([missed[n] for n in which], change.config, near)
            self.wider_differs[which[whole]] = False
        return ranks[left]

    def _may_rethink(self, missed: Sequence[Case], left: np.ndarray) -> np.ndarray:
        """Those of the cases `left` whose target a second look at their first answer can name."""
        check_rethink(self.denoiser)
        best = self.decoded.rows[:, 0]
        tried = left[[best[n] >= 0 and len(missed[n].history) > 0 for n in left]]
        if not len(tried) or self.config.algorithm == "published":
            return tried
        device, histories = self.index.tokens_NL.device, [missed[n].history for n in tried]
        rows = torch.as_tensor(best[tried], device=device)
        targets = torch.tensor([missed[n].target for n in tried], device=device)
        may = may_find(self.denoiser, self.index, histories, self.config, rows, targets)
        return tried[may.cpu().numpy()]

    def without_one(self, missed: Sequence[Case]) -> list[int | None]:
        """The row of each history that leads away most: without it the target ranks best, and among the first k.

        What was left out is still not recommended.
        """
        shortened = [
            (n, *pair) for n, case in enumerate(missed) for pair in variants(self.denoiser, self.index, case.history)
        ]
        best: list[tuple[int, int] | None] = [None] * len(missed)
        for first in range(0, len(shortened), BATCH):
            part = shortened[first : first + BATCH]
            rests = [rest for _, _, rest in part]
            ranks, _ = self._ranks([missed[n] for n, _, _ in part], self.config, rests=rests)
            for (n, row, _), gold_rank in zip(part, ranks, strict=True):
                if 0 <= gold_rank < self.k and (best[n] is None or gold_rank < best[n][0]):
                    best[n] = int(gold_rank), row
        return [None if saved is None else saved[1] for saved in best]

    def _ranks(
        self,
        part: Sequence[Case],
        config: DecodeConfig,
        floor: np.ndarray | None = None,
        rests: Sequence[Sequence[int]] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank of each target, or -1 where it is no answer; and whether more beams would change nothing.

        Args:
            floor: the targets' log-probabilities without beams, where they are known.
            rests: what is read instead of the histories, which still rule out what they hold.
        """
        if config.algorithm == "published" or config.rethink:
            read = part if rests is None else [replace(c, history=tuple(r)) for c, r in zip(part, rests, strict=True)]
            rows = rank(self.denoiser, self.index, read, config).rows
            return gold_ranks(rows, np.array([case.target for case in part])), np.zeros(len(part), dtype=bool)
        device, histories = self.index.tokens_NL.device, [case.history for case in part]
        targets = Targets(
            torch.tensor([case.target for case in part], device=device),
            None if floor is None else torch.as_tensor(floor, device=device),
        )
        excluded = rule_out(self.index, histories, config)
        read = histories if rests is None else rests
        standings = target_ranks(self.denoiser, self.index, read, config, targets, excluded)
        return standings.rank.cpu().numpy(), standings.whole.cpu().numpy()
