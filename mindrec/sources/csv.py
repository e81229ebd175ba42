"""Your own log as CSV or TSV, with an optional item file; columns are named by options and checked before reading."""

from collections.abc import Iterator
from pathlib import Path

from mindrec.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.log import assemble, collect, parse_time
from mindrec.sources.reading import columns_of, csv_rows, open_binary
from mindrec.sources.repairs import Repairs

ITEM_COLUMNS = ("title", "brand", "description")
NOTES = """# {name}
Your own interaction log, read from {files}. Its licence is the one you hold it under: set it down here before you
share this folder.
"""


def load(
    path: Path,
    *,
    item_file: Path | None = None,
    user_column: str = "user_id",
    item_column: str = "item_id",
    time_column: str | None = "timestamp",
    title_column: str | None = None,
    brand_column: str | None = None,
    description_column: str | None = None,
    category_columns: str | None = None,
    category_separator: str | None = None,
    core: int = 1,
    keep_unused: bool = False,
) -> PreparedData:
    """Read a log with one row an interaction. `time_column=""`: the file is in time order already.

    The item file needs `item_column`; `category_columns` names its levels coarse to fine ("department,aisle"), or one
    column whose cells hold the whole path, split at `category_separator`.
    """
    repairs, path = Repairs(), Path(path)
    fields = {"title": title_column, "brand": brand_column, "description": description_column}
    records = ()
    if item_file is not None:
        levels = [c.strip() for c in (category_columns or "").split(",") if c.strip()]
        records = items(Path(item_file), item_column, fields, levels, category_separator, repairs)
    elif category_columns or any(fields.values()):
        raise MindRecError("columns of items are named but no --item-file; give the file that holds them")
    wanted = {"user": user_column, "item": item_column, "time": time_column or None}
    events = collect(_rows(path, wanted, repairs), repairs)
    notes = NOTES.format(name=path.stem, files=" and ".join(p.name for p in (path, item_file) if p is not None))
    return assemble(
        events, records, repairs, name=path.name.split(".")[0], core=core, keep_unused=keep_unused, notes=notes
    )


def delimiter_of(path: Path) -> str:
    """A tab for .tsv and .tab, else a comma."""
    return "\t" if {".tsv", ".tab"} & set(path.suffixes) else ","


def _rows(path: Path, wanted: dict[str, str | None], repairs: Repairs) -> Iterator[tuple[str, str, str, float]]:
    with open_binary(path) as stream:
        rows = csv_rows(stream, str(path), repairs, delimiter=delimiter_of(path))
        place = columns_of(_header(rows, path), wanted, str(path))
        user, item, last = place["user"], place["item"], max(place.values())
        for count, (number, row) in enumerate(rows, 1):
            where = f"{path}, line {number}"
            time = parse_time(row[place["time"]]) if "time" in place and len(row) > last else float(count)
            if len(row) <= last:
                repairs.malformed("row_malformed", where, count)
            elif time is None:
                repairs.malformed("bad_time", f"{where}: {row[place['time']]!r}", count)
            else:
                yield where, row[user].strip(), row[item].strip(), time


def items(
    path: Path,
    item_column: str,
    fields: dict[str, str | None],
    levels: list[str],
    separator: str | None,
    repairs: Repairs,
) -> Iterator[Item]:
    """Records of an item file. A field that no option names is read from the column of its own name, if there."""
    with open_binary(path) as stream:
        rows = csv_rows(stream, str(path), repairs, delimiter=delimiter_of(path))
        header = _header(rows, path)
        named = {use: column or (use if use in header else None) for use, column in fields.items()}
        place = columns_of(header, {"item": item_column} | named, str(path))
        path_places = list(columns_of(header, {f"category {c}": c for c in levels}, str(path)).values())
        for count, (number, row) in enumerate(rows, 1):
            if len(row) < len(header):
                repairs.malformed("row_malformed", f"{path}, line {number}", count)
                continue
            names = [row[p] for p in path_places]
            if separator:
                names = [part for name in names for part in name.split(separator)]
            yield Item(
                row[place["item"]].strip(),
                row[place["title"]] if "title" in place else "",
                tuple(names),
                row[place["brand"]] if "brand" in place else None,
                row[place["description"]] if "description" in place else None,
            )


def _header(rows: Iterator[tuple[int, list[str]]], path: Path) -> list[str]:
    header = next(rows, None)
    if header is None:
        raise MindRecError(f"{path} is empty; a header line with column names is needed")
    return [name.strip() for name in header[1]]
