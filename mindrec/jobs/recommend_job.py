"""Recommendations for many users: a Parquet file of histories in, a Parquet file of ranked items out."""

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mindrec.decoding.answerable import answerable
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.jobs.chunks import ChunkedJob, Work, parquet_metadata
from mindrec.jobs.history_file import Histories, open_histories, repeated_people
from mindrec.recommender import Recommender
from mindrec.system.files import atomic_path, check_parquet
from mindrec.system.progress import progress_bar

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
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Recommend for every row of `histories` (columns user_id, item_ids: oldest first) and write `out`, a row an item.

    Items that the checkpoint does not know are passed over. Of the others the last `max_history` are read, and none is
    recommended (unless exclude_seen is off). A user with none, or to whom nothing is left to recommend, has no row: all
    are counted in what is returned, and the first of each is told through `say`. Finished chunks lie in `out`.partial
    until the end.

    Raises:
        MindRecError: a file that is no such table; other settings than those of the work that is resumed.
    """
    check_parquet(out)
    recommender = Recommender.from_pretrained(checkpoint, device)
    config = _checked_config(recommender, settings, top)
    table = open_histories(histories)
    users = len(table)
    about = {
        "fingerprint": recommender.checkpoint.fingerprint,
        "histories": _digest(histories),
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
        open_worker = partial(_worker, recommender, table, config, top)
    with progress_bar(total=users, desc="recommend", unit=" people", shown=progress) as bar:
        job.run({first: (first, count) for first, count in sizes.items()}, sizes, open_worker, workers, bar)
    counts, firsts = _joined(job.parts, out, about)
    job.close()
    for line in (*repeated_people(table), *_notes(counts, firsts, users, recommender)):
        say(line)
    return {"users": users} | counts


def _checked_config(recommender: Recommender, settings: dict | None, top: int) -> DecodeConfig:
    """The settings of the decodes. Raises MindRecError where they keep fewer beams than items are asked for."""
    config = recommender.settings(settings)
    if not 1 <= top <= config.beam_size:
        raise MindRecError(
            f"--top {top} is outside 1..{config.beam_size}, the beams that each user's search keeps; "
            "--decoder beam_size=N, at most 100, keeps more"
        )
    return config


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _notes(counts: dict[str, int], firsts: dict[str, str], users: int, recommender: Recommender) -> list[str]:
    """Lines on the histories that were passed over, one a kind, with the first of each."""
    hint = recommender.catalog.ids.hint(firsts.get("unknown_items", ""))
    words = {
        "unknown_items": "items in histories are unknown to the checkpoint and passed over",
        "without_history": f"of {users:,} rows have no item that the checkpoint knows, and no answer",
        "nothing_left": f"of {users:,} rows have nothing left to recommend, and no answer",
    }
    return [
        f"note: {counts[kind]:,} {fact} (first: {firsts[kind]}{'; ' + hint if hint and kind == COUNTED[0] else ''})"
        for kind, fact in words.items()
        if counts[kind]
    ]


def _opened(checkpoint: Path, histories: Path, config: DecodeConfig, top: int, device: str) -> Work:
    """A worker of its own process."""
    return _worker(Recommender.from_pretrained(checkpoint, device), open_histories(histories), config, top)


def _worker(recommender: Recommender, histories: Histories, config: DecodeConfig, top: int) -> Work:
    return partial(_recommended, recommender, histories, config, top)


def _recommended(
    recommender: Recommender, histories: Histories, config: DecodeConfig, top: int, chunk: tuple[int, int]
) -> bytes:
    """One chunk's rows as a Parquet file, whose metadata counts what was passed over."""
    served_rows, unknown, without, catalog = [], [], [], recommender.catalog
    for user, ids in histories.rows(*chunk):
        matched = [catalog.ids.row(item) for item in ids]
        known = [row for row in matched if row is not None]
        unknown += [item for item, row in zip(ids, matched, strict=True) if row is None]
        if known:
            served_rows.append((user, known))
        else:
            without.append(user)
    served = answerable(recommender.index, [history for _, history in served_rows], config)
    full = [user for (user, _), able in zip(served_rows, served, strict=True) if not able]
    served_rows = [
        (user, [catalog.items[row].item_id for row in rows])
        for (user, rows), able in zip(served_rows, served, strict=True)
        if able
    ]
    rows: dict[str, list] = {name: [] for name in SCHEMA.names}
    for n in range(0, len(served_rows), TOGETHER):
        users, ids = zip(*served_rows[n : n + TOGETHER], strict=True)
        for user, answer in zip(users, recommender.recommend_many(ids, config, trace=False), strict=True):
            for ranked in answer.items[:top]:
                values = (user, ranked.rank, ranked.item.item_id, ranked.score, ranked.probability)
                for name, value in zip(SCHEMA.names, values, strict=True):
                    rows[name].append(value)
    passed = dict(zip(COUNTED, (unknown, without, full), strict=True))
    metadata = {kind: str(len(values)) for kind, values in passed.items()}
    metadata["firsts"] = json.dumps({kind: str(values[0])[:80] for kind, values in passed.items() if values})
    out = io.BytesIO()
    pq.write_table(pa.table(rows, SCHEMA).replace_schema_metadata(metadata), out, compression="zstd")
    return out.getvalue()


def _joined(parts: list[Path], out: Path, about: dict) -> tuple[dict[str, int], dict[str, str]]:
    """Write the chunks as one file, in their order; returns sums of what they passed over, and the first of each."""
    files = [pq.read_metadata(part) for part in parts]
    counts = {name: sum(int(file.metadata[name.encode()]) for file in files) for name in COUNTED}
    counts = {"rows": sum(file.num_rows for file in files)} | counts
    schema = SCHEMA.with_metadata({"mindrec": json.dumps({"run": about, "counts": counts})})
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).replace_schema_metadata(schema.metadata))
    firsts: dict[str, str] = {}
    for file in files:
        firsts = json.loads(file.metadata.get(b"firsts", b"{}")) | firsts
    return counts, firsts
