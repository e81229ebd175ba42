"""Samples of test trips that are diagnosed while the app runs, each in a thread of its own."""

import threading
import time

from app.tabs.case_table import CaseTable
from app.tabs.handlers import Handlers
from app.words import sentences as text
from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis.cases import Diagnosis
from mindrec.diagnosis.diagnose import describe, item_facts
from mindrec.diagnosis.track_gold import diagnose
from mindrec.diagnosis.why import QUICK
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol


def sample_name(size: int, seed: int, config: DecodeConfig, checkpoint: str, handlers: Handlers) -> str:
    """Name a sample by its ingredients, so that equal names are equal samples."""
    settings = unlike_default(config, handlers.opened(checkpoint).default_config)
    parts = [text.DIAGNOSE["sample_name"].format(size=size, seed=seed), settings]
    if len(handlers.recommenders) > 1:
        parts.append(checkpoint)
    return ", ".join(part for part in parts if part)


def unlike_default(config: DecodeConfig, default: DecodeConfig) -> str:
    """Settings of a decoder that are not the checkpoint's own, in words; nothing where all are."""
    base, named = default.to_dict(), []
    for key, value in config.to_dict().items():
        if value != base[key]:
            words = text.CHOICES.get(value, value) if isinstance(value, str) else value
            named.append(f"{text.SETTINGS.get(key, (key,))[0]} {words}")
    return ", ".join(named)


class Sample:
    """A diagnosis that is being made in its own thread, behind the decodes that people wait for."""

    def __init__(
        self,
        name: str,
        checkpoint: str,
        chosen: list[Case],
        drawn: tuple[int, int],
        config: DecodeConfig,
        handlers: Handlers,
    ):
        self.name, self.checkpoint, self.chosen = name, checkpoint, chosen
        self.size, self.seed = drawn
        self.config, self.handlers = config, handlers
        self.done, self.total = 0, len(chosen)
        self.table: CaseTable | None = None
        self.error: str | None = None
        self.working = False

    def start(self) -> None:
        """Begin in a thread of its own."""
        self.working = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            recommender = self.handlers.opened(self.checkpoint)
            facts = item_facts(recommender, self.handlers.trips(self.checkpoint).data)
            about = describe(recommender, self.config, Protocol(users=self.total, seed=self.seed), k=10)
            frame = diagnose(
                recommender.denoiser,
                recommender.index,
                self.chosen,
                self.config,
                facts,
                k=10,
                depth=QUICK,
                report=self._report,
            )
            self.table = CaseTable.of(self.name, self.checkpoint, Diagnosis(frame, about), recommender)
        except MindRecError as error:
            self.error = str(error)
        except Exception as error:  # a thread has nobody above it: the page must still be told
            self.error = text.DIAGNOSE["sample_failed"].format(why=error)
            raise
        finally:
            self.working = False

    def _report(self, cases: int) -> None:
        self.done += cases
        time.sleep(0)  # let a waiting decode in
