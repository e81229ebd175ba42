"""Files of histories, a person in each row: Parquet, or any text table or JSON lines that `prepare csv` reads.

The history of a row is a list, or a list written as text: Python, JSON, numpy, or ids with blanks, commas, semicolons
or bars between them.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mindrec.data.histories import id_text
from mindrec.data.ids import MISSING, normal_id
from mindrec.errors import MindRecError
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import guessed, plain
from mindrec.sources.tables import Options, look_at

HISTORY = ("itemids", "items", "history", "itemidlist", "itemlist", "itemsequence", "sequence", "basket", "cart")
"""Names of the column of histories, in small letters and digits alone."""
MAX_LITERAL, MAX_COMPARED = 200_000, 1_000_000
CUT = re.compile(r"(^|[\s,\[])\.\.\.([\s,\]]|$)")
"""Three points in place of ids: a program printed a long list and did not write it."""

_NUMPY = re.compile(r"['\"]\s+['\"]")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


class Histories(Protocol):
    """A file of histories that is open."""

    def __len__(self) -> int:
        """How many rows it has."""

    def rows(self, first: int, count: int) -> Iterator[tuple[str | None, list[str]]]:
        """(user id, item ids) of rows first .. first + count; fewer where the file ends."""

    def people(self) -> list[str | None]:
        """The user id of every row."""


def open_histories(path: Path) -> Histories:
    """Open a file of histories.

    Raises:
        MindRecError: the file is missing or no table, or has no columns of people and histories.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, a file is needed" if path.is_dir() else "is missing"
        raise MindRecError(f"--histories {path} {kind}; give Parquet, CSV or JSON lines with user_id and item_ids")
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic == b"PAR1" or path.suffix.lower() == ".parquet":
        return ParquetHistories(path)
    return TextHistories(path)


def repeated_people(table: Histories) -> list[str]:
    """A line where rows have no user id, and one where people have several rows; a very large file is not compared."""
    if len(table) > MAX_COMPARED:
        return []
    counts = Counter(table.people())
    nameless, again = counts.pop(None, 0), [user for user, n in counts.items() if n > 1]
    lines = (
        [f"note: {nameless:,} of {len(table):,} rows have no user_id, and none in their answers"] if nameless else []
    )
    if again:
        lines.append(
            f"note: {len(again):,} people have several rows (first: {again[0]}); each row is answered by itself"
        )
    return lines


def history_columns(columns: Sequence[str], path: Path) -> tuple[str, str]:
    """The columns of people and of their histories, by names that are known for them.

    Raises:
        MindRecError: one of them is not there, or each row holds one item.
    """
    by_name = {plain(column): column for column in reversed(columns)}
    items = next((by_name[name] for name in HISTORY if name in by_name), None)
    user = guessed("user", columns, [items])
    has = ", ".join(columns[:40])
    if user is None:
        raise MindRecError(f"--histories {path} lacks the column 'user_id'; it has {has}: call the one of people so")
    if items is None and (item := guessed("item", columns, [user])):
        raise MindRecError(
            f"--histories {path} has one item a row ({item!r}), a whole history is needed: in pandas, with "
            f"rows in time order, table.groupby({user!r})[{item!r}].agg(list).rename('item_ids').reset_index() makes it"
        )
    if items is None:
        raise MindRecError(
            f"--histories {path} lacks the column 'item_ids'; it has {has}: call the one of histories so"
        )
    return user, items


def id_list(cell: object) -> list[str]:
    """The ids of one history, a list or a list written as text; values that stand for none are left out.

    Raises:
        MindRecError: a text that was cut when it was printed, or a value that is no list.
    """
    if cell is None:
        return []
    if isinstance(cell, str):
        cell = _parsed(cell.strip())
    elif not isinstance(cell, (list, tuple)):
        cell = [cell]
    return [name for value in cell if (name := _id(value))]


def _id(value: object) -> str:
    if value is None or value != value or (isinstance(value, str) and value.strip() in MISSING):
        return ""
    return normal_id(id_text(value))


def _parsed(text: str) -> list | tuple:
    """The values of a list as text, which is read as data and never run."""
    if CUT.search(text):
        raise MindRecError(f"the list {text[:40]!r} was cut ('...') when it was written; write the whole of it")
    inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()", "{}") else text
    if inner is not text and not _NUMPY.search(text):  # Python would glue 'a' 'b' together
        for parse in (json.loads, ast.literal_eval)[: 1 if len(text) > MAX_LITERAL else 2]:
            try:
                value = parse(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                continue
            if isinstance(value, (list, tuple)):
                return value
    if _QUOTED.match(inner.strip()):
        return [single or double for single, double in _QUOTED.findall(inner)]
    return re.split(r"[,;|]" if re.search(r"[,;|]", inner) else r"\s+", inner)


class ParquetHistories:
    """Rows of a Parquet file by number; one row group of it is held at a time."""

    def __init__(self, path: Path):
        self.path, self._held = path, (-1, None)
        try:
            self.file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise MindRecError(f"--histories {path} is not a Parquet file that can be read ({error})") from error
        schema = self.file.schema_arrow
        self.user, self.items = history_columns(schema.names, path)
        kind = schema.field(self.items).type
        inner = kind.value_type if hasattr(kind, "value_type") else kind
        if pa.types.is_nested(inner) or pa.types.is_boolean(inner) or not (_lists(kind) or _texts(kind)):
            raise MindRecError(
                f"--histories {path}: {self.items} is {kind}; a list of ids in each row is needed, or its text"
            )
        sizes = [self.file.metadata.row_group(n).num_rows for n in range(self.file.num_row_groups)]
        self.ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]

    def __len__(self) -> int:
        return self.file.metadata.num_rows

    def rows(self, first: int, count: int) -> Iterator[tuple[str | None, list[str]]]:
        """(user id, item ids) of rows first .. first + count; fewer where the file ends."""
        begin = 0
        for group, end in enumerate(self.ends):
            low, high = max(first, begin), min(first + count, end)
            if low < high:
                part = self._group(group).slice(low - begin, high - low)
                pairs = zip(part[self.user].to_pylist(), part[self.items].to_pylist(), strict=True)
                for number, (user, cell) in enumerate(pairs, low + 1):
                    yield _row(user, cell, f"{self.path}, row {number}")
            begin = end

    def people(self) -> list[str | None]:
        """The user id of every row."""
        column = self.file.read(columns=[self.user])[self.user]
        return [_id(user) or None for user in column.to_pylist()]

    def _group(self, number: int) -> pa.Table:
        if self._held[0] != number:
            self._held = number, self.file.read_row_group(number, columns=[self.user, self.items])
        return self._held[1]


class TextHistories:
    """Rows of a text table or of JSON lines, held whole."""

    def __init__(self, path: Path):
        repairs = Repairs()
        table = look_at(path, Options(), repairs)
        user, items = (table.columns.index(column) for column in history_columns(table.columns, path))
        self._rows = []
        for count, (line, row) in enumerate(table.rows(repairs), 1):
            if len(row) <= max(user, items):
                repairs.malformed("row_malformed", f"{path}, line {line}", count)
            else:
                self._rows.append(_row(row[user], row[items], f"{path}, line {line}"))

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, first: int, count: int) -> Iterator[tuple[str | None, list[str]]]:
        """(user id, item ids) of rows first .. first + count; fewer where the file ends."""
        yield from self._rows[first : first + count]

    def people(self) -> list[str | None]:
        """The user id of every row."""
        return [user for user, _ in self._rows]


def _row(user: object, cell: object, where: str) -> tuple[str | None, list[str]]:
    try:
        return _id(user) or None, id_list(cell)
    except MindRecError as error:
        raise MindRecError(f"--histories {where}: {error}") from error


def _lists(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _texts(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
