"""A whole column of times as numbers: the form of dates, day or month first, and units are judged by the column.

Shape legend: M rows.
"""

import re
import warnings
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mindrec.data.ids import MISSING
from mindrec.errors import MindRecError

if TYPE_CHECKING:
    import pandas as pd

UNITS = (("seconds", 1e8, 1e11, 1.0), ("milliseconds", 1e11, 1e14, 1e3), ("microseconds", 1e14, 1e17, 1e6))
"""(name, from, below, a second) of numbers that count from 1970; what is larger is nanoseconds."""

SLASHED = re.compile(r"^\s*\d{1,2}([/.-])\d{1,2}\1(?:\d{4}|\d{2})(?!\d)")
_ZONE_NAME = re.compile(r"\s*\b(?:UTC|GMT|Z)$")
_TIME_OF_DAY = r"(?i)^\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]m)?$"
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?$")
_THOUSANDS = re.compile(r"^\s*\d{1,3}(?:,\d{3}){2,}\s*$")
_WEB_LOG = re.compile(r"^\[?(\d{1,2}/[A-Za-z]{3}/\d{4}):(\d\d:\d\d.*?)\]?$")
_DECIMAL_COMMA = re.compile(r"^\s*[+-]?\d+,\d+\s*$")


class TimeColumn:
    """Times as they come, a batch of texts at a time; 8 bytes a row, and 16 more where day and month may be swapped.

    pandas reads dates of any form; it is loaded when there are such, since it weighs more than a million rows.

    Attributes:
        day_first: True or False where the person said it, None to judge by the column.
        time_format: strptime codes where the person gave them.
    """

    def __init__(self, name: str, day_first: bool | None = None, time_format: str | None = None):
        self.name, self.day_first, self.time_format = name, day_first, time_format
        self.values = array("d")  # month first where both readings are possible
        self.swapped_at, self.swapped = (
            array("q"),
            array("d"),
        )  # rows with slashes, and their reading with the day first
        self.differ, self.day_bad, self.month_bad = "", 0, 0
        self.numbers = self.dates = False

    def add(self, texts: Sequence[str]) -> None:
        """Read a batch. A text that is no time becomes NaN."""
        values = None if self.time_format else _plain_numbers(texts)
        if values is not None:
            self.numbers = True
        elif not self.time_format and (values := _iso_dates(texts)) is not None:
            self.dates = True
        else:
            values = self._read(texts)
        self.values.frombytes(values.tobytes())

    def _read(self, texts: Sequence[str]) -> np.ndarray:
        """Seconds or numbers of texts of any form, month first; the other reading is put aside."""
        import pandas as pd

        column = pd.Series(list(texts), dtype=object).astype("string").str.strip()
        column = column.mask(column.isin(MISSING))
        if self.time_format:
            self.dates = True
            return _seconds(pd.to_datetime(column, format=self.time_format, errors="coerce", utc=True))
        marked = column.str.match(_THOUSANDS).fillna(False).to_numpy(bool)
        column = column.where(~marked, column.str.replace(",", "", regex=False))
        decimal = column.str.match(_DECIMAL_COMMA).fillna(False).to_numpy(bool)
        column = column.where(~decimal, column.str.replace(",", ".", regex=False))
        values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan).copy()
        values[~np.isfinite(values)] = np.nan
        rest = np.isnan(values) & column.notna().to_numpy(bool)
        self.numbers |= bool(np.isfinite(values).any())
        if rest.any():
            self.dates = True
            texts = (
                column[rest].str.replace(_WEB_LOG, r"\1 \2", regex=True).str.replace(_ZONE_NAME, "+00:00", regex=True)
            )
            texts = texts.where(texts.str.contains(r"\d:\d\d", regex=True), texts.str.removesuffix("+00:00"))
            values[rest] = parse_dates(texts, day_first=False)
            slashed = texts.str.match(SLASHED).fillna(False).to_numpy(bool)
            if slashed.any():
                at = np.flatnonzero(rest)[slashed]
                day = parse_dates(texts[slashed], day_first=True)
                self.swapped_at.frombytes((len(self.values) + at).astype(np.int64).tobytes())
                self.swapped.frombytes(day.tobytes())
                self._compare(day, values[at], texts[slashed])
        return values

    def _compare(self, day: np.ndarray, month: np.ndarray, texts: "pd.Series") -> None:
        self.day_bad += int((np.isnan(day) & ~np.isnan(month)).sum())
        self.month_bad += int((np.isnan(month) & ~np.isnan(day)).sum())
        apart = np.flatnonzero((day != month) & ~np.isnan(day) & ~np.isnan(month))
        if len(apart) and not self.differ:
            self.differ = str(texts.iloc[apart[0]])

    def finish(self, warn: Callable[[str], None]) -> np.ndarray:
        """float64 (M,): seconds for dates, else the numbers as they are; NaN where a text is no time.

        Raises:
            MindRecError: day and month cannot be told apart.
        """
        day_first = self.day_first
        if day_first is None and self.differ:
            if bool(self.day_bad) == bool(self.month_bad):
                raise MindRecError(
                    f"column {self.name!r}: {self.differ!r} may be day first or month first, and no row decides it; "
                    "say which with --day-first or --month-first, or give --time-format (as '%d/%m/%Y %H:%M')"
                )
            day_first = not self.day_bad
            warn(
                f"dates of column {self.name!r} are read {'day' if day_first else 'month'} first ({self.differ!r}), "
                "since other rows allow nothing else"
            )
        values = np.frombuffer(self.values, dtype=np.float64)
        at, day = np.array(self.swapped_at, dtype=np.int64), np.array(self.swapped, dtype=np.float64)
        if day_first is None:  # no row has two readings: each has the one that it allows
            values[at] = np.where(np.isnan(values[at]), day, values[at])
        elif day_first:
            values[at] = day
        return one_unit(values, self.name, warn, dates=self.dates and self.numbers)


def _plain_numbers(texts: Sequence[str]) -> np.ndarray | None:
    """Texts that are all numbers as such, NaN for those that are not finite; None where one is no number."""
    try:
        values = np.array(texts, dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    values[~np.isfinite(values)] = np.nan
    return values


def _iso_dates(texts: Sequence[str]) -> np.ndarray | None:
    """Seconds of texts that are all dates as 2020-09-25, with a time of day or without; None where one is not."""
    if not all(map(_ISO.match, texts)):
        return None
    try:
        moments = np.array(texts, dtype="datetime64[us]")
    except ValueError:  # a day or an hour that there is not
        return None
    return moments.astype(np.int64) / 1e6


def parse_dates(texts: "pd.Series", *, day_first: bool) -> np.ndarray:
    """Seconds (n,) of date texts by pandas: the form of the first for all, each by its own where that fails.

    A time of day without a date is no time: pandas would read it as that of today.
    """
    texts = texts.mask(texts.str.match(_TIME_OF_DAY).fillna(False).to_numpy(bool))
    seconds = _to_seconds(texts, dayfirst=day_first)
    left = np.isnan(seconds)
    if left.any():
        seconds[left] = _to_seconds(texts[left], dayfirst=day_first, format="mixed")
    if day_first:  # pandas falls back to the month where the day is not possible; that is no reading of the column
        wrong = texts.str.extract(r"^\s*\d{1,2}[/.-](\d{1,2})")[0].astype("float64").to_numpy() > 12
    else:
        wrong = texts.str.extract(r"^\s*(\d{1,2})[/.-]\d{1,2}[/.-]")[0].astype("float64").to_numpy() > 12
    seconds[wrong] = np.nan
    return seconds


def _to_seconds(texts: "pd.Series", **options) -> np.ndarray:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns of the forms it guesses; they are judged by the column here
        try:
            times = pd.to_datetime(texts, errors="coerce", utc=True, **options)
        except (ValueError, OverflowError, TypeError):
            return np.full(len(texts), np.nan)
    return _seconds(times)


def _seconds(moments: "pd.Series") -> np.ndarray:
    raw = moments.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(raw), np.nan, raw.astype(np.int64) / 1e6)


def one_unit(values: np.ndarray, name: str, warn: Callable[[str], None], *, dates: bool = False) -> np.ndarray:
    """Times (n,) of several units (seconds and milliseconds joined) as seconds; of one unit, as they are."""
    edges = np.array([UNITS[0][1], *(below for _, _, below, _ in UNITS)])
    if not dates and np.isfinite(values).any():
        low, high = np.nanmin(values), np.nanmax(values)
        if low > 0 and np.searchsorted(edges, low, side="right") == np.searchsorted(edges, high, side="right"):
            return values
    size = np.abs(values)
    # -1: too small for a count of seconds since 1973.
    unit = np.where(np.isfinite(size), np.searchsorted(edges, size, side="right") - 1, -1)
    if dates:
        serial = (size > 20_000) & (size < 80_000)  # a sheet's days since 1899-12-30
        values = np.where(serial, (values - 25_569) * 86_400, values)
        unit = np.where(serial, 0, unit)
    present = [k for k in range(4) if (unit == k).any()]
    if len(present) < 2:
        return values
    names = [*(label for label, *_ in UNITS), "nanoseconds"]
    counts = ", ".join(f"{int((unit == k).sum()):,} rows in {names[k]}" for k in present)
    warn(f"column {name!r} mixes units of time ({counts}); all are read as seconds since 1970")
    scale = np.array([1.0, 1e3, 1e6, 1e9, 1.0])[unit]
    return values / scale
