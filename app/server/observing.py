"""The operator's view: one JSON line a request or decode, counters, and timings of every stage. No gradio."""

import json
import logging
import secrets
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LOG = logging.getLogger("mindrec.app")
RECENT = 512
"""Timings of a stage that its percentiles are taken over."""


@dataclass(frozen=True)
class Caller:
    """Who asks: an id of the request for the log, the network address that limits are counted by, what it unpacks."""

    request: str = "-"
    address: str = ""
    gzip: bool = False


CALLER: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 (frozen)
"""Set for each HTTP request; threads that answer it inherit it."""


def new_request_id() -> str:
    """A random id for one request."""
    return secrets.token_hex(6)


class Counters:
    """Counts and recent timings of the whole process; safe from any thread."""

    def __init__(self):
        self.started = time.time()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name] += by

    def took(self, stage: str, seconds: float) -> None:
        """Keep how many seconds a stage took."""
        with self._lock:
            self._times.setdefault(stage, deque(maxlen=RECENT)).append(seconds * 1000)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count how long the block takes under `stage`, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.took(stage, time.perf_counter() - started)

    def snapshot(self) -> dict:
        """{"up_s", "counts": {name: n}, "stages_ms": {stage: {"n", "p50", "p95"}}} over the last timings."""
        with self._lock:
            counts = dict(sorted(self._counts.items()))
            times = {stage: sorted(values) for stage, values in sorted(self._times.items())}
        stages = {
            stage: {"n": len(v), "p50": round(v[len(v) // 2], 1), "p95": round(v[int(len(v) * 0.95)], 1)}
            for stage, v in times.items()
        }
        return {"up_s": round(time.time() - self.started), "counts": counts, "stages_ms": stages}


COUNTERS = Counters()
"""Of this process."""


def log(event: str, **fields) -> None:
    """One JSON line. Never item ids, titles or anything else that a person typed."""
    if LOG.isEnabledFor(logging.INFO):
        line = {"t": round(time.time(), 3), "event": event, "request": CALLER.get().request} | fields
        LOG.info(json.dumps(line, ensure_ascii=True, default=str))


def log_to_stderr() -> None:
    """Write the lines to stderr as they are; called by app.py."""
    if not LOG.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
