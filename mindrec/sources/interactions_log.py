"""From a log of (user, item, time) rows to sequences: ids as numbers, k-core filter, time order.

Shape legend: M events, U users, I items.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import numpy as np

from mindrec.data.catalog import SPLITS, Catalog, Interactions, Item, PreparedData, Ragged
from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError
from mindrec.sources.meaning import (
    check_match,
    judge_depth,
    judge_order,
    judge_times,
    judge_users,
    ordered_labels,
    without_roots,
)
from mindrec.sources.repairs import REFUSE_AFTER, Repairs, clean_items, usable_id
from mindrec.sources.values import SCIENTIFIC


@dataclass
class Events:
    """Events in the order of the file; 16 bytes each beside the ids.

    Attributes:
        users, items: the ids, in order of first appearance.
        user_M, item_M: int32 places in those lists.
        time_M: float64; only its order matters.
        split_M: uint8 places in `SPLITS` where the publisher split the log; None otherwise.
    """

    users: Sequence[str]
    items: Sequence[str]
    user_M: np.ndarray
    item_M: np.ndarray
    time_M: np.ndarray
    split_M: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user_M)

    def keep(self, mask_M: np.ndarray) -> None:
        """Leave only the events of a mask: in place and a column at a time, so that a log is never held twice."""
        if mask_M.all():
            return
        for name in ("user_M", "item_M", "time_M", "split_M"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name)[mask_M])


@dataclass(frozen=True)
class Log:
    """The events that a source has read, and the items as its rows describe them, if they do."""

    events: Events
    items: Sequence[Item] = ()


class Numbering:
    """Ids as numbers, in the order in which they come; each spelling of an id is judged once."""

    def __init__(self, repairs: Repairs):
        self.repairs, self.seen = repairs, 0
        self.users: dict[str, int] = {}
        self.items: dict[str, int] = {}
        # Other spellings of the same ids, and -1 for texts that are none.
        self.user_of: dict[str, int] = {}
        self.item_of: dict[str, int] = {}
        self.user_M, self.item_M = array("i"), array("i")

    def add(self, users: Sequence[str], items: Sequence[str], lines: Sequence[object], name: str = "") -> np.ndarray:
        """Number a batch; bool (B,): which of its rows have usable ids, the others are dropped and counted."""
        user_B = np.array(_codes(users, self.user_of, self.users), dtype=np.int32)
        item_B = np.array(_codes(items, self.item_of, self.items), dtype=np.int32)
        usable = (user_B >= 0) & (item_B >= 0)
        for n in np.flatnonzero(~usable):
            where = f"{name}, line {lines[n]}" if name else str(lines[n])
            self.repairs.count("missing_id", where)
        self.seen += len(usable)
        self.user_M.frombytes(user_B[usable].tobytes())
        self.item_M.frombytes(item_B[usable].tobytes())
        return usable

    def events(self) -> "Events":
        """The events so far, without times. Raises MindRecError where half of the rows have no id."""
        lost = self.seen - len(self.user_M)
        if lost > REFUSE_AFTER and 2 * lost > self.seen:
            raise MindRecError(
                f"{lost:,} of {self.seen:,} rows fall under `missing_id` (first: "
                f"{self.repairs.examples['missing_id']}); "
                "check the columns that --user-column and --item-column name"
            )
        rounded = [text for text in self.items if SCIENTIFIC.match(text)]
        if rounded:
            self.repairs.warn(
                f"{len(rounded):,} item ids are numbers rounded by a sheet (first: {rounded[0]}), so that several "
                "items may share one; export the column as text"
            )
        user_M, item_M = (np.frombuffer(held, dtype=np.int32) for held in (self.user_M, self.item_M))
        return Events(list(self.users), list(self.items), user_M, item_M, np.zeros(0))


def _codes(texts: Sequence[str], code_of: dict[str, int], ids: dict[str, int]) -> list[int]:
    codes = []
    for text in texts:
        code = ids.get(text)
        if code is None and (code := code_of.get(text)) is None:
            name = normal_id(text)
            code = ids.setdefault(name, len(ids)) if usable_id(name) else -1
            if code < 0 or name != text:
                code_of[text] = code
        codes.append(code)
    return codes


def collect(rows: Iterable[tuple[str, str, str, float]], repairs: Repairs) -> Events:
    """Number the ids of (where, user, item, time) rows as they come. Rows with an unusable id are dropped."""
    numbering, time_M, rows = Numbering(repairs), array("d"), iter(rows)
    while batch := list(islice(rows, 50_000)):
        where, users, items, times = zip(*batch, strict=True)
        usable = numbering.add(users, items, where)
        time_M.frombytes(np.array(times, dtype=np.float64)[usable].tobytes())
    events = numbering.events()
    return replace(events, time_M=np.frombuffer(time_M, dtype=np.float64))


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


def filter_events(events: Events, core: int, repairs: Repairs) -> None:
    """Drop exact repeats, events outside the k-core, and users with fewer than two events, in place.

    Raises MindRecError where nothing is left.
    """
    if not len(events):
        raise MindRecError("the log holds no usable rows; check the file and the column options")
    order = np.lexsort((events.time_M, events.item_M, events.user_M))
    repeat = np.zeros(len(order), dtype=bool)
    repeat[order[1:]] = np.logical_and.reduce(
        [values[order[1:]] == values[order[:-1]] for values in (events.user_M, events.item_M, events.time_M)]
    )
    del order
    repairs.count("duplicate_event", f"user {events.users[events.user_M[repeat.argmax()]]}", int(repeat.sum()))
    events.keep(~repeat)
    before = len(events)
    keep_core(events, core)
    repairs.count("outside_core", n=before - len(events))
    per_user = np.bincount(events.user_M, minlength=1)
    short = per_user[events.user_M] < 2
    repairs.count("short_user", n=int((per_user == 1).sum()))
    events.keep(~short)
    if not len(events):
        remedy = (
            "every user has one, so that there is no next item to learn: check --user-column, or add more of the log"
            if core == 1
            else "lower --core (1 keeps every item)"
        )
        raise MindRecError(f"no user is left with two or more interactions in the {core}-core of {before:,}; {remedy}")


def keep_core(events: Events, core: int) -> None:
    """Leave the largest part of the log in which every user and every item occurs `core` times, in place.

    Raises MindRecError for a core below 1.
    """
    if core < 1:
        raise MindRecError(f"--core {core} is below 1; 1 keeps everything")
    while True:
        users, items = np.bincount(events.user_M, minlength=1), np.bincount(events.item_M, minlength=1)
        keep = (users[events.user_M] >= core) & (items[events.item_M] >= core)
        if keep.all():
            return
        events.keep(keep)


def assemble(
    events: Events,
    records: Iterable[Item],
    repairs: Repairs,
    *,
    name: str,
    core: int = 1,
    keep_unused: bool = False,
    drop_root: bool = False,
    labels: str | None = None,
    depth: int | None = None,
    timed: bool = True,
    notes: str = "",
) -> PreparedData:
    """Join a log with its item records.

    Args:
        events: of the whole log; those that are filtered out leave it.
        drop_root: leave out a first category name that all paths share.
        labels: how names without an order become a path, see `meaning.ordered_labels`.
        depth: levels of a path that are used; None for the usual number.
        timed: whether the log has times; without them its order is the order of the rows.
    """
    known = clean_items(records, repairs)
    if timed:
        judge_times(events.time_M, repairs)
    filter_events(events, core, repairs)
    judge_users(events.users, events.user_M, repairs)
    items = _items(events, known, keep_unused, repairs)
    paths = ordered_labels([item.categories for item in items], labels, repairs)
    if drop_root:
        paths = without_roots(paths, repairs)
    depth = judge_depth(paths, depth, repairs)
    items = [replace(item, categories=path) for item, path in zip(items, paths, strict=True)]
    catalog = Catalog(tuple(items), name=name, category_depth=depth)
    interactions = sequences(events, catalog, repairs)
    judge_order(interactions, [item.item_id for item in items], timed, repairs)
    if events.split_M is not None:
        interactions = as_split(interactions, events)
    return PreparedData(catalog, interactions, notes=notes, repairs=repairs.lines())


def _items(events: Events, known: dict[str, Item], keep_unused: bool, repairs: Repairs) -> list[Item]:
    """The items of the catalog: those of the log and, where wanted, those that only their records know."""
    used = np.zeros(len(events.items), dtype=bool)
    used[events.item_M] = True
    taken = {events.items[n] for n in np.flatnonzero(used)}
    unused = [item_id for item_id in known if item_id not in taken]
    repairs.count("unused_item_kept" if keep_unused else "unused_item", f"item {unused[:1]}", len(unused))
    without = [events.items[n] for n in np.flatnonzero(used) if events.items[n] not in known]
    if known:
        repairs.count("item_without_record", f"item {without[:1]}", len(without))
        check_match(without, len(taken), list(known), repairs)
    items = [item for item_id, item in known.items() if keep_unused or item_id in taken]
    return items + [Item(item_id, f"Item {item_id}") for item_id in without]


def sequences(events: Events, catalog: Catalog, repairs: Repairs) -> Interactions:
    """Each user's items in time order; the order of the file decides between equal times.

    A split that the publisher made comes before the time: what is held out there follows what is not.
    """
    order = _order(events)
    user_M, time_M = events.user_M[order], events.time_M[order]
    tied = (user_M[1:] == user_M[:-1]) & (time_M[1:] == time_M[:-1])
    repairs.count("time_tie", n=int(tied.sum()))
    del time_M, tied
    row_of_I = np.array([catalog.row_of.get(item, -1) for item in events.items], dtype=np.int32)
    starts = np.flatnonzero(np.r_[True, user_M[1:] != user_M[:-1]])
    names = tuple(events.users[n] for n in user_M[starts])
    return Interactions(names, Ragged(row_of_I[events.item_M[order]], np.r_[starts, len(order)]), len(catalog))


def _order(events: Events) -> np.ndarray:
    split = () if events.split_M is None else (events.split_M,)
    return np.lexsort((events.time_M, *split, events.user_M))


def as_split(interactions: Interactions, events: Events) -> Interactions:
    """Whole sequences as the publisher's split has them: the training rows, and a sequence for each held-out row.

    The sequence of a held-out row is all that came before it, with the row last, as `data.splits.cases` asks it.
    """
    split_M = events.split_M[_order(events)]
    names, rows, splits = [], [], []
    for n, user in enumerate(interactions.user_ids):
        items = interactions.sequences[n]
        parts = split_M[interactions.sequences.starts[n] : interactions.sequences.starts[n + 1]]
        n_train = int((parts == 0).sum())
        if n_train > 1:
            names.append(user)
            rows.append(items[:n_train])
            splits.append(SPLITS[0])
        for position in range(max(n_train, 1), len(items)):
            names.append(user)
            rows.append(items[: position + 1])
            splits.append(SPLITS[parts[position]])
    return Interactions(tuple(names), Ragged.of(rows), interactions.n_items, tuple(splits))
