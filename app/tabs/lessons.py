"""The Learn tab: twelve cards over the shipped stories. Each poses a question before it shows the answer."""

from dataclasses import dataclass
from functools import lru_cache

from app.tabs.asking import plainly
from app.tabs.comparing import story_history
from app.tabs.handlers import Handlers
from app.tabs.lesson_cards import CARDS, Card, panels_of
from app.tabs.shelf import Story
from app.words import sentences as text
from mindrec.errors import MindRecError
from mindrec.trace.records import DecodeTrace


@dataclass(frozen=True)
class Answer:
    """A card's right option and why, with the trace that shows it: the story's, or of a `live` decode."""

    answer: int
    because: str
    trace: DecodeTrace
    live: bool = False


class Lessons:
    """The course. Cards whose story is missing are left out, as are live ones where no checkpoint can decode them."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        self.numbers = {story.kind: number for number, story in reversed(list(enumerate(handlers.stories)))}
        self._live = lru_cache(maxsize=16)(self._decode)
        self._exercise = lru_cache(maxsize=16)(self._compute)

    def opening(self) -> list[dict]:
        """Key, title and act of every lesson that can be shown."""
        shown = (key for key in CARDS if self._there(key))
        return [{"key": key, "title": text.LESSONS[key]["title"], "act": CARDS[key].act} for key in shown]

    def _there(self, key: str) -> bool:
        plan, kind = CARDS[key], CARDS[key].story
        if kind not in self.numbers or (plan.needs_model and self._owner(kind) is None):
            return False
        card = plan.build(self._story(kind).trace)
        return card is not None and not (card.twin and self._twin(kind) is None)

    def _story(self, kind: str) -> Story:
        return self.handlers.stories[self.numbers[kind]]

    def _owner(self, kind: str) -> str | None:
        wanted = self._story(kind).trace.catalog.get("fingerprint")
        return next((n for n, r in self.handlers.recommenders.items() if r.catalog.fingerprint == wanted), None)

    def _twin(self, kind: str) -> str | None:
        return self.handlers.twin(self._story(kind).trace.catalog.get("fingerprint"))

    def _decoder(self, key: str) -> str | None:
        """The checkpoint that makes a card's live decode."""
        kind = CARDS[key].story
        return self._twin(kind) if self.card(key).twin else self._owner(kind)

    @plainly
    def lesson(self, ask: dict) -> dict:
        """A card and the story that it is played on; nothing that gives the answer away."""
        key = self._key(ask)
        card, trace = self.card(key), self.trace(key)
        return {
            "key": key,
            "body": card.body,
            "ask": card.ask,
            "options": card.options,
            "tokens": card.tokens,
            "exercise": self.exercise(key),
            "bars": card.bars,
            "formula": text.LESSONS[key].get("formula", ""),
            "panels": panels_of(key),
            "step": card.step,
            "bundle": self.handlers.bundle(trace),
        }

    @plainly
    def reveal(self, ask: dict) -> dict:
        """The answer, why, and where to look; with another decode where the card has one."""
        key = self._key(ask)
        solved = self.answered(key)
        out = {"answer": solved.answer, "because": solved.because, "step": self.card(key).then}
        return out | ({"bundle": self.handlers.bundle(solved.trace, self._decoder(key))} if solved.live else {})

    def trace(self, key: str) -> DecodeTrace:
        """The story that a card is played on."""
        return self._story(CARDS[key].story).trace

    def exercise(self, key: str) -> list[dict]:
        """Compute a card's exercise with the model; empty where a card has none."""
        return self._exercise(key) if CARDS[key].build(self.trace(key)).exercise else []

    def answered(self, key: str) -> Answer:
        """The answer of a card, by another decode where the card has one. Raises Busy where that finds no lane."""
        card = self.card(key)
        if card.live is None or self._decoder(key) is None:
            return Answer(card.answer, card.because, self.trace(key))
        trace = self._live(key)
        judged = card.judge(trace) if card.judge is not None else (card.answer, card.because)
        return Answer(*judged, trace, live=True)

    def _decode(self, key: str) -> DecodeTrace:
        name = self._decoder(key)
        ids, target = story_history(self.handlers, self.numbers[CARDS[key].story])
        config = self.card(key).live(self.handlers.recommenders[name].default_config)
        return self.handlers.trace_of(name, ids, config, target)

    def _key(self, ask: dict) -> str:
        key = ask.get("key")
        if key not in CARDS or not self._there(key):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what=f"lesson {str(key)[:40]}"))
        return key

    def card(self, key: str) -> Card:
        """A card, filled in from its story and from what the model computed for it."""
        card = CARDS[key].build(self._story(CARDS[key].story).trace)
        return card if card.complete is None else card.complete(card, self._exercise(key))

    def _compute(self, key: str) -> list[dict]:
        """Compute a card's exercise, in turn with all decodes."""
        kind = CARDS[key].story
        name, build = self._owner(kind), CARDS[key].build
        recommender, trace = self.handlers.recommenders[name], self._story(kind).trace
        exercise = build(trace).exercise
        ids, target = story_history(self.handlers, self.numbers[kind])
        return self.handlers.answer_of(
            name, ids, recommender.default_config, lambda _: exercise(recommender, trace), target
        )
