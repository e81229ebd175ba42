"""Models that the Lab trained, for the session of whoever trained them.

Each has a name that cannot be guessed, and nothing lists it. It is opened when somebody first asks for it by that name.
"""

import io
import secrets
import tempfile
import threading
import time
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from app.server.lanes import Gone
from app.server.service import Service
from app.words import lab_words as text
from mindrec.recommender import Recommender

PREFIX = "lab:"
"""The beginning of their names."""
KEPT = 1800.0
"""Seconds that a model lives after it was trained, or last asked for."""
MAX_MODELS = 32
"""Models at a time; the one that was not asked for longest goes when one more comes."""


@dataclass
class _Kept:
    packed: bytes | None  # until it is opened
    until: float


class LabModels:
    """The models that are kept; safe from any thread.

    Args:
        service: gets a lane for each model that is asked for.
        most, kept: models at a time, and seconds of each.
    """

    def __init__(self, service: Service, limit: int = MAX_MODELS, kept: float = KEPT):
        self.service, self.limit, self.kept = service, limit, kept
        self._models: OrderedDict[str, _Kept] = OrderedDict()  # the one asked for last at the end
        self._lock = threading.Lock()

    def keep(self, packed: bytes) -> str:
        """Keep a checkpoint folder that the Lab packed as a zip file; the name that opens it."""
        name = PREFIX + secrets.token_urlsafe(12)
        with self._lock:
            self._drop_old()
            while len(self._models) >= self.limit:
                self._drop(next(iter(self._models)))
            self._models[name] = _Kept(packed, time.monotonic() + self.kept)
        return name

    def open(self, name: str) -> Recommender:
        """The model of a name, which lives on from now. Raises Gone where there is none (any more)."""
        with self._lock:
            self._drop_old()
            model = self._models.get(name)
            if model is None:
                raise Gone(text.MODEL_GONE)
            model.until = time.monotonic() + self.kept
            self._models.move_to_end(name)
            if model.packed is not None:
                self.service.add_guest(name, _unpacked(model.packed))
                model.packed = None
            return self.service.opened(name)

    def drop_old(self) -> None:
        """Forget the models whose time is over."""
        with self._lock:
            self._drop_old()

    def _drop_old(self) -> None:
        now = time.monotonic()
        for name in [name for name, model in self._models.items() if model.until <= now]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        del self._models[name]
        self.service.drop_guest(name)


def _unpacked(packed: bytes) -> Recommender:
    """The one checkpoint folder in a zip file of `mindrec.lab.run_events.zipped`, opened."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
        (checkpoint,) = Path(folder).iterdir()
        return Recommender.from_pretrained(checkpoint, "cpu")
