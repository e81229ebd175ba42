"""Ids as people write them: one spelling for each, and the ids that are near one that is unknown."""

import re
from collections.abc import Mapping
from functools import cached_property

MISSING = frozenset(
    ["", "nan", "NaN", "NAN", "NULL", "null", "Null", "None", "none", "NONE", "N/A", "n/a", "NA", "#N/A", "\\N", "<NA>"]
)
"""Spellings that exporters write where there is no value."""

WHOLE_FLOAT = r"^([+-]?(?:0|[1-9][0-9]*))\.0+$"
"""A whole number that became a float. A number with leading zeros is text and stays as it is."""

_WHOLE_FLOAT = re.compile(WHOLE_FLOAT)
_SIGNS = re.compile(r"[\W_]+")
NEAR_SHOWN = 3


def normal_id(value: object) -> str:
    """The one spelling of an id: no blanks around it, and `1001.0` is `1001`; "" where it is missing."""
    text = "" if value is None else str(value).strip()
    if text in MISSING:
        return ""
    if text.endswith("0") and (whole := _WHOLE_FLOAT.match(text)):
        return whole.group(1)
    return text


def loose_id(text: str) -> str:
    """What stays of an id when case, blanks, signs and leading zeros are lost on the way through other programs."""
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
