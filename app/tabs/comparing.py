"""The Compare tab's questions: one history answered in two ways, laid over each other, and by all methods at once."""

from collections.abc import Callable
from dataclasses import replace

from app.tabs.asking import config_of, plainly
from app.tabs.handlers import Handlers
from app.tabs.opening import title_of
from app.tabs.other_methods import TOP, OtherMethods
from app.views.versus import in_lists, laid_over, parting, results_of, timeline
from app.words import method_words as words
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
    """Answers the two sides of a comparison, each a decode or another method."""

    def __init__(self, handlers: Handlers):
        self.handlers, self.others = handlers, OtherMethods(handlers, handlers.arena)

    def opening(self) -> dict:
        """The ways of comparing that the tab offers, and the methods beside each checkpoint."""
        return {"ways": list(WAYS), "methods": self.others.opening()}

    @plainly
    def compare(self, ask: dict) -> dict:
        """Two bundles, the shared timeline, where they part, and what they recommend.

        `ask` has ids and target, or the number of a story, and for each side its way, checkpoint, config and the item
        that it goes without, or the name of another method.
        """
        ids, target = self._history(ask)
        if any(isinstance(ask.get(side), dict) and "method" in ask[side] for side in ("left", "right")):
            return self._with_methods(ask, ids, target)
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

    def _with_methods(self, ask: dict, ids: list[str], target: str | None) -> dict:
        """The same answer where a side is no decode: no token parts two methods, but their answers can be counted."""
        sides, rows, lengths, outcomes = {}, {}, [], {}
        for side in ("left", "right"):
            about = ask.get(side)
            if isinstance(about, dict) and "method" in about:
                made = self.others.side(self.handlers.name(about), about["method"], ids, target)
                rows[side], length, gold = made["rows"], len(made["steps"]) - 1, made["gold"]
                outcomes[side] = "" if gold is None else words.rank_words(gold["rank"])
                sides[side] = made
            else:
                trace, name = self._side(about, ids, target)
                rows[side], length = [result.row for result in trace.results[:TOP]], len(trace.steps) - 1
                outcomes[side] = words.outcome_words(trace) if trace.gold is not None else ""
                sides[side] = self.handlers.bundle(trace, name) | {"facts": text.side_facts(trace)}
            lengths.append(length)
        recommender = self.handlers.recommender(ask["left"])
        items = recommender.catalog.items
        gold = None if target is None else recommender.item_row(target)
        names = {row: items[row].title for side in rows.values() for row in side}
        return sides | {
            "frames": laid_over(*lengths),
            "frame": None,
            "given": [items[row].title for row in recommender.history_rows(ids)],
            "words": words.SHARED_OF.format(count=len(set(rows["left"]) & set(rows["right"])), k=TOP),
            "gold": None if gold is None else words.GOLD_BOTH.format(title=items[gold].title, **outcomes),
            "results": in_lists(rows["left"], rows["right"], names, {gold}),
        }

    @plainly
    def agree(self, ask: dict) -> dict:
        """Every open checkpoint of the catalog and every method beside one on a history: `titles`, `shared` (answers
        among the first ten that each two have in common), and `ranks` of the true item (None: not among the answers).
        """
        ids, target = self._history(ask)
        name = self.handlers.name(ask)
        recommender = self.handlers.opened(name)
        answers: dict[str, tuple[list[int], int | None]] = {}
        for other, checkpoint in (self.handlers.recommenders | {name: recommender}).items():
            if checkpoint.catalog.fingerprint == recommender.catalog.fingerprint:
                trace = self.handlers.trace_of(other, ids, checkpoint.default_config, target)
                rank = None if trace.gold is None or trace.gold.rank is None else trace.gold.rank + 1
                answers[title_of(other, checkpoint)] = [result.row for result in trace.results[:TOP]], rank
        for method, title in self.others.titles(name).items():
            side = self.others.side(name, method, ids, target)
            answers[title] = side["rows"], side["gold"] and side["gold"]["rank"]
        gold = None if target is None else recommender.catalog.items[recommender.item_row(target)].title
        return {
            "titles": list(answers),
            "shared": [[len(set(a) & set(b)) for b, _ in answers.values()] for a, _ in answers.values()],
            "ranks": [rank for _, rank in answers.values()],
            "gold": gold,
            "k": TOP,
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
    """Item ids of a story's history, and its true next item where it has one.

    Raises:
        MindRecError: there is no story of this number.
    """
    if type(number) is not int or not 0 <= number < len(handlers.stories):
        raise MindRecError(text.NO_SUCH_STORY)
    trace = handlers.stories[number].trace
    ids = {item.row: item.item_id for item in trace.items}
    return [ids[row] for row in trace.history], ids[trace.gold.row] if trace.gold is not None else None
