"""The same work on many chunks: one after the other in this process, or by workers of a Ray cluster.

Ray (`pip install "ray[data]"`) is the engine: it starts workers, hands out chunks, and gives those of a worker that
died to another one. A chunk is worked on alone, so that the results are those of one process whoever works on it.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from mindrec.errors import MindRecError
from mindrec.system.files import atomic_path, check_parquet
from mindrec.system.unfinished import Start, begin

RAY = 'several workers need an optional package: `pip install "ray[data]>=2.55,<3"`'

Work = Callable[[Any], bytes]


def spread(chunks: Sequence[Any], open_worker: Callable[[], Work], workers: int = 0) -> Iterator[tuple[int, bytes]]:
    """(number, result) of every chunk, in any order.

    Args:
        chunks: what each piece of work is about; plain data where there are workers.
        open_worker: opens what the work needs, once in each process; it must pickle where there are workers.
        workers: how many, each of one CPU; 0 works in this process. An address in RAY_ADDRESS names a cluster, whose
            machines must see the same files; without one it is made of this machine.

    Raises:
        MindRecError: workers are asked for and Ray is not installed; a number below 0.
    """
    if workers < 0:
        raise MindRecError(f"--workers {workers} is not a whole number from 0 up; 0 works in this process")
    if not chunks:
        return
    if workers:
        yield from _by_ray(chunks, open_worker, workers)
    else:
        work = open_worker()
        for number, chunk in enumerate(chunks):
            yield number, work(chunk)


class ChunkedJob:
    """A table made chunk by chunk. Finished chunks lie in `out`.partial until the table is written, whole.

    Attributes:
        finished: whether the table at `out` is the result already, so that nothing is left to do.
        parts: the files of the chunks, in order; complete after `run`.
    """

    def __init__(self, out: Path, about: dict, *, resume: bool):
        """Raises MindRecError where `out` is no table, or what is resumed was begun with something else."""
        self.out, self.folder = check_parquet(Path(out)), Path(out).with_name(Path(out).name + ".partial")
        start = begin(self.folder, about, resume=resume, finished=self._made_with)
        self.finished, self.parts = start is Start.FINISHED, []

    def run(
        self, chunks: dict[int, Any], sizes: dict[int, int], open_worker: Callable[[], Work], workers: int, bar: tqdm
    ) -> None:
        """Work on the chunks that are not done. `chunks` and `sizes` are by the number of a chunk's first row."""
        paths = {first: self.folder / f"{first:010d}.parquet" for first in chunks}
        missing = [first for first, path in paths.items() if not path.exists()]
        bar.update(sum(sizes.values()) - sum(sizes[first] for first in missing))
        for number, table in spread([chunks[first] for first in missing], open_worker, workers):
            with atomic_path(paths[missing[number]]) as temporary:
                temporary.write_bytes(table)
            bar.update(sizes[missing[number]])
        self.parts = [paths[first] for first in sorted(paths)]

    def close(self) -> None:
        """Remove the chunks; call it when the table is written."""
        shutil.rmtree(self.folder)

    def _made_with(self) -> dict | None:
        """The settings that the table at `out` was made with; None without a table."""
        return parquet_metadata(self.out).get("run", {}) if self.out.exists() else None


def parquet_metadata(path: Path) -> dict:
    """This project's metadata in the file of a table; empty where there is none."""
    words = (pq.read_schema(path).metadata or {}).get(b"mindrec", b"{}")
    return json.loads(words)


class _Worker:
    """One process of the cluster."""

    def __init__(self, open_worker: Callable[[], Work], chunks: Sequence[Any]):
        self.work, self.chunks = open_worker(), chunks

    def __call__(self, batch: dict) -> dict:
        numbers = batch["id"].tolist()
        return {"number": numbers, "result": [self.work(self.chunks[number]) for number in numbers]}


def _by_ray(chunks: Sequence[Any], open_worker: Callable[[], Work], workers: int) -> Iterator[tuple[int, bytes]]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MindRecError(RAY) from error
    if not ray.is_initialized():
        local = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level="ERROR", **local)
    ray.data.DataContext.get_current().enable_progress_bars = False
    # From memory: a source that is read would wait for a CPU, and the workers hold them all.
    numbers = ray.data.from_items([{"id": n} for n in range(len(chunks))], override_num_blocks=len(chunks))
    done = numbers.map_batches(
        _Worker,
        fn_constructor_args=(open_worker, chunks),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    for row in done.iter_rows():
        yield int(row["number"]), row["result"]
