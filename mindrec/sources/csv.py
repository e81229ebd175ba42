"""Your own log as CSV or TSV, with an optional item file; columns are named by options and checked before reading."""

from collections.abc import Iterator
from pathlib import Path

from mindrec.sources.interactions_log import Events, collect, parse_time
from mindrec.sources.readers import columns_of, csv_rows, delimiter_of, header_of, open_binary
from mindrec.sources.repairs import Repairs
from mindrec.sources.user_columns import own_log


def _events(path: Path, wanted: dict[str, str | None], core: int, repairs: Repairs) -> Events:
    return collect(_rows(path, wanted, repairs), repairs)


def _rows(path: Path, wanted: dict[str, str | None], repairs: Repairs) -> Iterator[tuple[str, str, str, float]]:
    with open_binary(path) as stream:
        rows = csv_rows(stream, str(path), repairs, delimiter=delimiter_of(path))
        place = columns_of(header_of(rows, path), wanted, str(path))
        user, item, last = place["user"], place["item"], max(place.values())
        for count, (number, row) in enumerate(rows, 1):
            where = f"{path}, line {number}"
            time = parse_time(row[place["time"]]) if "time" in place and len(row) > last else float(count)
            if len(row) <= last:
                repairs.malformed("row_malformed", where, count)
            elif time is None:
                repairs.malformed("bad_time", f"{where}: {row[place['time']]!r}", count)
            else:
                yield where, row[user].strip(), row[item].strip(), time


load = own_log(_events)
