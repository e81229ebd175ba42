"""Every word that a person reads. Curly braces hold values; plain functions below put sentences together.

The long lists are in app.words.watch_words, app.words.tab_words and app.words.lesson_words; all are used from here.
"""

from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING

from app.words.game_words import GAME
from app.words.hindsight import Hindsight
from app.words.lab_words import LAB
from app.words.lesson_words import GLOSSARY, LEARN, LESSONS
from app.words.method_words import gold_words
from app.words.room_words import PHONE, ROOM
from app.words.shares import percent
from app.words.tab_words import (
    CAUSE_NAMES,
    CAUSES,
    CHARTS,
    COMPARE,
    DIAGNOSE,
    OUTCOMES,
    PAGE,
    PART_NONE,
    PART_ORDER,
    PART_SAME,
    PART_TOKEN,
    TABS,
)
from app.words.watch_words import CHOICES, SETTINGS, STAGE
from app.words.why_words import (
    CHANGED,
    ERRORS,
    EXACT,
    LEFT_OUT,
    LOST_NONE,
    LOST_ONE,
    LOST_SOME,
    MODEL_ERROR_UNRANKED,
    NO_EXACT_RANKING,
    NOT_RESCUED,
    RESCUE_NAME,
    RESCUED,
)
from mindrec.diagnosis.kinds import NONE, WITHOUT
from mindrec.trace.records import DecodeStep, DecodeTrace

if TYPE_CHECKING:
    from mindrec.explanation import Explanation

__all__ = [
    "CAUSES",
    "CAUSE_NAMES",
    "CHARTS",
    "CHOICES",
    "COMPARE",
    "DIAGNOSE",
    "GAME",
    "GLOSSARY",
    "LAB",
    "LEARN",
    "LESSONS",
    "NO_EXACT_RANKING",
    "OUTCOMES",
    "PAGE",
    "PART_NONE",
    "PART_ORDER",
    "PART_SAME",
    "PART_TOKEN",
    "PHONE",
    "RESCUE_NAME",
    "ROOM",
    "SETTINGS",
    "STAGE",
    "TABS",
    "gold_words",
    "percent",
]  # lists told from here

TITLE = "MindRec"
PREVIEW = "A recommendation is decoded by masked diffusion, from coarse to fine. Watch every step, and ask why."
PREVIEW_CART = "The cart: {items}. What comes next? Watch masked diffusion decide, step by step."


def dial_cost(measured: dict) -> dict[str, str]:
    """The numbers beside a stop of the guidance dial, as words."""
    return {"ratio": f"{measured['ratio']:.2f}", "coverage": f"{measured['coverage@10']:.0%}"}


OR_NAMED = 2
"""Items named in a sentence before the rest is a number."""

EXAMPLES = (
    ("Taco night", ("Taco & tostada shells", "Taco & Mexican seasoning mix", "Head lettuce")),
    ("Pasta dinner", ("Spaghetti", "Italian or French bread", "Strawberries")),
    ("Campfire", ("Marshmallows", "Graham crackers", "Hot dog buns")),
    ("New baby", ("Baby diapers", "Baby wipes", "Infant formula, milk-based")),
    ("Breakfast", ("Family cereal", "Eggs, large", "Bananas", "Chocolate milk")),
    ("Barbecue", ("Hamburger buns", "Ketchup", "Yellow mustard", "Potato chips")),
)
"""Named histories by title, for a catalog whose checkpoint names none."""

SEARCH_EXAMPLE = "pasta"

PREPARING = "Preparing the test trips; once, some 20 seconds on a quiet machine…"
READING = "Reading the test trips…"
NO_TRIPS = "This checkpoint has no test trips here. Start the app with --data DIR, the prepared data it was trained on."
OTHER_DATA = (
    "The data in {folder} is another catalog than the checkpoint's ({found}, not {wanted}); give the "
    "data it was trained on."
)
NO_ITEM = "no item"
NO_MAP = "Checkpoint {name} has no map. `python -m mindrec draw-map --checkpoint` with its folder draws one."
OTHER_MAP = "This trace names its items by other tokens than the checkpoint that is open, so it lights no map here."
NO_SUCH_CATEGORY = "There is no category “{path}” in this catalog."
BUSY = "Many people are decoding at the moment and every place is taken. Try again in a few seconds."
NO_SUCH_JOB = "This decode is no longer here: it was stopped, or nobody asked for it for a while. Decode again."
NO_MEMORY = "This decode needs more memory than the machine has left. Try fewer beams. (Request {request}.)"
FAILED = "This decode failed on our side, and the reason was logged (request {request}). Other decodes go on."
FELL_BACK = "The accelerator stopped working; decodes run on the CPU now, more slowly."
NOT_SERVED = "There is nothing here."
TOO_MANY = "Too many questions from this address at once. Wait a few seconds."
TOO_LARGE = "The request is larger than {most:g} MB."
TOO_SLOW = "The request did not come whole within {seconds} seconds."
JSON_ONLY = "Only JSON is read here."
OPERATOR = {
    "title": "MindRec, operator",
    "process": "Process",
    "up_s": "Seconds up",
    "memory_mb": "Memory, MB",
    "processes": "Decoding processes",
    "lanes": "Checkpoints",
    "counts": "Counts since the start",
    "stages": "Milliseconds of the last answers",
}
NOT_UNDERSTOOD = "The request was not understood ({what})."
UNKNOWN_CHECKPOINT = "Checkpoint “{name}” is not open here; these are: {names}."
DAMAGED_STORY = "{path}: a story needs title, about and trace ({why})."
NO_SUCH_STORY = "There is no story with this number."
EXAMPLE_ABOUT = "A made-up history. What comes next?"
TRIP_ABOUT = "A real shopping trip; its true next item is “{title}”. Will the search find it?"


def captions(trace: DecodeTrace, since: int = 0) -> list[str]:
    """One plain sentence or two for every step from `since` on; together they are the transcript.

    A semantic-ID code is named by the items that it leaves, where the trace has recorded them.
    """
    later, titles = Hindsight.of(trace), trace.titles | {str(item.row): item.title for item in trace.items}
    steps = trace.steps[since:]
    return [_caption(trace, step, titles, later) if step.index else _opening(trace) for step in steps]


def pulls_line(explanation: "Explanation") -> str:
    """How each item of the history pulls at an answer: by how much likelier it is with the item than without."""
    pulls = [f"{pull.title} {pull.factor - 1:+.0%}" for pull in explanation.pulls]
    return (
        f"What pulls at {explanation.title} (exact rank {explanation.rank:,}, {percent(explanation.probability)}): "
        + ("; ".join(pulls) or "nothing, for the history is empty")
    )


def pull(factor: float) -> str:
    """How much likelier an answer is with an item than without: +41 %, or ×12 where that is easier to read."""
    return f"×{factor:.0f}" if factor >= 10 else f"{factor - 1:+.0%}".replace("-", "−")


def exact_words(explanation: "Explanation") -> str:
    """Where an item stands without beams."""
    share = percent(explanation.probability)
    return EXACT.format(title=explanation.title, share=share, rank=f"{explanation.rank:,}")


def lost_words(titles: Sequence[str], due: int) -> str:
    """Which of the exact first `due` items beams have lost."""
    words = LOST_NONE if not titles else LOST_ONE if len(titles) == 1 else LOST_SOME
    return words.format(count=len(titles), due=due, titles=", ".join(f"“{title}”" for title in titles))


def or_list(titles: list[str], count: int) -> str:
    """“A”, “B” or 3 others: the first of `count` items."""
    named = [f"“{title}”" for title in titles[:count]]
    if count > len(named):
        named = named[: max(1, OR_NAMED)]
        named.append(f"{count - len(named):,} other{'' if count - len(named) == 1 else 's'}")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _opening(trace: DecodeTrace) -> str:
    start = trace.steps[0]
    masked = sum(code is None for code in start.beams[0].codes)
    plan = {
        "coarse_to_fine": "the category first, from coarse to fine, then the tokens that name one item",
        "left_to_right": "from left to right",
        "random": "in a random order",
    }.get(trace.config.get("order"), "the surest first")
    pins = len(trace.levels) - masked
    fixed = f" You fixed {pins} of them." if pins and trace.config.get("pins") else ""
    return (
        f"All {len(trace.levels)} tokens of the answer start masked, and {_items(start.items_left)} possible."
        f"{fixed} The next {_steps(len(trace.steps) - 1)} will reveal them, {plan}."
    )


def _caption(trace: DecodeTrace, step: DecodeStep, titles: dict[str, str], later: Hindsight) -> str:
    if not step.beams:
        return f"Step {step.index}: no beam is left."
    best = step.beams[0]
    parts = [f"Step {step.index}: {_reveal(trace, step, titles)}"]
    if words := later.words(step):
        parts.append(words)
    elif best.parent and best.revealed:
        parts.append(f"Beam {best.parent + 1} takes the lead.")
    before = trace.steps[step.index - 1].beams
    dead = len(before) - len({beam.parent for beam in step.beams})
    if dead > 0:
        parts.append(f"{dead} of {_count(len(before), 'beam')} {'dies' if dead == 1 else 'die'}.")
    if trace.gold is not None and trace.gold.died_at == step.index:
        parts.append("The true next item is lost here.")
    parts.append(
        f"{_items(step.items_left).capitalize()} possible." if best.item is None else f"{_ending(trace, step)}"
    )
    return " ".join(parts)


def _reveal(trace: DecodeTrace, step: DecodeStep, titles: dict[str, str]) -> str:
    best = step.beams[0]
    revealed = [r for r in best.revealed if not r.forced]
    if not revealed:
        return "the best answer is complete." if best.item is not None else "the rest follows from what is known."
    left = step.possible.beams[0] if step.possible else ()
    leaves = or_list([titles[str(row)] for row in left], best.items) if left else None
    names = [f"“{label(trace, r.position, r.code)}”" for r in revealed]
    if len(revealed) > 1:
        named = leaves if leaves and trace.levels[revealed[-1].position].kind == "semantic" else ", ".join(names)
        return f"{len(revealed)} tokens at once for the best beam: {named}."
    level, p = trace.levels[revealed[0].position].name, revealed[0].p
    if leaves and trace.levels[revealed[0].position].kind == "semantic":
        names = [leaves]
    if p is None:
        return f"{level} is {names[0]}."
    if _only_choice(step, best.parent, revealed[0].position):
        return f"{level} can only be {names[0]}."
    mood = "sure of" if p >= 0.6 else "leans to" if p >= 0.25 else "its best guess is"
    return f"{level}: {mood} {names[0]} ({percent(p)})."


def _only_choice(step: DecodeStep, beam: int, position: int) -> bool:
    """Whether the catalog left this beam a single code at the position."""
    opinion = next((o for o in step.opinions if o.beam == beam), None)
    opened = [p for p in opinion.open if p.position == position] if opinion else []
    return bool(opened) and sum(a.why is None for a in opened[0].alternatives) == 1


def _ending(trace: DecodeTrace, step: DecodeStep) -> str:
    titles = {item.row: item.title for item in trace.items}
    best = step.beams[0]
    if step.index < len(trace.steps) - 1:
        return f"It names “{titles[best.item]}”; {_items(step.items_left)} still possible."
    text = (
        f"The answer is “{titles[best.item]}”, with {percent(exp(min(best.score, 0.0)))} of the search's probability."
    )
    if trace.votes is not None:
        text = f"{text} {_voted(trace, titles)}"
    if trace.rethink is not None:
        text = f"{text} {_second_look(trace, titles)}"
    if trace.gold is None:
        return text
    if trace.gold.rank is not None:
        return f"{text} The true next item is number {trace.gold.rank + 1}."
    return f"{text} The true next item is not among the answers."


def _voted(trace: DecodeTrace, titles: dict[int, str]) -> str:
    """Whether the votes of several orders keep the item that the search puts first."""
    swapped = trace.rethink is not None and trace.rethink.swapped
    first = trace.rethink.before_row if swapped else trace.results[0].row
    orders = len(trace.votes.orders)
    if first == trace.votes.items[0].row:
        return f"Votes in {orders} orders keep it first."
    return f"Votes in {orders} orders put “{titles.get(first, first)}” first."


def _second_look(trace: DecodeTrace, titles: dict[int, str]) -> str:
    tokens = _count(len(trace.rethink.positions), "token")
    if not trace.rethink.swapped:
        return f"A second look re-masked {tokens} and kept the answer."
    first = titles.get(trace.rethink.after_row, trace.rethink.after_row)
    return f"A second look re-masked {tokens} and put “{first}” first."


def parting_words(left: DecodeTrace, right: DecodeTrace, part, frames: list[tuple[int, int]]) -> str:
    """Where two searches part, in a sentence or two; `part` is an app.views.versus.Parting."""
    if part.kind == "none":
        return PART_NONE
    a, b = frames[part.frame]
    steps = {"left_step": a, "right_step": b}
    if part.kind == "order":
        return PART_ORDER.format(left=left.levels[part.left].name, right=right.levels[part.right].name, **steps)
    codes = left.steps[a].beams[0].codes[part.left], right.steps[b].beams[0].codes[part.right]
    names = {"left": label(left, part.left, codes[0]), "right": label(right, part.right, codes[1])}
    after = PART_SAME if min(a, b) > 1 else ""
    return f"{PART_TOKEN.format(level=left.levels[part.left].name, **names, **steps)} {after}".rstrip()


def side_facts(trace: DecodeTrace) -> list[tuple[str, str]]:
    """The cost of a search, as terms and values."""
    last = trace.steps[-1]
    took = "–" if trace.elapsed_ms is None else f"{trace.elapsed_ms:,.0f} ms"
    return [
        ("Denoiser calls", f"{last.nfe:,}"),
        ("Beams looked at", f"{last.rows:,}"),
        ("Time", took),
        ("Steps", str(len(trace.steps) - 1)),
    ]


def belonging_words(items: Sequence[dict]) -> str:
    """Which item of a cart belongs least and which most, in a sentence; `items` as app.tabs.belonging has them."""
    odd = next(item for item in items if item["odd"])
    if odd["lift"] is None:
        return f"“{odd['title']}” belongs least: the others make it likely by {percent(odd['probability'])}."
    near = max(items, key=lambda item: item["lift"])
    return (
        f"“{odd['title']}” belongs least: the others make it {odd['lift']:.2g} times as likely as it is by itself. "
        f"“{near['title']}” belongs most, at {near['lift']:.2g} times."
    )


def case_about(line: dict, k: int, titles: dict[str, str]) -> str:
    """A sentence on the subject of a diagnosed case; `line` is one of CaseTable.lines, `titles` names items by id."""
    if line["hit"]:
        return f"A hit: “{line['title']}” came in at rank {line['rank'] + 1}."
    name, why = CAUSES[line["cause"]]
    facts = [f"A miss, {name}: “{line['title']}”. {why}"]
    if line["error"]:
        kind, means = ERRORS[line["error"]]
        rank = line["exact_rank"]
        means = MODEL_ERROR_UNRANKED if line["error"] == "model" and rank is None else means
        facts.append(f"A {kind}: {means.format(k=k, rank='' if rank is None else f'{rank + 1:,}')}")
    if line["rescue"]:
        change = rescue_words(line["rescue"], titles)
        facts.append(NOT_RESCUED if change is None else RESCUED.format(change=change, k=k))
    return " ".join(facts)


def rescue_words(rescue: str, titles: dict[str, str]) -> str | None:
    """A rescue's change in words, from its name in the table, "setting=value"; None where nothing saved."""
    if rescue == NONE:
        return None
    setting, _, value = rescue.partition("=")
    if setting == WITHOUT:
        return LEFT_OUT.format(title=titles.get(value, value))
    name = SETTINGS[setting][0]
    return CHANGED.format(setting=name[:1].lower() + name[1:], value=CHOICES.get(value, value))


def label(trace: DecodeTrace, position: int, code: int) -> str:
    """A readable name for a token, also where the trace has none."""
    return trace.labels[position].get(str(code), f"{trace.levels[position].name} {code}")


def _items(count: int) -> str:
    return f"{count:,} items are" if count != 1 else "one item is"


def _steps(count: int) -> str:
    return f"{count} steps" if count != 1 else "one step"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
