"""RecBole atomic files: NAME.inter (or its train, valid and test parts) and NAME.item, columns headed name:type."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mindrec.data.catalog import SPLITS, Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.csv import log_of
from mindrec.sources.interactions_log import Events, Log, assemble, collect
from mindrec.sources.itemfile import ItemColumns
from mindrec.sources.predefined import joined, parts_of, unrolled
from mindrec.sources.readers import Bundle
from mindrec.sources.repairs import Repairs
from mindrec.sources.roles import guessed, log_roles
from mindrec.sources.tables import Table, look_at
from mindrec.sources.user_columns import LogOptions, takes_log_options

CATEGORIES = ("categories", "category", "class", "genre", "genres", "item_category")
_ENDING = re.compile(r"\.(inter|item)(\.(gz|bz2|xz|zst))?$")
_TYPED = re.compile(r"^([^:]+):(token|token_seq|float|float_seq)$")
NOTES = """# {name} (RecBole atomic files)
Read from `{file}`. Category path: {path}.

Licence: that of the data set behind the atomic files; set it down here before you share this folder.
"""


@dataclass(frozen=True)
class Atomic:
    """An atomic file with the types of its columns.

    Attributes:
        types: {column: token, token_seq, float or float_seq}; empty where the header names none.
    """

    table: Table
    types: dict[str, str]

    def list_column(self) -> str | None:
        """The column that holds a whole history a row, where the file is one of rolled-out sequences."""
        lists = [column for column in self.table.columns if column.endswith("_list")]
        typed = [column for column in lists if not self.types or self.types.get(column) == "token_seq"]
        return next((column for column in typed if guessed("item", [column.removesuffix("_list")])), None)


@takes_log_options(without=("item_file", "item_file_id", "encoding", "no_header", "category_separator"))
def load(path: Path, **given) -> PreparedData:
    """Read a folder, zip or file with one NAME.inter, or NAME.train.inter and the like, and NAME.item if there is one.

    `category_columns` names one column a level, or one whose cell holds the path; by default the first column called
    categories, category, class, genre(s) or item_category.
    """
    options = LogOptions(**given)
    bundle, repairs = _bundle(Path(path)), Repairs()
    name, files = _files(bundle)
    parts = {part: _atomic(bundle, file, options, repairs) for part, file in files.items()}
    items = _named(bundle, "item").get(name)
    log = _log(parts, options, repairs, describe=items is None)
    if items is not None:
        log = replace(log, items=list(_items(_atomic(bundle, items, options, repairs), options.items, repairs)))
    chosen = "none" if items is None else options.category_columns or f"the first column of {', '.join(CATEGORIES)}"
    return assemble(
        log.events,
        log.items,
        repairs,
        name=name,
        core=options.core,
        keep_unused=options.keep_unused,
        labels=options.labels,
        depth=options.depth,
        timed=options.timed,
        notes=NOTES.format(name=name, file=Path(path).name, path=chosen),
    )


def _bundle(path: Path) -> Bundle:
    """The folder or zip, or of a folder what belongs to the file that `path` names."""
    match = _ENDING.search(path.name)
    if not match or not path.is_file():
        return Bundle(path)
    bundle, stem = Bundle(path.parent), path.name[: match.start()]
    bundle.names = {name: file for name, file in bundle.names.items() if name in (path.name, f"{stem}.item")}
    return bundle


def _named(bundle: Bundle, kind: str) -> dict[str, str]:
    """{stem: file} of the files of one kind, packed or not."""
    endings = {name: match for name in bundle.names if (match := _ENDING.search(name))}
    return {name[: match.start()]: name for name, match in endings.items() if match[1] == kind}


def _files(bundle: Bundle) -> tuple[str, dict[str, str]]:
    """(name of the data, {split: file}); {"": file} where the log is one file."""
    logs = _named(bundle, "inter")
    if len(logs) == 1:
        stem, file = next(iter(logs.items()))
        return stem, {"": file}
    parts = parts_of(sorted(logs), str(bundle.path))
    if parts is None:
        raise MindRecError(
            f"{bundle.path} holds {len(logs)} .inter files ({sorted(logs.values())[:5]}); one, or the parts "
            "NAME.train.inter, NAME.valid.inter and NAME.test.inter, is needed"
        )
    return parts[0] or bundle.path.name.split(".")[0], {part: logs[stem] for part, stem in parts[1].items()}


def _atomic(bundle: Bundle, file: str, options: LogOptions, repairs: Repairs) -> Atomic:
    """A file with its columns' names and types apart. A header of names alone is read, and that is said."""
    table = look_at(Path(file), replace(options.table, quotes=False), repairs, lambda: bundle.open(file))
    typed = [_TYPED.match(column) for column in table.columns]
    if table.separator != "\t":
        repairs.note(f"{file}: fields are separated by {table.separator!r}, not by tabs as atomic files are")
    if all(typed):
        names = [match[1] for match in typed]
        return Atomic(replace(table, columns=names), {match[1]: match[2] for match in typed})
    columns = [column.split(":")[0] for column in table.columns]
    if not any(typed) and not any(guessed(use, columns) for use in ("user", "item")):
        raise MindRecError(
            f"{file}, line 1: {table.columns[:6]} are no atomic columns like user_id:token; check the file"
        )
    repairs.note(f"{file}: the header gives names without types; columns are known by their names")
    return Atomic(replace(table, columns=columns), {})


def _log(parts: dict[str, Atomic], options: LogOptions, repairs: Repairs, *, describe: bool) -> Log:
    if any(atomic.list_column() for atomic in parts.values()):
        return Log(_listed(parts, options, repairs))
    logs = {part: log_of(atomic.table, options, repairs, describe=describe) for part, atomic in parts.items()}
    if "" in logs:
        return logs[""]
    items = [item for log in logs.values() for item in log.items]
    return Log(joined({part: log.events for part, log in logs.items()}, repairs), items)


def _listed(parts: dict[str, Atomic], options: LogOptions, repairs: Repairs) -> Events:
    """Events of rows that hold a history and the item after it; a held-out row gives that item alone."""
    train, held_out = [], {}
    for part, atomic in parts.items():
        rows = list(_histories(atomic, options, repairs))
        repairs.note(
            f"{atomic.table.path}: rows hold a history ({atomic.list_column()!r}) and the item after it; they are "
            "joined to one sequence a user"
        )
        if part in ("", SPLITS[0]):
            train += [(user, [*history, *target]) for user, history, target in rows]
        else:
            held_out[part] = rows
    # The items of a held-out row before its target are training's where training has nothing of that user.
    known = {user for user, _ in train}
    train += [(user, history) for rows in held_out.values() for user, history, _ in rows if user not in known]
    sequences = unrolled((user, items) for user, items in train)
    whole = collect(_placed((user, item) for user, items in sequences.items() for item in items), repairs)
    if not held_out:
        return whole
    targets = {
        part: collect(_placed((user, item) for user, _, target in rows for item in target), repairs)
        for part, rows in held_out.items()
    }
    return joined({SPLITS[0]: whole} | targets, repairs)


def _placed(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str, str, float]]:
    return (("", user, item, float(position)) for position, (user, item) in enumerate(pairs))


def _histories(atomic: Atomic, options: LogOptions, repairs: Repairs) -> Iterator[tuple[str, list[str], list[str]]]:
    """(user, history, the item after it or nothing) of every row."""
    table, listed = atomic.table, atomic.list_column()
    if listed is None:
        raise MindRecError(f"{table.path} has no column of lists, which the other parts have; give parts of one form")
    wanted = {"user": options.wanted["user"]}
    user = table.columns.index(log_roles(table.columns, wanted, table.path.name, repairs)["user"])
    column = options.wanted["item"] or listed.removesuffix("_list")
    target = table.columns.index(column) if column in table.columns else None
    position = table.columns.index(listed)
    for seen, (number, row) in enumerate(table.rows(repairs), 1):
        if len(row) <= max(user, position, target or 0):
            repairs.malformed("row_malformed", f"{table.path}, line {number}", seen)
            continue
        yield row[user].strip(), split_path(row[position]), [] if target is None else [row[target].strip()]


def _items(atomic: Atomic, columns: ItemColumns, repairs: Repairs) -> Iterator[Item]:
    table = atomic.table
    chosen = columns.categories or next((c for c in CATEGORIES if c in table.columns), None)
    columns = replace(columns, categories=chosen)
    fields = columns.fields(table.columns, str(table.path), repairs)
    listed = columns.levels[0] if len(columns.levels) == 1 else None
    for seen, (number, row) in enumerate(table.rows(repairs), 1):
        if len(row) < len(table.columns):
            repairs.malformed("row_malformed", f"{table.path}, line {number}", seen)
            continue
        cells: dict[str, object] = dict(zip(table.columns, row, strict=False))
        if listed:
            cells[listed] = split_path(row[table.columns.index(listed)])
        yield columns.record(cells, fields)


def split_path(cell: str) -> list[str]:
    """Names of a token_seq cell: quoted and comma-separated ("'Books', 'Fiction'"), comma-separated, or blanks."""
    quoted = re.findall(r"'([^']+)'|\"([^\"]+)\"", cell) if cell.strip()[:1] in "'\"[" and cell.strip() else []
    if quoted:
        return [single or double for single, double in quoted]
    return [n.strip() for n in (cell.split(",") if "," in cell else cell.split())]
