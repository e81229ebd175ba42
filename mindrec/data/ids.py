"""Ids as people write them: one spelling for each, and the ids that are near one that is unknown."""

import re
from collections.abc import Mapping
from functools import cached_property

_WORDS = "nan NaN NAN NaT NULL null Null None none NONE N/A n/a NA \\N <NA> undefined (null) (blank) - --"
_SHEET_ERRORS = "#N/A #REF! #VALUE! #NAME? #DIV/0! #NUM! #NULL!"
MISSING = frozenset(["", *_WORDS.split(), *_SHEET_ERRORS.split()])
"""Spellings that exporters write where there is no value."""

UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters without a width, which copying from pages and sheets leaves around a text."""
FORMULA = r'^="(.*)"$'
"""How a sheet's export keeps a number from being read as one."""
WHOLE_FLOAT = r"^([+-]?(?:0|[1-9][0-9]*))\.0+$"
"""A whole number that became a float. A number with leading zeros is text and stays as it is."""

_WHOLE_FLOAT = re.compile(WHOLE_FLOAT)
_FORMULA = re.compile(FORMULA)
_SIGNS = re.compile(r"[\W_]+")
NEAR_SHOWN = 3


def normal_id(value: object) -> str:
    """The one spelling of an id: no blanks around it, and `1001.0` is `1001`; "" where it is missing."""
    text = "" if value is None else str(value).strip()
    if not text.isprintable():
        text = text.strip(UNSEEN).strip()
    if text.startswith('="') and (inner := _FORMULA.match(text)):
        text = inner.group(1).strip()
    if text in MISSING:
        return ""
    if text.endswith("0") and (whole := _WHOLE_FLOAT.match(text)):
        return whole.group(1)
    return text


def loose_id(text: str) -> str:
    """An id without case, blanks, signs and leading zeros, which other programs lose on the way."""
    plain = _SIGNS.sub("", normal_id(text)).casefold()
    return plain.lstrip("0") or plain[:1]


class IdLookup:
    """Rows by id: as it is written, in its one spelling, and the ids near one that is unknown."""

    def __init__(self, row_of: Mapping[str, int]):
        self._row_of = row_of

    def row(self, text: str) -> int | None:
        """The row of an id, None for an unknown one; 1001.0 and " 1001" are 1001, whichever of them has a row."""
        row = self._row_of.get(text)
        return self._normal.get(normal_id(text)) if row is None else row

    def near(self, text: str) -> list[str]:
        """The first ids that differ from an unknown one in leading zeros, case or signs alone."""
        key = loose_id(text)
        return self._near.get(key, [])[:NEAR_SHOWN] if key else []

    def hint(self, text: str) -> str:
        """A question that names the ids near an unknown one; "" where there is none."""
        near = " or ".join(map(repr, self.near(text)))
        return f"did you mean {near}? Leading zeros, case and signs of an id count" if near else ""

    @cached_property
    def _normal(self) -> dict[str, int]:
        return {name: row for text, row in reversed(self._row_of.items()) if (name := normal_id(text))}

    @cached_property
    def _near(self) -> dict[str, list[str]]:
        near: dict[str, list[str]] = {}
        for text in self._row_of:
            near.setdefault(loose_id(text), []).append(text)
        return near
