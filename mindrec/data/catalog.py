"""Items, their category tree, and the sequences in which people took them. Validated when built; no torch.

Shape legend: N items, C category levels.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mindrec.data.category_tree import CategoryTree
from mindrec.data.ids import IdLookup
from mindrec.errors import MindRecError
from mindrec.system.files import (
    FolderKind,
    put_back,
    read_json,
    read_jsonl_gz,
    replace_folder,
    write_json,
    write_jsonl_gz,
    write_text,
)

SPLITS = ("train", "validation", "test")

DEFAULT_DEPTH = 3
"""Category levels that are read where the prepared data does not ask for another number."""


@dataclass(frozen=True)
class Item:
    """One item. `categories` runs coarse to fine and may be empty."""

    item_id: str
    title: str
    categories: tuple[str, ...] = ()
    brand: str | None = None
    description: str | None = None

    @property
    def text(self) -> str:
        """All words known of the item, for text features and search."""
        return " ".join(filter(None, (self.title, self.brand, *self.categories, self.description)))


@dataclass(frozen=True)
class Catalog:
    """Items in a fixed order: an item's *row* is its place here, and all arrays are indexed by row.

    Raises:
        MindRecError: no items, a duplicated or empty id, a missing title, or a path with an empty name.
    """

    items: tuple[Item, ...]
    name: str = "catalog"
    induced: bool = False
    category_depth: int | None = None
    row_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if not self.items:
            raise MindRecError("the catalog holds no items; at least one is needed")
        rows: dict[str, int] = {}
        for row, item in enumerate(self.items):
            if not item.item_id:
                raise MindRecError(f"item {row} ({item.title!r}) has an empty item_id; give every item one")
            if item.item_id in rows:
                raise MindRecError(f"item_id {item.item_id!r} occurs twice (rows {rows[item.item_id]} and {row})")
            if not item.title.strip():
                raise MindRecError(f"item {item.item_id!r} has an empty title; give it one")
            if any(not name.strip() for name in item.categories):
                raise MindRecError(f"item {item.item_id!r} has an empty name in its path {item.categories}")
            rows[item.item_id] = row
        object.__setattr__(self, "row_of", rows)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def tree(self) -> CategoryTree:
        """The category tree of all items."""
        return CategoryTree([item.categories for item in self.items], self.category_depth)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of ids, titles and paths in order: two catalogs with one fingerprint name tokens alike."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(json.dumps([item.item_id, item.title, item.categories], ensure_ascii=False).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def ids(self) -> IdLookup:
        """Rows by id, whatever an id has become on its way through other programs."""
        return IdLookup(self.row_of)

    def rows(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of the given ids. Raises MindRecError naming the first unknown id, and those that are near it."""
        return [self._row(str(item_id)) for item_id in item_ids]

    def _row(self, text: str) -> int:
        if (row := self.ids.row(text)) is None:
            hint = self.ids.hint(text) or "search the catalog for its title"
            raise MindRecError(
                f"unknown item {text[:80]!r}: not one of the {len(self):,} items of {self.name!r}; {hint}"
            )
        return row


class Ragged(Sequence):
    """Sequences of item rows in one flat array: a million of them cost what their rows cost, not an object each.

    Attributes:
        flat: int32 rows of all sequences, one after the other.
        starts: int64 (sequences + 1,), where each begins; the last is the end.
    """

    def __init__(self, flat: np.ndarray, starts: np.ndarray):
        self.flat, self.starts = flat, starts

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]]) -> "Ragged":
        """Join sequences as they come."""
        flat, starts = array("i"), array("q", [0])
        for rows in sequences:
            flat.extend(rows)
            starts.append(len(flat))
        return cls(np.array(flat, dtype=np.int32), np.array(starts))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, n: int) -> np.ndarray:
        if isinstance(n, slice):
            return [self[k] for k in range(*n.indices(len(self)))]
        if not -len(self) <= n < len(self):
            raise IndexError(n)
        return self.flat[self.starts[n % len(self)] : self.starts[n % len(self) + 1]]


@dataclass(frozen=True)
class Interactions:
    """Sequences of item rows in time order.

    Attributes:
        user_ids: one name a sequence.
        sequences: int32 arrays of item rows, each at least one long; a tuple, or `Ragged` for large logs.
        split: "train", "validation" or "test" a sequence; None means leave-one-out within each sequence.
        ordered: False where the order inside a sequence carries nothing (training then shuffles it each epoch).
    """

    user_ids: tuple[str, ...]
    sequences: Sequence[np.ndarray]
    n_items: int
    split: tuple[str, ...] | None = None
    ordered: bool = True

    def __post_init__(self):
        if len(self.user_ids) != len(self.sequences):
            raise MindRecError(f"{len(self.user_ids)} user ids for {len(self.sequences)} sequences; one each is needed")
        if self.split is not None and len(self.split) != len(self.sequences):
            raise MindRecError(f"{len(self.split)} splits for {len(self.sequences)} sequences; give all or none")
        for value in set(self.split or ()) - set(SPLITS):
            raise MindRecError(f"split {value!r} is not one of {', '.join(SPLITS)}")
        if isinstance(self.sequences, Ragged) and (np.diff(self.sequences.starts) > 0).all():
            flat = self.sequences.flat
            if not len(flat) or (flat.min() >= 0 and flat.max() < self.n_items):
                return
        for user, rows in zip(self.user_ids, self.sequences, strict=True):
            if len(rows) == 0 or rows.min() < 0 or rows.max() >= self.n_items:
                raise MindRecError(f"sequence {user!r} is empty or has a row outside 0..{self.n_items - 1}")

    def __len__(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True)
class PreparedData:
    """A catalog with its interactions and, where the source gives them, its own semantic IDs.

    Attributes:
        notes: README.md of the prepared folder.
        repairs: a line for each kind of fault that was mended on the way here.
    """

    catalog: Catalog
    interactions: Interactions
    semantic_ids: dict[str, tuple[str, ...]] | None = None
    notes: str = ""
    repairs: Sequence[str] = ()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that a training reads: items with their texts, sequences, split, order, semantic IDs."""
        digest, log = hashlib.sha256(self.catalog.fingerprint.encode()), self.interactions
        for item in self.catalog.items:
            digest.update(repr(item).encode())
        for user, rows in zip(log.user_ids, log.sequences, strict=True):
            digest.update(f"{user!r}{len(rows)}".encode())
            digest.update(np.asarray(rows, dtype="<i4").tobytes())
        digest.update(repr((log.split, log.ordered, self.semantic_ids)).encode())
        return digest.hexdigest()[:16]


FOLDER = FolderKind(
    "prepared data",
    ("items.jsonl.gz", "sequences.jsonl.gz"),
    ("catalog.json", "semantic_ids.json", "report.json", "README.md"),
)


def save_prepared(data: PreparedData, out: Path, report: dict | None = None) -> None:
    """Write the prepared form, with `report` as report.json where given; `out` appears whole or not at all.

    Raises:
        MindRecError: `out` is something else than an empty folder or prepared data, which this would destroy.
    """
    split, ordered = data.interactions.split, data.interactions.ordered
    with replace_folder(Path(out), FOLDER) as folder:
        write_jsonl_gz(
            folder / "items.jsonl.gz",
            (
                {
                    "item_id": i.item_id,
                    "title": i.title,
                    "brand": i.brand,
                    "categories": list(i.categories),
                    "description": i.description,
                }
                for i in data.catalog.items
            ),
        )
        ids = [item.item_id for item in data.catalog.items]
        write_jsonl_gz(
            folder / "sequences.jsonl.gz",
            (
                {"user_id": user, "item_ids": [ids[r] for r in rows.tolist()]}
                | ({"split": split[n]} if split else {})
                | ({} if ordered else {"ordered": False})
                for n, (user, rows) in enumerate(
                    zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
                )
            ),
        )
        if data.semantic_ids:
            write_text(folder / "semantic_ids.json", json.dumps(data.semantic_ids, ensure_ascii=False))
        about = {"name": data.catalog.name, "induced": data.catalog.induced}
        if data.catalog.category_depth not in (None, DEFAULT_DEPTH):
            about["depth"] = data.catalog.category_depth
        write_json(folder / "catalog.json", about)
        if report is not None:
            write_json(folder / "report.json", report)
        write_text(folder / "README.md", data.notes)


AS_PREPARED = 0


def load_prepared(folder: Path, *, name: str | None = None, category_depth: int | None = AS_PREPARED) -> PreparedData:
    """Read a prepared folder that `save_prepared` wrote. Paths longer than `category_depth` are cut to it.

    `AS_PREPARED` is the depth that `prepare` was given, three levels where it was given none; None is all levels.

    Raises:
        MindRecError: a file is missing or damaged, or an item or sequence breaks its rule; file and line are named.
    """
    folder = Path(folder)
    put_back(folder)
    if not folder.is_dir():
        raise MindRecError(f"{folder} is not a folder; `python -m mindrec prepare SOURCE --out {folder}` makes one")
    about = read_json(folder / "catalog.json", "catalog") if (folder / "catalog.json").exists() else {}
    if category_depth == AS_PREPARED:
        category_depth = _depth(about, folder)
    catalog = Catalog(
        tuple(_item(row, folder) for row in read_jsonl_gz(folder / "items.jsonl.gz")),
        name=name or folder.name,
        induced=bool(about.get("induced", False)),
        category_depth=category_depth,
    )
    interactions = _interactions(folder / "sequences.jsonl.gz", catalog)
    readme = folder / "README.md"
    notes = readme.read_text(encoding="utf-8", errors="replace") if readme.exists() else ""
    return PreparedData(catalog, interactions, read_semantic_ids(folder), notes)


def _depth(about: dict, folder: Path) -> int:
    """The depth that catalog.json names. Raises MindRecError where it is none."""
    depth = about.get("depth", DEFAULT_DEPTH)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise MindRecError(
            f"{folder / 'catalog.json'}: depth {depth!r} is no number of levels from 1 on; prepare again"
        )
    return depth


def _interactions(path: Path, catalog: Catalog) -> Interactions:
    users, splits, ordered = [], [], True

    def sequences() -> Iterator[list[int]]:
        nonlocal ordered
        for number, row in enumerate(read_jsonl_gz(path), 1):
            where = f"{path}, line {number}"
            if "user_id" not in row or not isinstance(row.get("item_ids"), list) or not row["item_ids"]:
                raise MindRecError(f"{where}: needs `user_id` and a non-empty list `item_ids`")
            rows = [catalog.row_of.get(str(i), -1) for i in row["item_ids"]]
            if -1 in rows:
                unknown = row["item_ids"][rows.index(-1)]
                raise MindRecError(f"{where}: item {unknown!r} is not in items.jsonl.gz; add it or drop it here")
            users.append(str(row["user_id"]))
            splits.append(str(row["split"]) if row.get("split") else None)
            ordered &= row.get("ordered", True)
            yield rows

    ragged = Ragged.of(sequences())
    if any(splits) and not all(splits):
        raise MindRecError(f"{path}: some sequences have a `split` and some have none; give all or none")
    return Interactions(tuple(users), ragged, len(catalog), tuple(splits) if any(splits) else None, ordered)


def read_semantic_ids(folder: Path) -> dict[str, tuple[str, ...]] | None:
    """The data's own semantic IDs, {item_id: codes as written}; None where the folder has none.

    Raises MindRecError where the file is not JSON, or the codes of an item are no list.
    """
    path = folder / "semantic_ids.json"
    if not path.exists():
        return None
    raw = read_json(path, "semantic IDs")
    if not all(isinstance(v, list) for v in raw.values()):
        raise MindRecError(f"{path}: each item needs a list of codes")
    return {str(k): tuple(map(str, v)) for k, v in raw.items()}


def _item(row: dict, folder: Path) -> Item:
    if row.get("item_id") is None:
        raise MindRecError(f"{folder / 'items.jsonl.gz'}: an item has no item_id: {str(row)[:80]}")
    item_id = str(row["item_id"])
    categories = row.get("categories") or []
    if not isinstance(categories, list) or not all(isinstance(c, str) for c in categories):
        raise MindRecError(f"{folder / 'items.jsonl.gz'}: item {item_id!r}: categories must be a list of names")
    return Item(
        item_id,
        str(row.get("title") or f"Item {item_id}"),
        tuple(categories),
        row.get("brand") or None,
        row.get("description") or None,
    )
