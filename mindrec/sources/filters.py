"""Rows that are kept: a rating of at least so much, an event of some kinds."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from mindrec.errors import MindRecError
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import guessed
from mindrec.sources.values import number

_RULE = re.compile(r"^(.+?)\s*(>=|<=|!=|=|>|<)\s*(.*)$")
_ORDER = {">=": float.__ge__, "<=": float.__le__, ">": float.__gt__, "<": float.__lt__}


def rules(keep: Sequence[str] | None, min_rating: float | None, columns: Sequence[str], name: str) -> list[tuple]:
    """(column, sign, values) of --keep COLUMN=VALUE,..., COLUMN>=NUMBER and --min-rating.

    Raises:
        MindRecError: a rule that cannot be read, or a column that is not there.
    """
    tests = []
    if min_rating is not None:
        column = guessed("rating", columns)
        if column is None:
            raise MindRecError(f"{name} has no column known as a rating; use --keep COLUMN>={min_rating:g}")
        tests.append((column, ">=", [str(min_rating)]))
    for rule in keep or ():
        match = _RULE.match(rule)
        if not match or match[1] not in columns:
            raise MindRecError(
                f"--keep {rule!r}: give COLUMN=VALUE,... or COLUMN>=NUMBER with a column of {name}: "
                f"{', '.join(map(repr, columns[:40]))}"
            )
        values = [value.strip() for value in match[3].split(",")]
        if match[2] in _ORDER and (len(values) != 1 or number(values[0]) is None):
            raise MindRecError(f"--keep {rule!r}: {match[2]} needs one number")
        tests.append((match[1], match[2], values))
    return tests


def test_of(sign: str, values: Sequence[str]) -> Callable[[str], bool]:
    """Whether a cell passes one rule."""
    if sign in _ORDER:
        bound, order = float(values[0]), _ORDER[sign]

        def passes(cell: str) -> bool:
            value = number(cell)
            return value is not None and order(value, bound)

        return passes
    wanted = {plain for value in values for plain in (value, str(number(value)))} - {"None"}
    keep = sign == "="
    return lambda cell: (cell.strip() in wanted or str(number(cell)) in wanted) is keep


def hint(columns: Sequence[str], head: Sequence[Sequence[str]], name: str, repairs: Repairs) -> None:
    """Say that every row counts where the head of the log holds kinds of events, low ratings or returns."""
    column = guessed("event", columns)
    if column:
        kinds = Counter(row[columns.index(column)] for row in head if len(row) > columns.index(column))
        if 1 < len(kinds) <= 30:
            frequent = ", ".join(kind for kind, _ in kinds.most_common(5))
            repairs.warn(
                f"{name}: every row counts, whatever its {column!r} ({frequent}); --keep {column}=... keeps some"
            )
    column = next((c for c in columns if c.lower() in ("quantity", "qty")), None)
    if column:
        position = columns.index(column)
        if any(len(row) > position and (number(row[position]) or 0) < 0 for row in head):
            repairs.warn(f"{name}: rows with a negative {column!r} (returns) count too; --keep '{column}>0' drops them")
    column = guessed("rating", columns)
    if column:
        position = columns.index(column)
        numbers = [n for row in head if len(row) > position and (n := number(row[position])) is not None]
        if len(set(numbers)) > 1:
            repairs.note(f"{name}: every rating counts alike; --min-rating {max(numbers) * 0.8:g} keeps the high ones")
