"""Recommendations for many users: a Parquet file of histories in, a Parquet file of ranked items out."""

import hashlib
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from mindrec.decoding.answerable import answerable
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.jobs.chunks import ChunkedJob, Work, parquet_metadata
from mindrec.recommender import Recommender
from mindrec.system.files import atomic_path, check_parquet

CHUNK = 512
"""Users of one chunk: a process that dies loses that many at most, and only until another one takes them over."""
TOGETHER = 64
"""Of these so many are decoded at once."""
COUNTED = ("unknown_items", "without_history", "nothing_left")
SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "rank": pa.int32(),
        "item_id": pa.string(),
        "score": pa.float64(),
        "probability": pa.float64(),
    }
)


def recommend_many(
    checkpoint: Path,
    histories: Path,
    out: Path,
    *,
    settings: dict | None = None,
    top: int = 10,
    workers: int = 0,
    resume: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> dict:
    """Recommend for every row of `histories` (columns user_id, item_ids: oldest first) and write `out`, a row an item.

    Items that the checkpoint does not know are passed over. Of the others the last `max_history` are read, and none is
    recommended (unless exclude_seen is off). A user with none, or to whom nothing is left to recommend, has no row: all
    are counted in what is returned. Finished chunks lie in `out`.partial until the end.

    Raises:
        MindRecError: a file that is no such table; other settings than those of the work that is resumed.
    """
    check_parquet(out)
    recommender = Recommender.from_pretrained(checkpoint, device)
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | (settings or {}))
    if not 1 <= top <= config.beam_size:
        raise MindRecError(f"--top {top} is outside 1..{config.beam_size}, the beams that each user's search keeps")
    users = _checked(histories)
    with histories.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    about = {
        "fingerprint": recommender.checkpoint.fingerprint,
        "histories": digest,
        "users": users,
        "decoder": config.to_dict(),
        "top": top,
    }
    job = ChunkedJob(out, about, resume=resume)
    if job.finished:
        return {"users": users} | parquet_metadata(out)["counts"]
    sizes = {first: min(CHUNK, users - first) for first in range(0, users, CHUNK)}
    if workers:
        open_worker = partial(_opened, checkpoint, histories, config, top, device)
    else:
        open_worker = partial(_worker, recommender, histories, config, top)
    with tqdm(total=users, disable=not progress) as bar:
        job.run({first: (first, count) for first, count in sizes.items()}, sizes, open_worker, workers, bar)
    counts = _joined(job.parts, out, about)
    job.close()
    return {"users": users} | counts


def _checked(histories: Path) -> int:
    """How many users a file has. Raises MindRecError where it is not a table of histories."""
    try:
        file = pq.ParquetFile(histories)
    except FileNotFoundError as error:
        raise MindRecError(f"--histories {histories} is missing; give a Parquet file") from error
    except (pa.ArrowException, OSError) as error:
        raise MindRecError(f"--histories {histories} is not a Parquet file that can be read ({error})") from error
    with file:
        columns = file.schema_arrow
        for name in ("user_id", "item_ids"):
            if name not in columns.names:
                raise MindRecError(
                    f"--histories {histories} lacks the column {name!r}; it has {', '.join(columns.names)}"
                )
        kind = columns.field("item_ids").type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise MindRecError(f"--histories {histories}: item_ids is {kind}; a list of ids in each row is needed")
        return file.metadata.num_rows


class _Histories:
    """Rows of a Parquet file by number; one row group of it is held at a time."""

    def __init__(self, path: Path):
        self.file, self._held = pq.ParquetFile(path), (-1, None)
        sizes = [self.file.metadata.row_group(n).num_rows for n in range(self.file.num_row_groups)]
        self.ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]

    def rows(self, first: int, count: int) -> Iterator[tuple[str, list[str]]]:
        """(user id, item ids) of rows first .. first + count; fewer where the file ends."""
        begin = 0
        for group, end in enumerate(self.ends):
            low, high = max(first, begin), min(first + count, end)
            if low < high:
                for row in self._group(group).slice(low - begin, high - low).to_pylist():
                    yield row["user_id"], [item for item in row["item_ids"] or () if item is not None]
            begin = end

    def _group(self, number: int) -> pa.Table:
        if self._held[0] != number:
            table = self.file.read_row_group(number, columns=["user_id", "item_ids"])
            ids = table["item_ids"].cast(pa.list_(pa.string()))
            self._held = number, pa.table({"user_id": pc.cast(table["user_id"], pa.string()), "item_ids": ids})
        return self._held[1]


def _opened(checkpoint: Path, histories: Path, config: DecodeConfig, top: int, device: str) -> Work:
    """A worker of its own process."""
    return _worker(Recommender.from_pretrained(checkpoint, device), histories, config, top)


def _worker(recommender: Recommender, histories: Path, config: DecodeConfig, top: int) -> Work:
    return partial(_recommended, recommender, _Histories(histories), config, top)


def _recommended(
    recommender: Recommender, histories: _Histories, config: DecodeConfig, top: int, chunk: tuple[int, int]
) -> bytes:
    """One chunk's rows as a Parquet file, whose metadata counts what was passed over."""
    asked, unknown, without, catalog = [], 0, 0, recommender.catalog
    for user, ids in histories.rows(*chunk):
        known = [row for item in ids if (row := recommender.row_of_id(item)) is not None]
        unknown, without = unknown + len(ids) - len(known), without + (not known)
        if known:
            asked.append((user, known))
    served = answerable(recommender.index, [history for _, history in asked], config)
    asked = [
        (user, [catalog.items[row].item_id for row in rows])
        for (user, rows), able in zip(asked, served, strict=True)
        if able
    ]
    rows: dict[str, list] = {name: [] for name in SCHEMA.names}
    for n in range(0, len(asked), TOGETHER):
        users, ids = zip(*asked[n : n + TOGETHER], strict=True)
        for user, answer in zip(users, recommender.recommend_many(ids, config, trace=False), strict=True):
            for found in answer.items[:top]:
                values = (user, found.rank, found.item.item_id, found.score, found.probability)
                for name, value in zip(SCHEMA.names, values, strict=True):
                    rows[name].append(value)
    told = {
        b"unknown_items": str(unknown),
        b"without_history": str(without),
        b"nothing_left": str(int((~served).sum())),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(rows, SCHEMA).replace_schema_metadata(told), out, compression="zstd")
    return out.getvalue()


def _joined(parts: list[Path], out: Path, about: dict) -> dict:
    """Write the chunks as one file, in their order; returns the sums of what each passed over."""
    files = [pq.read_metadata(part) for part in parts]
    counts = {name: sum(int(file.metadata[name.encode()]) for file in files) for name in COUNTED}
    counts = {"rows": sum(file.num_rows for file in files)} | counts
    schema = SCHEMA.with_metadata({"mindrec": json.dumps({"run": about, "counts": counts})})
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).replace_schema_metadata(schema.metadata))
    return counts
