"""The Compare tab's question: one history decoded in two ways, laid over each other."""

from collections.abc import Callable
from dataclasses import replace

from app.tabs.asking import config_of, plainly
from app.tabs.handlers import Handlers
from app.views.versus import parting, results_of, timeline
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

Change = Callable[[DecodeConfig], DecodeConfig]

WAYS: dict[str, Change] = {
    "ours": lambda c: c,
    "published": lambda c: c.laid_over({"algorithm": "published"}),
    "left_to_right": lambda c: replace(c, order="left_to_right"),
    "confidence": lambda c: replace(c, order="confidence"),
    "greedy": lambda c: replace(c, beam_size=1),
    "two_beams": lambda c: replace(c, beam_size=2),
    "ten_beams": lambda c: replace(c, beam_size=10),
    "one_pass": lambda c: c.laid_over({"steps": 1, "constraint": "exact"}),
    "evidence_off": lambda c: replace(c, evidence="off"),
    "level": lambda c: c.laid_over({"constraint": "level"}),
}
"""Ways to decode, by the name that text.COMPARE gives them; each changes the checkpoint's own settings."""


class Comparing:
    """Decodes the two sides of a comparison."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def opening(self) -> dict:
        """The ways of comparing that the tab offers."""
        return {"ways": list(WAYS)}

    @plainly
    def compare(self, ask: dict) -> dict:
        """Two bundles, the shared timeline, where they part, and what they recommend.

        `ask` has ids and target, or the number of a story, and for each side its way, checkpoint, config and the item
        that it goes without.
        """
        ids, target = self._history(ask)
        sides = [self._side(ask.get(side), ids, target) for side in ("left", "right")]
        (left, left_name), (right, right_name) = sides
        frames = timeline(left, right)
        part = parting(left, right, frames)
        return {
            "left": self.handlers.bundle(left, left_name) | {"facts": text.side_facts(left)},
            "right": self.handlers.bundle(right, right_name) | {"facts": text.side_facts(right)},
            "frames": frames,
            "frame": part.frame,
            "words": text.parting_words(left, right, part, frames),
            "gold": text.gold_words(left, right),
            "results": results_of(left, right),
        }

    def _history(self, ask: dict) -> tuple[list[str], str | None]:
        number = ask.get("story")
        if number is None:
            ids, target = ask.get("ids"), ask.get("target")
            if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
                raise MindRecError(text.NOT_UNDERSTOOD.format(what="ids"))
            return ids, target if isinstance(target, str) else None
        return story_history(self.handlers, number)

    def _side(self, ask, ids: list[str], target: str | None) -> tuple[DecodeTrace, str]:
        if not isinstance(ask, dict):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="a side"))
        name, recommender = self.handlers.name(ask), self.handlers.recommender(ask)
        without = ask.get("without")
        ids = [i for i in ids if i != without]
        return self.handlers.trace_of(name, ids, self._config(recommender, ask), target), name

    @staticmethod
    def _config(recommender: Recommender, ask: dict) -> DecodeConfig:
        if ask.get("config") is not None:
            return config_of(recommender, ask["config"])
        if ask.get("way", "ours") not in WAYS:
            raise MindRecError(text.NOT_UNDERSTOOD.format(what=str(ask["way"])[:40]))
        return WAYS[ask.get("way", "ours")](recommender.default_config)


def story_history(handlers: Handlers, number) -> tuple[list[str], str | None]:
    """Item ids of a story's history, and its true next item where it has one."""
    if type(number) is not int or not 0 <= number < len(handlers.stories):
        raise MindRecError(text.NO_SUCH_STORY)
    trace = handlers.stories[number].trace
    ids = {item.row: item.item_id for item in trace.items}
    return [ids[row] for row in trace.history], ids[trace.gold.row] if trace.gold is not None else None
