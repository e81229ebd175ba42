"""The prepared form as a source: read it, mend what can be mended, write it again."""

from array import array
from pathlib import Path

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, PreparedData, Ragged, read_semantic_ids
from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError
from mindrec.sources.itemfile import json_items
from mindrec.sources.meaning import judge_depth, whole_semantic_ids
from mindrec.sources.repairs import Repairs, clean_items, usable_id
from mindrec.system.files import read_json, read_jsonl_gz


def load(path: Path, *, depth: int | None = None) -> PreparedData:
    """Read `items.jsonl.gz` and `sequences.jsonl.gz` (or the same without .gz) from a folder.

    Unlike `load_prepared`, which refuses what breaks a rule, this mends and counts it; a line that is not JSON is
    refused all the same. `depth` is the number of levels of a path that are used, by default the folder's own.
    """
    folder, repairs = Path(path), Repairs()
    if not folder.is_dir():
        raise MindRecError(f"{folder} is not a folder; one with items.jsonl.gz and sequences.jsonl.gz is needed")
    about = read_json(folder / "catalog.json", "catalog") if (folder / "catalog.json").exists() else {}
    items = clean_items(json_items(_file(folder, "items")), repairs)
    paths = [item.categories for item in items.values()]
    catalog = Catalog(
        tuple(items.values()),
        name=str(about.get("name") or folder.resolve().name),
        induced=bool(about.get("induced", False)),
        category_depth=judge_depth(paths, depth, repairs) if depth is not None else about.get("depth"),
    )
    interactions = _interactions(_file(folder, "sequences"), catalog, repairs)
    used = np.bincount(interactions.sequences.flat, minlength=len(catalog)) > 0
    repairs.count("unused_item_kept", n=int((~used).sum()))
    semantic_ids = read_semantic_ids(folder)
    semantic_ids = None if semantic_ids is None else whole_semantic_ids(semantic_ids, list(items), repairs)
    return PreparedData(catalog, interactions, semantic_ids, _notes(folder, catalog.name), repairs.lines())


def _file(folder: Path, stem: str) -> Path:
    plain = folder / f"{stem}.jsonl"
    return plain if plain.exists() else folder / f"{stem}.jsonl.gz"


def _notes(folder: Path, name: str) -> str:
    """The folder's README without the part that `prepare` writes anew."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.exists() else f"# {name}\n"
    return text.split("\n## What is in here\n")[0]


def _interactions(path: Path, catalog: Catalog, repairs: Repairs) -> Interactions:
    users: dict[str, None] = {}
    splits, ordered = [], True
    flat, starts = array("i"), array("q", [0])
    for number, row in enumerate(read_jsonl_gz(path), 1):
        where = f"{path}, line {number}"
        ids = row.get("item_ids")
        if not isinstance(ids, list) or row.get("user_id") is None or not usable_id(str(row["user_id"])):
            repairs.malformed("row_malformed", where, number)
            continue
        known = [r for r in (catalog.row_of.get(normal_id(i), -1) for i in ids) if r >= 0]
        repairs.count("unknown_item", where, len(ids) - len(known))
        if not known:
            repairs.count("empty_user", where)
            continue
        user = str(row["user_id"])
        if user in users:
            repairs.count("duplicate_user", where)
            while user in users:
                user += f" ({number})"
        users[user] = None
        flat.extend(known)
        starts.append(len(flat))
        splits.append(str(row["split"]) if row.get("split") else None)
        ordered &= bool(row.get("ordered", True))
    if not users:
        raise MindRecError(f"{path} holds no sequence with a known item; check that its ids are those of the item file")
    if any(splits) and not all(splits):
        raise MindRecError(f"{path}: some sequences have a `split` and some have none; give all or none")
    ragged = Ragged(np.array(flat, dtype=np.int32), np.array(starts))
    return Interactions(tuple(users), ragged, len(catalog), tuple(splits) if any(splits) else None, ordered)
