"""A file with a row an item, as CSV, TSV, Parquet or JSON lines; columns are named and checked before reading."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mindrec.data.catalog import Item
from mindrec.errors import MindRecError
from mindrec.sources import streaming as large
from mindrec.sources.readers import columns_of, csv_rows, delimiter_of, header_of, open_binary
from mindrec.sources.repairs import Repairs
from mindrec.system.files import read_jsonl_gz


@dataclass(frozen=True)
class ItemColumns:
    """Names of the columns. A field that is None is read from the column of its own name, if there.

    Attributes:
        categories: columns of the levels coarse to fine, comma-separated; or one whose cells hold the whole path.
        separator: what splits a cell into a path.
    """

    item: str = "item_id"
    title: str | None = None
    brand: str | None = None
    description: str | None = None
    categories: str | None = None
    separator: str | None = None

    @property
    def levels(self) -> list[str]:
        return [c.strip() for c in (self.categories or "").split(",") if c.strip()]

    @property
    def named(self) -> bool:
        """Whether any column beside the id is named."""
        return bool(self.levels or self.title or self.brand or self.description)

    def fields(self, header: list[str], name: str) -> dict[str, str]:
        """{use: column}, of those that the file has. Raises MindRecError for a named one that it has not."""
        own = {use: getattr(self, use) or (use if use in header else None) for use in ("title", "brand", "description")}
        wanted = {"item": self.item} | own
        columns_of(header, wanted | {f"category {c}": c for c in self.levels}, name)
        return {use: column for use, column in wanted.items() if column}

    def record(self, row: dict[str, object], fields: dict[str, str]) -> Item:
        """An item as the file gives it; a category cell may be a list of names."""
        cells = [row[column] for column in self.levels]
        names = [name for cell in cells for name in (cell if isinstance(cell, list) else [cell]) if name is not None]
        if self.separator:
            names = [part for name in names for part in str(name).split(self.separator)]
        text = {use: row[column] for use, column in fields.items()}
        item_id = "" if text["item"] is None else str(text["item"]).strip()
        return Item(item_id, text.get("title") or "", tuple(names), text.get("brand"), text.get("description"))


def item_records(path: Path, columns: ItemColumns, repairs: Repairs) -> Iterator[Item]:
    """Items of a file, by the end of its name: .parquet, .jsonl, .jsonl.gz (the prepared form), else CSV or TSV."""
    if path.suffix == ".parquet":
        return _parquet(path, columns)
    if ".jsonl" in path.suffixes:
        return json_items(path)
    return _csv(path, columns, repairs)


def _csv(path: Path, columns: ItemColumns, repairs: Repairs) -> Iterator[Item]:
    with open_binary(path) as stream:
        rows = csv_rows(stream, str(path), repairs, delimiter=delimiter_of(path))
        header = header_of(rows, path)
        fields = columns.fields(header, str(path))
        for count, (number, row) in enumerate(rows, 1):
            if len(row) < len(header):
                repairs.malformed("row_malformed", f"{path}, line {number}", count)
            else:
                yield columns.record(dict(zip(header, row, strict=False)), fields)


def _parquet(path: Path, columns: ItemColumns) -> Iterator[Item]:
    frame = large.scan(path)
    fields = columns.fields(list(large.schema(frame, path)), str(path))
    for part in large.batches(frame.select(list(dict.fromkeys([*fields.values(), *columns.levels])))):
        for row in part.iter_rows(named=True):
            yield columns.record(row, fields)


def json_items(path: Path) -> Iterator[Item]:
    """Items of the prepared form (`items.jsonl.gz`), as they stand."""
    for row in read_jsonl_gz(path):
        names = row.get("categories") or ()
        if isinstance(names, str):
            raise MindRecError(
                f"{path}, item {row.get('item_id')!r}: categories is the text {names[:80]!r}; a list of names, coarse "
                "to fine, is needed"
            )
        names = names if isinstance(names, list) else ()
        item_id = "" if row.get("item_id") is None else str(row["item_id"])
        yield Item(item_id, row.get("title") or "", tuple(names), row.get("brand"), row.get("description"))
