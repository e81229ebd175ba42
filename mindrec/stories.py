"""Finds decodes worth telling in a trained checkpoint, for the app's opening page and the course.

A story is a stored trace with a title and two sentences. Each is found by a rule over test cases, never by hand, so
that a new checkpoint gets its own: `python -m mindrec stories`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mindrec.data.splits import Case
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.system.files import FolderKind, check_replaceable, replace_folder, write_json
from mindrec.system.progress import progress_bar
from mindrec.trace.records import DecodeTrace

FOLDER = FolderKind("stories", ("[0-9][0-9]-*.json",))
NARROW = 2
"""Beams of the narrow search that loses what the full one keeps."""
CLEAR_LEAD = 0.5
"""Nats by which a clear hit leads the second answer."""
SHORTEST, LONGEST = 3, 9
"""History lengths that a person takes in at a glance."""


@dataclass(frozen=True)
class Candidate:
    """A decoded case: its trace, the same with a narrow beam, and how many training sequences hold its items."""

    case: Case
    trace: DecodeTrace
    narrow: DecodeTrace
    popularity: float
    gold_popularity: float


@dataclass(frozen=True)
class Kind:
    """A kind of story: which cases fit, and which of those is told (the highest `worth`)."""

    name: str
    title: str
    about: str
    fits: Callable[[Candidate], bool]
    worth: Callable[[Candidate], float | tuple[float, ...]]


def _rank(candidate: Candidate) -> int | None:
    return candidate.trace.gold.rank


def _lost_at(candidate: Candidate) -> str | None:
    """Kind of the position on which the last beam that could become the gold was lost."""
    died = candidate.trace.gold.died_at
    if died is None:
        return None
    branched = [o.chosen[0] for o in candidate.trace.steps[died].opinions if o.chosen]
    return candidate.trace.levels[branched[0]].kind if branched else None


def _lead(candidate: Candidate) -> float:
    results = candidate.trace.results
    return results[0].score - results[1].score if len(results) > 1 else 0.0


KINDS: tuple[Kind, ...] = (
    Kind(
        "clear-hit",
        "A clear hit",
        "The true next item, {gold}, takes the lead early and keeps it.",
        lambda t: _rank(t) == 0 and _lead(t) > CLEAR_LEAD,
        lambda t: -t.gold_popularity,
    ),
    Kind(
        "near-miss",
        "A near miss",
        "The true next item, {gold}, stays alive to the end, but {top} is ranked above it.",
        lambda t: _rank(t) in (1, 2),
        lambda t: -_lead(t),
    ),
    Kind(
        "saved-by-beams",
        "Saved by width",
        f"With {NARROW} beams the true next item, {{gold}}, is lost; with more it comes first.",
        lambda t: _rank(t) == 0 and t.narrow.gold.died_at is not None,
        lambda t: -t.gold_popularity,
    ),
    Kind(
        "wrong-category",
        "The wrong turn",
        "No beam walks towards {gold}: its category is lost early, and no later step can bring it back.",
        lambda t: _lost_at(t) == "category",
        lambda t: (-t.trace.gold.died_at, t.trace.gold.margin or 0.0),
    ),
    Kind(
        "lost-at-the-leaf",
        "Right shelf, wrong item",
        "The search finds the right category and then loses {gold} to its neighbours.",
        lambda t: _lost_at(t) == "semantic",
        lambda t: -(t.trace.gold.margin or 0.0),
    ),
    Kind(
        "rare-history",
        "A cart of rare things",
        "The items of this history are among the least bought, so the model has little to go on. True next: {gold}.",
        lambda t: True,
        lambda t: -t.popularity,
    ),
    Kind(
        "tie",
        "A toss-up",
        "The two best answers end within a hair of each other. True next: {gold}.",
        lambda t: _rank(t) in (0, 1) and _lead(t) < 0.1,
        lambda t: -_lead(t),
    ),
)


def find_stories(
    recommender: Recommender,
    cases: Sequence[Case],
    popularity_N: np.ndarray,
    *,
    avoid: Sequence[str] = (),
    batch: int = 32,
) -> list[tuple[Kind, Candidate]]:
    """One case for each kind that has any, no case twice.

    Args:
        avoid: category names whose items should be in no story (tobacco in a classroom, say).
    """
    items = recommender.catalog.items
    some = [
        c
        for c in cases
        if SHORTEST <= len(c.history) <= LONGEST
        and not any(name in avoid for row in (*c.history, c.target) for name in items[row].categories)
    ]
    candidates = []
    for first in progress_bar(range(0, len(some), batch), desc="stories"):
        candidates += _decoded(recommender, some[first : first + batch], popularity_N)
    stories, taken = [], set()
    for kind in KINDS:
        fit = [t for t in candidates if kind.fits(t) and t.case.user_id not in taken]
        if fit:
            best = max(fit, key=kind.worth)
            taken.add(best.case.user_id)
            stories.append((kind, best))
    return stories


def _decoded(recommender: Recommender, cases: Sequence[Case], popularity_N: np.ndarray) -> list[Candidate]:
    ids = [[recommender.catalog.items[r].item_id for r in c.history] for c in cases]
    targets = [recommender.catalog.items[c.target].item_id for c in cases]
    config = recommender.default_config
    full = recommender.recommend_many(ids, config, targets=targets)
    narrow = recommender.recommend_many(ids, replace(config, beam_size=NARROW), targets=targets)
    return [
        Candidate(
            case,
            a.trace,
            b.trace,
            float(np.mean(popularity_N[list(case.history)])),
            float(popularity_N[case.target]),
        )
        for case, a, b in zip(cases, full, narrow, strict=True)
    ]


def write_stories(
    recommender: Recommender,
    chosen: Sequence[tuple[Kind, Candidate]],
    opening: Sequence[str],
    out: Path,
) -> list[Path]:
    """Write the stories, the opening one first, as {"title", "about", "kind", "trace"}; the folder is replaced whole.

    Args:
        opening: item ids of the history that the page opens on; it has no true next item.

    Raises:
        MindRecError: no story was found, or `out` holds something else.
    """
    out = check_replaceable(out, FOLDER)
    if not chosen:
        raise MindRecError("no story was found; give more test cases with --users")
    stories = (
        [
            (
                "opening",
                "What goes with this?",
                "Nobody knows the true answer here. See what the model would add.",
                recommender.recommend(opening).trace,
            )
        ]
        if opening
        else []
    )
    names = {item.row: item for _, story_case in chosen for item in story_case.trace.items}
    for kind, story_case in chosen:
        gold, top = names[story_case.trace.gold.row].title, names[story_case.trace.results[0].row].title
        stories.append((kind.name, kind.title, kind.about.format(gold=gold, top=top), story_case.trace))
    with replace_folder(out, FOLDER) as folder:
        for number, (name, title, about, trace) in enumerate(stories, 1):
            story = {"title": title, "about": about, "kind": name, "trace": trace.to_dict() | {"elapsed_ms": None}}
            write_json(folder / f"{number:02d}-{name}.json", story, indent=None)
    return sorted(out.glob("*.json"))
