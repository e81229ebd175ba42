"""Cells as people's exports hold them: words for "missing", numbers that became floats, lists written as text."""

import ast
import json
import re
from collections.abc import Iterable

from mindrec.data.ids import MISSING

SCIENTIFIC = re.compile(r"^[+-]?[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+$")
MAX_CELL = 20_000

_CURRENCY = re.compile(r"[\s\u00a0\u202f$€£]")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NUMPY = re.compile(r"['\"]\s+['\"]")
_PATH_SIGNS = re.compile(r"\s*(?:>|\|)\s*")


def is_missing(value: object) -> bool:
    """Whether a cell stands for no value: None, a float that is no number, or a word for it."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return isinstance(value, str) and value.strip() in MISSING


def present(value: object) -> object | None:
    """The value, or None where it stands for none."""
    return None if is_missing(value) else value


def number(text: str) -> float | None:
    """A number as people write it: 4.5, 4,5, 1.234,50, 1,234.50, $ 12; None where a text is none.

    A single comma is a decimal comma: a sheet that writes thousands with commas writes a point as well.
    """
    plain = _CURRENCY.sub("", text)
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma > point >= 0 or (comma >= 0 > point and plain.count(",") == 1):
        plain = plain.replace(".", "").replace(",", ".")
    else:
        plain = plain.replace(",", "")
    try:
        value = float(plain)
    except ValueError:
        return None
    return value if value - value == 0 else None


def path_names(cell: object, separator: str | None = None) -> list[object]:
    """Names of a category cell, coarse to fine.

    A cell is a list, a list written as text (Python, JSON, numpy), names with `separator` between them, or with `>` or
    `|` where no separator is given. Of several paths the deepest is taken, the first of equals.
    """
    if isinstance(cell, str):
        listed = _list_of_text(cell.strip())
        if listed is None:
            return _split(cell, separator)
        cell = listed
    elif hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, (list, tuple)):
        paths = [list(part) for part in cell if isinstance(part, (list, tuple))]
        names = max(paths, key=len) if paths else list(cell)
        names = [name for name in names if not is_missing(name)]
        return [part for name in names for part in _split(str(name), separator)] if separator else names
    return [] if is_missing(cell) else [cell]


def _split(text: str, separator: str | None) -> list[str]:
    if separator:
        names: Iterable[str] = text.split(separator)
    elif "<" in text:  # markup, which holds > as well
        names = [text]
    else:
        names = _PATH_SIGNS.split(text)
    return [name.strip() for name in names if not is_missing(name)]


def _list_of_text(text: str) -> list | None:
    """The list that a text spells, None where it spells none. Text is read as data and never run."""
    if len(text) > MAX_CELL or text[:1] + text[-1:] not in ("[]", "()"):
        return None
    if _NUMPY.search(text):  # Python would glue 'a' 'b' together into one name
        inner = re.findall(r"\[([^\[\]]*)\]", text) if text.startswith("[[") else [text]
        rows = [[single or double for single, double in _QUOTED.findall(row)] for row in inner]
        return rows if len(rows) > 1 else rows[0]
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(value, (list, tuple)):
            return list(value)
    if text[0] == "[":
        return [name.strip() for name in text[1:-1].split(",")]
    return None
