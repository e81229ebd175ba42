"""Faults of the data and their repairs: counted, named, and shown to the person at the end."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mindrec.data.catalog import Item
from mindrec.data.category_tree import HERE
from mindrec.errors import MindRecError
from mindrec.sources.values import is_missing, present

MAX_ID, MAX_NAME, MAX_TITLE, MAX_TEXT, MAX_DEPTH = 256, 100, 300, 2000, 12
REFUSE_SHARE, REFUSE_AFTER = 0.1, 20
"""Malformed rows are dropped and counted while rare; more than this share of them means a wrong file or option."""

WARNING, NOTE = "WARNING: ", "note: "

KINDS = {
    "row_malformed": "rows that could not be read; dropped",
    "row_long": "rows with more fields than the header (a separator in a text without quotation marks?); dropped",
    "stray_quote": "rows with a single quotation mark in a text; kept as it is",
    "filtered": "rows that --keep or --min-rating leave out",
    "missing_id": "rows without a user or item id, or with one of over 256 characters or invisible ones; dropped",
    "bad_time": "rows whose time is not a number or a date; dropped",
    "duplicate_event": "interactions written twice (same user, item and time); one kept",
    "time_tie": "interactions with the same time as the one before them; kept in the order of the file",
    "outside_core": "interactions of users or items with too few others (see --core); dropped",
    "short_user": "users with fewer than two items left; dropped",
    "empty_user": "users without any item; dropped",
    "duplicate_user": "users listed twice; kept as two sequences, the second renamed",
    "unknown_item": "interactions with an item that the item file does not list; dropped",
    "item_without_record": "items in the log that the item file does not list; kept under their id",
    "duplicate_item": "items listed twice; the first kept",
    "unused_item": "items in no sequence; dropped (--keep-unused keeps them)",
    "unused_item_kept": "items in no sequence; kept, nothing is known of them but their text",
    "missing_title": "items without a title; named by their id",
    "html": "titles, names or texts with HTML in them; tags removed, entities decoded",
    "control_characters": "texts with control characters or line breaks; replaced by a space",
    "too_long": "texts longer than allowed; cut",
    "category_junk": "category names that are empty, markup or longer than 100 characters; left out of the path",
    "category_cycle": "paths that name a category twice; the repeat left out",
    "category_depth": "paths deeper than 12 levels; cut",
    "not_utf8": "lines that are not UTF-8; read as Windows-1252",
    "semantic_ids_incomplete": "items whose own semantic ID is missing or of another length; those of all are left out",
}

_TAG = re.compile(r"<[/!]?[a-zA-Z][^<>]{0,500}>")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]+")
_FOLDERS = re.compile(r"^.*[/\\\\](?=[^/\\\\]+, (?:line|user) )")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SCRIPT = re.compile(r"getTime\(\)|\bfunction\s*\(|\bvar [a-zA-Z_]+ ?=|</?script", re.IGNORECASE)


@dataclass
class Repairs:
    """A counter over `KINDS`, with one example of each."""

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Note an assumption about the data."""
        self.warn(text, NOTE)

    def warn(self, text: str, kind: str = WARNING) -> None:
        """Say something about the whole of the data, once, before what was counted."""
        if kind + text not in self.warnings:
            self.warnings.append(kind + text)

    def count(self, kind: str, example: object = "", n: int = 1) -> None:
        """Count `n` repairs of a kind, and keep the first example. Raises KeyError: no such kind."""
        if kind not in KINDS:
            raise KeyError(kind)
        if n:
            self.counts[kind] += n
            # The README carries it, so it names the file without the folders of this machine.
            self.examples.setdefault(kind, _FOLDERS.sub("", str(example))[:120])

    def malformed(self, kind: str, where: str, rows: int) -> None:
        """Count a dropped row of a file; refuse the file once such rows are no longer rare among its `rows`."""
        self.count(kind, where)
        bad = self.counts[kind]
        if bad > REFUSE_AFTER and bad > REFUSE_SHARE * rows:
            raise MindRecError(
                f"{where}: {bad} of {rows} rows so far fall under `{kind}` ({KINDS[kind]}; first: "
                f"{self.examples[kind]}); check the file and the column options"
            )

    def lines(self) -> list[str]:
        """The warnings, then one line a kind, the most frequent first."""
        return sorted(self.warnings, key=lambda text: text.startswith(NOTE)) + [
            f"{kind}: {n:,} {KINDS[kind]}" + (f" (first: {self.examples[kind]})" if self.examples.get(kind) else "")
            for kind, n in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ]


def clean_text(text: object, limit: int, repairs: Repairs, where: str = "") -> str:
    """Text without markup, control characters and line breaks, at most `limit` characters."""
    raw = str(text)[: 20 * limit] if text is not None else ""
    out = raw
    if "<" in out or "&" in out:
        # Unescaping first: feeds hold tags as &lt;b&gt; as often as <b>. A lone "<" or "&" is left as it is.
        out = _TAG.sub(" ", html.unescape(out))
        if out != raw:
            repairs.count("html", where)
    flat = _BLANKS.sub(" ", out).strip()
    if _CONTROL.search(out.strip()):
        repairs.count("control_characters", where)
    if len(flat) > limit:
        repairs.count("too_long", where)
        flat = flat[: limit - 1].rstrip() + "…"
    return flat


def clean_path(names: Iterable[object], repairs: Repairs, where: str = "") -> tuple[str, ...]:
    """A category path with readable names, none twice, coarse to fine."""
    path: list[str] = []
    for raw in names:
        name = "" if is_missing(raw) or _SCRIPT.search(str(raw)[:2000]) else clean_text(raw, MAX_TITLE, repairs, where)
        if not name or len(name) > MAX_NAME or name == HERE:
            repairs.count("category_junk", where)
        elif name in path:
            repairs.count("category_cycle", where)
        else:
            path.append(name)
    if len(path) > MAX_DEPTH:
        repairs.count("category_depth", where)
    return tuple(path[:MAX_DEPTH])


def clean_item(item: Item, repairs: Repairs) -> Item:
    """An item that `Catalog` accepts, from one as a source gave it."""
    where = f"item {item.item_id}"
    raw = str(present(item.title) or "")
    title = "" if _SCRIPT.search(raw[:2000]) else clean_text(raw, MAX_TITLE, repairs, where)
    if not title:
        repairs.count("missing_title", where)
        title = f"Item {item.item_id}"
    return Item(
        item.item_id,
        title,
        clean_path(item.categories, repairs, where),
        clean_text(present(item.brand), MAX_NAME, repairs, where) or None,
        clean_text(present(item.description), MAX_TEXT, repairs, where) or None,
    )


def clean_items(items: Iterable[Item], repairs: Repairs) -> dict[str, Item]:
    """Items by id, in order; of two with one id the first is kept."""
    out: dict[str, Item] = {}
    for item in items:
        if not usable_id(item.item_id):
            repairs.count("missing_id", f"item {item.title!r}")
        elif item.item_id in out:
            repairs.count("duplicate_item", f"item {item.item_id}")
        else:
            out[item.item_id] = clean_item(item, repairs)
    return out


def usable_id(value: str) -> bool:
    """An id is visible text of at most 256 characters that UTF-8 can hold."""
    return 0 < len(value) <= MAX_ID and value.isprintable() and bool(value.strip())


def without_common_root(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Paths without the first name where all of them begin with the same one: a level with one node says nothing."""
    roots = {path[0] for path in paths if path}
    if len(roots) == 1 and any(len(path) > 1 for path in paths):
        return [path[1:] for path in paths]
    return list(paths)
