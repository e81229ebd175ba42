"""What the csv and parquet sources have in common: your own log, its columns named by options, with an item file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import Events, assemble
from mindrec.sources.itemfile import ItemColumns, item_records
from mindrec.sources.repairs import Repairs
from mindrec.sources.tables import Options

NOTES = """# {name}
Your own interaction log, read from {files}. Its licence is the one you hold it under: set it down here before you
share this folder.
"""


@dataclass(frozen=True)
class LogOptions:
    """How a log is to be read.

    Attributes:
        wanted: {"user", "item", "time": column, None to find one by its name, "" for none}.
        keep: rules for the rows that count, as `filters.rules` reads them.
    """

    wanted: dict[str, str | None]
    core: int = 1
    table: Options = field(default_factory=Options)
    keep: Sequence[str] | None = None
    min_rating: float | None = None
    day_first: bool | None = None
    time_format: str | None = None


ReadLog = Callable[[Path, LogOptions, Repairs], Events]
"""(path, options, repairs) -> events in the order of the rows."""


def own_log(read: ReadLog) -> Callable[..., PreparedData]:
    """The `load` of a source whose log `read` reads."""

    def load(
        path: Path,
        *,
        item_file: Path | None = None,
        user_column: str | None = None,
        item_column: str | None = None,
        time_column: str | None = None,
        no_time: bool = False,
        day_first: bool | None = None,
        time_format: str | None = None,
        item_file_id: str | None = None,
        title_column: str | None = None,
        brand_column: str | None = None,
        description_column: str | None = None,
        category_columns: str | None = None,
        category_separator: str | None = None,
        labels: str | None = None,
        separator: str | None = None,
        encoding: str | None = None,
        no_header: bool = False,
        min_rating: float | None = None,
        keep: Sequence[str] | None = None,
        core: int = 1,
        keep_unused: bool = False,
    ) -> PreparedData:
        """Read a log with one row an interaction. `no_time` (or `time_column=""`): the file is in order already.

        Columns that are not named are found by the names that published logs use, and said. The item file (text
        table, Parquet or JSON lines) has its id in `item_file_id`, by default the column that the log calls the item.
        """
        repairs, path, records = Repairs(), Path(path), []
        table = Options(separator, encoding, no_header)
        columns = ItemColumns(
            item_file_id or item_column,
            title_column,
            brand_column,
            description_column,
            category_columns,
            category_separator,
            surely=item_file_id is not None,
        )
        if item_file is not None:
            # Before the long read of the log, so that a column that is not there is told at once.
            records = list(item_records(Path(item_file), columns, repairs, Options(None, encoding)))
        elif columns.named:
            raise MindRecError("columns of items are named but no --item-file; give the file that holds them")
        wanted = {"user": user_column, "item": item_column, "time": "" if no_time else time_column}
        options = LogOptions(wanted, core, table, keep, min_rating, day_first, time_format)
        events = read(path, options, repairs)
        name = path.name.split(".")[0]
        files = " and ".join(Path(p).name for p in (path, item_file) if p is not None)
        notes = NOTES.format(name=name, files=files)
        return assemble(
            events, records, repairs, name=name, core=core, keep_unused=keep_unused, drop_root=True, labels=labels,
            notes=notes, timed=wanted["time"] != "",
        )  # fmt: skip

    return load
