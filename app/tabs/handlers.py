"""What the page asks for, as plain functions: JSON in, JSON out. No gradio; the words are in app.words.sentences."""

import random
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

from app.server.lanes import MOST_WAITING, Busy, Gone, Job, Service, as_it_is
from app.server.observing import CALLER, COUNTERS, log
from app.tabs.bundles import bundle_of, token_names, whole_map
from app.tabs.film import Film
from app.tabs.trips import Trips
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.orders import ORDERS
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.system.files import read_json
from mindrec.system.settings import menu, rules
from mindrec.trace.records import DecodeStep, DecodeTrace

PATIENCE = 30.0
"""Seconds that one question waits for its decode."""
MOST_IDS = 1000
TRIP_LEAST = 3


@dataclass(frozen=True)
class Story:
    """A stored trace with a name; the page opens on the first one."""

    title: str
    about: str
    trace: DecodeTrace
    kind: str = ""

    def card(self) -> dict:
        """What the page lists; a story is offered only where its catalog is open."""
        return {
            "title": self.title,
            "about": self.about,
            "kind": self.kind,
            "catalog": self.trace.catalog.get("fingerprint"),
        }


def load_stories(folder: Path) -> list[Story]:
    """Stories in name order, each a file {"title", "about", "trace"}. Raises MindRecError naming a damaged one."""
    out = []
    for path in sorted(folder.glob("*.json")):
        raw = read_json(path, "story")
        try:
            out.append(
                Story(
                    str(raw["title"]), str(raw["about"]), DecodeTrace.from_dict(raw["trace"]), str(raw.get("kind", ""))
                )
            )
        except (KeyError, MindRecError) as error:
            raise MindRecError(text.DAMAGED_STORY.format(path=path, why=error)) from error
    return out


def plainly(method: Callable) -> Callable:
    """Turn a MindRecError into {"error": its message}, which is meant for a person; "busy" or "gone" say more."""

    @wraps(method)
    def call(self, ask):
        try:
            if not isinstance(ask, dict):
                raise MindRecError(text.NOT_UNDERSTOOD.format(what="no object"))
            return method(self, ask)
        except (Busy, Gone) as error:
            return {"error": str(error), type(error).__name__.lower(): True}
        except MindRecError as error:
            return {"error": str(error)}
        except Exception:
            COUNTERS.count("failed")
            log("failed", question=method.__name__, why=traceback.format_exc(limit=-4))
            return {"error": text.FAILED.format(request=CALLER.get().request)}

    return call


class Handlers:
    """Answers the page. One for the process; it keeps nothing of any person.

    Attributes:
        recommenders: by name, in the order given; the first is the default.
        data: prepared data for test trips, where a folder was given.
    """

    def __init__(
        self,
        recommenders: dict[str, Recommender],
        data: Path | None = None,
        stories: Sequence[Story] = (),
        *,
        folders: dict[str, Path] | None = None,
        waiting: int = MOST_WAITING,
    ):
        self.recommenders, self.data, self.stories = recommenders, data, list(stories)
        self.folders = folders or {}
        self.service = Service(recommenders, self.fall_back, waiting)
        self._trips: dict[str, Trips] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        checkpoints: Sequence[Path],
        *,
        data: Path | None = None,
        stories: Path | None = None,
        waiting: int = MOST_WAITING,
    ) -> "Handlers":
        """Open checkpoints. Raises MindRecError where one is missing or damaged."""
        found: dict[str, Recommender] = {}
        folders: dict[str, Path] = {}
        for path in checkpoints:
            recommender = Recommender.from_pretrained(path)
            name = recommender.name if recommender.name not in found else f"{recommender.name} ({path})"
            found[name], folders[name] = recommender, path
        if data is not None and not (data / "sequences.jsonl.gz").exists():
            raise MindRecError(f"{data} holds no sequences.jsonl.gz; `python -m mindrec prepare` makes such a folder")
        told = load_stories(stories) if stories is not None and stories.is_dir() else ()
        return cls(found, data, told, folders=folders, waiting=waiting)

    # -- what the page knows from the start ----------------------------------------------------------------------------

    def opening(self) -> dict:
        """Checkpoints, settings, stories and examples: everything the page needs before its first question."""
        return {
            "checkpoints": [self._about(name, r) for name, r in self.recommenders.items()],
            "stories": [story.card() for story in self.stories],
            "settings": setting_fields(list(self.recommenders)),
            "rules": rules(DecodeConfig),
            "example": text.SEARCH_EXAMPLE,
        }

    def add(self, name: str, recommender: Recommender, folder: Path, data: Path) -> dict:
        """Open one checkpoint more, with the prepared data it was trained on; what the page knows of it."""
        with self._lock:
            self._trips[name] = Trips(recommender, data)
        self.folders[name] = folder
        self.recommenders[name] = recommender
        self.service.add(name)
        return self._about(name, recommender) | {"trips": True}

    def _about(self, name: str, recommender: Recommender) -> dict:
        return {
            "name": name,
            "device": recommender.device,
            "items": len(recommender.catalog),
            "max_history": recommender.max_history,
            "config": recommender.default_config.to_dict(),
            "fingerprint": recommender.catalog.fingerprint,
            "notes": list(recommender.notes),
            "examples": examples(recommender),
            "trips": self.data is not None or recommender.catalog.name == "grocery",
        }

    # -- questions -----------------------------------------------------------------------------------------------------

    @plainly
    def search(self, ask: dict) -> dict:
        """Items that fit the words, best first; `sure` is false where the best is no more than the closest."""
        recommender, query = self.recommender(ask), str(ask.get("query", ""))
        rows = recommender.search(query, 10)
        sure = bool(rows) and recommender.fits(query, rows[0])
        return {"items": [self.item(recommender, row) for row in rows], "sure": sure}

    @plainly
    def decode(self, ask: dict) -> dict:
        """Decode a history; the whole trace and all that is needed to play it.

        With `wait`, seconds, an answer that takes longer is {"job", "place"}, to be asked for by `decode_poll`.
        """
        wait = ask.get("wait", PATIENCE)
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait <= PATIENCE:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="wait"))
        job = self._start(ask)
        if self.service.wait(job, wait):
            return self._ended(job)
        if "wait" in ask:
            return {"job": job.key, "place": self.service.find(job.key)[1]}
        self.service.stop(job)
        raise Busy(text.BUSY)

    @plainly
    def decode_start(self, ask: dict) -> dict:
        """Queue a decode that may take long: {"job", "place"}. It is dropped when nobody polls for a while."""
        job = self._start(ask)
        return {"job": job.key, "place": self.service.find(job.key)[1]}

    @plainly
    def decode_poll(self, ask: dict) -> dict:
        """How far a decode is: its place in the queue (0: running) and, as `part`, what is new of it.

        A part is a bundle whose steps, and whatever goes with each step, begin at `after`. Once the decode is done the
        answer has `bundle`, what `decode` gives, and the job is forgotten.
        """
        after = ask.get("after", 0)
        if type(after) is not int or after < 0:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="after"))
        job, place = self.service.find(self._key(ask))
        if job.ended.is_set():
            return {"place": 0, "bundle": self._ended(job)}
        steps = tuple(job.steps)
        return {"place": place} if len(steps) <= after else {"place": place, "part": self._part(job, steps, after)}

    def _part(self, job: Job, steps: Sequence[DecodeStep], after: int) -> dict:
        recommender = self.recommenders[job.name]
        if job.film is None:
            job.film = Film(recommender, job.config, job.rows, job.gold)
        part = job.film.part(steps, after)
        return part | {"names": token_names(part["trace"], recommender), "checkpoint": job.name}

    @plainly
    def decode_stop(self, ask: dict) -> dict:
        """Forget a decode and free its place. Stopping one that is over is no error."""
        with suppress(Gone):
            self.service.stop(self.service.find(self._key(ask))[0])
        return {"stopped": True}

    @staticmethod
    def _key(ask: dict) -> str:
        key = ask.get("job")
        if not isinstance(key, str):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="job"))
        return key

    def _start(self, ask: dict) -> Job:
        name, ids, target = self.name(ask), self.ids(ask), ask.get("target")
        config = config_of(self.recommenders[name], ask.get("config"))
        target = target if isinstance(target, str) else None
        return self.service.start(name, ids, config, target, partial(self.bundle, owner=name))

    def _ended(self, job: Job) -> dict:
        self.service.stop(job)
        return job.result()

    @plainly
    def story(self, ask: dict) -> dict:
        """A stored story, ready to play without the model."""
        number = ask.get("number")
        if type(number) is not int or not 0 <= number < len(self.stories):
            raise MindRecError(text.NO_SUCH_STORY)
        story = self.stories[number]
        return self.bundle(story.trace) | {"about": story.about}

    @plainly
    def open_trace(self, ask: dict) -> dict:
        """Check a trace from a file and make it playable."""
        return self.bundle(DecodeTrace.from_json(str(ask.get("text", ""))))

    @plainly
    def trip(self, ask: dict) -> dict:
        """A test trip and its true next item; {"waiting": words} while the data is being prepared."""
        name, recommender = self.name(ask), self.recommender(ask)
        trips = self.trips(name)
        found = trips.ready()
        if found is None:
            return {"waiting": trips.waiting()}
        long_enough = [c for c in found if len(c.history) >= TRIP_LEAST] or found
        case = random.Random(ask.get("number") if type(ask.get("number")) is int else 0).choice(long_enough)
        target = self.item(recommender, case.target)
        history = [self.item(recommender, row) for row in case.history]
        return {"items": history, "target": target, "about": text.TRIP_ABOUT.format(title=target["title"])}

    @plainly
    def replay(self, ask: dict) -> dict:
        """A page that plays one trace from a file, without a network."""
        from app.page.replay import replay_page

        trace = DecodeTrace.from_json(str(ask.get("text", "")))
        bundle = self.bundle(trace)
        owner = bundle["checkpoint"]
        return {"html": replay_page(bundle | {"map": whole_map(trace, self.recommenders.get(owner), owner)})}

    # -- parts ---------------------------------------------------------------------------------------------------------

    def trace_of(self, name: str, ids: list[str], config: DecodeConfig, target: str | None) -> DecodeTrace:
        """Decode with a checkpoint, in turn with all others; raises Busy when it takes too long to begin or end."""
        return self.answer_of(name, ids, config, as_it_is, target)

    def answer_of(
        self, name: str, ids: list[str], config: DecodeConfig, make: Callable[[DecodeTrace], Any], target=None
    ) -> Any:
        """What `make` makes of the trace of a decode; whatever it asks of the model, no other decode runs beside it."""
        job = self.service.start(name, ids, config, target, make)
        ended = self.service.wait(job, PATIENCE)
        self.service.stop(job)
        if not ended:
            raise Busy(text.BUSY)
        return job.result()

    def fall_back(self, name: str) -> None:
        """Open a checkpoint again on the CPU in place of one whose accelerator is gone, and say so in its notes."""
        recommender = Recommender.from_pretrained(self.folders[name], "cpu")
        recommender.notes = (*recommender.notes, text.FELL_BACK)
        self.recommenders[name] = recommender

    def trips(self, name: str) -> Trips:
        """The test trips of one checkpoint, shared by all who ask."""
        with self._lock:
            return self._trips.setdefault(name, Trips(self.recommenders[name], self.data))

    def bundle(self, trace: DecodeTrace, owner: str | None = None) -> dict:
        """A trace with what the player draws from it: captions, marks, the tree, and which checkpoint can decode on."""
        same = [n for n, r in self.recommenders.items() if r.catalog.fingerprint == trace.catalog.get("fingerprint")]
        owner = owner or next((n for n in same if n == trace.model.get("name")), same[0] if same else None)
        return bundle_of(trace, self.recommenders.get(owner), owner)

    def name(self, ask: dict) -> str:
        """The checkpoint that a question names, the first one where it names none. Raises MindRecError for another."""
        name = ask.get("checkpoint") or next(iter(self.recommenders))
        if not isinstance(name, str) or name not in self.recommenders:
            raise MindRecError(text.UNKNOWN_CHECKPOINT.format(name=str(name)[:60], names=", ".join(self.recommenders)))
        return name

    @staticmethod
    def ids(ask: dict) -> list[str]:
        """The item ids that a question names. Raises MindRecError where they are no list of few enough texts."""
        ids = ask.get("ids")
        if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(isinstance(i, str) for i in ids):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="ids"))
        return ids

    def recommender(self, ask: dict) -> Recommender:
        """The checkpoint that a question names, opened."""
        return self.recommenders[self.name(ask)]

    @staticmethod
    def item(recommender: Recommender, row: int) -> dict:
        """An item as the page lists it."""
        item = recommender.catalog.items[row]
        return {"id": item.item_id, "title": item.title, "path": list(item.categories), "brand": item.brand}


def config_of(recommender: Recommender, raw) -> DecodeConfig:
    """The checkpoint's own settings with those given laid over them. Raises MindRecError for a bad one."""
    if raw is None:
        return recommender.default_config
    if not isinstance(raw, dict):
        raise MindRecError(text.NOT_UNDERSTOOD.format(what="config"))
    return recommender.default_config.laid_over(raw)


def examples(recommender: Recommender) -> list[dict]:
    """Named histories: the checkpoint's own, else ours where the catalog has all their titles."""
    catalog = recommender.catalog
    if recommender.examples:
        named = [(e["name"], e["item_ids"]) for e in recommender.examples]
    else:
        ids = {item.title: item.item_id for item in catalog.items}
        named = [(name, [ids[t] for t in titles]) for name, titles in text.EXAMPLES if all(t in ids for t in titles)]
    return [
        {"title": name, "about": text.EXAMPLE_ABOUT, "items": [Handlers.item(recommender, r) for r in catalog.rows(i)]}
        for name, i in named
    ]


def setting_fields(checkpoints: list[str]) -> list[dict]:
    """The settings menu: the checkpoint where there are several, then every setting that has a label."""
    fields = menu(DecodeConfig, {"order": {name: name for name in ORDERS}})
    if len(checkpoints) > 1:
        name, about = text.SETTINGS["checkpoint"]
        choices = [[value, value] for value in checkpoints]
        fields.insert(0, {"key": "checkpoint", "name": name, "help": about, "kind": "choice", "choices": choices})
    return fields
