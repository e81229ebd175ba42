"""A first look at a log, on one screen: its file, its columns, the roles that they would have, the command to run."""

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path

from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError
from mindrec.sources import filters
from mindrec.sources import streaming as large
from mindrec.sources.described import OwnColumns
from mindrec.sources.encodings import MIXED
from mindrec.sources.itemfile import TEXTS, ItemColumns, guessed_levels
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import guessed, log_roles
from mindrec.sources.tables import BLANKS, SEPARATORS, Options, look_at, looks_like_data
from mindrec.sources.times import TimeColumn
from mindrec.sources.user_columns import LogOptions
from mindrec.sources.values import is_missing, number

SOURCES = ("csv", "parquet")
ROWS, EXAMPLES, WIDTH, MAX_COLUMNS = 10_000, 3, 24, 40
_DATE = re.compile(r"(?i)^\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?!\d)|^\w{3},? .*\d{4}|^\d{1,2} \w{3,9}\.? \d{4}")
_THOUSANDS = re.compile(r"^\d{1,3}(,\d{3})+(\.\d*)?$")
_WHOLE = re.compile(r"^[+-]?\d+(?:\.0+)?$")


@dataclass(frozen=True)
class Column:
    """A column as a look shows it: its name, the kind of its values, three examples, and what it is taken as."""

    name: str
    kind: str
    examples: tuple[str, ...]
    role: str = ""


@dataclass(frozen=True)
class Look:
    """The findings in one file.

    Attributes:
        how: how it is read: kind, encoding, separator, header.
        repeats: share of the first rows that name an item which their user had before; None where it is not known.
        said: what would be noted or warned, and what would be refused.
    """

    path: Path
    how: str
    columns: Sequence[Column]
    rows: int
    repeats: float | None = None
    said: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """The look as lines of text."""
        yield f"{self.path.name}: {self.how}"
        shown = self.columns[:MAX_COLUMNS]
        names = [_short(column.name or "(no name)") for column in shown]
        wide, kinds = max(map(len, names), default=0), max((len(column.kind) for column in shown), default=0)
        for name, column in zip(names, shown, strict=True):
            role = f"{'<- ' + column.role:13}" if column.role else " " * 13
            yield f"  {name:{wide}}  {column.kind:{kinds}}  {role}  {', '.join(map(_short, column.examples))}".rstrip()
        if len(self.columns) > len(shown):
            yield f"  ... and {len(self.columns) - len(shown)} columns more"
        if self.repeats is not None:
            yield f"  of the first {self.rows:,} rows {self.repeats:.0%} name an item that their user had before"
        yield from (f"  {line}" for line in self.said)


@dataclass
class _Sample:
    """The first rows of a file, all cells as text."""

    how: str
    columns: list[str]
    rows: list[list[str]]
    header: bool = True
    said: list[str] = field(default_factory=list)


def look(source: str, options: dict[str, object]) -> str:
    """Report how `prepare SOURCE` would read the file that `options` name; only its first rows are read.

    Raises:
        MindRecError: the source has no look, or the file cannot be read at all.
    """
    if source not in SOURCES:
        raise MindRecError(f"--look is for {' and '.join(SOURCES)}, not for {source}")
    given = LogOptions(**{key: value for key, value in options.items() if key != "path" and value is not None})
    path = Path(str(options["path"]))
    findings, roles, header = look_at_log(source, path, given)
    lines = list(findings.lines())
    if given.item_file is not None:
        lines += look_at_items(Path(given.item_file), given).lines()
    return "\n".join([*lines, f"run: {command(source, path, given, roles, header=header)}"])


def look_at_log(source: str, path: Path, options: LogOptions) -> tuple[Look, dict[str, str], bool]:
    """(look, {use: column} as far as it is known, whether there is a header) of a log."""
    repairs = Repairs()
    sample = _parquet(path) if source == "parquet" else _text(path, options.table, repairs)
    if sample.header and source == "csv" and looks_like_data(sample.columns) and not _named(sample.columns):
        sample = _text(path, Options(options.separator, options.encoding, True), Repairs())
        sample.said.append("the first line looks like data: --no-header names the columns by number")
    roles = _roles(sample, options, path, repairs)
    shown = {column: use for use, column in roles.items()}
    if options.item_file is None and "item" in roles:
        with suppress(MindRecError):
            uses = OwnColumns.of(sample.columns, roles, options.items, path.name)
            shown |= {column: use for use, held in (uses.fields if uses else {}).items() for column in held}
            shown[roles["item"]] = "item"
    with suppress(MindRecError):
        if not filters.rules(options.keep, options.min_rating, sample.columns, path.name):
            filters.hint(sample.columns, sample.rows, path.name, repairs)
    said = [*sample.said, *(line for line in repairs.lines() if "is taken as" not in line)]
    columns = _columns(sample, shown)
    return Look(path, sample.how, columns, len(sample.rows), _repeats(sample, roles), said), roles, sample.header


def look_at_items(path: Path, options: LogOptions) -> Look:
    """The look of an item file."""
    repairs = Repairs()
    sample = _parquet(path) if path.suffix == ".parquet" else _text(path, Options(None, options.encoding), repairs)
    columns: ItemColumns = options.items
    shown: dict[str, str] = {}
    try:
        fields_of = columns.fields(sample.columns, path.name, Repairs())
        shown = {column: use for use, held in fields_of.items() for column in held}
    except MindRecError as error:
        sample.said.append(f"refused: {error}")
        known = {use: guessed(use, sample.columns) for use in TEXTS}
        shown = {column: use for use, column in known.items() if column}
        shown |= dict.fromkeys(guessed_levels(sample.columns, list(shown)), "category")
    return Look(path, sample.how, _columns(sample, shown), len(sample.rows), None, [*sample.said, *repairs.lines()])


def command(source: str, path: Path, options: LogOptions, roles: dict[str, str], *, header: bool = True) -> str:
    """The command that prepares the log as it was looked at; COLUMN stands for what is to be named."""
    given = {f.name: getattr(options, f.name) for f in fields(LogOptions) if getattr(options, f.name) != f.default}
    if not header:
        given["no_header"] = True
    for use in ("user", "item", "time"):
        given.setdefault(f"{use}_column", roles.get(use, "COLUMN"))
    if given["time_column"] in ("COLUMN", ""):
        del given["time_column"]
        given["no_time"] = True
    words = ["python", "-m", "mindrec", "prepare", source, "--path", str(path)]
    for name, value in given.items():
        flag = "--" + name.replace("_", "-")
        if name == "day_first" and value is False:
            words.append("--month-first")
        elif value is True:
            words.append(flag)
        else:
            words += [part for one in (value if name == "keep" else [value]) for part in (flag, str(one))]
    return shlex.join([*words, "--out", "prepared"])


def _named(columns: Sequence[str]) -> bool:
    return any(guessed(use, columns) for use in ("user", "item"))


def _text(path: Path, options: Options, repairs: Repairs) -> _Sample:
    table = look_at(path, options, repairs)
    encoding = "UTF-8 with lines that are not" if table.encoding == MIXED else table.encoding.upper()
    word = next((name for name, sign in SEPARATORS.items() if sign == table.separator), repr(table.separator))
    between = "blanks" if table.separator == BLANKS else word
    head = "with a header line" if table.header_lines else "without a header line"
    how = f"{table.kind}, {encoding}" + (f", {between} between fields, {head}" if table.kind == "text table" else "")
    sample = _Sample(how, table.columns, [], bool(table.header_lines))
    try:
        sample.rows = [row for _, row in islice(table.rows(Repairs()), ROWS)]
    except MindRecError as error:
        sample.rows = list(table.head)
        sample.said.append(f"refused: {error}")
    return sample


def _parquet(path: Path) -> _Sample:
    pl = large.polars()
    frame = large.scan(path)
    schema = large.schema(frame, path)
    flat = [pl.col(c).cast(pl.String, strict=False) for c in schema if not schema[c].is_nested()]
    nested = [pl.lit(str(schema[c])).alias(c) for c in schema if schema[c].is_nested()]
    rows = large.collected(frame.head(ROWS).select(*flat, *nested).select(list(schema)))
    cells = [["" if cell is None else cell for cell in row] for row in rows.iter_rows()]
    return _Sample("Parquet" + (", a folder of files" if path.is_dir() else ""), list(schema), cells)


def _roles(sample: _Sample, options: LogOptions, path: Path, repairs: Repairs) -> dict[str, str]:
    """{use: column}, as far as they are named or known; by the kinds of values where there is no header."""
    try:
        roles = log_roles(sample.columns, options.wanted, path.name, repairs, header=sample.header)
        _judge_times(sample, roles, options, repairs)
        return roles
    except MindRecError as error:
        roles = {use: column for use, column in options.wanted.items() if column in sample.columns}
        if sample.header:
            sample.said.append(f"refused: {error}")
            for use in ("user", "item", "time"):
                if use not in roles and options.wanted[use] is None:
                    known = guessed(use, sample.columns, list(roles.values()))
                    roles |= {use: known} if known else {}
            return roles
    kinds = {column.name: column.kind for column in _columns(sample, {})}
    free = [name for name in sample.columns if name not in roles.values()]
    times = [name for name in free if kinds[name] == "date" or _counts_seconds(sample, name)]
    ids = [name for name in free if name not in times]
    guesses = {"user": ids[:1], "item": ids[1:2], "time": times[:1]}
    return roles | {use: held[0] for use, held in guesses.items() if held and options.wanted[use] is None}


def _judge_times(sample: _Sample, roles: dict[str, str], options: LogOptions, repairs: Repairs) -> None:
    """Read the times of the sample, so that what would be said or refused of them is said now."""
    if "time" in roles:
        times = TimeColumn(roles["time"], options.day_first, options.time_format)
        times.add(_cells(sample, roles["time"]))
        times.finish(repairs.warn)


def _cells(sample: _Sample, column: str) -> list[str]:
    position = sample.columns.index(column)
    return [row[position] for row in sample.rows if len(row) > position]


def _counts_seconds(sample: _Sample, column: str) -> bool:
    values = [number(cell) for cell in _cells(sample, column)[:200]]
    return bool(values) and all(value is not None and value > 1e8 for value in values)


def _columns(sample: _Sample, roles: dict[str, str]) -> list[Column]:
    columns = []
    for name in sample.columns:
        cells = [cell.strip() for cell in _cells(sample, name) if not is_missing(cell)]
        columns.append(Column(name, _kind(cells[:200]), tuple(dict.fromkeys(cells))[:EXAMPLES], roles.get(name, "")))
    return columns


def _kind(cells: Sequence[str]) -> str:
    if not cells:
        return "empty"
    if all(map(_WHOLE.match, cells)):
        return "whole number"
    if all(number(cell) is not None for cell in cells):
        commas = [cell for cell in cells if "," in cell]
        return "decimal comma" if commas and not all(map(_THOUSANDS.match, commas)) else "number"
    if all(map(_DATE.match, cells)):
        return "date"
    return "list" if all(cell[:1] in "[(" for cell in cells) else "text"


def _repeats(sample: _Sample, roles: dict[str, str]) -> float | None:
    if not {"user", "item"} <= set(roles):
        return None
    pairs = [
        (normal_id(user), normal_id(item))
        for user, item in zip(_cells(sample, roles["user"]), _cells(sample, roles["item"]), strict=False)
    ]
    return 1 - len(set(pairs)) / len(pairs) if pairs else None


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= WIDTH else flat[: WIDTH - 1] + "…"
