"""Parts that the sources of a user's log share: options of reading, and items from a file or the log's rows."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import Log, assemble
from mindrec.sources.itemfile import ItemColumns, item_records
from mindrec.sources.repairs import Repairs
from mindrec.sources.tables import Options

NOTES = """# {name}
Your own interaction log, read from {files}. Its licence is the one you hold it under: set it down here before you
share this folder.
"""


@dataclass(frozen=True)
class LogOptions:
    """Options of reading a log; those that are None are judged by the file.

    Attributes:
        item_file: a file with a row an item; without it, columns of the log describe its items.
        user_column, item_column, time_column: None to find one by its name; a `time_column` of "" means none.
        no_time: the rows are in order already.
        day_first, time_format: how dates are written.
        item_file_id: the id's column in the item file, by default the one that the log calls the item.
        title_column, brand_column, description_column, category_columns: of the items; "" for none.
        category_separator: what splits a cell into a path.
        labels: how names without an order become a path, see `meaning.ordered_labels`.
        depth: levels of a category path that are used.
        separator, encoding, no_header: of a text table.
        min_rating, keep: rules for the rows that count, as `filters.rules` reads them.
        core: every user and item occurs so often.
        keep_unused: keep the items that no sequence holds.
    """

    item_file: Path | None = None
    user_column: str | None = None
    item_column: str | None = None
    time_column: str | None = None
    no_time: bool = False
    day_first: bool | None = None
    time_format: str | None = None
    item_file_id: str | None = None
    title_column: str | None = None
    brand_column: str | None = None
    description_column: str | None = None
    category_columns: str | None = None
    category_separator: str | None = None
    labels: str | None = None
    depth: int | None = None
    separator: str | None = None
    encoding: str | None = None
    no_header: bool = False
    min_rating: float | None = None
    keep: Sequence[str] | None = None
    core: int = 1
    keep_unused: bool = False

    @property
    def wanted(self) -> dict[str, str | None]:
        """{use: its column, None to find it by its name, "" for none} of user, item and time."""
        return {"user": self.user_column, "item": self.item_column, "time": "" if self.no_time else self.time_column}

    @property
    def timed(self) -> bool:
        """Whether the log has times; without them its order is that of the rows."""
        return self.wanted["time"] != ""

    @property
    def table(self) -> Options:
        """How a text table is to be read."""
        return Options(self.separator, self.encoding, self.no_header)

    @property
    def items(self) -> ItemColumns:
        """The columns that describe an item."""
        return ItemColumns(
            self.item_file_id or self.item_column,
            self.title_column,
            self.brand_column,
            self.description_column,
            self.category_columns,
            self.category_separator,
            surely=self.item_file_id is not None,
        )


ReadLog = Callable[[Path, LogOptions, Repairs], Log]
"""(path, options, repairs) -> events in the order of the rows, and the items as the rows describe them."""


def takes_log_options(without: Sequence[str] = ()) -> Callable[[Callable], Callable]:
    """Give a `load` that takes a path and any options the signature with the fields of `LogOptions`, but `without`."""

    def decorated(load: Callable) -> Callable:
        keyword = inspect.Parameter.KEYWORD_ONLY
        named = [
            inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
            for field in fields(LogOptions)
            if field.name not in without and field.default is not MISSING
        ]
        path = inspect.Parameter("path", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Path)
        load.__signature__ = inspect.Signature([path, *named], return_annotation=PreparedData)
        return load

    return decorated


def load_with(read: ReadLog) -> Callable[..., PreparedData]:
    """The `load` of a source whose log `read` reads."""

    @takes_log_options()
    def load(path: Path, **given) -> PreparedData:
        """Read a log with one row an interaction, see `LogOptions`; columns not named are found by their names."""
        options, repairs, path = LogOptions(**given), Repairs(), Path(path)
        # Before the long read of the log, so that a column that is not there is told at once.
        records = file_records(options, repairs)
        log = read(path, options, repairs)
        files = " and ".join(Path(p).name for p in (path, options.item_file) if p is not None)
        name = path.name.split(".")[0]
        return assemble(
            log.events,
            log.items if records is None else records,
            repairs,
            name=name,
            core=options.core,
            keep_unused=options.keep_unused,
            drop_root=True,
            labels=options.labels,
            depth=options.depth,
            timed=options.timed,
            notes=NOTES.format(name=name, files=files),
        )

    return load


def file_records(options: LogOptions, repairs: Repairs) -> list | None:
    """The items of the item file, None where there is none.

    Raises:
        MindRecError: the file's id is named, but no file.
    """
    if options.item_file is None:
        if options.item_file_id is not None:
            raise MindRecError("--item-file-id is named but no --item-file; give the file that holds the items")
        return None
    return list(item_records(Path(options.item_file), options.items, repairs, Options(None, options.encoding)))
