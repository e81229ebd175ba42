"""Which codes the steps of a trace mention: those that need a name."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from mindrec.trace.records import DecodeStep

_CODE = attrgetter("code")


def mentioned_codes(steps: Iterable[DecodeStep], sizes: Sequence[int]) -> list[set[int]]:
    """The codes of each level in what the steps kept, dropped and thought of open positions.

    Args:
        sizes: how many codes each level has.
    """
    used: list[set] = [set() for _ in sizes]
    for step in steps:
        filled = [beam.codes for beam in step.beams] + [lost.codes for lost in step.dropped]
        for codes, at_level in zip(used, zip(*filled, strict=True), strict=False):
            codes.update(at_level)
        for opinion in step.opinions:
            for opened in opinion.open:
                codes = used[opened.position]
                if len(codes) <= sizes[opened.position]:  # a masked position's None is among them
                    codes.update(map(_CODE, opened.alternatives))
    for codes in used:
        codes.discard(None)
    return used
