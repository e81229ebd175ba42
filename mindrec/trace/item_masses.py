"""The search's probability of every item at every step, read from a trace and the codes of its catalog.

A partial answer's probability belongs to the items that it can still become. Among them it is divided as the search
itself went on to divide it: a child that was kept has its own score, down to the answers; the rest goes by the
probabilities that the step lists of codes, and of two items with one code by those of the other open positions. Codes
that are not listed share evenly in what the listed ones leave. So an item keeps its mass for as long as a beam can
become it, and the masses of a step sum to the search mass kept.

Shape legend: N items, L levels, M items of a beam.
"""

from collections.abc import Sequence

import numpy as np

from mindrec.trace.records import DecodeTrace, Opinion


def item_masses(trace: DecodeTrace, codes_NL: np.ndarray) -> np.ndarray:
    """Probability of each item at each step, float64 (steps, N).

    A row sums to the exponentials of the scores of the step's beams: the coverage, where the settings define one. Under
    constraint="level" and the published search, a beam that no item fits has no mass here; where paths to one state
    compete (expansion="joint"), an item may stand in several beams, and their masses add.

    Args:
        codes_NL: codes of every item of the trace's catalog.
    """
    return _Masses(trace, codes_NL).all()


class _Masses:
    """Goes through a trace from its last step to its first."""

    def __init__(self, trace: DecodeTrace, codes_NL: np.ndarray):
        self.trace, self.codes_NL = trace, codes_NL
        config = trace.config
        # A state that several paths reach has one parent on record, so that children do not divide it.
        self.divides = config.get("expansion") == "partition" and config.get("algorithm") == "mindrec"
        free = np.ones(len(codes_NL), dtype=bool)
        if config.get("exclude_seen") and config.get("constraint") == "exact":
            free[list(trace.history)] = False
        free[list(config.get("forbid_items", ()))] = False
        for position, code in config.get("forbid_tokens", ()):
            free &= codes_NL[:, position] != code
        self.rows = self._possible(np.flatnonzero(free))

    def all(self) -> np.ndarray:
        masses = np.zeros((len(self.trace.steps), len(self.codes_NL)))
        later: list[np.ndarray] = []
        for step in reversed(self.trace.steps):
            later = [self._beam(step.index, rank, later) for rank in range(len(step.beams))]
            for rows, mass in zip(self.rows[step.index], later, strict=True):
                masses[step.index, rows] += mass
        return masses

    def _possible(self, free: np.ndarray) -> list[list[np.ndarray]]:
        """Rows of the items that each beam of each step can become, ascending: a part of its parent's."""
        out, codes = [[free]], [(None,) * self.codes_NL.shape[1]]
        for step in self.trace.steps:
            rows_of_beams = []
            for beam in step.beams:
                rows, was = out[-1][beam.parent or 0], codes[beam.parent or 0]
                for position, code in enumerate(beam.codes):
                    if code is not None and code != was[position]:
                        rows = rows[self.codes_NL[rows, position] == code]
                rows_of_beams.append(rows)
            out.append(rows_of_beams)
            codes = [beam.codes for beam in step.beams]
        return out[1:]

    def _beam(self, number: int, rank: int, later: Sequence[np.ndarray]) -> np.ndarray:
        """The mass of each item that a beam can become; `later` holds those of the next step's beams."""
        rows = self.rows[number][rank]
        total = float(np.exp(min(self.trace.steps[number].beams[rank].score, 0.0)))
        if not len(rows):
            return np.zeros(0)
        mass, left = np.zeros(len(rows)), np.ones(len(rows), dtype=bool)
        following = self.trace.steps[number + 1] if number + 1 < len(self.trace.steps) else None
        children = () if following is None or not self.divides else enumerate(following.beams)
        for child in (n for n, b in children if b.parent == rank):
            at = np.searchsorted(rows, self.rows[number + 1][child])
            mass[at], left[at] = later[child], False
        opinion = None if following is None else next((o for o in following.opinions if o.beam == rank), None)
        rest = total - float(mass.sum())
        if left.any() and rest > 0:
            share = np.ones(left.sum()) if opinion is None else self._shares(rows[left], opinion)
            mass[left] = rest * share / share.sum() if share.sum() > 0 else rest / left.sum()
        elif mass.sum() > 0:  # all items went on: scores are rounded to six digits, so their sum nearly fits
            mass *= total / mass.sum()
        return mass

    def _shares(self, rows: np.ndarray, opinion: Opinion) -> np.ndarray:
        """How a step's probabilities of codes divide a beam among its items, float64 (M,), in no unit."""
        share = np.ones(len(rows))
        for opened in sorted(opinion.open, key=lambda o: o.position in opinion.chosen):
            codes = self.codes_NL[rows, opened.position]
            here = np.bincount(codes)
            listed = {other.code: other.p for other in opened.alternatives if other.why is None}
            unlisted = np.count_nonzero(here) - sum(code < len(here) and here[code] > 0 for code in listed)
            p = np.full(len(here), max(0.0, 1.0 - sum(listed.values())) / max(1, unlisted))
            for code, value in listed.items():
                if code < len(p):
                    p[code] = value
            if opinion.chosen == (opened.position,):
                # The step gave this code this much, whatever the other positions say of its items.
                share = share / np.maximum(np.bincount(codes, share)[codes], 1e-300)
            share = share * p[codes]
        return share
