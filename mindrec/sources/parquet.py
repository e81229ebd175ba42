"""Your own log as Parquet, one file or a folder of them, larger than memory if need be (polars, streaming)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mindrec.data.catalog import Item
from mindrec.data.ids import FORMULA, MISSING, UNSEEN, WHOLE_FLOAT
from mindrec.errors import MindRecError
from mindrec.sources import filters
from mindrec.sources import streaming as large
from mindrec.sources.described import VARIES, OwnColumns, records
from mindrec.sources.interactions_log import Log
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import log_roles
from mindrec.sources.tables import HEAD_ROWS
from mindrec.sources.times import TimeColumn, one_unit
from mindrec.sources.user_columns import LogOptions, load_with


def _read(path: Path, options: LogOptions, repairs: Repairs) -> Log:
    pl = large.polars()
    frame = _one_frame(path)
    schema = large.schema(frame, path)
    roles = log_roles(list(schema), options.wanted, path.name, repairs)
    for use, column in roles.items():
        _check_type(use, column, schema[column], path)
    uses = OwnColumns.of(list(schema), roles, options.items, path.name) if options.item_file is None else None
    frame = _kept(frame, schema, options, path, repairs)
    items = _described(frame, schema, uses, path.name, repairs) if uses else ()
    if "time" not in roles or not _is_text(schema[roles["time"]]):
        events = large.events(_columns(frame, schema, roles), options.core, repairs)
        if "time" in roles:
            events.time_M = one_unit(events.time_M, roles["time"], repairs.warn)
        return Log(events, items)
    times = TimeColumn(roles["time"], options.day_first, options.time_format)
    ids = _columns(frame, schema, {use: roles[use] for use in ("user", "item")})
    with tempfile.TemporaryDirectory(prefix="mindrec-parquet-") as folder:
        text = pl.col(roles["time"]).cast(pl.String)
        for part in large.batches(frame.select(text)):
            times.add(part[roles["time"]].fill_null("").to_list())
        files = large.stage(_rows(ids, times.finish(repairs.warn)), Path(folder))
        return Log(large.events(pl.scan_parquet(files), options.core, repairs), items)


def _described(frame, schema: dict, uses: OwnColumns, name: str, repairs: Repairs) -> list[Item]:
    """Items by the columns of the log that are theirs, each as its first row with a value has it."""
    pl = large.polars()
    key, texts = uses.fields["item"][0], [column for column in uses.used if not schema[column].is_nested()]
    cells = [_present(column, schema[column]) for column in uses.used]
    frame_of_items = large.collected(
        frame.select(_id(key, schema[key]).alias("_item"), *cells)
        .filter(pl.col("_item").is_not_null())
        .group_by("_item")
        .agg(
            pl.len().alias("_rows"),
            *(pl.col(column).drop_nulls().first() for column in uses.used),
            *(pl.col(column).drop_nulls().n_unique().alias(f"_{n}") for n, column in enumerate(texts)),
        )
        .sort("_item")
    )
    again = max(int((frame_of_items["_rows"] - 1).sum()), 1)
    others = {column: int((frame_of_items[f"_{n}"].clip(1) - 1).sum()) for n, column in enumerate(texts)}
    uses = uses.without({column for column, n in others.items() if n > VARIES * again}, name, repairs)
    return list(records(uses, ((row["_item"], row) for row in frame_of_items.iter_rows(named=True))))


def _present(column: str, kind):
    """A column whose words for a missing value are null."""
    pl = large.polars()
    value = pl.col(column)
    if not _is_text(kind):
        return value
    text = value.cast(pl.String)
    return pl.when(text.str.strip_chars().is_in(sorted(MISSING))).then(None).otherwise(text).alias(column)


def _one_frame(path: Path):
    """The files of `path` as one lazy frame; a column of two types of numbers or texts becomes text.

    Raises:
        MindRecError: the types of a column cannot be joined; both files are named.
    """
    pl = large.polars()
    frame = large.scan(path)
    if not path.is_dir():
        return frame
    files = sorted(path.glob("*.parquet"))
    parts = [pl.scan_parquet(file) for file in files]
    schemas = [large.schema(part, file) for part, file in zip(parts, files, strict=True)]
    shared = [column for column in schemas[0] if all(column in schema for schema in schemas)]
    mixed = [column for column in shared if len({schema[column] for schema in schemas}) > 1]
    if not mixed:
        return frame
    for column in mixed:
        kinds = [schema[column] for schema in schemas]
        if not all(kind.is_numeric() or _is_text(kind) for kind in kinds):
            other = next(n for n, kind in enumerate(kinds) if kind != kinds[0])
            raise MindRecError(
                f"column {column!r} is {kinds[0]} in {files[0].name} and {kinds[other]} in {files[other].name}; write "
                "the files with one type"
            )
    return pl.concat(
        part.select(_id(c, schema[c]).alias(c) if c in mixed else pl.col(c) for c in shared)
        for part, schema in zip(parts, schemas, strict=True)
    )


def _rows(ids, time_M: np.ndarray) -> Iterator[tuple[str, str, str, float]]:
    first = 0
    for part in large.batches(ids.select("user", "item")):
        for (user, item), time in zip(part.iter_rows(), time_M[first:].tolist(), strict=False):
            yield "", user, item, time
        first += len(part)


def _is_text(kind) -> bool:
    pl = large.polars()
    return kind in (pl.String, pl.Categorical, pl.Enum)


def _check_type(use: str, column: str, kind, path: Path) -> None:
    """Refuse a type that is no id or no time, by the column's name and in our words."""
    pl = large.polars()
    if (
        kind.is_nested()
        or kind in (pl.Binary, pl.Null, pl.Object)
        or (use != "time" and kind in (pl.Boolean, pl.Duration))
    ):
        raise MindRecError(
            f"{path.name}: column {column!r} is of type {kind}, which is no {'time' if use == 'time' else 'id'}; give "
            f"a column of text or whole numbers with --{use}-column"
        )
    if use == "time" and kind in (pl.Boolean, pl.Duration, pl.Time):
        raise MindRecError(
            f"{path.name}: column {column!r} is of type {kind}, which is no moment in time; give dates or numbers with "
            "--time-column, or --no-time where the rows are in order"
        )


def _kept(frame, schema: dict, options: LogOptions, path: Path, repairs: Repairs):
    """The frame without the rows that --keep and --min-rating leave out."""
    pl = large.polars()
    rules = filters.rules(options.keep, options.min_rating, list(schema), path.name)
    if not rules:
        head = large.collected(
            frame.head(HEAD_ROWS).select(
                pl.col(c).cast(pl.String, strict=False) for c in schema if not schema[c].is_nested()
            )
        )
        filters.hint(
            head.columns, [["" if v is None else v for v in row] for row in head.iter_rows()], path.name, repairs
        )
        return frame
    passes = pl.lit(True)
    for column, sign, values in rules:
        test = filters.test_of(sign, values)
        text = pl.col(column).cast(pl.String, strict=False).fill_null("")
        passes &= text.map_elements(test, return_dtype=pl.Boolean)
    before = frame.select(pl.len()).collect().item()
    frame = frame.filter(passes)
    repairs.count("filtered", path.name, before - frame.select(pl.len()).collect().item())
    return frame


def _columns(frame, schema: dict, roles: dict[str, str]):
    """The frame with the columns user, item and time; without a time column the row number stands for it."""
    pl = large.polars()
    time = roles.get("time")
    if time is None:
        frame, when = frame.with_row_index("_row"), pl.col("_row").cast(pl.Float64)
    elif schema[time].is_temporal():
        when = pl.col(time).cast(pl.Datetime("us"), strict=False).cast(pl.Int64).cast(pl.Float64)
    else:
        when = pl.col(time).cast(pl.Float64, strict=False)
    text = {use: _id(roles[use], schema[roles[use]]).alias(use) for use in ("user", "item")}
    return frame.select(*text.values(), when.alias("time"))


def _id(column: str, kind):
    """An id as text in its one spelling, null where it is missing; see `values.normal_id`."""
    pl = large.polars()
    value = pl.col(column)
    if kind.is_integer():
        return value.cast(pl.String)
    if kind.is_float():  # beyond 2**53 a float is no whole number any more
        whole = (value == value.round(0)) & (value.abs() < 2.0**53)
        value = pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
    text = value.cast(pl.String, strict=False).str.strip_chars().str.strip_chars(UNSEEN).str.strip_chars()
    text = text.str.replace(FORMULA, "$1")
    return pl.when(text.is_in(sorted(MISSING))).then(None).otherwise(text.str.replace(WHOLE_FLOAT, "$1"))


load = load_with(_read)
