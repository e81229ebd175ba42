"""Amazon Reviews as published in 2014, 2018 and 2023: a review file and a metadata file, gzipped, one record a line.

Both are read line by line; reviews go to disk as (user, item, time) and come back filtered (polars, streaming).
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mindrec.data.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources import streaming as large
from mindrec.sources.interactions_log import assemble
from mindrec.sources.readers import json_lines, parse_record
from mindrec.sources.repairs import Repairs

KEYS = {  # of a review: release -> (user, item, time)
    "2014 or 2018": ("reviewerID", "asin", "unixReviewTime"),
    "2023": ("user_id", "parent_asin", "timestamp"),
}
PATH_LEVELS = 3

NOTES = """# {name} (Amazon Reviews, {release})
Read from `{reviews}` and `{metadata}` as published. Categories: of several paths of an item the one of {levels} levels
below the root, else the longest; markup and repeated names are left out, a root that all items share is dropped, nodes
are keyed by their whole path. Time stamps of the 2014 and 2018 releases are days: the order within a day is the file's.

Licence: the publisher (UCSD, McAuley lab) offers the data for research and names no licence; do not pass it on.
"""


def load(
    path: Path, *, metadata: Path | None = None, core: int = 5, keep_unused: bool = False, name: str | None = None
) -> PreparedData:
    """Read a review file and its metadata file, or a folder that holds one of each (`meta_*` and the other).

    Raises:
        MindRecError: a file is missing or damaged, or holds no reviews.
    """
    large.polars()  # refuse before the long read, not after it
    reviews, metadata = _files(Path(path), metadata)
    repairs, release = Repairs(), []
    with tempfile.TemporaryDirectory(prefix="mindrec-amazon-") as folder:
        files = large.stage(_reviews(reviews, repairs, release), Path(folder))
        if not files:
            raise MindRecError(f"{reviews} holds no reviews; check --path")
        events = large.events(large.polars().scan_parquet(files), core, repairs)
    wanted = set(events.items)
    records = _records(metadata, wanted, repairs)
    notes = NOTES.format(
        name=name or reviews.name.split(".")[0],
        release=release[0],
        reviews=reviews.name,
        metadata=metadata.name,
        levels=PATH_LEVELS,
    )
    return assemble(
        events,
        records,
        repairs,
        name=name or reviews.name.split(".")[0],
        core=core,
        keep_unused=keep_unused,
        drop_root=True,
        notes=notes,
    )


def _files(path: Path, metadata: Path | None) -> tuple[Path, Path]:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if {".json", ".jsonl"} & set(p.suffixes))
        meta = [p for p in files if p.name.startswith("meta_")]
        other = [p for p in files if p not in meta]
        if len(other) != 1 or (metadata is None and len(meta) != 1):
            raise MindRecError(
                f"{path} holds {[p.name for p in files]}; one review file and one meta_* file are needed: name them "
                "with --path and --metadata"
            )
        return other[0], Path(metadata or meta[0])
    if metadata is None:
        raise MindRecError(f"prepare amazon needs --metadata, the meta_* file that belongs to {path.name}")
    return path, Path(metadata)


def _reviews(path: Path, repairs: Repairs, release: list[str]) -> Iterator[tuple[str, str, str, float]]:
    """(where, user, item, time) of each review; the first record tells the release."""
    keys = None
    for number, row in json_lines(path, repairs):
        if keys is None:
            fitting = [name for name, keys in KEYS.items() if all(k in row for k in keys[:2])]
            if not fitting:
                raise MindRecError(
                    f"{path}, line {number}: no review of the 2014, 2018 or 2023 release; its keys are "
                    f"{sorted(row)[:12]}, needed are {' or '.join(str(k) for k in KEYS.values())}"
                )
            release.append(fitting[0])
            keys = KEYS[fitting[0]]
        user, item, time = (row.get(key) for key in keys)
        if not isinstance(user, str) or not isinstance(item, str):
            repairs.malformed("missing_id", f"{path}, line {number}", number)
        elif isinstance(time, bool) or not isinstance(time, (int, float)):
            repairs.malformed("bad_time", f"{path}, line {number}", number)
        else:
            yield f"{path}, line {number}", _plain(user), _plain(item), _number(time)


def _plain(text: str) -> str:
    """Text that UTF-8 can hold: JSON may smuggle in half a surrogate pair, which no writer accepts."""
    return text.encode("utf-8", "replace").decode()


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return float("nan")


def _records(path: Path, wanted: set[str], repairs: Repairs) -> Iterator[Item]:
    """Items that the log still holds; the file may list millions of others."""
    for _, row in json_lines(path, repairs, parse_record):
        item_id = str(row.get("parent_asin") or row.get("asin") or "")
        if item_id in wanted:
            details = row.get("details") if isinstance(row.get("details"), dict) else {}
            brand = row.get("brand") or row.get("store") or details.get("Brand")
            description = row.get("description")
            if isinstance(description, list):
                description = " ".join(map(str, description))
            yield Item(item_id, row.get("title") or "", category_path(row), brand, description or None)


def category_path(row: dict) -> tuple[str, ...]:
    """One path of a record, root first. 2014: `categories`, lists of names; 2018: `category`; 2023: `categories`."""
    raw = row.get("categories") or row.get("category") or []
    if not isinstance(raw, list):
        raw = [str(raw)]
    paths = [p for p in raw if isinstance(p, list)] or [raw]
    if not any(paths) and row.get("main_category"):
        paths = [[row["main_category"]]]
    return tuple(map(str, best_path(paths)))


def best_path(paths: Iterable[list]) -> list:
    """The first path of the wanted depth below its root, else the first of the longest."""
    paths = list(paths)
    return next((p for p in paths if len(p) == PATH_LEVELS + 1), max(paths, key=len, default=[]))
