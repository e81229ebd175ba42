"""What a semantic-ID code decides, in the names of items: those that a partial answer can still become.

A code of a semantic ID refines a category, so that it means nothing by itself: only together with the tokens before it
does it stand for items that a person knows. The trace tells the codes and how many items are left; the catalog's codes
tell which.
"""

from collections.abc import Sequence

import numpy as np

from mindrec.data.catalog import Item
from mindrec.trace.records import DecodeStep, DecodeTrace

NAMED = 3
"""Items named for each code; the rest are a number, which the trace knows."""


def speaks(trace: DecodeTrace, codes_NL: np.ndarray) -> bool:
    """Whether a trace's tokens are these: two checkpoints of one catalog may name its items by other codes."""
    if len(trace.levels) != codes_NL.shape[1] or max((i.row for i in trace.items), default=0) >= len(codes_NL):
        return False
    complete = [beam for beam in trace.steps[-1].beams if beam.item is not None]
    return all(tuple(codes_NL[beam.item]) == beam.codes for beam in complete if beam.item < len(codes_NL))


def possible_view(trace: DecodeTrace, codes_NL: np.ndarray, items: Sequence[Item]) -> dict:
    """Rows of the first items that each partial answer of a trace can still become, as plain JSON values.

    Args:
        codes_NL: codes of every item of the trace's catalog, (N, L).
        items: of the catalog, (N,).

    Returns:
        beams: for each step and beam, its rows.
        others: for each step and opinion, for each open position, the rows of its alternatives; None for a category
            level, whose names need no help.
        dropped: for each step, the rows of each dropped candidate.
        titles: row -> title of every row named here.
    """
    possible = Possible(trace, codes_NL, items)
    for step in trace.steps:
        possible.add(step)
    return possible.view()


def token_rows(trace: DecodeTrace, codes_NL: np.ndarray, position: int, code: int) -> tuple[list[int], int]:
    """The first items with a code, among those that the other pins allow, and how many there are."""
    rows = _allowed(trace, codes_NL)
    for place, pinned in trace.config.get("pins", ()):
        if place != position:
            rows = rows[codes_NL[rows, place] == pinned]
    rows = rows[codes_NL[rows, position] == code]
    return rows[:NAMED].tolist(), len(rows)


class Possible:
    """Follows the items of every beam of a trace through its steps, which are added one by one."""

    def __init__(self, trace: DecodeTrace, codes_NL: np.ndarray, items: Sequence[Item]):
        self.codes_NL, self.items = codes_NL, items
        self.depth = sum(level.kind == "category" for level in trace.levels)
        free = _allowed(trace, codes_NL)
        for position, code in trace.config.get("forbid_tokens", ()):
            free = free[codes_NL[free, position] != code]
        self.before, self.beams = (), [free]
        self.named: set[int] = set()
        self.steps: list[dict] = []

    def view(self, after: int = 0) -> dict:
        """What `possible_view` gives, of the steps from `after` on."""
        view = {key: [step[key] for step in self.steps[after:]] for key in ("beams", "others", "dropped")}
        return view | {"titles": {str(row): self.items[row].title for row in sorted(self.named)}}

    def add(self, step: DecodeStep) -> None:
        """Read the next step."""
        above, states = self.before, self.beams
        if step.index == 0:
            rows = [self._fit(states[0], (None,) * self.codes_NL.shape[1], beam.codes) for beam in step.beams]
        else:
            rows = [self._fit(states[b.parent], above[b.parent].codes, b.codes) for b in step.beams]
        told = {
            "beams": [self._first(found) for found in rows],
            "others": [[self._others(states[o.beam], place) for place in o.open] for o in step.opinions],
            "dropped": [self._first(self._fit(states[d.parent], above[d.parent].codes, d.codes)) for d in step.dropped],
        }
        self.before, self.beams = step.beams, rows
        self.steps.append(told)

    def _others(self, rows: np.ndarray, place) -> list[list[int]] | None:
        if place.position < self.depth:
            return None
        codes = self.codes_NL[rows, place.position]
        asked = np.array([other.code for other in place.alternatives])
        order = codes.argsort(kind="stable")
        sorted_codes, led = codes[order], rows[order]
        first, end = sorted_codes.searchsorted(asked), sorted_codes.searchsorted(asked, "right")
        return [self._first(led[a:b]) for a, b in zip(first.tolist(), end.tolist(), strict=True)]

    def _fit(self, rows: np.ndarray, was: Sequence[int | None], now: Sequence[int | None]) -> np.ndarray:
        for position, code in enumerate(now):
            if code is not None and code != was[position]:
                rows = rows[self.codes_NL[rows, position] == code]
        return rows

    def _first(self, rows: np.ndarray) -> list[int]:
        first = rows[:NAMED].tolist()
        self.named.update(first)
        return first


def _allowed(trace: DecodeTrace, codes_NL: np.ndarray) -> np.ndarray:
    """Rows that may be recommended: those that the search names lead, best first, the others follow in their order."""
    free = np.ones(len(codes_NL), dtype=bool)
    if trace.config.get("exclude_seen") and trace.config.get("constraint") == "exact":
        free[list(trace.history)] = False
    free[list(trace.config.get("forbid_items", ()))] = False
    led = [result.row for result in trace.results if free[result.row]]
    free[led] = False
    return np.concatenate([np.array(led, dtype=np.int64), free.nonzero()[0]])
