"""What would have saved it: for each miss, the smallest change of the decode that puts the true item into the first k.

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

from mindrec.data.splits import Case
from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import MAX_BEAMS, DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.orders import ORDERS
from mindrec.diagnosis.kinds import NONE, WITHOUT
from mindrec.diagnosis.pulls import variants
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
    """What saved a miss: a change's name and cost, and the row of an item left out; `NONE` where nothing did."""

    name: str
    cost: float | None
    row: int | None = None

    def told(self, ids: Sequence[str]) -> str:
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


def rescued(told: str, config: DecodeConfig, n_levels: int) -> tuple[DecodeConfig, str | None] | None:
    """What a table's rescue, "setting=value", asks for: settings, and the id of the item that is left out, if one is.

    None where nothing saved the case, or the settings know no such change.
    """
    name, _, value = told.partition("=")
    if name == WITHOUT:
        return config, value
    return next(((change.config, None) for change in changes(config, n_levels) if change.name == told), None)


def rescues(denoiser: Denoiser, index: ItemIndex, missed: Sequence[Case], config: DecodeConfig, k: int) -> list[Rescue]:
    """The smallest change that puts each case's target, which must be possible, into the first k.

    A change that the denoiser refuses, as an order that it does not have, is not tried. Each change is decoded for all
    cases that no smaller one has saved.
    """
    out: list[Rescue | None] = [None] * len(missed)
    for change in changes(config, index.n_levels):
        left = [n for n, found in enumerate(out) if found is None]
        if not left:
            break
        try:
            rows = rank(denoiser, index, [missed[n] for n in left], change.config, batch=BATCH).rows
        except MindRecError:
            continue
        for n, place in zip(left, gold_ranks(rows, np.array([missed[n].target for n in left])), strict=True):
            if 0 <= place < k:
                out[n] = Rescue(change.name, change.cost)
    left = [n for n, found in enumerate(out) if found is None]
    for n, row in zip(left, _without_one(denoiser, index, [missed[n] for n in left], config, k), strict=True):
        out[n] = Rescue(NONE, None) if row is None else Rescue(WITHOUT, LEFT_OUT, row)
    return out


def _without_one(
    denoiser: Denoiser, index: ItemIndex, missed: Sequence[Case], config: DecodeConfig, k: int
) -> list[int | None]:
    """The row of each history that leads away most: without it the target ranks best, and among the first k.

    What was left out is still not recommended.
    """
    asked = [(n, *pair) for n, case in enumerate(missed) for pair in variants(denoiser, index, case.history)]
    best: list[tuple[int, int] | None] = [None] * len(missed)
    for first in range(0, len(asked), BATCH):
        part = asked[first : first + BATCH]
        ranks = _ranks_without(denoiser, index, [(missed[n], rest) for n, _, rest in part], config)
        for (n, row, _), place in zip(part, ranks, strict=True):
            if 0 <= place < k and (best[n] is None or place < best[n][0]):
                best[n] = int(place), row
    return [None if found is None else found[1] for found in best]


def _ranks_without(denoiser, index, part: Sequence[tuple[Case, list[int]]], config: DecodeConfig) -> np.ndarray:
    """Rank of each case's target with the rest of its history, -1 where it is no answer."""
    if config.algorithm == "published":
        rows = rank(denoiser, index, [replace(case, history=tuple(rest)) for case, rest in part], config).rows
    else:
        excluded = rule_out(index, [case.history for case, _ in part], config)
        steps = search(denoiser, index, [rest for _, rest in part], config, full_trace=False, excluded=excluded)
        rows = answers(index, final(steps), len(part), config.beam_size)[0].cpu().numpy()
    return gold_ranks(rows, np.array([case.target for case, _ in part]))
