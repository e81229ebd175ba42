"""From a log of (user, item, time) rows to sequences: ids as numbers, k-core filter, time order.

Shape legend: M events, U users, I items.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, Ragged
from mindrec.errors import MindRecError
from mindrec.sources.repairs import Repairs, clean_items, usable_id, without_common_root


@dataclass
class Events:
    """Events in the order of the file; 16 bytes each beside the ids.

    Attributes:
        users, items: the ids, in order of first appearance.
        user_M, item_M: int32 places in those lists.
        time_M: float64; only its order matters.
    """

    users: Sequence[str]
    items: Sequence[str]
    user_M: np.ndarray
    item_M: np.ndarray
    time_M: np.ndarray

    def __len__(self) -> int:
        return len(self.user_M)

    def keep(self, mask_M: np.ndarray) -> "Events":
        return Events(self.users, self.items, self.user_M[mask_M], self.item_M[mask_M], self.time_M[mask_M])


def collect(rows: Iterable[tuple[str, str, str, float]], repairs: Repairs) -> Events:
    """Number the ids of (where, user, item, time) rows as they come. Rows with an unusable id are dropped."""
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    user_M, item_M, time_M = array("i"), array("i"), array("d")
    for seen, (where, user, item, time) in enumerate(rows, 1):
        if not (usable_id(user) and usable_id(item)):
            repairs.malformed("missing_id", where, seen)
            continue
        user_M.append(users.setdefault(user, len(users)))
        item_M.append(items.setdefault(item, len(items)))
        time_M.append(time)
    return Events(
        list(users),
        list(items),
        np.frombuffer(user_M, dtype=np.int32) if user_M else np.zeros(0, np.int32),
        np.frombuffer(item_M, dtype=np.int32) if item_M else np.zeros(0, np.int32),
        np.frombuffer(time_M, dtype=np.float64) if time_M else np.zeros(0),
    )


def parse_time(text: str) -> float | None:
    """Seconds or any other number as it is, or an ISO date; None where it is neither."""
    try:
        value = float(text)
        return value if np.isfinite(value) else None
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def filtered(events: Events, core: int, repairs: Repairs) -> Events:
    """Events without exact repeats, in the k-core, of users with two or more of them."""
    if not len(events):
        raise MindRecError("the log holds no usable rows; check the file and the column options")
    order = np.lexsort((events.time_M, events.item_M, events.user_M))
    repeat = np.zeros(len(order), dtype=bool)
    repeat[order[1:]] = np.logical_and.reduce(
        [values[order[1:]] == values[order[:-1]] for values in (events.user_M, events.item_M, events.time_M)]
    )
    del order
    repairs.count("duplicate_event", f"user {events.users[events.user_M[repeat.argmax()]]}", int(repeat.sum()))
    events = events.keep(~repeat)
    before = len(events)
    events = k_core(events, core)
    repairs.count("outside_core", n=before - len(events))
    per_user = np.bincount(events.user_M, minlength=1)
    short = per_user[events.user_M] < 2
    repairs.count("short_user", n=int((per_user == 1).sum()))
    events = events.keep(~short)
    if not len(events):
        raise MindRecError(
            f"no user is left with two or more interactions in the {core}-core of {before:,}; lower --core (1 keeps "
            "every item)"
        )
    return events


def k_core(events: Events, core: int) -> Events:
    """The largest part of the log in which every user and every item occurs `core` times."""
    if core < 1:
        raise MindRecError(f"--core {core} is below 1; 1 keeps everything")
    while True:
        users, items = np.bincount(events.user_M, minlength=1), np.bincount(events.item_M, minlength=1)
        keep = (users[events.user_M] >= core) & (items[events.item_M] >= core)
        if keep.all():
            return events
        events = events.keep(keep)


def assemble(
    events: Events,
    records: Iterable[Item],
    repairs: Repairs,
    *,
    name: str,
    core: int = 1,
    keep_unused: bool = False,
    require_record: bool = False,
    drop_root: bool = False,
    notes: str = "",
) -> PreparedData:
    """Join a log with its item records.

    Args:
        require_record: drop events of items that have no record, instead of keeping those items under their id.
        drop_root: leave out a first category name that all paths share.
    """
    known = clean_items(records, repairs)
    if require_record:
        has = np.array([item in known for item in events.items], dtype=bool)
        missing = ~has[events.item_M] if len(events) else np.zeros(0, bool)
        repairs.count("unknown_item", n=int(missing.sum()))
        events = events.keep(~missing)
    events = filtered(events, core, repairs)
    used = np.zeros(len(events.items), dtype=bool)
    used[events.item_M] = True
    taken = {events.items[n] for n in np.flatnonzero(used)}
    unused = [item_id for item_id in known if item_id not in taken]
    repairs.count("unused_item_kept" if keep_unused else "unused_item", f"item {unused[:1]}", len(unused))
    items = [item for item_id, item in known.items() if keep_unused or item_id in taken]
    without = [events.items[n] for n in np.flatnonzero(used) if events.items[n] not in known]
    if known:
        repairs.count("item_without_record", f"item {without[:1]}", len(without))
    items += [Item(item_id, f"Item {item_id}") for item_id in without]
    if drop_root:
        paths = without_common_root([item.categories for item in items])
        items = [replace(item, categories=path) for item, path in zip(items, paths, strict=True)]
    catalog = Catalog(tuple(items), name=name, category_depth=None)
    return PreparedData(catalog, sequences(events, catalog, repairs), notes=notes, repairs=repairs.lines())


def sequences(events: Events, catalog: Catalog, repairs: Repairs) -> Interactions:
    """Each user's items in time order; the order of the file decides between equal times."""
    order = np.lexsort((events.time_M, events.user_M))
    user_M, time_M = events.user_M[order], events.time_M[order]
    tied = (user_M[1:] == user_M[:-1]) & (time_M[1:] == time_M[:-1])
    repairs.count("time_tie", n=int(tied.sum()))
    row_of_I = np.array([catalog.row_of.get(item, -1) for item in events.items], dtype=np.int32)
    starts = np.flatnonzero(np.r_[True, user_M[1:] != user_M[:-1]])
    names = tuple(events.users[n] for n in user_M[starts])
    return Interactions(names, Ragged(row_of_I[events.item_M[order]], np.r_[starts, len(order)]), len(catalog))
