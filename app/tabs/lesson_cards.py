"""The cards of the Learn tab: what builds each of them from the trace that it is played on."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.tabs.exercises import fall, masked_states
from app.words import sentences as text
from app.words.code_names import alternative_name, gold_names
from mindrec.decoding.config import DecodeConfig
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

RESULTS = Path(__file__).resolve().parents[2] / "assets" / "results"
DOUBTFUL = 0.3
"""The training card asks for the loss of the token whose probability is nearest to this: neither sure nor hopeless."""
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
        exercise: what the model computes of the story's trace for the card; `complete` puts it into the card's words.
        bars: measured numbers as (name, value).
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
    exercise: Callable[[Recommender, DecodeTrace], list[dict]] | None = None
    complete: Callable[["Card", list[dict]], "Card"] | None = None
    bars: list[tuple[str, float]] = field(default_factory=list)


# -- the cards: what a trace tells, put into words ---------------------------------------------------------------------


def _diffusion(trace: DecodeTrace) -> Card | None:
    gold = trace.gold
    if gold is None:
        return None
    words, labels = text.LESSONS["diffusion"], gold_names(trace)
    return Card(
        words["body"].format(count=len(labels), gold=_title(trace, gold.row)),
        words["ask"],
        [words["right"], words["grey"], words["chance"]],
        2,
        words["because"],
        tokens=[{"level": level.name, "label": label} for level, label in zip(trace.levels, labels, strict=True)],
    )


def _training(trace: DecodeTrace) -> Card | None:
    if trace.gold is None:
        return None
    words, gold = text.LESSONS["training"], trace.gold

    def complete(card: Card, states: list[dict]) -> Card:
        masked = [token for state in states for token in state["tokens"] if token["p"] is not None]
        token = min(masked, key=lambda token: abs(token["p"] - DOUBTFUL))
        mean = sum(state["loss"] for state in states) / len(states)
        options = [f"{value:.2f}" for value in (token["p"], token["nats"], 1 - token["p"])]
        values = {"level": token["level"], "label": token["label"], "p": text.percent(token["p"])}
        because = words["because"].format(nats=f"{token['nats']:.2f}", mean=f"{mean:.2f}", count=len(states), **values)
        return replace(card, ask=words["ask"].format(**values), options=options, because=because)

    return Card(
        words["body"].format(gold=_title(trace, gold.row)), "", [], 1, exercise=masked_states, complete=complete
    )


def _step(trace: DecodeTrace) -> Card | None:
    chosen = trace.steps[1].opinions[0].chosen[0]
    places = sorted({chosen, 0, min(1, len(trace.levels) - 1), len(trace.levels) - 1})
    words, level = text.LESSONS["step"], trace.levels[chosen].name
    options = [trace.levels[position].name for position in places]
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


def _greedy(trace: DecodeTrace) -> Card | None:
    if trace.gold is None:
        return None
    words, turn = text.LESSONS["greedy"], wrong_turn(trace)
    because = words["kept"]
    if turn is not None:
        step, position, best, true = turn
        because = words["lost"].format(
            step=step,
            best=alternative_name(trace, step, position, best),
            best_p=text.percent(best.p),
            gold_label=alternative_name(trace, step, position, true),
            gold_p=text.percent(true.p),
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
        gold = next((a for a in legal if a.code == trace.gold.codes[position]), None)
        best = max(legal, key=lambda a: a.p)
        if gold is None or gold.code != best.code:
            return None if gold is None else (step.index, position, best, gold)
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


def _semantic(trace: DecodeTrace) -> Card | None:
    words = text.LESSONS["semantic"]

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
        exercise=fall,
        complete=_named_by_codes,
    )


def _named_by_codes(card: Card, rows: list[dict]) -> Card:
    categories = sum(row["kind"] == "category" for row in rows)
    counts = {"items": f"{rows[0]['before']:,}", "categories": categories, "codes": len(rows) - categories}
    return replace(card, body=card.body.format(title=rows[-1]["titles"][0], **counts))


def _onepass(trace: DecodeTrace) -> Card | None:
    words, steps = text.LESSONS["onepass"], len(trace.steps) - 1
    first = trace.results[0].row

    def judge(other: DecodeTrace) -> tuple[int, str]:
        one = other.results[0].row
        return int(one != first), words["because"].format(one=_title(other, one), times=steps)

    body = words["body"].format(steps=steps, answer=_title(trace, first))
    options = [words["yes"], words["no"]]
    return Card(body, words["ask"], options, then=LAST, live=lambda c: c.laid_over({"steps": 1}), judge=judge)


def _guidance(trace: DecodeTrace) -> Card | None:
    words, first = text.LESSONS["guidance"], trace.results[0].row
    strength = trace.config.get("guidance", 0)

    def judge(other: DecodeTrace) -> tuple[int, str]:
        one = other.results[0].row
        with_it, without = [[r.row for r in each.results[:10]] for each in (trace, other)]
        come, gone = [row for row in with_it if row not in without], [row for row in without if row not in with_it]
        moved = words["moved"].format(come=_title(trace, come[0]), gone=_title(other, gone[0])) if come and gone else ""
        shared = len(with_it) - len(come)
        return int(one != first), words["because"].format(one=_title(other, one), shared=shared, moved=moved)

    if not strength:
        return None
    body = words["body"].format(answer=_title(trace, first), strength=f"{strength:g}")
    options = [words["yes"], words["no"]]
    return Card(body, words["ask"], options, then=LAST, live=lambda c: c.laid_over({"guidance": 0.0}), judge=judge)


def _worth(trace: DecodeTrace) -> Card | None:
    """Measured numbers of the shipped checkpoint; left out where the file of results is not beside the app."""
    path = RESULTS / "grocery-test.json"
    if not path.is_file():
        return None
    result, words = json.loads(path.read_text(encoding="utf-8")), text.LESSONS["worth"]
    base = result["baselines"]
    values = {
        "default": result["metrics"]["ndcg@10"],
        "evidence": result["evidence_alone"]["ndcg@10"],
        "dense": base["dense"]["ndcg@10"],
        "popularity": base["popularity"]["ndcg@10"],
        "tokens": base["evidence_off"]["ndcg@10"],
    }
    gain = result["gain"]["ndcg@10"]
    because = words["because"].format(
        ratio=f"{gain['ratio']:.2f}", low=f"{gain['low']:.2f}", high=f"{gain['high']:.2f}", **_three(values)
    )
    options = [words["tokens_do"], words["evidence_does"], words["both_do"]]
    body = words["body"].format(users=f"{result['users']:,}", name=result["checkpoint"]["name"])
    return Card(body, words["ask"], options, 1, because, bars=[(words[key], value) for key, value in values.items()])


def _three(values: dict[str, float]) -> dict[str, str]:
    """Three decimals each, without the zero before the point."""
    return {key: f"{value:.3f}".lstrip("0") for key, value in values.items()}


def _twin_quality() -> str:
    """A sentence on the measured quality of diffusion and its twin; empty without the file of results."""
    path = RESULTS / "grocery-twin.json"
    if not path.is_file():
        return ""
    result = json.loads(path.read_text(encoding="utf-8"))
    means = _three({side: result[f"{side}_mean"]["ndcg@10"] for side in ("left", "right")})
    return text.LESSONS["twin"]["measured"].format(users=f"{result['users']:,}", **means)


def _twin(trace: DecodeTrace) -> Card | None:
    words, first = text.LESSONS["twin"], trace.results[0].row

    def judge(other: DecodeTrace) -> tuple[int, str]:
        one = other.results[0].row
        shared = len({r.row for r in trace.results[:10]} & {r.row for r in other.results[:10]})
        return int(one != first), words["because"].format(one=_title(other, one), shared=shared) + _twin_quality()

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


@dataclass(frozen=True)
class Plan:
    """How a card stands in the course.

    Attributes:
        act: 1 to 3.
        story: the kind of story that it is played on.
        build: makes the card of the story's trace; None where the trace cannot show it.
        needs_model: whether it needs a checkpoint.
        panels: of the player that it introduces; they stay from then on.
    """

    act: int
    story: str
    build: Callable[[DecodeTrace], Card | None]
    needs_model: bool = False
    panels: tuple[str, ...] = ()


CARDS: dict[str, Plan] = {
    "diffusion": Plan(1, "clear-hit", _diffusion),
    "training": Plan(1, "clear-hit", _training, True),
    "step": Plan(1, "clear-hit", _step, panels=("grid",)),
    "onepass": Plan(1, "saved-by-beams", _onepass, True, ("results",)),
    "keys": Plan(2, "opening", _keys, panels=("tree",)),
    "semantic": Plan(2, "rare-history", _semantic, True),
    "greedy": Plan(2, "saved-by-beams", _greedy, panels=("gold",)),
    "beams": Plan(2, "saved-by-beams", _beams, panels=("ladder", "lost")),
    "guidance": Plan(2, "opening", _guidance, True),
    "worth": Plan(3, "clear-hit", _worth),
    "fails": Plan(3, "wrong-category", _fails),
    "twin": Plan(3, "clear-hit", _twin, True),
}
"""The course, in its order."""


def panels_of(key: str) -> list[str]:
    """The panels of the player that have been introduced by a card and those before it."""
    before = list(CARDS)[: list(CARDS).index(key) + 1]
    return [panel for each in before for panel in CARDS[each].panels]


def _catalog(trace: DecodeTrace) -> int:
    return int(trace.catalog.get("items") or trace.steps[0].items_left)


def _depth(trace: DecodeTrace) -> int:
    return sum(level.kind == "category" for level in trace.levels)


def _title(trace: DecodeTrace, row: int) -> str:
    return next(item.title for item in trace.items if item.row == row)
