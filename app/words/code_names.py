"""The one name of a code: the likeliest item that it leaves where it is revealed, within its beam's category.

As `model.token` of the page's scripts names it. A category has its own name; so has a code of a trace of version 1, by
its keywords.
"""

from collections.abc import Sequence

from app.words.sentences import label
from app.words.watch_words import STAGE
from mindrec.trace.records import Alternative, DecodeTrace


def token_name(trace: DecodeTrace, position: int, code: int, rows: Sequence[int]) -> str:
    """The name of a token that leaves the items of `rows`, the likeliest first."""
    if trace.levels[position].kind == "category" or not rows:
        return label(trace, position, code)
    return _title(trace, rows[0])


def beam_names(trace: DecodeTrace, number: int, rank: int) -> list[str | None]:
    """Names of a beam's tokens after a step, by position; None while masked."""
    names: list[str | None] = [None] * len(trace.levels)
    parent: int | None = rank
    for step in reversed(trace.steps[: number + 1]):
        if parent is None:
            break
        beam = step.beams[parent]
        for reveal in beam.revealed:
            rows = step.possible.beams[parent] if step.possible else ()
            names[reveal.position] = token_name(trace, reveal.position, reveal.code, rows)
        parent = beam.parent
    return names


def alternative_name(trace: DecodeTrace, number: int, position: int, alternative: Alternative) -> str:
    """The name of one of the alternatives that a step saw at a position."""
    step, rows = trace.steps[number], ()
    for o, opinion in enumerate(step.opinions):
        for p, opened in enumerate(opinion.open):
            for a, other in enumerate(opened.alternatives):
                if other is alternative and step.possible and step.possible.alternatives[o][p]:
                    rows = step.possible.alternatives[o][p][a]
    return token_name(trace, position, alternative.code, rows)


def gold_names(trace: DecodeTrace) -> list[str]:
    """Names of the true next item's tokens: as its best beam bore them, and past its loss by the item itself.

    A code that would only say again what one before it says goes by its number.
    """
    gold = trace.gold
    borne: list[str | None] = [None] * len(trace.levels)
    for number, step in enumerate(trace.steps):
        if step.gold is not None and step.gold.rank is not None:
            borne = beam_names(trace, number, step.gold.rank)
    names: list[str] = []
    for position, (name, code) in enumerate(zip(borne, gold.codes, strict=True)):
        name = name or token_name(trace, position, code, (gold.row,))
        again = name in names and trace.levels[position].kind == "semantic"
        names.append(STAGE["code"].format(code=code) if again else name)
    return names


def _title(trace: DecodeTrace, row: int) -> str:
    known = next((item.title for item in trace.items if item.row == row), None)
    return trace.titles[str(row)] if known is None else known
