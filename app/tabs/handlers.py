"""The open checkpoints that every tab asks, their lanes and test trips, and how a trace becomes a bundle."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.bundles import bundle_of
from app.server.lab_models import PREFIX, LabModels
from app.server.lanes import MAX_WAITING, Busy, as_it_is
from app.server.service import Service
from app.tabs.shelf import Story, load_stories
from app.tabs.trips import Trips
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

PATIENCE = 30.0
"""Seconds that one question waits for its decode."""


class Handlers:
    """The checkpoints that the tabs ask. One for the process; it keeps nothing of any person.

    Attributes:
        recommenders: those open to everybody by name, in the order given; the first is the default.
        lab_models: those that were trained in the Lab, which only their names open.
        data: prepared data for test trips, where a folder was given.
        folders: of the checkpoints, by name, where they were opened from a folder.
        arena: folder of fitted methods to compare with, where one was given.
    """

    def __init__(
        self,
        recommenders: dict[str, Recommender],
        data: Path | None = None,
        stories: Sequence[Story] = (),
        *,
        folders: dict[str, Path] | None = None,
        waiting: int = MAX_WAITING,
        arena: Path | None = None,
    ):
        self.recommenders, self.data, self.stories = recommenders, data, list(stories)
        self.folders, self.arena = folders or {}, arena
        self.service = Service(recommenders, self.fall_back, waiting)
        self.lab_models = LabModels(self.service)
        self._trips: dict[str, Trips] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        checkpoints: Sequence[Path],
        *,
        data: Path | None = None,
        stories: Path | None = None,
        waiting: int = MAX_WAITING,
        arena: Path | None = None,
    ) -> "Handlers":
        """Open checkpoints. Raises MindRecError where one is missing or damaged."""
        recommenders: dict[str, Recommender] = {}
        folders: dict[str, Path] = {}
        for path in checkpoints:
            recommender = Recommender.from_pretrained(path)
            name = recommender.name if recommender.name not in recommenders else f"{recommender.name} ({path})"
            recommenders[name], folders[name] = recommender, path
        if data is not None and not (data / "sequences.jsonl.gz").exists():
            raise MindRecError(f"{data} holds no sequences.jsonl.gz; `python -m mindrec prepare` makes such a folder")
        stored = load_stories(stories) if stories is not None and stories.is_dir() else ()
        return cls(recommenders, data, stored, folders=folders, waiting=waiting, arena=arena)

    def add(self, name: str, recommender: Recommender, folder: Path, data: Path) -> None:
        """Open one checkpoint more, with the prepared data it was trained on."""
        with self._lock:
            self._trips[name] = Trips(recommender, data)
        self.folders[name] = folder
        self.recommenders[name] = recommender
        self.service.add(name)

    def trace_of(self, name: str, ids: list[str], config: DecodeConfig, target: str | None) -> DecodeTrace:
        """Decode with a checkpoint, in turn with all others; raises Busy when it takes too long to begin or end."""
        return self.answer_of(name, ids, config, as_it_is, target)

    def answer_of(
        self, name: str, ids: list[str], config: DecodeConfig, make: Callable[[DecodeTrace], Any], target=None
    ) -> Any:
        """Decode, and return `make` of the trace; while `make` asks the model, no other decode runs beside it."""
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
        """The test trips of one checkpoint, shared by all who ask. Raises MindRecError for a model of the Lab."""
        if name not in self.recommenders:
            raise MindRecError(text.NO_TRIPS)
        with self._lock:
            return self._trips.setdefault(name, Trips(self.recommenders[name], self.data))

    def has_trips(self, name: str) -> bool:
        """Whether test trips of a checkpoint can be had: from a folder that was given, or of the demo's data."""
        if name not in self.recommenders:
            return False
        with self._lock:
            made = self._trips.get(name)
        given = self.data if made is None else made.folder
        return given is not None or self.recommenders[name].catalog.name == "grocery"

    def twin(self, catalog: str) -> str | None:
        """A checkpoint of a catalog, by its fingerprint, that can do nothing but left to right."""
        of_catalog = [(n, r) for n, r in self.recommenders.items() if r.catalog.fingerprint == catalog]
        return next((n for n, r in of_catalog if getattr(r.denoiser, "orders", None) == ("left_to_right",)), None)

    def bundle(self, trace: DecodeTrace, owner: str | None = None) -> dict:
        """A trace with what the player draws from it: captions, marks, the tree, and which checkpoint can decode on."""
        same = [n for n, r in self.recommenders.items() if r.catalog.fingerprint == trace.catalog.get("fingerprint")]
        owner = owner or next((n for n in same if n == trace.model.get("name")), same[0] if same else None)
        return bundle_of(trace, None if owner is None else self.opened(owner), owner)

    def name(self, ask: dict) -> str:
        """The checkpoint that a question names, the first one where it names none. Raises MindRecError for another."""
        name = ask.get("checkpoint") or next(iter(self.recommenders))
        if isinstance(name, str) and name not in self.recommenders and name.startswith(PREFIX):
            self.lab_models.open(name)
            return name
        if not isinstance(name, str) or name not in self.recommenders:
            raise MindRecError(text.UNKNOWN_CHECKPOINT.format(name=str(name)[:60], names=", ".join(self.recommenders)))
        return name

    def recommender(self, ask: dict) -> Recommender:
        """The checkpoint that a question names, opened."""
        return self.opened(self.name(ask))

    def opened(self, name: str) -> Recommender:
        """A checkpoint by a name that `name` gave. Raises Gone for a model of the Lab that has left since."""
        return self.service.opened(name)

    @staticmethod
    def item(recommender: Recommender, row: int) -> dict:
        """An item as the page lists it."""
        item = recommender.catalog.items[row]
        return {"id": item.item_id, "title": item.title, "path": list(item.categories), "brand": item.brand}
