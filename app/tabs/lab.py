"""The Lab tab's questions: start a run, follow it, stop it, open what it trained."""

from app.bundles import bundle_of
from app.server.lab_runs import LabRuns, Run
from app.tabs.asking import plainly
from app.tabs.handlers import Handlers
from app.tabs.opening import about
from app.words import lab_words
from app.words import sentences as text
from mindrec.errors import MindRecError
from mindrec.lab.dials import Dials
from mindrec.system.settings import menu, rules
from mindrec.trace.records import DecodeTrace

PRESETS: dict[str, dict] = {
    "default": {},
    "little": {"path_share": 0.0, "mask_floor": 0.0},
    "all": {"path_share": 0.0, "mask_floor": 1.0},
    "path": {"path_share": 0.0},
    "overfit": {"histories": 60, "epochs": 30, "width": 64},
    "noise": {"sharpness": 0.0, "histories": 600, "epochs": 8},
    "certain": {"sharpness": 1.0},
    "pantry": {"world": "pantry", "epochs": 10},
    "twin": {"objective": "both", "epochs": 5},
}
"""Dials of each story, by the name that lab_words.PRESETS gives it; what is not named has its default."""


class Lab:
    """Answers the Lab tab.

    Args:
        runs: the queue; None where the operator has turned the Lab off.
    """

    def __init__(self, handlers: Handlers, runs: LabRuns | None):
        self.handlers, self.runs = handlers, runs

    def opening(self) -> dict:
        """Dials, presets and whether runs are possible here."""
        return {
            "on": self.runs is not None,
            "dials": menu(Dials),
            "rules": rules(Dials),
            "defaults": Dials().to_dict(),
            "presets": [{"key": key, **lab_words.PRESETS[key], "dials": dials} for key, dials in PRESETS.items()],
        }

    @plainly
    def lab_start(self, ask: dict) -> dict:
        """Queue a run of `dials`: {"job", "place"}."""
        raw = ask.get("dials")
        if not isinstance(raw, dict):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="dials"))
        if self.runs is None:
            raise MindRecError(lab_words.OFF)
        run = self.runs.start(Dials.from_dict(raw))
        return {"job": run.key, "place": self.runs.find(run.key)[1]}

    @plainly
    def lab_warm(self, ask: dict) -> dict:
        """Somebody is at the Lab: have a process ready, so that a run need not wait for its imports."""
        if self.runs is not None:
            self.runs.warm()
        return {"warm": self.runs is not None}

    @plainly
    def lab_poll(self, ask: dict) -> dict:
        """The events of a run from number `after` on, its place in the queue (0: running), and whether it has ended.

        A run that nobody polls for some seconds is ended: a closed tab stops its training.
        """
        after = ask.get("after", 0)
        if type(after) is not int or after < 0:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="after"))
        run, ahead = self._find(ask)
        ended = run.ended.is_set()  # before the events are read: none comes later
        return {"place": ahead, "events": [_for_page(e) for e in run.events[after:]], "ended": ended}

    @plainly
    def lab_stop(self, ask: dict) -> dict:
        """End a run; its process is gone at once."""
        if self.runs is not None:
            self.runs.stop(str(ask.get("job")))
        return {"stopped": True}

    @plainly
    def lab_open(self, ask: dict) -> dict:
        """The card of a trained model by its name, `checkpoint`: the page may decode with it as with those it lists."""
        return {"checkpoint": about(self.handlers, self.handlers.name(ask))}

    def _find(self, ask: dict) -> tuple[Run, int]:
        if self.runs is None:
            raise MindRecError(lab_words.OFF)
        return self.runs.find(str(ask.get("job")))


def _for_page(event: dict) -> dict:
    """An event with its trace made playable."""
    if "trace" not in event:
        return event
    rest = {key: value for key, value in event.items() if key != "trace"}
    return rest | {"bundle": bundle_of(DecodeTrace.from_dict(event["trace"]))}
