"""How fast and in how much memory a large log becomes prepared data: each source in a process of its own."""

import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError
from mindrec.sources.streaming import polars

ITEMS, CHUNK = 50_000, 1_000_000
PER_USER = 10


def bench_prepare(rows: int = 10_000_000, sources: Sequence[str] = ("parquet", "amazon", "synthetic")) -> dict:
    """Rows a second and peak memory of `prepare` for each source, on a made-up log of `rows` interactions.

    Raises:
        MindRecError: fewer than 1,000 rows, or an unknown source.
    """
    unknown = [name for name in sources if name not in MAKERS]
    if rows < 1000 or unknown:
        what = f"--rows {rows:,} is below 1,000" if rows < 1000 else f"source {unknown[0]!r}: {', '.join(MAKERS)}"
        raise MindRecError(f"{what}; give an allowed one")
    out = {"rows": rows, "items": ITEMS, "cpus": os.cpu_count(), "sources": {}}
    for name in sources:
        with tempfile.TemporaryDirectory() as folder:
            arguments = MAKERS[name](rows, Path(folder))
            size = sum(p.stat().st_size for p in Path(folder).rglob("*"))
            seconds, peak = _measured(["prepare", name, *arguments, "--out", str(Path(folder) / "out")])
        out["sources"][name] = {
            "input_mb": round(size / 1e6, 1),
            "seconds": round(seconds, 1),
            "rows_a_second": round(rows / seconds),
            "peak_mb": round(peak, 1),
        }
    return out


def _measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak MB of one command, start of the process included."""
    started = time.perf_counter()
    # A runner of its own, because the peak of children is the largest of all that ever were.
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], capture_output=True, text=True); "
        "print(done.stderr[-500:], file=sys.stderr); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
        "sys.exit(done.returncode)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "mindrec", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MindRecError(f"`mindrec {' '.join(arguments[:2])}` failed: {done.stderr.strip()[-300:]}")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, int(done.stdout) / unit


def _chunks(rows: int):
    """Users, items and times of a log in which items are not equally popular, a chunk at a time."""
    rng, users = np.random.default_rng(0), max(2, rows // PER_USER)
    for first in range(0, rows, CHUNK):
        size = min(CHUNK, rows - first)
        items = (ITEMS * rng.random(size) ** 2).astype(np.int64)
        yield rng.integers(users, size=size), items, 1_500_000_000 + rng.integers(100_000_000, size=size)


def _parquet(rows: int, folder: Path) -> list[str]:
    log = folder / "log"
    log.mkdir()
    for number, (users, items, times) in enumerate(_chunks(rows)):
        frame = polars().DataFrame({"user_id": users, "item_id": items, "timestamp": times})
        frame.write_parquet(log / f"{number:04}.parquet")
    return ["--path", str(log)]


def _csv(rows: int, folder: Path) -> list[str]:
    with (folder / "log.csv").open("w") as stream:
        stream.write("user_id,item_id,timestamp\n")
        for columns in _chunks(rows):
            stream.writelines(",".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))
    return ["--path", str(folder / "log.csv")]


def _amazon(rows: int, folder: Path) -> list[str]:
    """Files in the published form of 2023."""
    reviews, metadata = folder / "made.jsonl.gz", folder / "meta_made.jsonl.gz"
    with gzip.open(reviews, "wt", compresslevel=1) as stream:
        for users, items, times in _chunks(rows):
            stream.writelines(
                f'{{"rating": 5.0, "title": "Good", "text": "It is as it says.", "parent_asin": "B{item:09}", '
                f'"user_id": "A{user:013}", "timestamp": {time}000, "verified_purchase": true}}\n'
                for user, item, time in zip(users.tolist(), items.tolist(), times.tolist(), strict=True)
            )
    with gzip.open(metadata, "wt", compresslevel=1) as stream:
        stream.writelines(
            f'{{"parent_asin": "B{n:09}", "title": "Thing {n}", "categories": ["All", "Part {n % 12}", '
            f'"Shelf {n % 120}", "Box {n % 1200}"]}}\n'
            for n in range(ITEMS)
        )
    return ["--path", str(reviews), "--metadata", str(metadata), "--core", "2"]


def _synthetic(rows: int, folder: Path) -> list[str]:
    return ["--items", str(ITEMS), "--users", str(rows // PER_USER), "--length", str(PER_USER)]


MAKERS: dict[str, Callable[[int, Path], list[str]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "amazon": _amazon,
    "synthetic": _synthetic,
}
"""Of a source's files: (rows, folder) -> options of `prepare`."""
