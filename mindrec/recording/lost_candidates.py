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
    codes, merged = _codes(together, step, which[listed])
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
    columns: list[tuple[np.ndarray, ...]] = []
    for number, (step, first) in enumerate(zip(together.steps, together.first_before, strict=True)):
        c = step.candidates
        if c is None:
            continue
        score = c.score.cpu().numpy()
        open_ = np.isfinite(score)
        open_[c.kept.cpu().numpy()] = False
        which = np.flatnonzero(open_)
        columns.append((np.full(len(which), number), c.parent.cpu().numpy()[which] + first, score[which], which))
    if not columns:
        return tuple(np.zeros(0, dtype=kind) for kind in (np.int64, np.int64, np.float64, np.int64))
    return tuple(map(np.concatenate, zip(*columns, strict=True)))


def _codes(together: "StepsTogether", step: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes (D, L) of some candidates, ordered by step, and whether another path's state took each over."""
    codes, merged = [np.zeros((0, together.index.n_levels), dtype=np.int64)], [np.zeros(0, dtype=bool)]
    for number in np.unique(step).tolist():
        c = together.steps[number].candidates
        of_step = torch.from_numpy(which[step == number]).to(c.parent.device)
        codes.append(c.codes(of_step).cpu().numpy())
        taken = torch.zeros_like(of_step, dtype=torch.bool) if c.merged_into is None else c.merged_into[of_step] >= 0
        merged.append(taken.cpu().numpy())
    return np.concatenate(codes), np.concatenate(merged)


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
