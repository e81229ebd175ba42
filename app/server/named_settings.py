"""Settings of the public endpoints by the names that a client knows: items by id, levels and categories by name."""

from typing import Any

from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

MAX_NAMED = 5


def by_number(recommender: Recommender, settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same settings as a decode reads them; numbers stay as they are.

    `forbid_items` may name items by id. `pins` may be {"Section": "Pantry"}, a level's name and a category's or a
    code's; `forbid_tokens` the same with a list of labels.

    Raises:
        MindRecError: an item, a level or a label that this checkpoint lacks, with those that it has.
    """
    if not isinstance(settings, dict):
        return settings
    out = dict(settings)
    if isinstance(out.get("forbid_items"), (list, tuple)):
        out["forbid_items"] = [_row(recommender, item) for item in out["forbid_items"]]
    for key in ("pins", "forbid_tokens"):
        if isinstance(out.get(key), dict):
            out[key] = [
                _token(recommender, level, label)
                for level, labels in out[key].items()
                for label in (labels if isinstance(labels, list) else [labels])
            ]
    return out


def _row(recommender: Recommender, item: Any) -> Any:
    if not isinstance(item, str):
        return item
    ids = recommender.catalog.ids
    if (row := ids.row(item)) is None:
        hint = ids.hint(item[:256]) or "`search` finds ids"
        raise MindRecError(f"forbid_items: no item has the id {item[:80]!r}; {hint}")
    return row


def _token(recommender: Recommender, level: str, label: Any) -> list[int]:
    """Position and code. A label that several codes share, under different parents, is refused."""
    levels = recommender.tokenizer.levels
    names = [each.name for each in levels]
    if level not in names:
        raise MindRecError(f"no level is called {str(level)[:80]!r}; there are {', '.join(names)}")
    position = names.index(level)
    if isinstance(label, int):
        return [position, label]
    codes = [code for code, each in enumerate(levels[position].labels) if each == label]
    if len(codes) == 1:
        return [position, codes[0]]
    if codes:
        raise MindRecError(f"{level} has {len(codes)} codes called {label!r}: give one of the numbers {codes}")
    some = ", ".join(levels[position].labels[:MAX_NAMED])
    raise MindRecError(f"{level} has nothing called {str(label)[:80]!r}; it has {some} …")
