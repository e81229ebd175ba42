"""Test trips of a checkpoint, loaded in the background when somebody first asks for one."""

import threading
from pathlib import Path

from app.words import sentences as text
from mindrec.data.catalog import PreparedData, load_prepared
from mindrec.data.splits import Case, cases
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.sources import is_prepared, prepared


class Trips:
    """The prepared data of one checkpoint and its test cases.

    Attributes:
        cases, data: None until `ready` has given them once.
    """

    def __init__(self, recommender: Recommender, folder: Path | None):
        self.recommender, self.folder = recommender, folder
        self.data: PreparedData | None = None
        self.cases: list[Case] | None = None
        self.error: MindRecError | None = None
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def ready(self, patience: float = 0.2) -> list[Case] | None:
        """The cases, or None while they are being made. An error is told once; the next call tries again.

        Raises:
            MindRecError: the data could not be loaded, or is of another catalog.
        """
        with self._lock:
            if self.cases is None and self.thread is None:
                self.thread = threading.Thread(target=self._load, daemon=True)
                self.thread.start()
            working = self.thread
        if working is not None:
            working.join(patience)
            if working.is_alive():
                return None
        with self._lock:
            self.thread = None
            if self.error is not None:
                error, self.error = self.error, None
                raise error
        return self.cases

    def waiting(self) -> str:
        """Why `ready` gave None, for a person."""
        return text.READING if self.folder is not None or is_prepared("grocery") else text.PREPARING

    def _load(self) -> None:
        catalog = self.recommender.catalog
        try:
            if self.folder is None and catalog.name != "grocery":
                raise MindRecError(text.NO_TRIPS)
            folder = self.folder or prepared("grocery")
            prepared_data = load_prepared(folder, name=catalog.name, category_depth=catalog.category_depth)
            if prepared_data.catalog.fingerprint != catalog.fingerprint:
                wanted, other = catalog.fingerprint, prepared_data.catalog.fingerprint
                raise MindRecError(text.OTHER_DATA.format(folder=folder, found=other, wanted=wanted))
            self.data = prepared_data
            self.cases = cases(prepared_data.interactions, "test")
        except MindRecError as error:
            self.error = error
        except (OSError, ValueError, KeyError) as error:
            self.error = MindRecError(f"{text.NO_TRIPS} ({error})")
