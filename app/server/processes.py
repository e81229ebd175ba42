"""Decoding processes beside the app's own: under load one Python process would decode and answer with one core.

A process takes a batch from a lane only while the lane's own worker is busy, so that an idle app decodes all by
itself. It holds the small checkpoints on the CPU that were open at the start. What it does not answer, whatever the
reason, goes back to its lane, whose worker decodes it: a process that is killed loses nothing.
"""

import multiprocessing
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from app.server.decoding_process import ANSWER, FAILED, STEP, serve
from app.server.lanes import Job, Lane
from app.server.observing import COUNTERS, log
from app.server.service import Service
from mindrec.trace.records import DecodeStep

PAUSES = (0.0, 1.0, 10.0, 60.0)
"""Seconds before each start of a process; one that has ended as often is not started again."""
LOOK = 1.0
"""Seconds after which an idle process is looked at, whether it still lives."""
PATIENCE = 5.0
"""Seconds that a process may take to end before it is killed."""
CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy torch's and the server's locks as they are


@cache
def _steps_reader() -> TypeAdapter:
    return TypeAdapter(dict[int, list[DecodeStep]])


class Processes:
    """All decoding processes of a service; none where no checkpoint is fit for them.

    Args:
        folders: of the service's checkpoints, by name; one without a folder stays with the app.
        number: of processes.
        pauses: seconds before each start of a process; it is started no more often than that.
    """

    def __init__(self, service: Service, folders: Mapping[str, Path], number: int, pauses: Sequence[float] = PAUSES):
        self.service, self.pauses = service, pauses
        self.recommenders = {n: r for n, r in service.recommenders.items() if n in folders and self._fit(n)}
        self.folders = {name: folders[name] for name in self.recommenders}
        self.closed = threading.Event()
        self.drivers = [Driver(self) for _ in range(number if self.recommenders else 0)]

    def _fit(self, name: str) -> bool:
        """Whether a checkpoint is small and decodes on this machine's CPU."""
        recommender = self.service.recommenders[name]
        return (
            recommender.device == "cpu"
            and recommender.denoiser.kind == "compact"
            and self.service.lanes[name].lent is None
        )

    def start(self) -> None:
        """Start the processes, in the background."""
        for driver in self.drivers:
            driver.thread.start()

    def close(self) -> None:
        """End the processes; what they were decoding goes back to the lanes."""
        with self.service.spare:
            self.closed.set()
            self.service.spare.notify_all()
        for driver in self.drivers:
            if driver.thread.ident is not None:
                driver.thread.join()

    def snapshot(self) -> dict:
        """{"wanted": number of processes, "ready": how many of them decode or could}."""
        return {"wanted": len(self.drivers), "ready": sum(driver.ready for driver in self.drivers)}

    def take(self, names: Sequence[str]) -> tuple[Lane, tuple[Job, ...]] | None:
        """Wait a moment for a batch from a lane of these checkpoints, that with the longest queue first."""
        service = self.service
        with service.spare:
            for again in (True, False):
                for name in sorted(names, key=lambda name: -len(service.lanes[name].waiting)):
                    same = service.recommenders[name] is self.recommenders[name]
                    if same and (batch := service.lanes[name].take_portable()):
                        return service.lanes[name], batch
                if again:
                    service.spare.wait(LOOK)
        return None


class Driver:
    """One process, and the thread that starts it, gives it batches and hands its answers on.

    Attributes:
        ready: whether the process has opened its checkpoints and lives, as far as is known.
        process: the one started last; None before the first.
    """

    def __init__(self, processes: Processes):
        self.processes, self.ready = processes, False
        self.process: multiprocessing.process.BaseProcess | None = None
        self.thread = threading.Thread(target=self._drive, name="decoding-process", daemon=True)
        self._orders = 0

    def _drive(self) -> None:
        for pause in self.processes.pauses:
            if self.processes.closed.wait(pause):
                return
            try:
                status = self._live()
            except Exception as error:  # it could not be started, or sent nonsense; the app decodes alone meanwhile
                status = repr(error)[:300]
            if self.processes.closed.is_set():
                return
            COUNTERS.count("processes_lost")
            log("process_lost", status=status)
        log("process_given_up")

    def _live(self) -> int | None:
        """Start a process and drive it to its end; its exit status."""
        pipe, other_end = CONTEXT.Pipe()
        arguments = (other_end, self.processes.folders)
        self.process = process = CONTEXT.Process(target=serve, args=arguments, name="mindrec-decode", daemon=True)
        process.start()
        other_end.close()
        try:
            with suppress(EOFError, OSError):
                self._give_batches(pipe)
        finally:
            self.ready = False
            pipe.close()  # it ends of itself, after the step of the moment
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        return process.exitcode

    def _give_batches(self, pipe: Connection) -> None:
        """Batch after batch, until the process or the app ends. Raises EOFError or OSError where the process died."""
        fingerprints, opened = orjson.loads(self._receive(pipe)[1:]), self.processes.recommenders
        names = [name for name, r in opened.items() if fingerprints[name] == r.checkpoint.fingerprint]
        self.ready = True
        log("process_ready", pid=self.process.pid, checkpoints=len(names))
        while not self.processes.closed.is_set():
            work = self.processes.take(names)
            if work is not None:
                (lane, batch), started = work, time.monotonic()
                try:
                    self._decode(pipe, batch)
                finally:
                    lane.give_back(batch, started)
            elif not self.process.is_alive():
                return

    def _decode(self, pipe: Connection, batch: Sequence[Job]) -> None:
        """Have one batch decoded, and end its jobs as their answers come; those that get none are left as they are."""
        self._orders += 1
        news = News(self._orders, batch)
        for job in batch:
            job.steps = []
        pipe.send_bytes(orjson.dumps(news.order()))
        while True:
            message = self._receive(pipe)
            kind = message[:1]
            if kind == STEP:
                for user, steps in _steps_reader().validate_json(message[1:]).items():
                    batch[user].steps.extend(steps)
                if word := news.since():
                    pipe.send_bytes(orjson.dumps(word))
            elif kind == ANSWER:
                batch[int.from_bytes(message[1:5], "big")].end(orjson.Fragment(message[5:]))
                COUNTERS.count("decodes_in_processes")
            else:
                if kind == FAILED:
                    log("process_failed", why=message[1:].decode()[:300])
                return

    def _receive(self, pipe: Connection) -> bytes:
        """The next message. Raises EOFError where the process has ended or shall end."""
        while not pipe.poll(LOOK):
            if self.processes.closed.is_set():
                raise EOFError
        return pipe.recv_bytes()


class News:
    """An order for a process, and the words that follow: who is not wanted any more, and who is watched."""

    def __init__(self, number: int, batch: Sequence[Job]):
        self.number, self.batch = number, batch
        self._dropped: set[int] = set()
        self._watched: set[int] = set()

    def order(self) -> dict:
        """The order itself, as plain JSON values."""
        first = self.batch[0]
        self._watched = self._users("watched")
        return {
            "number": self.number,
            "name": first.name,
            "rows": [job.rows for job in self.batch],
            "config": first.config.to_dict(),
            "golds": [job.gold for job in self.batch],
            "watch": sorted(self._watched),
        }

    def since(self) -> dict | None:
        """The changes since the order or the last word; None where there are none."""
        drop, watch = self._users("unwanted") - self._dropped, self._users("watched") - self._watched
        self._dropped |= drop
        self._watched |= watch
        return {"number": self.number, "drop": sorted(drop), "watch": sorted(watch)} if drop or watch else None

    def _users(self, state: str) -> set[int]:
        return {user for user, job in enumerate(self.batch) if getattr(job, state)}
