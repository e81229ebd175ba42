"""Which codes the steps of a trace mention: those that need a name."""

from collections.abc import Iterable
from operator import attrgetter

from mindrec.trace.records import DecodeStep

_CODE = attrgetter("code")


def mentioned_codes(steps: Iterable[DecodeStep], n_levels: int) -> list[set[int]]:
    """The codes of each level in what the steps kept, dropped and thought of open positions."""
    used: list[set] = [set() for _ in range(n_levels)]
    for step in steps:
        filled = [beam.codes for beam in step.beams] + [lost.codes for lost in step.dropped]
        for codes, at_level in zip(used, zip(*filled, strict=True), strict=False):
            codes.update(at_level)
        for opinion in step.opinions:
            for place in opinion.open:
                used[place.position].update(map(_CODE, place.alternatives))
    for codes in used:
        codes.discard(None)
    return used
