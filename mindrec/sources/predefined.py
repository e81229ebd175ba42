"""Logs that come split: the rows of a training, a validation and a test file, or rows that hold a whole history."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from mindrec.data.catalog import SPLITS
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import Events
from mindrec.sources.repairs import Repairs

_PART = re.compile(r"(?i)^(?:(?P<name>.*)[._-])?(?P<part>train|training|valid|validation|val|dev|test)$")
_SEPARATOR = "\x1f"


def part_of(stem: str) -> tuple[str, str] | None:
    """(name of the data, its split) of a file called NAME.train or the like; None for any other."""
    match = _PART.match(stem)
    if not match:
        return None
    part = match["part"].lower()
    return match["name"] or "", SPLITS[0] if part.startswith("train") else SPLITS[2] if part == "test" else SPLITS[1]


def parts_of(stems: Sequence[str], where: str) -> tuple[str, dict[str, str]] | None:
    """(name of the data, {split: stem}) where the files are one log in parts, None where they are not.

    Raises:
        MindRecError: the training part is missing, or a part is there twice.
    """
    known = {stem: part_of(stem) for stem in stems}
    if len(stems) < 2 or not all(known.values()) or len({name for name, _ in known.values()}) != 1:
        return None
    parts = {part: stem for stem, (_, part) in known.items()}
    if len(parts) < len(stems) or SPLITS[0] not in parts:
        raise MindRecError(
            f"{where} holds {', '.join(sorted(stems))}; one file of each split and one of them for training is needed"
        )
    return known[stems[0]][0], {part: parts[part] for part in SPLITS if part in parts}


def joined(parts: dict[str, Events], repairs: Repairs) -> Events:
    """The events of all parts as one log that knows the split of each row.

    Without a validation part each user's last training row is held out for it, as training has to choose an epoch.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    held = []
    for part, events in parts.items():
        user_of_U = np.array([users.setdefault(name, len(users)) for name in events.users], dtype=np.int32)
        item_of_I = np.array([items.setdefault(name, len(items)) for name in events.items], dtype=np.int32)
        split_M = np.full(len(events), SPLITS.index(part), dtype=np.uint8)
        held.append((user_of_U[events.user_M], item_of_I[events.item_M], events.time_M, split_M))
    user_M, item_M, time_M, split_M = (np.concatenate(column) for column in zip(*held, strict=True))
    if SPLITS[1] not in parts:
        order = np.lexsort((time_M, split_M, user_M))
        train = order[split_M[order] == 0]
        last = train[np.r_[user_M[train][1:] != user_M[train][:-1], True]] if len(train) else train
        split_M[last] = 1
        repairs.note("there is no validation part: the last training row of each user is held out for it")
    counts = ", ".join(f"{int((split_M == n).sum()):,} {part}" for n, part in enumerate(SPLITS))
    repairs.note(f"the split of the files is kept ({counts} rows)")
    return Events(list(users), list(items), user_M, item_M, time_M, split_M)


def unrolled(rows: Iterable[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """{user: items in order} of rows that each hold a part of the user's sequence, as rolled-out files have them.

    A row that another one contains adds nothing; one that begins where the others end goes on from there.
    """
    held: dict[str, list[str]] = {}
    for user, items in rows:
        whole = held.get(user, [])
        if _contains(items, whole):
            held[user] = items
        elif not _contains(whole, items):
            shared = next(k for k in range(min(len(whole), len(items)), -1, -1) if whole[len(whole) - k :] == items[:k])
            held[user] = whole + items[shared:]
    return held


def _contains(whole: list[str], part: list[str]) -> bool:
    def text(names: list[str]) -> str:
        return _SEPARATOR + "".join(name + _SEPARATOR for name in names)

    return len(part) <= len(whole) and text(part) in text(whole)
