"""How a recommendation shows itself in a notebook: as plain tables, or as a player that somebody has set.

The library knows no player: the repository's `app.player.use_player()` sets its own.
"""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from mindrec.trace.records import Beam, DecodeStep, DecodeTrace

if TYPE_CHECKING:
    from mindrec.recommendation import Recommendation

SHOWN_BEAMS = 5
"""Beams listed for each step."""

_player: Callable[[DecodeTrace], str] | None = None


def set_player(player: Callable[[DecodeTrace], str] | None) -> None:
    """Show traces by `player`, a function from a trace to HTML; None goes back to plain tables."""
    global _player
    _player = player


def recommendation_html(recommendation: "Recommendation") -> str:
    """A recommendation as HTML with every title escaped: the set player, or its items and, folded, its steps."""
    trace = recommendation.trace
    if trace is not None and _player is not None:
        return _player(trace)
    items = _table(
        ("rank", "item", "category", "probability"),
        ((f.rank, f.item.title, " › ".join(f.item.categories), f"{f.probability:.2%}") for f in recommendation.items),
    )
    steps = "" if trace is None else "".join(_step_html(trace, step) for step in trace.steps[1:])
    return f'<div class="mindrec">{items}{steps}</div>'


def _step_html(trace: DecodeTrace, step: DecodeStep) -> str:
    """One step, folded: its best beams, with the positions that are still masked shown as such."""
    titles = {item.row: item.title for item in trace.items}
    best = step.beams[:SHOWN_BEAMS]
    header = ("beam", *(level.name for level in trace.levels), "log-probability", "items", "item")
    rows = ((n, *_code_names(trace, b), f"{b.score:.3f}", b.items, titles.get(b.item, "")) for n, b in enumerate(best))
    more = f", the best {len(best)} listed" if len(step.beams) > len(best) else ""
    summary = f"Step {step.index}: {len(step.beams)} beams{more}; {step.items_left:,} items possible"
    return f"<details><summary>{escape(summary)}</summary>{_table(header, rows)}</details>"


def _code_names(trace: DecodeTrace, beam: Beam) -> list[str]:
    pairs = zip(beam.codes, trace.labels, strict=True)
    return ["[mask]" if code is None else labels.get(str(code), str(code)) for code, labels in pairs]


def _table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
