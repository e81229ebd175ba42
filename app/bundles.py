"""A trace together with everything that the player draws from it: one JSON object, made with or without a model."""

import numpy as np

from app.views.events import events
from app.views.map import map_view, masses_view
from app.views.tree import tree_view
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.recording.possible_items import LISTED
from mindrec.trace.records import DecodeTrace


def bundle_of(trace: DecodeTrace, recommender: Recommender | None = None, name: str | None = None) -> dict:
    """A trace with its captions, marks, tree and names.

    Args:
        recommender: a model of the trace's catalog, which knows more of its categories and of pinned codes.
        name: of the checkpoint that can decode on, if there is one.
    """
    return {
        "trace": trace,  # becomes bytes in `respond`, once
        "captions": text.captions(trace),
        "events": events(trace),
        "tree": tree_view(trace, None if recommender is None else recommender.tokenizer.category_parents),
        "names": token_names(trace, recommender),
        "lift": lifts(trace, recommender),
        "checkpoint": name,
    }


def lifts(trace: DecodeTrace, recommender: Recommender | None) -> dict[str, float]:
    """By row, how many times an answer's share of the search is its share of all that was taken in training.

    Empty where that is not known.
    """
    if recommender is None or recommender.index.popularity_N is None:
        return {}
    if not speaks(trace, recommender.tokenizer.codes):
        return {}
    usual = recommender.index.anyone_N[[result.row for result in trace.results]].tolist()
    pairs = zip(trace.results, usual, strict=True)
    return {str(result.row): result.probability / share for result, share in pairs}


def speaks(trace: DecodeTrace, codes_NL: np.ndarray) -> bool:
    """Whether a trace's tokens are these: two checkpoints of one catalog may name its items by other codes."""
    if len(trace.levels) != codes_NL.shape[1] or max((i.row for i in trace.items), default=0) >= len(codes_NL):
        return False
    complete = [beam for beam in trace.steps[-1].beams if beam.item is not None]
    return all(tuple(codes_NL[beam.item]) == beam.codes for beam in complete if beam.item < len(codes_NL))


def token_names(trace: DecodeTrace, recommender: Recommender | None) -> dict[str, str]:
    """Readable names of pinned and forbidden tokens, by "position.code"; the trace itself need not mention them."""
    out = {}
    DecodeConfig.from_dict(trace.config)  # a trace from a file may hold anything
    for position, code in (*trace.config.get("pins", ()), *trace.config.get("forbid_tokens", ())):
        name = text.label(trace, position, code)
        if recommender is not None and speaks(trace, recommender.tokenizer.codes):
            level = recommender.tokenizer.levels[position]
            name = level.labels[code]
            if level.kind == "semantic":
                rows = rows_with(trace, recommender, position, code)
                titles = [recommender.catalog.items[row].title for row in rows[:LISTED]]
                name = text.or_list(titles, len(rows)) if titles else text.NO_ITEM
        out[f"{position}.{code}"] = name
    return out


def rows_with(trace: DecodeTrace, recommender: Recommender, position: int, code: int) -> list[int]:
    """Rows of the items with a code that the trace's other pins and bans leave, the most taken first."""
    codes_NL, config = recommender.tokenizer.codes, trace.config
    fits = codes_NL[:, position] == code
    for other, pinned in config.get("pins", ()):
        if other != position:
            fits &= codes_NL[:, other] == pinned
    if config.get("exclude_seen") and config.get("constraint") == "exact":
        fits[list(trace.history)] = False
    fits[list(config.get("forbid_items", ()))] = False
    rows, popularity = np.flatnonzero(fits), recommender.checkpoint.popularity
    if popularity is not None:
        rows = rows[(-np.asarray(popularity)[rows]).argsort(kind="stable")]
    return rows.tolist()


def points(recommender: Recommender, name: str) -> dict:
    """A checkpoint's map for the page. Raises MindRecError where it has none."""
    item_map = recommender.checkpoint.item_map
    if item_map is None:
        raise MindRecError(text.NO_MAP.format(name=name))
    return map_view(item_map, recommender.catalog, recommender.tokenizer.codes)


def lights(trace: DecodeTrace, recommender: Recommender) -> list[dict]:
    """The steps of a trace as they light a checkpoint's map. Raises MindRecError for one of other tokens."""
    DecodeConfig.from_dict(trace.config)  # a trace from a file may hold anything
    if not speaks(trace, recommender.tokenizer.codes):
        raise MindRecError(text.OTHER_MAP)
    return masses_view(trace, recommender.tokenizer.codes)


def whole_map(trace: DecodeTrace, recommender: Recommender | None, name: str | None) -> dict | None:
    """Map and lights of a trace together, for a replay; None where there is no map of its items."""
    try:
        return None if recommender is None else points(recommender, name or "") | {"steps": lights(trace, recommender)}
    except MindRecError:
        return None
