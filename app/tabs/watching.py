"""The questions of the Watch tab: search, decode, stories, traces from files, test trips and replays."""

import random
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from app.bundles import token_names, whole_map
from app.server.json_bytes import Answer
from app.server.lanes import Busy, Gone, Job
from app.tabs.asking import config_of, ids_of, plainly
from app.tabs.film import Film
from app.tabs.handlers import PATIENCE, Handlers
from app.words import sentences as text
from mindrec.errors import MindRecError
from mindrec.trace.records import DecodeStep, DecodeTrace

TRIP_LEAST = 3


class Watching:
    """Answers the Watch tab; it keeps nothing of any person."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def search(self, ask: dict) -> dict:
        """Items that fit the words, best first; `sure` is false where the best is no more than the closest."""
        recommender, query = self.handlers.recommender(ask), str(ask.get("query", ""))
        rows = recommender.search(query, 10)
        sure = bool(rows) and recommender.fits(query, rows[0])
        return {"items": [self.handlers.item(recommender, row) for row in rows], "sure": sure}

    @plainly
    def decode(self, ask: dict) -> Answer:
        """Decode a history; the whole trace and all that is needed to play it.

        With `wait`, seconds, an answer that takes longer is {"job", "place"}, to be asked for by `decode_poll`.
        """
        wait = ask.get("wait", PATIENCE)
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait <= PATIENCE:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="wait"))
        job = self._start(ask)
        if self.handlers.service.wait(job, wait):
            return self._ended(job)
        if "wait" in ask:
            return {"job": job.key, "place": self.handlers.service.find(job.key)[1]}
        self.handlers.service.stop(job)
        raise Busy(text.BUSY)

    @plainly
    def decode_start(self, ask: dict) -> dict:
        """Queue a decode that may take long: {"job", "place"}. It is dropped when nobody polls for a while."""
        job = self._start(ask)
        return {"job": job.key, "place": self.handlers.service.find(job.key)[1]}

    @plainly
    def decode_poll(self, ask: dict) -> dict:
        """How far a decode is: its place in the queue (0: running) and, as `part`, what is new of it.

        A part is a bundle whose steps, and whatever goes with each step, begin at `after`. Once the decode is done the
        answer has `bundle`, what `decode` gives, and the job is forgotten.
        """
        after = ask.get("after", 0)
        if type(after) is not int or after < 0:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="after"))
        job, position = self.handlers.service.find(self._key(ask))
        if job.ended.is_set():
            return {"place": 0, "bundle": self._ended(job)}
        job.watched, steps = True, tuple(job.steps)
        return {"place": position} | ({"part": self._part(job, steps, after)} if len(steps) > after else {})

    def _part(self, job: Job, steps: Sequence[DecodeStep], after: int) -> dict:
        recommender = self.handlers.opened(job.name)
        if job.film is None:
            job.film = Film(recommender, job.config, job.rows, job.gold)
        part = job.film.part(steps, after)
        return part | {"names": token_names(part["trace"], recommender), "checkpoint": job.name}

    @plainly
    def decode_stop(self, ask: dict) -> dict:
        """Forget a decode and free its place. Stopping one that is over is no error."""
        with suppress(Gone):
            self.handlers.service.stop(self.handlers.service.find(self._key(ask))[0])
        return {"stopped": True}

    @staticmethod
    def _key(ask: dict) -> str:
        key = ask.get("job")
        if not isinstance(key, str):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="job"))
        return key

    def _start(self, ask: dict) -> Job:
        name, ids, target = self.handlers.name(ask), ids_of(ask), ask.get("target")
        config = config_of(self.handlers.opened(name), ask.get("config"))
        target = target if isinstance(target, str) else None
        make = partial(self.handlers.bundle, owner=name)  # as a decoding process makes it
        return self.handlers.service.start(name, ids, config, target, make, portable=True)

    def _ended(self, job: Job) -> Answer:
        self.handlers.service.stop(job)
        return job.result()

    @plainly
    def story(self, ask: dict) -> dict:
        """A stored story, ready to play without the model."""
        number = ask.get("number")
        if type(number) is not int or not 0 <= number < len(self.handlers.stories):
            raise MindRecError(text.NO_SUCH_STORY)
        story = self.handlers.stories[number]
        return self.handlers.bundle(story.trace) | {"about": story.about}

    @plainly
    def open_trace(self, ask: dict) -> dict:
        """Check a trace from a file and make it playable."""
        return self.handlers.bundle(DecodeTrace.from_json(str(ask.get("text", ""))))

    @plainly
    def trip(self, ask: dict) -> dict:
        """A test trip and its true next item; {"waiting": words} while the data is being prepared."""
        name, recommender = self.handlers.name(ask), self.handlers.recommender(ask)
        trips = self.handlers.trips(name)
        cases = trips.ready()
        if cases is None:
            return {"waiting": trips.waiting()}
        long_enough = [c for c in cases if len(c.history) >= TRIP_LEAST] or cases
        case = random.Random(ask.get("number") if type(ask.get("number")) is int else 0).choice(long_enough)
        target = self.handlers.item(recommender, case.target)
        history = [self.handlers.item(recommender, row) for row in case.history]
        return {"items": history, "target": target, "about": text.TRIP_ABOUT.format(title=target["title"])}

    @plainly
    def replay(self, ask: dict) -> dict:
        """A page that plays one trace from a file, without a network."""
        from app.page.replay import replay_page

        trace = DecodeTrace.from_json(str(ask.get("text", "")))
        bundle = self.handlers.bundle(trace)
        owner = bundle["checkpoint"]
        whole = whole_map(trace, self.handlers.recommenders.get(owner), owner)
        return {"html": replay_page(bundle | {"map": whole})}
