"""Your own log as Parquet, one file or a folder of them, larger than memory if need be (polars, streaming)."""

from collections.abc import Iterator
from pathlib import Path

from mindrec.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources import large
from mindrec.sources.csv import NOTES
from mindrec.sources.csv import items as csv_items
from mindrec.sources.log import assemble
from mindrec.sources.reading import columns_of
from mindrec.sources.repairs import Repairs


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
    """As the csv source; the item file may be Parquet or CSV. A category column may hold lists of names."""
    repairs, path = Repairs(), Path(path)
    frame = _scan(path)
    wanted = {"user": user_column, "item": item_column, "time": time_column or None}
    schema = _schema(frame, path)
    columns_of(list(schema), wanted, str(path))
    fields = {"title": title_column, "brand": brand_column, "description": description_column}
    levels = [c.strip() for c in (category_columns or "").split(",") if c.strip()]
    records = ()
    if item_file is not None:
        read = _items if Path(item_file).suffix == ".parquet" else csv_items
        records = list(read(Path(item_file), item_column, fields, levels, category_separator, repairs))
    elif levels or any(fields.values()):
        raise MindRecError("columns of items are named but no --item-file; give the file that holds them")
    events = large.events(_columns(frame, schema, wanted), core, repairs)
    notes = NOTES.format(name=path.stem, files=" and ".join(p.name for p in (path, item_file) if p is not None))
    return assemble(events, records, repairs, name=path.stem, core=core, keep_unused=keep_unused, notes=notes)


def _scan(path: Path):
    pl = large.polars()
    if not path.exists():
        raise MindRecError(f"{path} is missing; give a Parquet file or a folder of them with --path")
    if path.is_dir() and not any(path.glob("*.parquet")):
        raise MindRecError(f"{path} holds no *.parquet file; check --path")
    return pl.scan_parquet(path / "*.parquet" if path.is_dir() else path)


def _schema(frame, path: Path) -> dict:
    """{column: type} from the files' footers; nothing else is read."""
    try:
        return dict(frame.collect_schema())
    except (large.polars().exceptions.PolarsError, OSError) as error:
        raise MindRecError(f"{path} is no readable Parquet ({str(error)[:300]}); write or fetch it again") from error


def _columns(frame, schema: dict, wanted: dict[str, str | None]):
    """The frame with the columns user, item and time; without a time column the row number stands for it."""
    pl = large.polars()
    time = wanted["time"]
    if time is None:
        frame, when = frame.with_row_index("_row"), pl.col("_row").cast(pl.Float64)
    elif schema[time].is_temporal():
        when = pl.col(time).cast(pl.Datetime("us"), strict=False).cast(pl.Int64).cast(pl.Float64)
    else:
        when = pl.col(time).cast(pl.Float64, strict=False)
    text = {use: pl.col(wanted[use]).cast(pl.String, strict=False).str.strip_chars() for use in ("user", "item")}
    return frame.select(text["user"].alias("user"), text["item"].alias("item"), when.alias("time"))


def _items(
    path: Path,
    item_column: str,
    fields: dict[str, str | None],
    levels: list[str],
    separator: str | None,
    repairs: Repairs,
) -> Iterator[Item]:
    frame = _scan(path)
    header = list(_schema(frame, path))
    named = {use: column or (use if use in header else None) for use, column in fields.items()}
    columns_of(header, {"item": item_column} | named | {f"category {c}": c for c in levels}, str(path))
    for part in large.batches(frame.select(list(dict.fromkeys([item_column, *filter(None, named.values()), *levels])))):
        for row in part.iter_rows(named=True):
            names = [n for c in levels for n in (row[c] if isinstance(row[c], list) else [row[c]]) if n is not None]
            if separator:
                names = [piece for name in names for piece in str(name).split(separator)]
            text = {use: None if column is None else row[column] for use, column in named.items()}
            yield Item(
                "" if row[item_column] is None else str(row[item_column]).strip(),
                text["title"] or "",
                tuple(names),
                text["brand"],
                text["description"],
            )
