"""The published MindRec folder: NAME.inter.json, NAME.index.json, and where there are any NAME.item.json (titles and
category names) and NAME.category.json (category codes)."""

import re
from collections.abc import Iterator
from pathlib import Path

from mindrec.data.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import assemble, collect
from mindrec.sources.meaning import whole_semantic_ids
from mindrec.sources.readers import json_object
from mindrec.sources.repairs import Repairs

NOTES = """# {name} (MindRec, official form)
Read from the published files {files}. The semantic IDs of `{name}.index.json` are kept: `train --semantic-ids own`
uses them. {categories}

Licence: the publisher names none, and the data comes from Amazon Reviews (for research); do not pass it on.
"""
_COMMA = re.compile(r"(?<!\s),(?!\s)")
"""A comma between two names; one with a blank beside it belongs to a name ("Strings, Picks & Accessories")."""


def load(path: Path, *, core: int = 1, keep_unused: bool = False) -> PreparedData:
    """Read the folder. Only the inter file is required.

    Raises:
        MindRecError: the folder holds no inter file, or several; or one is damaged.
    """
    folder, repairs = Path(path), Repairs()
    logs = sorted(folder.glob("*.inter.json")) if folder.is_dir() else []
    if len(logs) != 1:
        raise MindRecError(f"{folder} holds {len(logs)} *.inter.json files; a folder with exactly one is needed")
    name = logs[0].name.removesuffix(".inter.json")
    parts = {part: folder / f"{name}.{part}.json" for part in ("index", "item", "category")}
    read = {part: json_object(file) if file.exists() else {} for part, file in parts.items()}
    events = collect(_rows(logs[0], repairs), repairs)
    named = any(_field(record, "categories") for record in read["item"].values())
    data = assemble(
        events,
        _records(read, named),
        repairs,
        name=name,
        core=core,
        keep_unused=keep_unused,
        drop_root=named,
    )
    ids = [item.item_id for item in data.catalog.items]
    semantic_ids = whole_semantic_ids(read["index"], ids, repairs) if read["index"] else None
    notes = NOTES.format(
        name=name,
        files=", ".join(f"`{f.name}`" for f in (logs[0], *parts.values()) if f.exists()),
        categories="Categories: names from the item file."
        if named
        else "Categories: codes from the category file, which has no names."
        if read["category"]
        else "It has no categories; `--induce-tree` makes some.",
    )
    return PreparedData(data.catalog, data.interactions, semantic_ids, notes, repairs.lines())


def _rows(path: Path, repairs: Repairs) -> Iterator[tuple[str, str, str, float]]:
    for count, (user, items) in enumerate(json_object(path).items(), 1):
        where = f"{path}, user {user!r}"
        if not isinstance(items, list) or not all(isinstance(i, (int, str)) for i in items):
            repairs.malformed("row_malformed", where, count)
        elif not items:
            repairs.count("empty_user", where)
        else:
            for position, item in enumerate(items):
                yield where, user, str(item), float(position)


def _field(record: object, key: str) -> object:
    return record.get(key) if isinstance(record, dict) else None


def _records(read: dict[str, dict], named: bool) -> Iterator[Item]:
    """Items of all three files, with names where the item file has them, else with category codes."""
    for item_id in {key: None for part in ("item", "index", "category") for key in read[part]}:
        record = read["item"].get(item_id)
        names = _field(record, "categories") if named else read["category"].get(item_id)
        if isinstance(names, str):
            names = [n.strip() for n in _COMMA.split(names)]
        if not named:
            names = [f"Category {re.sub(r'[<>]', '', str(n))}" for n in names or []]
        title, brand, description = (_field(record, key) for key in ("title", "brand", "description"))
        yield Item(str(item_id), title or "", tuple(names or ()), brand or None, description or None)
