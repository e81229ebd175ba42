"""The guidance dial: one cart decoded with several strengths of guidance in one answer; moving it is instant."""

from contextlib import ExitStack
from functools import partial

from app.server.lanes import Busy
from app.tabs.asking import config_of, ids_of, plainly
from app.tabs.handlers import PATIENCE, Handlers
from app.words import sentences as text
from mindrec.errors import MindRecError

STOPS = (0.0, 0.6, 1.0, 1.5)
"""Strengths of guidance that the dial stops at, from "what is usual" to "only this cart"."""


class Dialing:
    """Answers the dial, in turn with the decodes of the same checkpoint."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def opening(self) -> dict:
        """The stops and, by checkpoint, what `choose-guidance` measured at each; null where it was not measured."""
        return {"stops": STOPS, "costs": {name: self._costs(name) for name in self.handlers.recommenders}}

    def _costs(self, name: str) -> list[dict | None]:
        record = self.handlers.opened(name).checkpoint.training or {}
        measured = {row["guidance"]: row for row in record.get("guidance", ())}
        return [None if stop not in measured else text.dial_cost(measured[stop]) for stop in STOPS]

    @plainly
    def dial(self, ask: dict) -> dict:
        """The bundles of one cart at the `stops` that are asked for, in their order, like `decode` gives one."""
        name, ids, target, stops = self.handlers.name(ask), ids_of(ask), ask.get("target"), ask.get("stops")
        if not isinstance(stops, list) or not 0 < len(stops) <= len(STOPS) or not all(stop in STOPS for stop in stops):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="stops"))
        config = config_of(self.handlers.opened(name), ask.get("config"))
        configs = [config.laid_over({"guidance": stop}) for stop in stops]
        target = target if isinstance(target, str) else None
        service, make = self.handlers.service, partial(self.handlers.bundle, owner=name)
        with ExitStack() as started:
            jobs = []
            for each in configs:
                jobs.append(service.start(name, ids, each, target, make))
                started.callback(service.stop, jobs[-1])
            if not all(service.wait(job, PATIENCE) for job in jobs):
                raise Busy(text.BUSY)
            return {"bundles": [job.result() for job in jobs]}
