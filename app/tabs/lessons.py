"""The Learn tab: ten cards over the shipped stories. Each poses a question before it shows the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from app.tabs.comparing import story_history
from app.tabs.handlers import Handlers, Story, plainly
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.trace.records import DecodeTrace

LAST = 1_000
"""A step that the player takes as its last."""


@dataclass(frozen=True)
class Card:
    """One card, filled in from a trace.

    Attributes:
        answer, because: the right option and why; for a card with a `live` decode they come from that.
        step: where the player waits; `then` is where it goes when the answer is shown.
        tokens: an item's tokens as {"level", "label"}, for the slider.
        live: how a decode on the spot differs from the story's.
        twin: whether the auto-regressive twin makes that decode.
    """

    body: str
    ask: str
    options: list[str]
    answer: int = 0
    because: str = ""
    step: int = 0
    then: int = 0
    tokens: list[dict] = field(default_factory=list)
    live: Callable[[DecodeConfig], DecodeConfig] | None = None
    judge: Callable[[DecodeTrace], tuple[int, str]] | None = None
    twin: bool = False


class Lessons:
    """The course. Cards whose story is missing are left out, as are live ones where no checkpoint can decode them."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers
        self.numbers = {story.kind: number for number, story in reversed(list(enumerate(handlers.stories)))}
        self._live = lru_cache(maxsize=16)(self._decode)

    def opening(self) -> list[dict]:
        """Key and title of every lesson that can be shown."""
        return [{"key": key, "title": text.LESSONS[key]["title"]} for key in CARDS if self._there(key)]

    def _there(self, key: str) -> bool:
        kind, build, live = CARDS[key]
        if kind not in self.numbers or (live and self._owner(kind) is None):
            return False
        card = build(self._story(kind).trace)
        return card is not None and not (card.twin and self._twin(kind) is None)

    def _story(self, kind: str) -> Story:
        return self.handlers.stories[self.numbers[kind]]

    def _owner(self, kind: str) -> str | None:
        wanted = self._story(kind).trace.catalog.get("fingerprint")
        return next((n for n, r in self.handlers.recommenders.items() if r.catalog.fingerprint == wanted), None)

    def _twin(self, kind: str) -> str | None:
        """A checkpoint of the story's catalog that can do nothing but left to right."""
        wanted = self._story(kind).trace.catalog.get("fingerprint")
        of_catalog = [(n, r) for n, r in self.handlers.recommenders.items() if r.catalog.fingerprint == wanted]
        return next((n for n, r in of_catalog if getattr(r.denoiser, "orders", None) == ("left_to_right",)), None)

    def _decoder(self, key: str) -> str | None:
        """The checkpoint that makes a card's live decode."""
        kind = CARDS[key][0]
        return self._twin(kind) if self._card(key).twin else self._owner(kind)

    @plainly
    def lesson(self, ask: dict) -> dict:
        """A card and the story that it is played on; nothing that gives the answer away."""
        key = self._key(ask)
        card, story = self._card(key), self._story(CARDS[key][0])
        return {
            "key": key,
            "body": card.body,
            "ask": card.ask,
            "options": card.options,
            "tokens": card.tokens,
            "step": card.step,
            "bundle": self.handlers.bundle(story.trace),
        }

    @plainly
    def reveal(self, ask: dict) -> dict:
        """The answer, why, and where to look; with another decode where the card has one."""
        key = self._key(ask)
        card = self._card(key)
        out = {"answer": card.answer, "because": card.because, "step": card.then}
        owner = self._decoder(key)
        if card.live is None or owner is None:
            return out
        trace = self._live(key)
        if card.judge is not None:
            out["answer"], out["because"] = card.judge(trace)
        return out | {"bundle": self.handlers.bundle(trace, owner)}

    def _decode(self, key: str) -> DecodeTrace:
        name = self._decoder(key)
        ids, target = story_history(self.handlers, self.numbers[CARDS[key][0]])
        config = self._card(key).live(self.handlers.recommenders[name].default_config)
        return self.handlers.trace_of(name, ids, config, target)

    def _key(self, ask: dict) -> str:
        key = ask.get("key")
        if key not in CARDS or not self._there(key):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what=f"lesson {str(key)[:40]}"))
        return key

    def _card(self, key: str) -> Card:
        return CARDS[key][1](self._story(CARDS[key][0]).trace)


# -- the cards: what a trace tells, put into words ---------------------------------------------------------------------


def _mask(trace: DecodeTrace) -> Card | None:
    gold = trace.gold
    if gold is None:
        return None
    words, labels = text.LESSONS["mask"], [text.label(trace, n, code) for n, code in enumerate(gold.codes)]
    items, left = _catalog(trace), _alternative(trace, 1, 0, 0, gold.codes[0])
    if left is None:
        return None
    values = {"first": labels[0], "items": f"{items:,}", "left": f"{left.items:,}", "level": trace.levels[0].name}
    return Card(
        words["body"].format(count=len(labels), gold=_title(trace, gold.row)),
        words["ask"].format(**values),
        [f"{n:,}" for n in (1, left.items, items)],
        1,
        words["because"].format(**values),
        tokens=[{"level": level.name, "label": label} for level, label in zip(trace.levels, labels, strict=True)],
    )


def _step(trace: DecodeTrace) -> Card | None:
    chosen = trace.steps[1].opinions[0].chosen[0]
    places = sorted({chosen, 0, min(1, len(trace.levels) - 1), len(trace.levels) - 1})
    words, level = text.LESSONS["step"], trace.levels[chosen].name
    options = [trace.levels[place].name for place in places]
    return Card(
        words["body"], words["ask"], options, places.index(chosen), words["because"].format(level=level), then=1
    )


def _keys(trace: DecodeTrace) -> Card | None:
    depth, items = _depth(trace), _catalog(trace)
    at = next((s.index for s in trace.steps if s.beams and None not in s.beams[0].codes[:depth]), None)
    if not depth or at is None:
        return None
    left = trace.steps[at].beams[0].items
    counts = sorted({left, min(items, max(left * 8, left + 50)), items})
    words = text.LESSONS["keys"]
    return Card(
        words["body"].format(items=f"{items:,}"),
        words["ask"].format(depth=depth),
        [f"{n:,}" for n in counts],
        counts.index(left),
        words["because"].format(left=f"{left:,}"),
        then=at,
    )


def _tree(trace: DecodeTrace) -> Card | None:
    if not _depth(trace) or not trace.results:
        return None
    open_codes = [a for a in trace.steps[1].opinions[0].open[0].alternatives if a.why is None][:4]
    section = trace.steps[-1].beams[0].codes[0]
    found = next((n for n, a in enumerate(open_codes) if a.code == section), None)
    if found is None:
        return None
    words = text.LESSONS["tree"]
    because = words["because"].format(
        answer=_title(trace, trace.results[0].row),
        section=text.label(trace, 0, section),
        p=text.percent(open_codes[found].p),
    )
    last = len(trace.steps) - 1
    options = [text.label(trace, 0, a.code) for a in open_codes]
    return Card(words["body"], words["ask"], options, found, because, step=1, then=last)


def _greedy(trace: DecodeTrace) -> Card | None:
    if trace.gold is None:
        return None
    words, turn = text.LESSONS["greedy"], wrong_turn(trace)
    because = words["kept"]
    if turn is not None:
        step, position, best, own = turn
        because = words["lost"].format(
            step=step,
            best=text.label(trace, position, best.code),
            best_p=text.percent(best.p),
            gold_label=text.label(trace, position, own.code),
            gold_p=text.percent(own.p),
        )
    return Card(
        words["body"].format(gold=_title(trace, trace.gold.row)),
        words["ask"],
        [words["yes"], words["no"]],
        0 if turn is None else 1,
        because,
        then=1 if turn is None else turn[0],
        live=lambda config: replace(config, beam_size=1),
    )


def wrong_turn(trace: DecodeTrace):
    """(step, position, best, gold's) alternatives where a greedy search leaves the gold's path; None if it never does.

    Exact for a search that reveals one place a step: until then its only beam is the gold's own.
    """
    rank = 0
    for step in trace.steps[1:]:
        opinion = next((o for o in step.opinions if o.beam == rank), None)
        if opinion is None:
            return None
        position = opinion.chosen[0]
        legal = [a for p in opinion.open if p.position == position for a in p.alternatives if a.why is None]
        own = next((a for a in legal if a.code == trace.gold.codes[position]), None)
        best = max(legal, key=lambda a: a.p)
        if own is None or own.code != best.code:
            return None if own is None else (step.index, position, best, own)
        if step.gold is None or step.gold.rank is None:
            return None
        rank = step.gold.rank
    return None


def _beams(trace: DecodeTrace) -> Card | None:
    gold = trace.gold
    if gold is None or trace.steps[1].gold is None or trace.steps[1].gold.rank is None:
        return None
    words = text.LESSONS["beams"]
    values = {"gold": _title(trace, gold.row), "rank": trace.steps[1].gold.rank + 1}
    answer = 2 if gold.rank is None else 0 if gold.rank == 0 else 1
    options = [words["first"], words["listed"], words["lost"]]
    return Card(
        words["body"].format(beams=trace.config["beam_size"], **values),
        words["ask"].format(**values),
        options,
        answer,
        words["because"].format(fate=f"{options[answer]}."),
        step=1,
        then=len(trace.steps) - 1,
    )


def _legal(trace: DecodeTrace) -> Card | None:
    words = text.LESSONS["legal"]

    def judge(other: DecodeTrace) -> tuple[int, str]:
        beams = other.steps[-1].beams
        bad = sum(beam.items == 0 for beam in beams)
        return (1 if bad else 0), words["because"].format(bad=bad, all=len(beams))

    return Card(
        words["body"],
        words["ask"],
        [words["same"], words["impossible"], words["steps"]],
        then=LAST,
        live=lambda config: config.laid_over({"algorithm": "published"}),
        judge=judge,
    )


def _onepass(trace: DecodeTrace) -> Card | None:
    words, steps = text.LESSONS["onepass"], len(trace.steps) - 1
    first = trace.results[0].row

    def judge(other: DecodeTrace) -> tuple[int, str]:
        one = other.results[0].row
        return int(one != first), words["because"].format(one=_title(other, one), times=steps)

    body = words["body"].format(steps=steps, answer=_title(trace, first))
    options = [words["yes"], words["no"]]
    return Card(body, words["ask"], options, then=LAST, live=lambda c: c.laid_over({"steps": 1}), judge=judge)


def _twin(trace: DecodeTrace) -> Card | None:
    words, first = text.LESSONS["twin"], trace.results[0].row

    def judge(other: DecodeTrace) -> tuple[int, str]:
        one = other.results[0].row
        shared = len({r.row for r in trace.results[:10]} & {r.row for r in other.results[:10]})
        return int(one != first), words["because"].format(one=_title(other, one), shared=shared)

    body = words["body"].format(answer=_title(trace, first))
    return Card(body, words["ask"], [words["yes"], words["no"]], then=LAST, live=lambda c: c, judge=judge, twin=True)


def _fails(trace: DecodeTrace) -> Card | None:
    if trace.gold is None or not trace.gold.died_at:
        return None
    words, died = text.LESSONS["fails"], trace.gold.died_at
    chosen = next((o.chosen[0] for o in trace.steps[died].opinions if o.chosen), 0)
    steps = sorted({1, 2, died, len(trace.steps) - 1})
    return Card(
        words["body"].format(gold=_title(trace, trace.gold.row)),
        words["ask"],
        [*(words["option"].format(step=step) for step in steps), words["kept"]],
        steps.index(died),
        words["because"].format(step=died, level=trace.levels[chosen].name),
        then=died,
    )


CARDS: dict[str, tuple[str, Callable[[DecodeTrace], Card | None], bool]] = {
    "mask": ("clear-hit", _mask, False),
    "step": ("clear-hit", _step, False),
    "keys": ("opening", _keys, False),
    "tree": ("near-miss", _tree, False),
    "greedy": ("saved-by-beams", _greedy, False),
    "beams": ("saved-by-beams", _beams, False),
    "legal": ("rare-history", _legal, True),
    "onepass": ("saved-by-beams", _onepass, True),
    "twin": ("clear-hit", _twin, True),
    "fails": ("wrong-category", _fails, False),
}
"""Every card: the kind of story that it is played on, what builds it, and whether it needs a model."""


def _catalog(trace: DecodeTrace) -> int:
    return int(trace.catalog.get("items") or trace.steps[0].items_left)


def _depth(trace: DecodeTrace) -> int:
    return sum(level.kind == "category" for level in trace.levels)


def _title(trace: DecodeTrace, row: int) -> str:
    return next(item.title for item in trace.items if item.row == row)


def _alternative(trace: DecodeTrace, step: int, beam: int, position: int, code: int):
    opinion = next(o for o in trace.steps[step].opinions if o.beam == beam)
    return next((a for p in opinion.open if p.position == position for a in p.alternatives if a.code == code), None)
