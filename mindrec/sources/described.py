"""Items as the rows of a log describe them: the log's own title, brand and category columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mindrec.data.catalog import Item
from mindrec.data.ids import MISSING, normal_id
from mindrec.sources.itemfile import TEXTS, ItemColumns
from mindrec.sources.repairs import Repairs, usable_id
from mindrec.sources.values import is_missing

VARIES = 0.3
"""Share of an item's later rows from which on a column that says otherwise than the first is none of the item."""


@dataclass(frozen=True)
class OwnColumns:
    """The columns of a log that describe its items.

    Attributes:
        reader: turns a row into an item.
        fields: {use: columns} as `ItemColumns.fields` gives them.
        guessed: the uses that nobody named; they are dropped where they vary within an item.
    """

    reader: ItemColumns
    fields: dict[str, list[str]]
    guessed: frozenset[str]

    @classmethod
    def of(cls, columns: Sequence[str], roles: dict[str, str], named: ItemColumns, name: str) -> "OwnColumns | None":
        """The columns that are named or known by their names, None where there is none.

        Raises:
            MindRecError: a named column is not there.
        """
        taken = {column for use, column in roles.items() if use != "item"}
        reader = replace(named, item=roles["item"], surely=True)
        fields = reader.fields([column for column in columns if column not in taken], name, Repairs())
        guessed = {use for use in TEXTS if getattr(named, use) is None} | (
            {"category"} - {named.categories and "category"}
        )
        if "title" not in fields and "description" in fields and {"title", "description"} <= guessed:
            fields["title"] = fields.pop("description")  # shop logs call the product's name so
        uses = cls(reader, fields, frozenset(guessed & {use for use in fields if fields[use]}))
        return uses if uses.used else None

    @property
    def used(self) -> list[str]:
        """The columns, without the item's id."""
        return [column for use, columns in self.fields.items() if use != "item" for column in columns]

    def without(self, varying: set[str], name: str, repairs: Repairs) -> "OwnColumns":
        """Without the guessed uses of columns that vary within an item; says what is used."""
        fields = dict(self.fields)
        for use in self.guessed & set(fields):
            if varying & set(fields[use]):
                columns = ", ".join(map(repr, fields[use]))
                repairs.note(f"{name}: column {columns} differs within an item, so that it is not taken as its {use}")
                if use == "category":
                    fields[use] = []
                else:
                    del fields[use]
        kept = [(use, ", ".join(map(repr, fields[use]))) for use in fields if use != "item" and fields[use]]
        if kept:
            words = ", ".join(f"{columns} as the {use}" for use, columns in kept)
            flags = ", ".join("--category-columns" if use == "category" else f"--{use}-column" for use, _ in kept)
            repairs.note(f"{name}: items are described by columns of the log: {words}; {flags} name others, or '' none")
        return replace(self, fields=fields)


class Described:
    """Descriptions of items in the rows of a log: the first that is not empty counts, a column at a time."""

    def __init__(self, uses: OwnColumns, columns: Sequence[str], name: str):
        self.uses, self.name = uses, name
        self.places = [columns.index(column) for column in uses.used]
        self.cells: dict[str, tuple[str, ...]] = {}
        self.again, self.differs = 0, [0] * len(self.places)

    def see(self, item: str, row: Sequence[str]) -> None:
        """Read the row of an item."""
        cells = tuple(["" if row[column] in MISSING else row[column] for column in self.places])
        held = self.cells.get(item)
        if held is None:
            self.cells[item] = cells
            return
        self.again += 1
        if held != cells:
            for n, (old, new) in enumerate(zip(held, cells, strict=True)):
                self.differs[n] += bool(old and new and old != new)
            if "" in held:
                self.cells[item] = tuple(old or new for old, new in zip(held, cells, strict=True))

    def items(self, repairs: Repairs) -> Iterator[Item]:
        """The items, each once."""
        names = self.uses.used
        varying = {name for name, n in zip(names, self.differs, strict=True) if n > VARIES * max(self.again, 1)}
        uses = self.uses.without(varying, self.name, repairs)
        return records(uses, ((item, dict(zip(names, cells, strict=True))) for item, cells in self.cells.items()))


def records(uses: OwnColumns, rows: Iterator[tuple[object, dict]]) -> Iterator[Item]:
    """Items of (id, {column: cell}) rows, of each id the first."""
    seen: set[str] = set()
    key = uses.fields["item"][0]
    if not any(columns for use, columns in uses.fields.items() if use != "item"):
        return
    for item, row in rows:
        item_id = "" if is_missing(item) else normal_id(item)
        if usable_id(item_id) and item_id not in seen:
            seen.add(item_id)
            yield uses.reader.record(row | {key: item_id}, uses.fields)
