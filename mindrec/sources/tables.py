"""Text tables as people have them: the dialect is judged by the head of the file, each fault named with its line."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from mindrec.errors import MindRecError
from mindrec.sources.encodings import MIXED, encoding_of, named
from mindrec.sources.heads import (
    BLANKS,
    COLONS,
    Head,
    blank_before_marks,
    head_of,
    quote_of,
    refuse_markup,
    separator_of,
)
from mindrec.sources.readers import MAX_LINE, json_lines, open_binary, parse_record, text_lines
from mindrec.sources.repairs import Repairs

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colons": COLONS, "blanks": BLANKS} | {
    "\\t": "\t",
    "space": BLANKS,
    " ": BLANKS,
}
HEAD_ROWS = 200
PLAIN_CONTROLS = "\r\n\t\x0b\x0c\x85\x01\x1e\x1f"
"""Characters of text tables that are not printable."""
_NUMBER = re.compile(r"^[+-]?\d+([.,:/-]\d+)*([ T]\d\d:\d\d.*)?$")


@dataclass(frozen=True)
class Options:
    """How a table is to be read where the person said it; None is judged by the file.

    Attributes:
        quotes: whether quotation marks enclose fields; False where a tab alone ends one, as in atomic files.
    """

    separator: str | None = None
    encoding: str | None = None
    no_header: bool = False
    quotes: bool = True


Opener = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Table:
    """A text table whose dialect is known; `rows` reads it.

    Attributes:
        columns: names; "1", "2", ... where the file has no header, and NAME.1, NAME.2 for a name that occurs twice.
        header_lines: 1 where the first row is the header, 0 where the file has none.
        opener: opens the bytes of a table inside an archive; None where `path` is the file.
        above: lines above the header that belong to no row.
        quote: the mark that encloses fields.
        blanks_lead: whether blanks after a separator are no text.
    """

    path: Path
    encoding: str
    separator: str
    escape: bool
    columns: list[str]
    header_lines: int
    head: list[list[str]] = field(default_factory=list, compare=False)
    opener: Opener | None = None
    quotes: bool = True
    above: int = 0
    quote: str = '"'
    blanks_lead: bool = False
    kind = "text table"

    def open(self) -> AbstractContextManager[BinaryIO]:
        """The bytes of the table, unpacked."""
        return open_binary(self.path) if self.opener is None else self.opener()

    def rows(self, repairs: Repairs) -> Iterator[tuple[int, list[str]]]:
        """(line number, fields) of every row below the header, each as long as the header or shorter.

        Raises:
            MindRecError: a quotation mark is left open, or many rows have more fields than the header.
        """
        width, left, seen, long = len(self.columns), self.header_lines, 0, 0
        with self.open() as stream:
            for number, row in records(stream, self, repairs):
                if left:
                    left -= 1
                    continue
                seen += 1
                if len(row) > width:
                    if any(cell.strip() for cell in row[width:]):
                        long += 1
                        repairs.malformed("row_long", f"{self.path}, line {number}", seen)
                        continue
                    row = row[:width]
                yield number, row
        if long > max(3, 0.1 * seen):
            raise MindRecError(
                f"{self.path}: {long} of {seen} rows have more fields than the {width} columns of the header (first: "
                f"{repairs.examples['row_long']}); put quotation marks around texts that hold the separator"
            )


@dataclass(frozen=True)
class JsonTable(Table):
    """JSON lines as a table: a column for each key of the first records, lists and objects as their JSON."""

    kind = "JSON lines"

    def rows(self, repairs: Repairs) -> Iterator[tuple[int, list[str]]]:
        """(line number, cells as text) of every record; "" where a record lacks the key."""
        for number, record in json_lines(self.path, repairs, parse_record):
            record = _flat(record)
            yield number, [_cell(record.get(column)) for column in self.columns]


def _flat(record: dict, deep: int = 3) -> dict:
    """A record whose objects are laid flat: {"user": {"id": 7}} is {"user.id": 7}."""
    if not deep or not any(isinstance(value, dict) for value in record.values()):
        return record
    flat = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": held for inner, held in _flat(value, deep - 1).items()}
        else:
            flat[key] = value
    return flat


def _cell(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else str(value)


def _json_table(table: Table, lines: list[str]) -> JsonTable | None:
    """The table of a file whose lines are records, None where they are not.

    Raises:
        MindRecError: the file is one JSON array.
    """
    first = lines[0].lstrip("\ufeff").strip()
    if first[:1] == "[" and first[1:2] in ("", "{"):
        raise MindRecError(
            f"{table.path} is one JSON array; write one record a line (JSON lines), as pandas does with "
            "to_json(orient='records', lines=True)"
        )
    if first[:1] != "{" or table.opener is not None:
        return None
    records = [_flat(record) for _, record in islice(json_lines(table.path, Repairs(), parse_record), HEAD_ROWS)]
    columns = list(dict.fromkeys(key for record in records for key in record))
    head = [[_cell(record.get(column)) for column in columns] for record in records]
    return JsonTable(table.path, table.encoding, "", False, columns, 1, head)


def records(stream: BinaryIO, table: Table, repairs: Repairs, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of every record that is not empty; the line is the one where the record begins.

    Raises:
        MindRecError: a quotation mark is never closed, or a field is too long.
    """
    held: list[str] = []
    done = table.above

    def lines() -> Iterator[str]:
        for text in islice(_lines(stream, table, repairs), table.above, None):
            held.append(text)
            yield _plain_separator(text, table.separator)

    reader = csv.reader(lines(), strict=True, **_format(table))
    width = width or len(table.columns)
    while True:
        start = done + 1
        try:
            row = next(reader)
            if len(held) > 1 and swallowed(held, width, table.separator):
                raise csv.Error
        except StopIteration:
            return
        except csv.Error as error:
            if len(held) != 1:
                raise MindRecError(
                    f"{table.path}, line {start}: a quotation mark is opened and never closed in the row that begins "
                    "here; close it, double the marks inside a text, or take the single mark out"
                ) from error
            if len(held[0]) > csv.field_size_limit():
                raise MindRecError(
                    f"{table.path}, line {start}: a field of more than {csv.field_size_limit():,} characters; look for "
                    "a quotation mark that is never closed, or another --separator"
                ) from error
            row = _stray(held[0], table, width)
            repairs.count("stray_quote", f"{table.path}, line {start}")
        done += len(held)
        held.clear()
        if row and (len(row) > 1 or row[0].strip()):
            yield start, row


def swallowed(lines: list[str], width: int, separator: str) -> bool:
    """Whether a record of several lines has eaten rows: its lines, cut without regard to marks, are rows themselves."""
    if width < 2 or separator == BLANKS:
        return len(lines) > 1 and separator == BLANKS
    fits = sum(line.count(separator) == width - 1 for line in lines)
    return (fits == len(lines) and (width > 2 or fits > 2)) or (width > 2 and fits > 3 and fits > 0.8 * len(lines))


def _stray(text: str, table: Table, width: int) -> list[str]:
    """The fields of a line whose quotation marks belong to its texts."""
    plain = next(csv.reader([_plain_separator(text, table.separator)], **_format(table) | {"quoting": csv.QUOTE_NONE}))
    if len(plain) == width:
        return [cell[1:-1] if cell[:1] == cell[-1:] == '"' and len(cell) > 1 else cell for cell in plain]
    return next(csv.reader([_plain_separator(text, table.separator)], **_format(table)), [])


def _plain_separator(text: str, separator: str) -> str:
    if separator == BLANKS:
        return text.strip().replace("\t", " ") + "\n"
    return text.replace(separator, "\x1f") if len(separator) > 1 else text


def _format(table: Table) -> dict:
    wide = len(table.separator) > 1 and table.separator != BLANKS
    plain = wide or (table.separator == "\t" and not table.quotes)
    return {
        "delimiter": " " if table.separator == BLANKS else "\x1f" if wide else table.separator,
        "quotechar": table.quote,
        "quoting": csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        "skipinitialspace": table.separator == BLANKS or table.blanks_lead,
        "escapechar": "\\" if table.escape else None,
    }


def _lines(stream: BinaryIO, table: Table, repairs: Repairs) -> Iterator[str]:
    if table.encoding == MIXED:
        for _, text in text_lines(stream, str(table.path), repairs):
            yield text
        return
    reader = io.TextIOWrapper(stream, encoding=table.encoding, newline="")
    number = 0
    try:
        while text := reader.readline(MAX_LINE):
            number += 1
            if len(text) == MAX_LINE:
                raise MindRecError(
                    f"{table.path}, line {number}: longer than {MAX_LINE >> 20} MiB; this is no text table"
                )
            yield text
    except UnicodeDecodeError as error:
        raise MindRecError(
            f"{table.path}, after line {number}: not {table.encoding} ({error.reason}); give another --encoding"
        ) from error
    finally:
        with suppress(ValueError):  # the stream is closed already where the reading ended with a fault elsewhere
            reader.detach()


def look_at(path: Path, options: Options, repairs: Repairs, opener: Opener | None = None) -> Table:
    """The dialect of a file, by its head; `opener` opens one that is inside an archive, where `path` names it.

    Raises:
        MindRecError: the file is empty or no text, or its encoding cannot be told.
    """
    path = Path(path)
    rough = Table(path, "", "", False, [], 0, opener=opener, quotes=options.quotes)
    rough = replace(rough, encoding=_encoding(rough, options, repairs))
    with rough.open() as stream:
        raw = _head_lines(stream, rough)
    lines = [line for line in raw if line.strip()]
    if not lines:
        raise MindRecError(f"{path} is empty; a header line with column names is needed")
    if table := _json_table(rough, lines):
        return table
    if sum(not (char.isprintable() or char in PLAIN_CONTROLS) for char in "".join(lines[:5])[:2000]) > 8:
        raise MindRecError(f"{path} is no text table (its first line is {lines[0][:40]!r}); check --path")
    refuse_markup(lines[0], path)
    rough = _dialect(rough, raw, options, repairs)
    with rough.open() as stream:
        rows = _head_rows(stream, rough)
    if not rows:
        raise MindRecError(f"{path} is empty; a header line with column names is needed")
    return _with_header(rough, rows, options, repairs)


def _dialect(table: Table, raw: list[str], options: Options, repairs: Repairs) -> Table:
    """The table with its separator, its marks, and the lines above its header, which are said."""
    head = head_of(raw) if options.quotes else Head()
    if head.above and not head.separator:
        first = next(line for line in raw if line.strip()).strip()
        repairs.note(
            f"{table.path.name}: {head.above} line{'s' * (head.above > 1)} above the table are no rows and left out "
            f"({first[:40]!r})"
        )
    lines = [line for line in raw[head.above :] if line.strip()] or [line for line in raw if line.strip()]
    given = SEPARATORS.get(options.separator, options.separator) if options.separator else None
    separator = given or head.separator or separator_of(lines, table.path)
    escape = bool(re.search(r'[^\\"]\\"(?=[^\s,;|\t])', "".join(lines)))
    return replace(
        table,
        separator=separator,
        escape=escape and options.quotes,
        above=head.above,
        quote=quote_of(lines, separator),
        blanks_lead=options.quotes and blank_before_marks(lines),
    )


def _encoding(table: Table, options: Options, repairs: Repairs) -> str:
    """The encoding of a table, said where it is none that needs no saying."""
    if options.encoding:
        return named(options.encoding)
    with table.open() as stream:
        encoding = encoding_of(stream, table.path)
    if encoding not in ("utf-8", "utf-8-sig", MIXED):
        sure = repairs.note if encoding.startswith("utf") else repairs.warn
        sure(f"{table.path.name} is read as {encoding}, which its bytes say; --encoding names another")
    return encoding


def _head_lines(stream: BinaryIO, table: Table) -> list[str]:
    return list(islice(_lines(stream, table, Repairs()), HEAD_ROWS))


def _head_rows(stream: BinaryIO, table: Table) -> list[list[str]]:
    """The first rows. A fault below the header is left to the whole reading, which names it."""
    rows: list[list[str]] = []
    try:
        for _, row in records(stream, table, Repairs()):
            rows.append(row)
            if len(rows) > HEAD_ROWS:
                break
    except MindRecError:
        if not rows:
            raise
    return rows


def _with_header(table: Table, rows: list[list[str]], options: Options, repairs: Repairs) -> Table:
    if options.no_header:
        width = Counter(map(len, rows)).most_common(1)[0][0]
        return replace(table, columns=[str(n + 1) for n in range(width)], head=rows)
    names, body = [" ".join(name.lstrip("\ufeff").split()) for name in rows[0]], rows[1:]
    wide = [row for row in body if len(row) == len(names) + 1 and row[-1].strip()]
    # Running numbers from 0 or 1, as R and data frames write them; anything else is a separator inside a text.
    numbered = [row[0] for row in wide] in ([str(n + first) for n in range(len(wide))] for first in (0, 1))
    if numbered and len(wide) == len(body) > 1:
        names = ["", *names]
        repairs.warn(f"{table.path.name}: rows have one field more than the header: a first column without a name")
    seen = Counter(names)
    count_of: Counter = Counter()
    columns = []
    for name in names:
        count_of[name] += 1
        columns.append(f"{name}.{count_of[name]}" if seen[name] > 1 and name else name)
    return replace(table, columns=columns, header_lines=1, head=body)


def looks_like_data(names: list[str]) -> bool:
    """Whether a first line holds values in place of names: at least half of them are numbers or dates."""
    if names == [str(n) for n in range(len(names))]:
        return False
    return 2 * sum(bool(_NUMBER.match(name.strip())) for name in names if name) >= max(len([n for n in names if n]), 1)
