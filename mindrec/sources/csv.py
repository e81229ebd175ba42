"""Your own log as a text table of any dialect, with an optional item file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError
from mindrec.sources import filters
from mindrec.sources.described import Described, OwnColumns
from mindrec.sources.interactions_log import Events, Log, Numbering
from mindrec.sources.repairs import REFUSE_AFTER, REFUSE_SHARE, Repairs
from mindrec.sources.roles import log_roles
from mindrec.sources.tables import Table, look_at
from mindrec.sources.times import TimeColumn
from mindrec.sources.user_columns import LogOptions, load_with

BATCH = 20_000


def _read(path: Path, options: LogOptions, repairs: Repairs) -> Log:
    return log_of(look_at(path, options.table, repairs), options, repairs, describe=options.item_file is None)


def log_of(table: Table, options: LogOptions, repairs: Repairs, *, describe: bool) -> Log:
    """The events of a table with a row each, as `options` say that it is to be read.

    With `describe` the items come from the columns of the table that are named or known as theirs.
    """
    path = table.path
    roles = log_roles(table.columns, options.wanted, path.name, repairs, header=bool(table.header_lines))
    columns = OwnColumns.of(table.columns, roles, options.items, path.name) if describe else None
    items = Described(columns, table.columns, path.name) if columns else None
    rules = filters.rules(options.keep, options.min_rating, table.columns, path.name)
    if not rules:
        filters.hint(table.columns, table.head, path.name, repairs)
    column_of = {use: table.columns.index(column) for use, column in roles.items()}
    tests = [(table.columns.index(column), filters.test_of(sign, values)) for column, sign, values in rules]
    numbering = Numbering(repairs)
    times = TimeColumn(roles.get("time", ""), options.day_first, options.time_format)
    lines: list[np.ndarray] = []
    for batch in _batches(_kept(table, column_of, tests, items, repairs)):
        numbers, users, item_ids, texts = zip(*batch, strict=True)
        usable = numbering.add(users, item_ids, numbers, str(path))
        if "time" in column_of:
            times.add([text for text, use in zip(texts, usable, strict=True) if use])
            lines.append(np.array(numbers, dtype=np.uint32)[usable])
    events = numbering.events()
    if "time" not in column_of:
        events = replace(events, time_M=np.arange(len(events), dtype=np.float64))
    else:
        events = _timed(events, times, np.concatenate(lines) if lines else np.zeros(0, np.uint32), path, repairs)
    return Log(events, list(items.items(repairs)) if items else ())


def _kept(table: Table, column_of: dict, tests: list, items: Described | None, repairs: Repairs) -> Iterator[tuple]:
    """(line, user, item, time) of every row that counts; `items` sees it."""
    user, item, time = column_of["user"], column_of["item"], column_of.get("time", column_of["user"])
    last = max([*column_of.values(), *(column for column, _ in tests), *(items.places if items else ())])
    for seen, (number, row) in enumerate(table.rows(repairs), 1):
        if len(row) <= last:
            repairs.malformed("row_malformed", f"{table.path}, line {number}", seen)
        elif tests and not all(passes(row[column]) for column, passes in tests):
            repairs.count("filtered", f"{table.path.name}, line {number}")
        else:
            if items:
                items.see(row[item], row)
            yield number, row[user], row[item], row[time]


def _batches(rows: Iterator[tuple]) -> Iterator[list[tuple]]:
    batch: list[tuple] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _timed(events: Events, times: TimeColumn, line_M: np.ndarray, path: Path, repairs: Repairs) -> Events:
    """Events with their times, without those whose time is none."""
    time_M = times.finish(repairs.warn)
    bad = np.isnan(time_M)
    lost = int(bad.sum())
    repairs.count("bad_time", f"{path}, line {line_M[bad.argmax()]}" if lost else "", lost)
    if lost > REFUSE_AFTER and lost > REFUSE_SHARE * len(time_M):
        raise MindRecError(
            f"{path}, line {line_M[bad.argmax()]}: {lost} of {len(time_M)} rows fall under `bad_time`: column "
            f"{times.name!r} is not a time there; name the time with --time-column, its form with --time-format "
            "(as '%d/%m/%Y %H:%M'), or give --no-time"
        )
    events = replace(events, time_M=time_M)
    events.keep(~bad)
    return events


load = load_with(_read)
