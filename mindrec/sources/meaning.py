"""Warnings about data that is read without a fault and may mislead: meaningless order, repeats, labels as levels."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mindrec.data.catalog import DEFAULT_DEPTH, Interactions
from mindrec.data.ids import loose_id
from mindrec.data.splits import MOSTLY, too_short
from mindrec.errors import MindRecError
from mindrec.sources.repairs import MAX_DEPTH, Repairs, without_common_root

LABELS = ("first", "rarest", "sorted")
CREDIBLE = (631_152_000.0, 4_102_444_800.0)
"""Seconds from 1990 to the end of 2099."""
LARGE_USER, LEAST_USERS = 0.2, 20
USERS_AT_A_TIME = 50_000
LOUD_SHARE = 0.05
"""Share of repeats from which they are said; fewer change no figure that anyone reads."""


def check_match(without: Sequence[str], used: int, known: Sequence[str], repairs: Repairs) -> None:
    """Refuse an item file that lists no item of the log; warn where it lists fewer than half."""
    if len(without) == used:
        raise MindRecError(
            f"the item file lists none of the {used:,} items of the log (there {', '.join(map(repr, known[:3]))}; here "
            f"{', '.join(map(repr, without[:3]))}): the two name items differently; name the item file's id with "
            f"--item-file-id, or leave --item-file out{_spelt_apart(without, known)}"
        )
    if 2 * len(without) > used:
        repairs.warn(
            f"{len(without):,} of {used:,} items of the log are not in the item file (first: {without[0]}): they have "
            f"no title and no category; check that both files name items alike{_spelt_apart(without, known)}"
        )


def _spelt_apart(without: Sequence[str], known: Sequence[str]) -> str:
    """Two ids that differ in leading zeros, case or signs alone, and the remedy; "" where there are none."""
    near = {loose_id(text): text for text in known}
    pair = next(((text, near[loose_id(text)]) for text in without if loose_id(text) in near), None)
    if pair is None:
        return ""
    return (
        f"; {pair[0]!r} of the log and {pair[1]!r} of the item file differ in leading zeros, case or signs alone: "
        "a spreadsheet drops leading zeros; write ids as text in both"
    )


def whole_semantic_ids(codes: dict, ids: Sequence[str], repairs: Repairs) -> dict[str, tuple[str, ...]] | None:
    """The semantic IDs of all items as texts; None where some item has none or a number of codes of its own.

    How many items are concerned, the first of them and the remedy are then said.
    """
    depth = {item: len(codes[item]) if isinstance(codes.get(item), (list, tuple)) else 0 for item in ids}
    usual = Counter(number for number in depth.values() if number).most_common(1)
    if not usual:
        repairs.count("semantic_ids_incomplete", n=len(ids))
        return None
    none = [item for item, number in depth.items() if not number]
    others = [item for item, number in depth.items() if number and number != usual[0][0]]
    if not none and not others:
        return {item: tuple(map(str, codes[item])) for item in ids}
    faults = [f"{len(none):,} of {len(ids):,} items have none (first: item {none[0]})"] if none else []
    if others:
        faults.append(
            f"{len(others):,} of {len(ids):,} items have another number of codes than {usual[0][0]} (first: item "
            f"{others[0]}, {depth[others[0]]})"
        )
    repairs.count("semantic_ids_incomplete", n=len(none) + len(others))
    repairs.warn(
        f"the data's own semantic IDs are left out, since every item needs {usual[0][0]} codes: "
        f"{' and '.join(faults)}; complete them, or train with --semantic-ids residual, which makes new ones"
    )
    return None


def ordered_labels(paths: list[tuple[str, ...]], how: str | None, repairs: Repairs) -> list[tuple[str, ...]]:
    """Paths from labels in no order: the `first` alone, the `rarest` alone, or `sorted` with the most common first.

    Without `how` they stay, and it is said where one name stands on several levels, as labels do and levels do not.
    Raises MindRecError for another `how`.
    """
    if how is not None:
        if how not in LABELS:
            raise MindRecError(f"--labels {how!r} is not one of {', '.join(LABELS)}")
        count = Counter(name for path in paths for name in path)
        if how == "first":
            return [path[:1] for path in paths]
        ranked = [tuple(sorted(path, key=lambda name: (-count[name], name))) for path in paths]
        return ranked if how == "sorted" else [path[-1:] for path in ranked]
    levels: dict[str, set[int]] = {}
    for path in paths:
        for level, name in enumerate(path):
            levels.setdefault(name, set()).add(level)
    several = sorted(name for name, held in levels.items() if len(held) > 1)
    if len(several) > max(1, 0.3 * len(levels)):
        repairs.warn(
            f"{len(several)} of {len(levels)} category names ({', '.join(several[:3])}) stand on several levels: these "
            "look like labels in no order, not like a path, so 'A > B' and 'B > A' are far apart; --labels "
            "first|rarest|sorted makes paths of them"
        )
    return paths


def without_roots(paths: list[tuple[str, ...]], repairs: Repairs) -> list[tuple[str, ...]]:
    """Paths without the names that all of them begin with, which is said."""
    dropped: list[str] = []
    while (shorter := without_common_root(paths)) != paths:
        if max(map(len, shorter)) < 2:  # a short tree keeps its shape
            break
        dropped.append(next(path[0] for path in paths if path))
        paths = shorter
    if dropped:
        repairs.warn(f"all category paths begin with {' > '.join(dropped)}, which tells nothing and is left out")
    return paths


def judge_depth(paths: list[tuple[str, ...]], depth: int | None, repairs: Repairs) -> int:
    """The levels of a path that are used, where `depth` says none the usual number; says how many items are cut.

    Raises:
        MindRecError: a depth outside 1..12.
    """
    if depth is not None and not 1 <= depth <= MAX_DEPTH:
        raise MindRecError(f"--depth {depth} is outside 1..{MAX_DEPTH}, the levels that a category path may have")
    used = depth or DEFAULT_DEPTH
    deepest = max(map(len, paths), default=0)
    if deepest > used:
        deep = sum(len(path) > used for path in paths)
        repairs.warn(
            f"category paths have {deepest} levels; the first {used} are used ({deep:,} items are cut); --depth "
            f"{deepest} uses all"
        )
    return used


def judge_order(interactions: Interactions, ids: Sequence[str], timed: bool, repairs: Repairs) -> None:
    """Warn where the order of the rows is the order of the ids, of repeats, and of sequences too short to test."""
    flat, starts = interactions.sequences.flat, interactions.sequences.starts
    inner = np.ones(len(flat), bool)
    inner[starts[:-1]] = False
    if not timed and inner.sum() >= 30:
        rank = np.empty(len(ids), dtype=np.int64)
        rank[sorted(range(len(ids)), key=lambda row: _key(ids[row]))] = np.arange(len(ids))
        step = np.diff(rank[flat])[inner[1:]]
        if (step >= 0).mean() > 0.95:
            repairs.warn(
                "without times the order is that of the rows, and they are sorted by item id: the 'next item' says "
                "nothing; give a time column, or rows in the order in which things happened"
            )
    if why := too_short(interactions):
        repairs.warn(f"`train` will refuse this data: {why}")
    _judge_repeats(interactions, timed, repairs)


def _judge_repeats(interactions: Interactions, timed: bool, repairs: Repairs) -> None:
    """Warn of repeats. Where most last items are some, `prepare` says so first of all and names the setting."""
    flat, starts = interactions.sequences.flat, interactions.sequences.starts
    lengths = np.diff(starts)
    again = _had_before(flat, starts)
    repeats, last = int(again.sum()), int(again[starts[1:] - 1].sum())
    if repeats > LOUD_SHARE * len(flat):
        rows = "" if timed else " (without times a copy of a row cannot be told from taking an item again)"
        line = f"{repeats:,} of {len(flat):,} interactions repeat an item of the same user{rows}"
        mostly = last > MOSTLY * len(lengths)
        if not mostly:
            line += (
                f"; the last item of {last:,} of {len(lengths):,} users is one they had before, and "
                "exclude_seen=true rules it out: set exclude_seen=false (evaluate --decoder exclude_seen=false) if "
                "people come back to the same items"
            )
        if not (mostly and timed):
            repairs.warn(line)


def _had_before(flat: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Which interactions repeat an earlier one of their sequence, bool (M,); some users at a time, to save memory."""
    again = np.zeros(len(flat), bool)
    for first in range(0, len(starts) - 1, USERS_AT_A_TIME):
        ends = starts[first : first + USERS_AT_A_TIME + 1]
        rows = flat[ends[0] : ends[-1]]
        user_B = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        order = np.lexsort((rows, user_B))  # stable: of equal ones the earliest is first
        later, sooner = order[1:], order[:-1]
        again[ends[0] + later] = (rows[later] == rows[sooner]) & (user_B[later] == user_B[sooner])
    return again


def judge_times(time_M: np.ndarray, repairs: Repairs) -> None:
    """Warn of times that are all one, and of moments before 1990 or after 2099 where most lie between.

    Args:
        time_M: of the events, in seconds or a finer unit since 1970, or numbers that only order them.
    """
    if len(time_M) < 2:
        return
    if np.ptp(time_M) == 0:
        repairs.warn(
            f"all rows have the same time ({time_M[0]:g}), so that the order is that of the file; name another "
            "--time-column, or give --no-time if the rows are in order"
        )
        return
    middle = float(np.median(time_M))
    scale = next((scale for scale in (1.0, 1e3, 1e6, 1e9) if CREDIBLE[0] <= middle / scale < CREDIBLE[1]), None)
    if scale is None:
        return
    odd = (time_M < CREDIBLE[0] * scale) | (time_M >= CREDIBLE[1] * scale)
    if odd.any():
        first = np.clip(time_M[odd][0] / scale, -6e10, 2.5e11)
        moment = np.datetime64(int(first), "s").astype("datetime64[D]")
        repairs.warn(
            f"{int(odd.sum()):,} rows have a time before 1990 or after 2099 (first: {moment}), which stands for an "
            "unknown time in many exports and puts them first or last in their sequences; --keep 'COLUMN>NUMBER' drops "
            "some, or mend the column"
        )


def judge_users(names: Sequence[str], user_M: np.ndarray, repairs: Repairs) -> None:
    """Warn of a log of one user, and of a user with a large share of all rows, who may stand for many.

    Args:
        names: of all users that the log names.
        user_M: places in them, one an event.
    """
    per_user = np.bincount(user_M, minlength=1)
    users, busiest = int((per_user > 0).sum()), int(per_user.argmax())
    if users == 1:
        repairs.warn(f"all rows are of one user ({names[busiest]!r}); check --user-column")
    elif users >= LEAST_USERS and per_user[busiest] > LARGE_USER * len(user_M):
        repairs.warn(
            f"user {names[busiest]!r} has {per_user[busiest] / len(user_M):.0%} of all rows of {users:,} users: a name "
            f"for those who are unknown? --keep 'COLUMN!={names[busiest]}' drops them"
        )


def _key(text: str) -> tuple:
    return (0, int(text), "") if text.isdecimal() and len(text) < 30 else (1, 0, text)
