"""All lanes together: which checkpoint a job is for, and the jobs that people may ask for. No gradio.

A checkpoint is open to everybody, or a guest: known to those alone who have its name.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from app.server import gpu
from app.server.lanes import KEPT, MAX_WAITING, Gone, Job, Lane, as_it_is
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

GUEST_CACHE_BYTES = 4 * 2**20
"""Bytes that a guest's lane remembers of histories, at most."""


class Service:
    """All lanes, and the jobs that people may ask for.

    Args:
        recommenders: those open to everybody by name; an entry may be put in another's place at any time.
        fall_back: called with a name when its accelerator is gone.
        waiting: jobs in the queue of each checkpoint, at most.

    Attributes:
        lanes: of the checkpoints open to everybody, by name.
        spare: notified where jobs wait in one of them while its worker is busy (app.server.processes).
    """

    def __init__(
        self, recommenders: dict[str, Recommender], fall_back: Callable[[str], None], waiting: int = MAX_WAITING
    ):
        self.recommenders = recommenders
        self.spare = threading.Condition()
        self._fall_back, self._max_waiting = fall_back, waiting
        self.lanes: dict[str, Lane] = {}
        self._guests: dict[str, tuple[Recommender, Lane]] = {}
        self._jobs: dict[str, tuple[Lane, Job]] = {}
        self._lock = threading.Lock()
        for name in recommenders:
            self.add(name)

    def add(self, name: str) -> None:
        """Open a lane for a recommender that has come."""

        def recommender() -> Recommender:
            return self.recommenders[name]

        lane = Lane(recommender, lambda: self._fall_back(name), self._max_waiting, gpu.lent(recommender), self.spare)
        self.lanes = self.lanes | {name: lane}  # in one step: others may be going through the old one

    def add_guest(self, name: str, recommender: Recommender) -> None:
        """Open a lane for a small recommender on the CPU that is listed nowhere."""
        lane = Lane(lambda: recommender, lambda: None, self._max_waiting)
        lane.caches.max_bytes = GUEST_CACHE_BYTES
        self._guests[name] = recommender, lane

    def drop_guest(self, name: str) -> None:
        """Forget a guest with all its jobs; one that is gone is no error."""
        _, lane = self._guests.pop(name, (None, None))
        if lane is not None:
            lane.close()

    def opened(self, name: str) -> Recommender:
        """A checkpoint by its name, a guest too. Raises Gone where it is not open (any more)."""
        return self._open(name)[0]

    def _open(self, name: str) -> tuple[Recommender, Lane]:
        if name in self.recommenders:
            return self.recommenders[name], self.lanes[name]
        guest = self._guests.get(name)
        if guest is None:
            raise Gone(text.NO_SUCH_JOB)
        return guest

    def start(
        self,
        name: str,
        ids: list[str],
        config: DecodeConfig,
        target: str | None = None,
        make: Callable[[DecodeTrace], Any] = as_it_is,
        *,
        portable: bool = False,
    ) -> Job:
        """Queue a decode, whose result is what `make` makes of its trace.

        Args:
            ids: of the history's items, oldest first.
            target: id of the true next item, where it is known.
            portable: whether the page's bundle of the trace, as orjson.Fragment, is as good a result.

        Raises MindRecError for a bad history, Busy when the queue is full, Gone for a checkpoint that is not open.
        """
        recommender, lane = self._open(name)
        rows = tuple(recommender.history_rows(ids))
        gold = None if target is None else recommender.catalog.rows([target])[0]
        job = Job(name, rows, config, gold, make, time.monotonic() + KEPT, portable)
        lane.put(job)
        with self._lock:
            for key in [key for key, (_, other) in self._jobs.items() if other.unwanted]:
                del self._jobs[key]
            self._jobs[job.key] = lane, job
        return job

    def wait(self, job: Job, seconds: float) -> bool:
        """Wait for a job's end, at most so long; whether it ended."""
        job.until = max(job.until, time.monotonic() + seconds + KEPT)
        return job.ended.wait(seconds)

    def find(self, key: str) -> tuple[Job, int]:
        """A job and its position in the queue; the question keeps it alive. Raises Gone for one that is not known."""
        with self._lock:
            lane, job = self._jobs.get(key, (None, None))
        if job is None or job.unwanted:
            raise Gone(text.NO_SUCH_JOB)
        job.until = max(job.until, time.monotonic() + KEPT)
        return job, lane.position(job)

    def stop(self, job: Job) -> None:
        """Forget a job, wherever it is."""
        with self._lock:
            lane, _ = self._jobs.pop(job.key, (None, None))
        if lane is not None and not job.ended.is_set():
            lane.drop(job)

    def snapshot(self) -> dict:
        """For each lane, its device, whether it is alive, how many wait and how many are decoded."""
        return {
            name: {
                "device": self.recommenders[name].device,
                "alive": lane.alive,
                "waiting": len(lane.waiting),
                "running": len(lane.running) + len(lane.away),
            }
            for name, lane in self.lanes.items()
        }
