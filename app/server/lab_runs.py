"""Lab runs: each in a process of its own, one at a time, with a queue; one that nobody asks for is ended.

A run costs a core for up to a minute, so it never shares a thread or a lock with the decode lanes, and its process is
the last to get the processor (mindrec/lab/__main__.py).
"""

import atexit
import base64
import json
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.server.lab_models import LabModels
from app.server.lanes import Busy, Gone
from app.server.observing import CALLER, COUNTERS
from app.words import lab_words as text
from mindrec.lab.dials import SECONDS, Dials

ROOT = Path(__file__).resolve().parents[2]
SPARE = 30.0
"""Seconds more, for starting and for the last epoch, after which its process is killed."""
KEPT = 12.0
"""Seconds that a run lives without a question about it: a page asks each second, and is gone with its tab."""
WARM_SECONDS = 90.0
"""Seconds that a process which has imported all it needs waits for a run after the Lab tab was last used."""
MAX_WAITING = 32
MAX_OF_ONE = 24
"""Runs that one network address may have; a class behind one router shares it."""
MAX_LINE = 4_000_000
"""Bytes of one event."""


@dataclass(eq=False)
class Run:
    """One run on its way. Only the runner's threads change it, but for `stopped` and `until`.

    Attributes:
        key: what its owner asks for it by; not to be guessed.
        events: written by its process so far.
        until: when nobody wants it any more, in time.monotonic().
    """

    dials: Dials
    address: str
    until: float
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    events: list[dict] = field(default_factory=list)
    process: subprocess.Popen | None = None
    stopped: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for this run any more."""
        return self.stopped or self.until < time.monotonic()


def command_of(dials: Dials, seconds: float = SECONDS) -> list[str]:
    """The command line of a run's process."""
    return [sys.executable, "-m", "mindrec.lab", "--dials", json.dumps(dials.to_dict()), "--seconds", str(seconds)]


def waiting_command_of(seconds: float = SECONDS) -> list[str]:
    """The command line of a process that imports first and then reads its dials."""
    return [sys.executable, "-m", "mindrec.lab", "--wait", "--seconds", str(seconds)]


class LabRuns:
    """The queue of Lab runs, the one process that is running, and one that waits for the next run.

    Args:
        command: makes the command line of a run's process; by default one that trains for `seconds`.
        kept, limit: seconds without a question, and in all, after which a run's process is killed.
        waiting_command: of the process that `warm` starts, likewise.
        warm_seconds: that it lives without another `warm`.
        models: keeps what runs have trained; without it nothing is kept.
    """

    def __init__(
        self,
        command: Callable[[Dials], Sequence[str]] | None = None,
        kept: float = KEPT,
        limit: float | None = None,
        *,
        seconds: float = SECONDS,
        waiting_command: Sequence[str] | None = None,
        warm_seconds: float = WARM_SECONDS,
        models: LabModels | None = None,
    ):
        self.command = command or partial(command_of, seconds=seconds)
        self.kept, self.limit = kept, seconds + SPARE if limit is None else limit
        self.waiting_command = waiting_command or waiting_command_of(seconds)
        self.warm_seconds, self.models = warm_seconds, models
        self.waiting: deque[Run] = deque()
        self.warmed: subprocess.Popen | None = None
        self._warm_until = 0.0
        self.running: Run | None = None
        self._runs: dict[str, Run] = {}
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        atexit.register(self.close)

    def start(self, dials: Dials) -> Run:
        """Queue a run. Raises Busy when there is no room."""
        run = Run(dials, CALLER.get().address, time.monotonic() + self.kept)
        with self._changed:
            self._drop_unwanted()
            mine = sum(other.address == run.address for other in self.waiting)
            if len(self.waiting) >= MAX_WAITING or (run.address and mine >= MAX_OF_ONE):
                COUNTERS.count("lab_busy")
                raise Busy(text.BUSY)
            self.waiting.append(run)
            self._runs[run.key] = run
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="lab", daemon=True)
                self._worker.start()
            self._changed.notify()
        return run

    def warm(self) -> None:
        """Have a process ready for the next run, or keep the one that is; it ends by itself when nobody trains."""
        with self._changed:
            self._warm_until = time.monotonic() + self.warm_seconds
            if self.warmed is not None and self.warmed.poll() is None:
                return
            process = self.warmed = _started(self.waiting_command, stdin=subprocess.PIPE)
        threading.Thread(target=self._cool, args=(process,), name="lab-warm", daemon=True).start()

    def _cool(self, process: subprocess.Popen) -> None:
        """Kill a waiting process that no run has taken in time."""
        while process.poll() is None:
            with self._changed:
                if self.warmed is not process:
                    return
                if time.monotonic() > self._warm_until:
                    self.warmed = None
                    process.kill()
            time.sleep(0.1)
        process.wait()

    def find(self, key: str) -> tuple[Run, int]:
        """A run and its position in the queue, 0 once it runs; asking keeps it alive. Raises Gone for another key."""
        with self._changed:
            self._drop_unwanted()
            run = self._runs.get(key)
            if run is None:
                raise Gone(text.GONE)
            run.until = time.monotonic() + self.kept
            before = next((n for n, other in enumerate(self.waiting, 1) if other is run), 0)
            return run, before

    def stop(self, key: str) -> None:
        """End a run, wherever it is; its process is killed at once. One that is over or unknown is no error."""
        with self._changed:
            run = self._runs.get(key)
            if run is None:
                return
            run.stopped = True
            self._drop_unwanted()
            if run.process is not None:
                run.process.kill()

    def close(self) -> None:
        """End all runs, and the process that waits for one."""
        for key in list(self._runs):
            self.stop(key)
        with self._changed:
            process, self.warmed = self.warmed, None
        if process is not None:
            process.kill()
            process.wait()

    def _drop_unwanted(self) -> None:
        for run in [run for run in self._runs.values() if run.unwanted]:
            del self._runs[run.key]
            if run in self.waiting:
                self.waiting.remove(run)
                run.ended.set()

    def _work(self) -> None:
        """Run what waits, for ever: an exception ends its run and never the worker."""
        while True:
            with self._changed:
                while not self.waiting:
                    self._changed.wait(1.0)
                    self._drop_unwanted()
                    if self.models is not None:
                        self.models.drop_old()
                run = self.running = self.waiting.popleft()
            try:
                self._run(run)
            except Exception as error:
                COUNTERS.count("lab_errors")
                run.events.append({"event": "error", "message": text.FAILED.format(why=str(error)[:200])})
            finally:
                self.running = None
                run.ended.set()

    def _run(self, run: Run) -> None:
        """One run's process from its start to its end; its events are read here."""
        COUNTERS.count("lab_runs")
        with self._process(run.dials) as process:
            run.process = process
            watch = threading.Thread(target=self._watch, args=(run, process), name="lab-watch", daemon=True)
            watch.start()
            try:
                for line in iter(lambda: process.stdout.readline(MAX_LINE), b""):
                    run.events.append(self._kept(json.loads(line)))
            finally:
                process.kill()
        if not run.events or run.events[-1]["event"] not in ("end", "error"):
            run.events.append({"event": "error", "message": text.CUT_SHORT})

    def _kept(self, event: dict) -> dict:
        """An event; that of a trained model with the name by which its `checkpoint` can be opened here."""
        if self.models is None or event["event"] != "model":
            return event
        return event | {"checkpoint": self.models.keep(base64.b64decode(event["zip"]))}

    def _process(self, dials: Dials) -> subprocess.Popen:
        """The process of a run: the one that waits, which is told its dials, or a new one."""
        with self._changed:
            process, self.warmed = self.warmed, None
        if process is not None and process.poll() is None:
            try:
                process.stdin.write(json.dumps(dials.to_dict()).encode() + b"\n")
                process.stdin.close()
                return process
            except OSError:  # it ended just now
                process.kill()
        return _started(self.command(dials), stdin=subprocess.DEVNULL)

    def _watch(self, run: Run, process: subprocess.Popen) -> None:
        """Kill a process whose run nobody wants, or that takes too long."""
        deadline = time.monotonic() + self.limit
        while process.poll() is None:
            if run.unwanted or time.monotonic() > deadline:
                process.kill()
                return
            time.sleep(0.1)


def _started(command: Sequence[str], stdin: int) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
