"""Your own log as Parquet, one file or a folder of them, larger than memory if need be (polars, streaming)."""

from pathlib import Path

from mindrec.sources import streaming as large
from mindrec.sources.interactions_log import Events
from mindrec.sources.readers import columns_of
from mindrec.sources.repairs import Repairs
from mindrec.sources.user_columns import own_log


def _events(path: Path, wanted: dict[str, str | None], core: int, repairs: Repairs) -> Events:
    frame = large.scan(path)
    schema = large.schema(frame, path)
    columns_of(list(schema), wanted, str(path))
    return large.events(_columns(frame, schema, wanted), core, repairs)


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


load = own_log(_events)
