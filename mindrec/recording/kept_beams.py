"""The beams that some steps kept, as the trace's records: those of all steps and users of a batch at once.

Shape legend: S beams kept, L levels, R positions filled.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mindrec.recording.many_records import maker
from mindrec.recording.rounding import six_digits_all
from mindrec.trace.records import Beam, Reveal

if TYPE_CHECKING:
    from mindrec.recording.step_arrays import StepsTogether

_beams, _reveals = maker(Beam), maker(Reveal)


def kept_beams(together: "StepsTogether") -> list[list[Beam]]:
    """The records of the beams that each step kept, in the order of its beams."""
    beams, kept = together.beams, together.kept
    parent = together.parent_of[kept]
    codes, has_parent = beams.codes[kept], parent >= 0
    complete = (beams.items[kept] == 1) & (codes >= 0).all(1)
    columns = (
        [tuple([None if code < 0 else code for code in row]) for row in codes.tolist()],
        six_digits_all(beams.score[kept]).tolist(),
        _or_none(beams.rank[parent], has_parent),
        _filled(together, codes, parent, kept),
        beams.items[kept].tolist(),
        _or_none(together.possible.first_of(kept), complete),
    )
    records = _beams(*columns)
    ends = np.cumsum([0, *(len(step.beams.user) for step in together.steps)]).tolist()
    return [records[first:end] for first, end in pairwise(ends)]


def _filled(
    together: "StepsTogether", codes: np.ndarray, parent: np.ndarray, kept: np.ndarray
) -> list[tuple[Reveal, ...]]:
    """The positions that each beam (S,) has filled since its parent; one that was chosen comes before those that only
    followed from it.

    Args:
        codes: (S, L), of the beams.
        parent: (S,), the number of each one's parent among all beams, -1 at the start.
        kept: (S,), the beams' own numbers.
    """
    beams = together.beams
    new = (codes >= 0) & ((beams.codes[parent] < 0) | (parent < 0)[:, None])
    forced = beams.forced[kept]
    single = ((new & ~forced).sum(1) == 1) & (parent >= 0)
    beam, position = np.nonzero(new)
    order = (2 * beam + (forced[beam, position] & (parent[beam] >= 0))).argsort(kind="stable")
    beam, position = beam[order], position[order]
    code, follows = codes[beam, position], forced[beam, position]
    share, known = np.ones(len(beam)), single[beam] & ~follows
    if known.any():
        share[known] = six_digits_all(_shares(together, kept[beam[known]], position[known], code[known]))
    columns = (position.tolist(), code.tolist(), _or_none(share, known | follows), follows.tolist())
    records = _reveals(*columns)
    ends = new.sum(1).cumsum().tolist()
    return [tuple(records[first:end]) for first, end in pairwise([0, *ends])]


def _shares(together: "StepsTogether", beam: np.ndarray, position: np.ndarray, code: np.ndarray) -> np.ndarray:
    """The probability (R,) that each of some beams, by number, gave the code that it filled a position with."""
    beams, parent = together.beams, together.parent_of[beam]
    logp = together.logp[together.row_of[parent], together.offsets[position] + code].astype(np.float64)
    logp = np.where(np.isfinite(logp), logp, beams.score[beam] - beams.score[parent])
    return np.exp(np.minimum(logp, 0.0))


def _or_none(values: np.ndarray, there: np.ndarray) -> list:
    """The values as a list, None where they are not there."""
    return [value if yes else None for value, yes in zip(values.tolist(), there.tolist(), strict=True)]
