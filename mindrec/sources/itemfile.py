"""A file with a row an item, as a text table, Parquet or JSON lines; columns are named or known by their names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from mindrec.data.catalog import Item
from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError
from mindrec.sources import streaming as large
from mindrec.sources.readers import columns_of, json_lines
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import guessed, plain
from mindrec.sources.tables import Options, look_at
from mindrec.sources.values import path_names, present
from mindrec.system.files import read_jsonl_gz

TEXTS = ("title", "brand", "description")
DOTTED = "categorycode"
"""A column of paths like `electronics.audio.headphone`, as shop logs publish them."""
_LEVEL = re.compile(r"^(?:item|product)?(?:category|cat)(?:level|lvl|l)?(\d)$")


def guessed_levels(header: Sequence[str], taken: Sequence[str | None]) -> list[str]:
    """Columns of a category path: one whose name is known, or category_1, category_2 and so on."""
    numbered = {match[1]: column for column in header if (match := _LEVEL.match(plain(column)))}
    if len(numbered) > 1:
        return [numbered[digit] for digit in sorted(numbered)]
    known = guessed("category", header, taken)
    return [known] if known else []


@dataclass(frozen=True)
class ItemColumns:
    """Names of the columns. A field that is None is read from the column of a name that is known for it, if there.

    Attributes:
        categories: columns of the levels coarse to fine, comma-separated; or one whose cells hold the whole path.
        separator: what splits a cell into a path.
        surely: whether `item` was named for this file; otherwise another known name of an id serves as well.
    """

    item: str | None = None
    title: str | None = None
    brand: str | None = None
    description: str | None = None
    categories: str | None = None
    separator: str | None = None
    surely: bool = False

    @property
    def levels(self) -> list[str]:
        """The columns of categories, coarse to fine."""
        return [c.strip() for c in (self.categories or "").split(",") if c.strip()]

    @property
    def named(self) -> bool:
        """Whether any column beside the id is named, or said to be none."""
        return any(value is not None for value in (self.categories, self.title, self.brand, self.description))

    def fields(self, header: list[str], name: str, repairs: Repairs) -> dict[str, list[str]]:
        """{use: columns}, of those that the file has. Raises MindRecError for a named one that it has not."""
        texts = {use: getattr(self, use) or None for use in TEXTS}
        item = self._item(header, name, repairs)
        columns_of(header, texts | {f"category {c}": c for c in self.levels}, name)
        for use in TEXTS:
            if getattr(self, use) is not None:  # named, or "" for none
                continue
            texts[use] = guessed(use, header, [item, *self.levels, *texts.values()])
            if texts[use] is None and any(guessed(use, [c[:-2]]) for c in header if c.endswith(".1")):
                raise MindRecError(f"{name} has its {use} column more than once; give --{use}-column {use}.1 or .2")
            if texts[use] and texts[use] != use:
                repairs.note(f"{name}: column {texts[use]!r} is taken as the {use}; --{use}-column names another")
        levels = self.levels
        if self.categories is None and (levels := guessed_levels(header, [item, *texts.values()])):
            columns = ", ".join(map(repr, levels))
            repairs.note(f"{name}: column {columns} is taken as the category path; --category-columns names others")
        return {use: [column] for use, column in ({"item": item} | texts).items() if column} | {"category": levels}

    def _item(self, header: list[str], name: str, repairs: Repairs) -> str:
        """The column of the id: the one named, or where it was named for the log another known name."""
        item = self.item or "item_id"
        taken = [self.title, self.brand, self.description, *self.levels]
        if item not in header and not self.surely and (known := guessed("item", header, taken)):
            repairs.note(f"{name}: column {known!r} is taken as the item's id; --item-file-id names another")
            item = known
        if item not in header:
            has = ", ".join(map(repr, header[:40]))
            doubled = "; it has it more than once: name one of them" if f"{item}.1" in header else ""
            raise MindRecError(
                f"{name} has no column {item!r} for the item{doubled}; it has {has}: name the right one with "
                "--item-file-id (--item-column names it for both files)"
            )
        return item

    def record(self, row: dict[str, object], fields: dict[str, list[str]]) -> Item:
        """An item as the file gives it; a category cell may be a list of names, as a list or as text."""
        levels = fields["category"]
        separator = self.separator or ("." if levels and plain(levels[0]) == DOTTED else None)
        if len(levels) == 1 or separator:
            names = [name for column in levels for name in path_names(row.get(column), separator)]
        else:
            cells = [row.get(column) for column in levels]
            names = [
                n for cell in cells for n in (cell if isinstance(cell, list) else [cell]) if present(n) is not None
            ]
        text = {use: present(row.get(columns[0])) for use, columns in fields.items() if use != "category"}
        title, brand, description = (_text(text.get(use)) for use in ("title", "brand", "description"))
        return Item(normal_id(text["item"]), title or "", tuple(names), brand, description)


def _text(value: object) -> str | None:
    if isinstance(value, list):
        value = " ".join(str(part) for part in value if part is not None)
    return None if value is None else str(value)


def item_records(path: Path, columns: ItemColumns, repairs: Repairs, options: Options | None = None) -> Iterator[Item]:
    """Items of a file, by the end of its name: .parquet, .jsonl, .jsonl.gz (the prepared form), else a text table."""
    if path.suffix == ".parquet":
        return _parquet(path, columns, repairs)
    if ".jsonl" in path.suffixes:
        return _json(path, columns, repairs)
    return _csv(path, columns, repairs, options or Options())


def _csv(path: Path, columns: ItemColumns, repairs: Repairs, options: Options) -> Iterator[Item]:
    table = look_at(path, options, repairs)
    fields = columns.fields(table.columns, str(path), repairs)
    for count, (number, row) in enumerate(table.rows(repairs), 1):
        if len(row) < len(table.columns):
            repairs.malformed("row_malformed", f"{path}, line {number}", count)
        else:
            yield columns.record(dict(zip(table.columns, row, strict=False)), fields)


def _json(path: Path, columns: ItemColumns, repairs: Repairs) -> Iterator[Item]:
    """The prepared form, or records with keys of their own, which are known by the first records."""
    rows = json_lines(path, repairs)
    head = [row for _, row in islice(rows, 200)]
    keys = list(dict.fromkeys(key for row in head for key in row))
    if "item_id" in keys and not columns.named and columns.item in (None, "item_id"):
        yield from json_items(path)
        return
    fields = columns.fields(keys, str(path), repairs)
    for row in chain(head, (row for _, row in rows)):
        yield columns.record(row, fields)


def _parquet(path: Path, columns: ItemColumns, repairs: Repairs) -> Iterator[Item]:
    frame = large.scan(path)
    fields = columns.fields(list(large.schema(frame, path)), str(path), repairs)
    used = list(dict.fromkeys(column for held in fields.values() for column in held))
    for part in large.batches(frame.select(used)):
        for row in part.iter_rows(named=True):
            yield columns.record(row, fields)


def json_items(path: Path) -> Iterator[Item]:
    """Items of the prepared form (`items.jsonl.gz`), as they stand.

    Raises MindRecError where the categories of an item are a text instead of a list.
    """
    for row in read_jsonl_gz(path):
        names = row.get("categories") or ()
        if isinstance(names, str):
            raise MindRecError(
                f"{path}, item {row.get('item_id')!r}: categories is the text {names[:80]!r}; a list of names, coarse "
                "to fine, is needed"
            )
        names = names if isinstance(names, list) else ()
        item_id = normal_id(row.get("item_id"))
        yield Item(item_id, row.get("title") or "", tuple(names), row.get("brand"), row.get("description"))
