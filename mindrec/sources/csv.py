"""Your own log as a text table of any dialect, with an optional item file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError
from mindrec.sources import filters
from mindrec.sources.interactions_log import Events, Numbering
from mindrec.sources.repairs import REFUSE_AFTER, REFUSE_SHARE, Repairs
from mindrec.sources.roles import log_roles
from mindrec.sources.tables import Table, look_at
from mindrec.sources.times import TimeColumn
from mindrec.sources.user_columns import LogOptions, own_log

BATCH = 20_000


def _events(path: Path, options: LogOptions, repairs: Repairs) -> Events:
    return events_of(look_at(path, options.table, repairs), options, repairs)


def events_of(table: Table, options: LogOptions, repairs: Repairs) -> Events:
    """The events of a table with a row each, as `options` say that it is to be read."""
    path = table.path
    roles = log_roles(table.columns, options.wanted, path.name, repairs, header=bool(table.header_lines))
    rules = filters.rules(options.keep, options.min_rating, table.columns, path.name)
    if not rules:
        filters.hint(table.columns, table.head, path.name, repairs)
    place = {use: table.columns.index(column) for use, column in roles.items()}
    tests = [(table.columns.index(column), filters.test_of(sign, values)) for column, sign, values in rules]
    numbering = Numbering(repairs)
    times = TimeColumn(roles.get("time", ""), options.day_first, options.time_format)
    lines: list[np.ndarray] = []
    for batch in _batches(_kept(table, place, tests, repairs)):
        numbers, users, items, texts = zip(*batch, strict=True)
        usable = numbering.add(users, items, numbers, str(path))
        if "time" in place:
            times.add([text for text, use in zip(texts, usable, strict=True) if use])
            lines.append(np.array(numbers, dtype=np.uint32)[usable])
    events = numbering.events()
    if "time" not in place:
        return replace(events, time_M=np.arange(len(events), dtype=np.float64))
    return _timed(events, times, np.concatenate(lines) if lines else np.zeros(0, np.uint32), path, repairs)


def _kept(table: Table, place: dict[str, int], tests: list, repairs: Repairs) -> Iterator[tuple]:
    user, item, time = place["user"], place["item"], place.get("time", place["user"])
    last = max([*place.values(), *(column for column, _ in tests)])
    for seen, (number, row) in enumerate(table.rows(repairs), 1):
        if len(row) <= last:
            repairs.malformed("row_malformed", f"{table.path}, line {number}", seen)
        elif tests and not all(passes(row[column]) for column, passes in tests):
            repairs.count("filtered", f"{table.path.name}, line {number}")
        else:
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
    return events.keep(~bad) if lost else events


load = own_log(_events)
