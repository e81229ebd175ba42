"""Logs larger than memory, with polars' streaming engine: only ids and the events that may stay are ever held.

The rows stay on disk. A first pass counts users and items, a second one keeps the rows whose user and item occur
often enough and turns their ids into numbers; what comes back costs 16 bytes an event.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import Events
from mindrec.sources.packing import kind_of
from mindrec.sources.repairs import MAX_ID, Repairs

BATCH = 200_000
PIP = "pip install 'polars>=2.1,<3'"


def polars():
    """The optional library. Raises MindRecError with the pip line where it is not installed."""
    try:
        import polars as pl
    except ImportError as error:
        raise MindRecError(f"this source needs polars, which is not installed; run `{PIP}`") from error
    return pl


def scan(path: Path):
    """A Parquet file, or all those of a folder, as a lazy frame. Raises MindRecError where there is none."""
    pl = polars()
    if not path.exists():
        raise MindRecError(f"{path} is missing; give a Parquet file or a folder of them with --path")
    if path.is_dir() and not any(path.glob("*.parquet")):
        raise MindRecError(f"{path} holds no *.parquet file; check --path")
    if path.is_file():
        with path.open("rb") as stream:
            head = stream.read(4)
        if head != b"PAR1":
            raise MindRecError(
                f"{path} is no Parquet file but {kind_of(head)}; `prepare csv` reads text tables, packed or not"
            )
    return pl.scan_parquet(path / "*.parquet" if path.is_dir() else path)


def schema(frame, path: Path) -> dict:
    """{column: type} from the files' footers; nothing else is read. Raises MindRecError for other files."""
    try:
        return dict(frame.collect_schema())
    except (polars().exceptions.PolarsError, OSError) as error:
        raise MindRecError(f"{path} is no readable Parquet ({str(error)[:300]}); write or fetch it again") from error


def stage(rows: Iterable[tuple[str, str, str, float]], folder: Path) -> list[Path]:
    """Write (where, user, item, time) rows to Parquet files as they come; returns the files."""
    pl, files, rows = polars(), [], iter(rows)
    while batch := list(islice(rows, BATCH)):
        columns = {"user": [r[1] for r in batch], "item": [r[2] for r in batch], "time": [r[3] for r in batch]}
        files.append(folder / f"{len(files):06d}.parquet")
        pl.DataFrame(columns, schema={"user": pl.String, "item": pl.String, "time": pl.Float64}).write_parquet(
            files[-1], compression="zstd"
        )
    return files


def events(frame, core: int, repairs: Repairs) -> Events:
    """Events of a lazy frame with the columns user, item (text) and time (a number), in the order of its rows.

    Users and items that occur fewer than `core` times in the whole log cannot be in its k-core: they are dropped
    before anything is held.

    Raises:
        MindRecError: no user and item occurs `core` times, or too many rows are faulty.
    """
    pl = polars()
    usable = [pl.col(c).is_not_null() & pl.col(c).str.len_chars().is_between(1, MAX_ID) for c in ("user", "item")]
    total = collected(frame.select(pl.len())).item()
    frame = frame.filter(*usable)
    with_ids = collected(frame.select(pl.len())).item()
    frame = frame.filter(pl.col("time").is_not_null() & pl.col("time").is_finite())
    with_time = collected(frame.select(pl.len())).item()
    for kind, lost in (("missing_id", total - with_ids), ("bad_time", with_ids - with_time)):
        repairs.count(kind, n=lost)
        if lost > 20 and lost > (0.5 if kind == "missing_id" else 0.1) * total:
            raise MindRecError(f"{lost:,} of {total:,} rows fall under `{kind}`; check the column options")
    users, items = _frequent(frame, "user", core), _frequent(frame, "item", core)
    kept = frame.join(users.lazy(), on="user", how="inner", maintain_order="left").join(
        items.lazy(), on="item", how="inner", maintain_order="left"
    )
    parts = [[np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(0)]]
    for part in batches(kept.select("user_code", "item_code", "time")):
        for column, held in zip(("user_code", "item_code", "time"), parts, strict=True):
            held.append(part[column].to_numpy())
    user_M, item_M, time_M = (np.concatenate(held) for held in parts)
    if with_time and not len(user_M):
        raise MindRecError(f"no user and item of the {with_time:,} rows occurs {core} times; lower --core")
    repairs.count("outside_core", n=with_time - len(user_M))
    return Events(users["user"].to_list(), items["item"].to_list(), user_M, item_M, time_M)


def _frequent(frame, column: str, core: int):
    """Ids with `core` rows or more, sorted, with their number as COLUMN_code."""
    pl = polars()
    counted = frame.group_by(column).agg(pl.len().alias("n")).filter(pl.col("n") >= core).select(column)
    frequent = collected(counted).sort(column)
    return frequent.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias(f"{column}_code"))


def collected(frame):
    """The rows of a lazy frame. Raises MindRecError where the file cannot be read."""
    try:
        return frame.collect(engine="streaming")
    except (polars().exceptions.PolarsError, OSError) as error:
        raise MindRecError(f"the log cannot be read ({str(error)[:300]}); check the file and the columns") from error


def batches(frame) -> Iterator:
    """Frames of at most `BATCH` rows, in order. Raises MindRecError where the log cannot be read."""
    try:
        yield from frame.collect_batches(chunk_size=BATCH, maintain_order=True)
    except (polars().exceptions.PolarsError, OSError) as error:
        raise MindRecError(f"the log cannot be read ({str(error)[:300]}); check the file and the columns") from error
