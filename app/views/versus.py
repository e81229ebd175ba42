"""Two traces on one timeline: which steps stand side by side, and where the searches part. Pure."""

from collections.abc import Mapping, Sequence
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
    return laid_over(len(left.steps) - 1, len(right.steps) - 1)


def laid_over(left: int, right: int) -> list[tuple[int, int]]:
    """Pairs of steps of two sides, given the number of the last step of each."""
    longest = max(left, right, 1)
    return [(_at(n, left, longest), _at(n, right, longest)) for n in range(longest + 1)]


def _at(frame: int, last: int, longest: int) -> int:
    return (2 * frame * last + longest) // (2 * longest)  # the nearest step; halves go up, on both sides alike


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
    """Readable names of a beam's filled positions: two tokenizers may number one category differently."""
    filled = ((position, code) for position, code in enumerate(beam.codes) if code is not None)
    return {position: trace.labels[position].get(str(code), str(code)) for position, code in filled}


def results_of(left: DecodeTrace, right: DecodeTrace) -> dict[str, list[dict]]:
    """Recommended items in three lists: shared, only_left, only_right; ranks count from 1."""
    rows = [[r.row for r in sorted(trace.results, key=lambda r: r.rank)] for trace in (left, right)]
    names = {item.row: item.title for trace in (left, right) for item in trace.items}
    gold = {trace.gold.row for trace in (left, right) if trace.gold is not None}
    return in_lists(*rows, names, gold)


def in_lists(left: Sequence[int], right: Sequence[int], names: Mapping[int, str], gold: set) -> dict[str, list[dict]]:
    """Two rankings of item rows, best first, in three lists: shared, only_left, only_right; ranks count from 1."""
    ranks = [{row: n for n, row in enumerate(rows, 1)} for rows in (left, right)]
    out: dict[str, list[dict]] = {"shared": [], "only_left": [], "only_right": []}
    for row in dict.fromkeys([*left, *right]):
        a, b = ranks[0].get(row), ranks[1].get(row)
        kind = "shared" if a and b else "only_left" if a else "only_right"
        out[kind].append({"title": names[row], "left": a, "right": b, "gold": row in gold})
    return out
