"""Decodes for many people at once, by plain threads. No gradio.

Every checkpoint has a lane of its own: a bounded queue, and one worker that joins waiting histories with the same
settings into one decode, so that a slow checkpoint never holds up a fast one. While the worker is busy, decoding
processes (app.server.processes) may take jobs from the queue too. A job is dropped, between two steps at the latest,
when it is stopped or when nobody has asked for it for a while.
"""

import secrets
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from app.server.gpu import LentDecoding
from app.server.observing import CALLER, COUNTERS, Caller, log
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.model.denoiser import HistoryCache
from mindrec.recommender import Recommender
from mindrec.system.failures import device_lost, out_of_memory
from mindrec.trace.records import DecodeStep, DecodeTrace

MAX_WAITING = 64
"""Jobs in a lane's queue, at most; who comes then is told to come back."""
MAX_OF_ONE = 48
"""Waiting jobs of one network address, at most; a class behind one router shares an address, so it is not few."""
TOGETHER = 16
"""Histories in one decode of a small denoiser; of a large one, TOGETHER_LARGE."""
TOGETHER_LARGE = 4
KEPT = 20.0
"""Seconds that a job lives without a question about it."""
CACHE_BYTES = 256 * 2**20


class Busy(MindRecError):
    """The queue is full; nothing was begun."""


class Gone(MindRecError):
    """There is no such job, or no longer."""


@dataclass(eq=False)
class Job:
    """One history on its way. Only its lane changes it.

    Attributes:
        name: of the checkpoint.
        rows, gold: of the history's items and of the true next one, where it is known.
        film: what its owner keeps of it from question to question.
        key: what its owner asks for it by; not to be guessed.
        make: what its owner wants of the trace. The lane makes it: a thread of its own would fight the next decode's
            for Python's lock, and both would take twice as long.
        portable: whether a decoding process may answer it, by the bytes of the page's bundle in place of `make`.
        watched: whether somebody has asked for its steps; a decoding process sends them only then.
        until: when nobody wants it any more, in time.monotonic(); `stopped` says that somebody said so.
        steps: recorded so far; grows while it is decoded.
        made, error: one of them is set once `ended` is.
    """

    name: str
    rows: tuple[int, ...]
    config: DecodeConfig
    gold: int | None
    make: Callable[[DecodeTrace], Any]
    until: float
    portable: bool = False
    caller: Caller = field(default_factory=CALLER.get)
    stopped: bool = False
    watched: bool = False
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    queued_at: float = field(default_factory=time.monotonic)
    steps: list[DecodeStep] = field(default_factory=list)
    film: Any = None
    made: Any = None
    error: MindRecError | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for this decode any more."""
        return self.stopped or self.until < time.monotonic()

    def end(self, made: Any = None, error: MindRecError | None = None) -> None:
        """Keep the result, or the error, and wake those who wait."""
        self.made, self.error = made, error
        self.ended.set()

    def result(self) -> Any:
        """The answer made of the trace of a decode that has ended. Raises the error that ended it otherwise."""
        if self.error is not None:
            raise self.error
        return self.made


def as_it_is(trace: DecodeTrace) -> DecodeTrace:
    """The trace unchanged: the default way to make an answer of it."""
    return trace


class HistoryCaches:
    """The denoiser's caches of the histories decoded last, the oldest forgotten beyond `max_bytes`.

    A known history with one more item is extended, not read again. One lane's thread uses it.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES):
        self.max_bytes, self.held = max_bytes, 0
        self._kept: OrderedDict[tuple[int, ...], tuple[HistoryCache, int]] = OrderedDict()

    def of(self, denoiser, rows: tuple[int, ...]) -> HistoryCache:
        """The cache of one history of item rows."""
        cache = self._take(rows)
        if cache is None:
            shorter = self._kept.get(rows[:-1])
            cache = denoiser.encode([rows]) if shorter is None else denoiser.extend(shorter[0], rows[-1])
        size = _bytes(cache.state)
        self._kept[rows] = cache, size
        self.held += size
        while self.held > self.max_bytes:
            self._take(next(iter(self._kept)))
        return cache

    def _take(self, rows: tuple[int, ...]) -> HistoryCache | None:
        cache, size = self._kept.pop(rows, (None, 0))
        self.held -= size
        return cache


def _bytes(state) -> int:
    if hasattr(state, "nbytes"):
        return state.nbytes
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return sum(_bytes(value) for value in inner)


class Lane:
    """The queue and the worker of one checkpoint.

    Args:
        recommender: gives the checkpoint as it is now; called before every decode.
        fall_back: puts a copy on the CPU in its place when the accelerator is gone. It may fail; then the jobs of the
            moment are answered with an error and the next decode tries again.
        max_waiting: jobs in the queue, at most.
        lent: decodes where a GPU is lent for it (app.server.gpu).
        spare: notified where jobs wait while the worker is busy, so that others may take them.

    Attributes:
        running: the jobs that the worker decodes.
        away: the jobs that decoding processes have taken.
        stranded: whether the accelerator is gone and the last fall-back failed.
        closed: nothing more is taken; the worker has ended, or does so after the decode of the moment.
    """

    def __init__(
        self,
        recommender: Callable[[], Recommender],
        fall_back: Callable[[], None],
        max_waiting: int,
        lent: Callable[..., LentDecoding] | None = None,
        spare: threading.Condition | None = None,
    ):
        self.recommender, self.fall_back, self.max_waiting, self.lent = recommender, fall_back, max_waiting, lent
        self.waiting: deque[Job] = deque()
        self.running: tuple[Job, ...] = ()
        self.away: set[Job] = set()
        self.caches = HistoryCaches()
        self.stranded = self.closed = False
        self._changed, self._spare = threading.Condition(), spare or threading.Condition()
        self._worker: threading.Thread | None = None

    def put(self, job: Job) -> None:
        """Queue a job. Raises Busy when there is no room, Gone where the lane is closed."""
        with self._changed:
            if self.closed:
                raise Gone(text.NO_SUCH_JOB)
            self._drop_unwanted()
            of_address = sum(other.caller.address == job.caller.address for other in self.waiting)
            if len(self.waiting) >= self.max_waiting or (job.caller.address and of_address >= MAX_OF_ONE):
                COUNTERS.count("busy")
                raise Busy(text.BUSY)
            self.waiting.append(job)
            self._wake()
        self._call_others()

    def take_portable(self) -> tuple[Job, ...]:
        """Jobs for a decoding process: the first that is for one, and those behind it with the same settings.

        None while the worker is free, for then it takes them itself.
        """
        with self._changed:
            self._drop_unwanted()
            batch = self._take([job for job in self.waiting if job.portable]) if self.running else ()
            self.away.update(batch)
            return batch

    def give_back(self, batch: Sequence[Job], started: float) -> None:
        """End what `take_portable` began, at `started` in time.monotonic().

        Jobs without an answer go back to the front of the queue, and the lane's own worker decodes them.
        """
        if answered := [job for job in batch if job.ended.is_set()]:
            _measured(answered, started)
        with self._changed:
            self.away.difference_update(batch)
            for job in reversed(batch):
                if not job.ended.is_set():
                    job.portable = False
                    self.waiting.appendleft(job)
            self._drop_unwanted()
            if self.waiting:
                self._wake()

    def _wake(self) -> None:
        if self._worker is None or not self._worker.is_alive():
            self._worker = threading.Thread(target=self._work, name="decode", daemon=True)
            self._worker.start()
        self._changed.notify()

    def _call_others(self) -> None:
        """Tell a decoding process of jobs that wait while the worker is busy; those that it is free for are its own.

        It is not called with the lane's own lock, which a process takes while it holds the other.
        """
        if self.waiting and self.running:
            with self._spare:
                self._spare.notify()

    def position(self, job: Job) -> int:
        """The number of jobs up to and with this one in the queue; 0 once it is being decoded or done."""
        with self._changed:
            return next((n for n, other in enumerate(self.waiting, 1) if other is job), 0)

    def drop(self, job: Job) -> None:
        """Forget a job: at once while it waits, after the step of the moment while it is decoded."""
        job.stopped = True
        with self._changed:
            self._drop_unwanted()

    def _drop_unwanted(self) -> None:
        for job in [job for job in self.waiting if job.unwanted]:
            self.waiting.remove(job)
            _finish_dropped(job)

    def close(self) -> None:
        """Forget all jobs and end the worker."""
        with self._changed:
            self.closed = True
            for job in (*self.waiting, *self.running, *self.away):
                job.stopped = True
            self._drop_unwanted()
            self._changed.notify()

    @property
    def alive(self) -> bool:
        """Whether a job put now would be decoded: the worker runs, and no fall-back is wanting."""
        return not self.stranded and (self._worker is None or self._worker.is_alive())

    def _work(self) -> None:
        """Decode what waits until the lane is closed: an exception ends its jobs and never the worker."""
        while not self.closed:
            try:
                with self._changed:
                    while not self.waiting and not self.closed:
                        self._changed.wait()
                    self._drop_unwanted()
                    self.running = self._take(self.waiting)
                self._call_others()
                if self.running:
                    self._run(self.running)
            except BaseException as error:
                COUNTERS.count("lane_errors")
                self._end_with(error)
            finally:
                self.running = ()

    def _end_with(self, error: BaseException) -> None:
        """Answer the jobs that met an error which nothing else took care of."""
        with self._changed:
            met = self.running or ((self.waiting.popleft(),) if self.waiting else ())
        for job in met:
            if not job.ended.is_set():
                job.end(error=_as_answer(error, job))

    def _take(self, jobs: Collection[Job]) -> tuple[Job, ...]:
        """Take the first of some waiting jobs off the queue, with those behind it that want the same settings."""
        if not jobs:
            return ()
        config = next(iter(jobs)).config
        together = TOGETHER if self.recommender().denoiser.kind == "compact" else TOGETHER_LARGE
        batch = tuple(islice((job for job in jobs if job.config == config), together))
        for job in batch:
            self.waiting.remove(job)
        return batch

    def _run(self, batch: tuple[Job, ...]) -> None:
        """Decode a batch; one that fails is tried again in halves, for one job may be at fault or memory short."""
        started = time.monotonic()
        try:
            traces = self._decode(batch)
        except Exception as error:
            if device_lost(error) and self.recommender().device != "cpu":
                self._leave_device(error)
                self._run(batch)
            elif len(batch) > 1:
                middle = len(batch) // 2
                self._run(batch[:middle])
                self._run(batch[middle:])
            else:
                batch[0].end(error=_as_answer(error, batch[0]))
            return
        self.stranded = False
        for job, trace in zip(batch, traces, strict=True):
            _finish(job, trace)
        _measured(batch, started)

    def _leave_device(self, error: Exception) -> None:
        """Put the copy on the CPU in place. Raises RuntimeError where there is none; the next decode tries again."""
        log("device_lost", why=str(error)[:200])
        COUNTERS.count("device_lost")
        self.caches, self.stranded = HistoryCaches(), True
        try:
            self.fall_back()
        except Exception as second:
            raise RuntimeError("the accelerator is gone and the fall-back to the CPU failed") from second

    def _decode(self, batch: tuple[Job, ...]) -> list[DecodeTrace | None]:
        """The trace of each job of a batch; None for one that nobody wants any more."""
        recommender, config = self.recommender(), batch[0].config
        rows, gold, cache = [job.rows for job in batch], [job.gold for job in batch], None
        if self.lent is not None:
            run = self.lent(rows, config, gold)
        else:
            if len(batch) == 1 and rows[0] and config.algorithm == "mindrec":
                cache = self.caches.of(recommender.denoiser, rows[0])
            run = recommender.decoding_rows(rows, config, gold=gold, cache=cache)
        for job, steps in zip(batch, run.recorded, strict=True):
            job.steps = steps
        with closing(iter(run)) as steps:
            for _ in steps:
                run.users = {user for user in run.users if not batch[user].unwanted}
                if not run.users:
                    break
        return [run.result(user).trace if user in run.users else None for user in range(len(batch))]


def _finish_dropped(job: Job) -> None:
    """End a job that nobody wants any more."""
    COUNTERS.count("dropped")
    job.end(error=Gone(text.NO_SUCH_JOB))


def _finish(job: Job, trace: DecodeTrace | None) -> None:
    """Answer a job whose decode has ended; drawing that fails is its own fault alone and is not decoded again."""
    if trace is None:
        _finish_dropped(job)
        return
    try:
        made = job.make(trace)
    except Exception as error:
        job.end(error=_as_answer(error, job))
    else:
        job.end(made)


def _measured(batch: Sequence[Job], started: float) -> None:
    now = time.monotonic()
    COUNTERS.count("decodes", len(batch))
    COUNTERS.count("batches")
    COUNTERS.took("decode", now - started)
    for job in batch:
        COUNTERS.took("wait", started - job.queued_at)
        waited, took = round((started - job.queued_at) * 1000), round((now - started) * 1000)
        log("decode", request=job.caller.request, batch=len(batch), waited_ms=waited, decode_ms=took)


def _as_answer(error: BaseException, job: Job) -> MindRecError:
    """The error as its owner reads it; what no person is meant to read goes to the log."""
    if isinstance(error, MindRecError):
        return error
    COUNTERS.count("failed")
    log("failed", request=job.caller.request, why="".join(traceback.format_exception(error, limit=-4)))
    words = text.NO_MEMORY if out_of_memory(error) else text.FAILED
    return MindRecError(words.format(request=job.caller.request))
