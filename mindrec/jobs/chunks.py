"""The same work on many chunks: one after the other in this process, or by workers of a Ray cluster.

Ray (`pip install "ray[data]"`) is the engine: it starts workers, hands out chunks, and gives those of a worker that
died to another one. A chunk is worked on alone, so that the results are those of one process whoever works on it.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mindrec.errors import MindRecError
from mindrec.system.files import FolderKind, read_json, replace_folder, write_json

RAY = 'several workers need an optional package: `pip install "ray[data]>=2.55,<3"`'

FOLDER = FolderKind("unfinished work", ("about.json",), ("*.parquet",))
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


def open_parts(parts: Path, about: dict, resume: bool) -> None:
    """Begin a folder of finished chunks afresh, or make sure that those in it are of this very run."""
    if resume and parts.exists():
        before = read_json(parts / "about.json", "unfinished work")
        for key, value in about.items():
            if before.get(key) != value:
                raise MindRecError(
                    f"{parts} was begun with {key} {before.get(key)!r}, this run has {value!r}; "
                    "run it with the same settings, or without --resume to begin afresh"
                )
        return
    with replace_folder(parts, FOLDER) as folder:
        write_json(folder / "about.json", about)


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
