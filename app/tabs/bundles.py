"""A trace together with everything that the player draws from it: one JSON object, made with or without a model."""

from app.views.events import events
from app.views.map import map_view, masses_view
from app.views.possible import possible_view, speaks, token_rows
from app.views.tree import tree_view
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace


def bundle_of(trace: DecodeTrace, recommender: Recommender | None = None, name: str | None = None) -> dict:
    """A trace with its captions, marks, tree and names.

    Args:
        recommender: a model of the trace's catalog; without one, the items behind a code are not listed.
        name: of the checkpoint that can decode on, if there is one.
    """
    possible = possible_of(trace, recommender)
    return {
        "trace": trace,  # becomes bytes in `respond`, once
        "captions": text.captions(trace, possible),
        "possible": possible,
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
    usual = recommender.index.anyone_N.tolist()
    return {str(result.row): result.probability / usual[result.row] for result in trace.results}


def possible_of(trace: DecodeTrace, recommender: Recommender | None) -> dict | None:
    """The items behind a trace's codes; None where the catalog or the tokens are not those of the checkpoint."""
    if recommender is None or not speaks(trace, recommender.tokenizer.codes):
        return None
    DecodeConfig.from_dict(trace.config)  # a trace from a file may hold anything
    return possible_view(trace, recommender.tokenizer.codes, recommender.catalog.items)


def token_names(trace: DecodeTrace, recommender: Recommender | None) -> dict[str, str]:
    """Readable names of pinned and forbidden tokens, by "position.code"; the trace itself need not mention them."""
    out = {}
    for position, code in (*trace.config.get("pins", ()), *trace.config.get("forbid_tokens", ())):
        name = text.label(trace, position, code)
        if recommender is not None and speaks(trace, recommender.tokenizer.codes):
            level = recommender.tokenizer.levels[position]
            name = level.labels[code]
            if level.kind == "semantic":
                rows, count = token_rows(trace, recommender.tokenizer.codes, position, code)
                titles = [recommender.catalog.items[row].title for row in rows]
                name = text.or_list(titles, count) if rows else text.NO_ITEM
        out[f"{position}.{code}"] = name
    return out


def points(recommender: Recommender, name: str) -> dict:
    """A checkpoint's map for the page. Raises MindRecError where it has none."""
    item_map = recommender.checkpoint.item_map
    if item_map is None:
        raise MindRecError(text.NO_MAP.format(name=name))
    return map_view(item_map, recommender.catalog, recommender.tokenizer.codes)


def lights(trace: DecodeTrace, recommender: Recommender) -> list[dict]:
    """The steps of a trace as they light a checkpoint's map. Raises MindRecError for one of other tokens."""
    if possible_of(trace, recommender) is None:
        raise MindRecError(text.OTHER_MAP)
    return masses_view(trace, recommender.tokenizer.codes)


def whole_map(trace: DecodeTrace, recommender: Recommender | None, name: str | None) -> dict | None:
    """Map and lights of a trace together, for a replay; None where there is no map of its items."""
    try:
        return None if recommender is None else points(recommender, name or "") | {"steps": lights(trace, recommender)}
    except MindRecError:
        return None
