"""What the csv and parquet sources have in common: your own log, its columns named by options, with an item file."""

from collections.abc import Callable
from pathlib import Path

from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import Events, assemble
from mindrec.sources.itemfile import ItemColumns, item_records
from mindrec.sources.repairs import Repairs

NOTES = """# {name}
Your own interaction log, read from {files}. Its licence is the one you hold it under: set it down here before you
share this folder.
"""

ReadLog = Callable[[Path, dict[str, str | None], int, Repairs], Events]
"""(path, {"user", "item", "time": column or None}, core, repairs) -> events in the order of the rows."""


def own_log(read: ReadLog) -> Callable[..., PreparedData]:
    """The `load` of a source whose log `read` reads."""

    def load(
        path: Path,
        *,
        item_file: Path | None = None,
        user_column: str = "user_id",
        item_column: str = "item_id",
        time_column: str | None = "timestamp",
        title_column: str | None = None,
        brand_column: str | None = None,
        description_column: str | None = None,
        category_columns: str | None = None,
        category_separator: str | None = None,
        core: int = 1,
        keep_unused: bool = False,
    ) -> PreparedData:
        """Read a log with one row an interaction. `time_column=""`: the file is in time order already.

        The item file (CSV, TSV, Parquet or JSON lines) needs `item_column`, as the log does.
        """
        repairs, path, records = Repairs(), Path(path), []
        columns = ItemColumns(
            item_column, title_column, brand_column, description_column, category_columns, category_separator
        )
        if item_file is not None:
            # Before the long read of the log, so that a column that is not there is told at once.
            records = list(item_records(Path(item_file), columns, repairs))
        elif columns.named:
            raise MindRecError("columns of items are named but no --item-file; give the file that holds them")
        events = read(path, {"user": user_column, "item": item_column, "time": time_column or None}, core, repairs)
        name = path.name.split(".")[0]
        files = " and ".join(Path(p).name for p in (path, item_file) if p is not None)
        notes = NOTES.format(name=name, files=files)
        return assemble(events, records, repairs, name=name, core=core, keep_unused=keep_unused, notes=notes)

    return load
