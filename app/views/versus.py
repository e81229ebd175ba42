"""Two traces on one timeline: which steps stand side by side, and where the searches part. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from mindrec.trace.records import Beam, DecodeTrace


@dataclass(frozen=True)
class Parting:
    """Where two searches first differ in their leading answers.

    Attributes:
        kind: "token" (another code at a position), "order" (other positions filled) or "none".
        frame: its place on the shared timeline; None for "none".
        left, right: positions that differ: the same one for "token".
    """

    kind: str
    frame: int | None = None
    left: int | None = None
    right: int | None = None


def timeline(left: DecodeTrace, right: DecodeTrace) -> list[tuple[int, int]]:
    """Pairs of steps. Searches of unequal length are laid over each other by progress, not by step number."""
    a, b = len(left.steps) - 1, len(right.steps) - 1
    most = max(a, b, 1)
    return [(_at(n, a, most), _at(n, b, most)) for n in range(most + 1)]


def _at(frame: int, last: int, most: int) -> int:
    return (2 * frame * last + most) // (2 * most)  # the nearest step; halves go up, on both sides alike


def parting(left: DecodeTrace, right: DecodeTrace, frames: Sequence[tuple[int, int]]) -> Parting:
    """The first frame at which the leading beams cannot be two stages of one answer."""
    for frame, (a, b) in enumerate(frames):
        if not left.steps[a].beams or not right.steps[b].beams:
            continue
        ours, theirs = _named(left, left.steps[a].beams[0]), _named(right, right.steps[b].beams[0])
        for position in sorted(ours.keys() & theirs.keys()):
            if ours[position] != theirs[position]:
                return Parting("token", frame, position, position)
        only_left, only_right = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
        if only_left and only_right:
            return Parting("order", frame, only_left[0], only_right[0])
    return Parting("none")


def _named(trace: DecodeTrace, beam: Beam) -> dict[int, str]:
    """What a beam has filled, by position, in readable names: two tokenizers may number one category differently."""
    filled = ((position, code) for position, code in enumerate(beam.codes) if code is not None)
    return {position: trace.labels[position].get(str(code), str(code)) for position, code in filled}


def results_of(left: DecodeTrace, right: DecodeTrace) -> dict[str, list[dict]]:
    """Recommended items in three lists: shared, only_left, only_right; ranks count from 1."""
    ranks = [{r.row: r.rank + 1 for r in trace.results} for trace in (left, right)]
    names = {item.row: item.title for trace in (left, right) for item in trace.items}
    gold = {trace.gold.row for trace in (left, right) if trace.gold is not None}
    rows = list(dict.fromkeys([r.row for r in left.results] + [r.row for r in right.results]))
    out: dict[str, list[dict]] = {"shared": [], "only_left": [], "only_right": []}
    for row in rows:
        a, b = ranks[0].get(row), ranks[1].get(row)
        place = "shared" if a and b else "only_left" if a else "only_right"
        out[place].append({"title": names[row], "left": a, "right": b, "gold": row in gold})
    return out
