"""The best candidates that some steps did not keep, as the trace's records: those of all steps and users at once.

Shape legend: C candidates of all steps, D of them listed, L levels.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch

from mindrec.recording.many_records import maker
from mindrec.recording.rounding import six_digits_all
from mindrec.trace.records import Dropped

if TYPE_CHECKING:
    from mindrec.recording.step_arrays import StepsTogether

DROPPED = 12
"""Candidates listed below the cut."""
_COLUMNS = ("score", "parent", "kept")
_dropped = maker(Dropped)
Lost = tuple[tuple[Dropped, ...], tuple[tuple[int, ...], ...]]
"""The candidates that a step lost for one user, and rows of the first items that each could have become."""


def lost_candidates(together: "StepsTogether") -> dict[tuple[int, int], Lost]:
    """The best candidates that each step lost for each user, by (number of the step, user): the cut ones by score, and
    among them paths whose state another one took over."""
    step, parent, score, which = _open(together)
    beams = together.beams
    group = step * (int(beams.user.max(initial=0)) + 1) + beams.user[parent]
    order = np.lexsort((-score, group))
    listed = order[np.arange(len(order)) - np.searchsorted(group[order], group[order]) < DROPPED]
    step, parent, score, group = step[listed], parent[listed], score[listed], group[listed]
    codes, merged = _codes(together, step, parent, which[listed])
    new = (codes >= 0) & (beams.codes[parent] < 0)
    position = np.where(new.any(1), new.argmax(1), -1)
    code = np.where(position >= 0, codes[np.arange(len(codes)), position], -1)
    columns = (
        [tuple([None if value < 0 else value for value in row]) for row in codes.tolist()],
        six_digits_all(score).tolist(),
        beams.rank[parent].tolist(),
        position.tolist(),
        code.tolist(),
        ["merged" if taken else "cut" for taken in merged.tolist()],
        six_digits_all(_worst_kept(together, step, beams.user[parent]) - score).tolist(),
    )
    records, behind = _dropped(*columns), _behind(together, parent, codes, new)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    ends = [*first[1:].tolist(), len(group)]
    keys = zip(step[first].tolist(), beams.user[parent[first]].tolist(), strict=True)
    cuts = map(slice, first.tolist(), ends)
    return {key: (tuple(records[cut]), tuple(behind[cut])) for key, cut in zip(keys, cuts, strict=True)}


def _open(together: "StepsTogether") -> tuple[np.ndarray, ...]:
    """Of all candidates that were possible and not kept: step, parent among all beams, score, number in their step."""
    having = [number for number, step in enumerate(together.steps) if step.candidates is not None]
    if not having:
        return tuple(np.zeros(0, dtype=kind) for kind in (np.int64, np.int64, np.float64, np.int64))
    some = [together.steps[number].candidates for number in having]
    score, parent, kept = (torch.cat([getattr(c, name) for c in some]).cpu().numpy() for name in _COLUMNS)
    counts = [len(c.score) for c in some]
    first = np.cumsum([0, *counts[:-1]])
    open_ = np.isfinite(score)
    open_[kept + np.repeat(first, [len(c.kept) for c in some])] = False
    step, before = np.repeat(having, counts), [together.first_before[number] for number in having]
    which = np.arange(len(score)) - np.repeat(first, counts)
    return tuple(column[open_] for column in (step, parent + np.repeat(before, counts), score, which))


def _codes(
    together: "StepsTogether", step: np.ndarray, parent: np.ndarray, which: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The codes (D, L) of some candidates, ordered by step, and whether another path's state took each over."""
    codes, merged = together.beams.codes[parent], np.zeros(len(step), dtype=bool)
    for number in np.unique(step).tolist():
        c, rows = together.steps[number].candidates, np.flatnonzero(step == number)
        listed = torch.from_numpy(which[rows]).to(c.parent.device)
        if c.group is None:
            token = c.token[listed].cpu().numpy()
            rows, token = rows[token >= 0], token[token >= 0]
            level = np.searchsorted(together.offsets, token, "right") - 1
            codes[rows, level] = token - together.offsets[level]
        else:
            codes[rows] = c.codes(listed).cpu().numpy()
        if c.merged_into is not None:
            merged[step == number] = (c.merged_into[listed] >= 0).cpu().numpy()
    return codes, merged


def _worst_kept(together: "StepsTogether", step: np.ndarray, user: np.ndarray) -> np.ndarray:
    """The lowest score that a step kept for a user, for some steps and users (D,); 0 where it kept none."""
    beams, kept, users = together.beams, together.kept, int(together.beams.user.max(initial=0)) + 1
    of_step = np.repeat(np.arange(len(together.steps)), [len(each.beams.user) for each in together.steps])
    worst = np.full(len(together.steps) * users, np.inf)
    np.minimum.at(worst, of_step * users + beams.user[kept], beams.score[kept])
    lowest = worst[step * users + user]
    return np.where(np.isfinite(lowest), lowest, 0.0)


def _behind(together: "StepsTogether", parent: np.ndarray, codes: np.ndarray, new: np.ndarray) -> list[tuple[int, ...]]:
    """Rows of the first items that each candidate (D,) could have become; none at a category level.

    Args:
        codes, new: (D, L), those of the candidates and where their parents had none.
    """
    position, count = new.argmax(1), new.sum(1)
    wanted = (count == 0) | (position >= together.index.levels.n_categories)
    behind, single = [()] * len(codes), np.flatnonzero(wanted & (count == 1))
    if len(single):
        listed = together.possible.with_codes(position[single], parent[single], codes[single, position[single]])
        for n, rows in zip(single.tolist(), listed, strict=True):
            behind[n] = rows
    for n in np.flatnonzero(wanted & (count != 1)).tolist():
        filled = {at: int(codes[n, at]) for at in np.flatnonzero(new[n]).tolist()}
        behind[n] = tuple(together.possible.that_fit(int(parent[n]), filled))
    return behind
