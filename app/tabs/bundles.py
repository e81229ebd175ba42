"""A trace together with everything that the player draws from it: one JSON object, made with or without a model."""

from app.views.events import events
from app.views.possible import possible_view, speaks, token_rows
from app.views.tree import tree_view
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
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
        "checkpoint": name,
    }


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
