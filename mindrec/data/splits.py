"""The cases of a split: histories and their targets. Strict item level, the whole catalog ranked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mindrec.data.catalog import SPLITS, Interactions, Ragged
from mindrec.errors import MindRecError

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Case:
    """A history and the item that followed it. `target` and `history` are item rows."""

    user_id: str
    history: tuple[int, ...]
    target: int


def training_sequences(interactions: Interactions) -> list[np.ndarray]:
    """Item rows that training may see: the training split, or each sequence (length,) without its last two items."""
    if interactions.split is None:
        return [rows[:-2] for rows in interactions.sequences if len(rows) >= 3]
    pairs = zip(interactions.sequences, interactions.split, strict=True)
    return [rows for rows, split in pairs if split == "train"]


def item_counts(interactions: Interactions) -> np.ndarray:
    """How many training sequences hold each item (a repeat within one counts once), int64 (N,)."""
    held = [np.unique(rows) for rows in training_sequences(interactions)]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *held]), minlength=interactions.n_items)


def with_something_left(sample: Sequence[Case], n_items: int) -> list[Case]:
    """The cases whose history does not hold the whole catalog: only to them can something new be recommended."""
    return [case for case in sample if len(case.history) < n_items or len(set(case.history)) < n_items]


MOSTLY = 0.5
"""Share of repeated targets above which people are taken to come back to the same items."""


def repeat_share(sample: Sequence[Case]) -> float:
    """Share of cases whose true next item is in their own history."""
    return sum(case.target in case.history for case in sample) / max(len(sample), 1)


def repeats_warning(sample: Sequence[Case], split: str) -> str | None:
    """One line where exclude_seen rules most targets of a split out, else None."""
    return _repeats_line(sum(case.target in case.history for case in sample), len(sample), split)


def repeats_in_test(interactions: Interactions) -> str | None:
    """`repeats_warning` of the test split, without a case for each sequence: a large log has millions."""
    split = interactions.split
    tested = [n for n in range(len(interactions)) if split is None or split[n] == "test"]
    held = (interactions.sequences[n] for n in tested)
    repeats = [bool((rows[:-1] == rows[-1]).any()) for rows in held if len(rows) >= 2]
    return _repeats_line(sum(repeats), len(repeats), "test")


def _repeats_line(repeats: int, n_cases: int, split: str) -> str | None:
    if repeats <= MOSTLY * n_cases:
        return None
    return (
        f"note: {repeats / n_cases:.0%} of {n_cases:,} {split} targets are in their own history, and exclude_seen=true "
        "rules them out; people come back to the same items here: set exclude_seen=false"
    )


def sampled(things: Sequence[Thing], limit: int | None, seed: int) -> list[Thing]:
    """All of them, or a seeded sample of `limit` in their order."""
    if limit is None or limit >= len(things):
        return list(things)
    return [things[n] for n in np.sort(np.random.default_rng(seed).choice(len(things), limit, replace=False))]


def cases(interactions: Interactions, split: str, users: int | None = None, seed: int = 0) -> list[Case]:
    """Cases of a split; a seeded sample of `users` of them where given.

    With a `split` for each sequence, the last item of a held-out sequence is its target. Without one, leave-one-out:
    the last item is the test target and the second-last the validation target.

    Raises:
        MindRecError: no such split, fewer than one user, or no case in the split.
    """
    if users is not None and users < 1:
        raise MindRecError(f"{users} users are asked for; a whole number from 1 up is needed")
    if split not in SPLITS[1:]:
        raise MindRecError(f"split {split!r} is not one of {', '.join(SPLITS[1:])}")
    out = []
    for n, rows in enumerate(interactions.sequences):
        if interactions.split is not None:
            if interactions.split[n] != split:
                continue
        elif split == "validation":
            rows = rows[:-1]
        if len(rows) >= 2:
            out.append(Case(interactions.user_ids[n], tuple(map(int, rows[:-1])), int(rows[-1])))
    out = sampled(out, users, seed)
    if not out:
        raise MindRecError(_no_cases(interactions, split))
    return out


LEAST = 4
"""Items that a sequence must have to teach something where its last two are held out: a history and what followed."""


def too_short(interactions: Interactions) -> str | None:
    """Why nothing can be learned where no sequence is long enough for leave-one-out; None where one is."""
    sequences = interactions.sequences
    lengths = np.diff(sequences.starts) if isinstance(sequences, Ragged) else np.array([len(s) for s in sequences])
    longest = int(lengths.max(initial=0))
    if interactions.split is not None or longest >= LEAST:
        return None
    return (
        f"the longest of {len(interactions):,} sequences has {longest} items, and {LEAST} are needed: one item for "
        "validation and one for the test are held out, two are left to learn from; use more of the log, or leave fewer "
        "rows out (--core, --min-rating, --keep), or join the sequences of one person (--user-column)"
    )


def _no_cases(interactions: Interactions, split: str) -> str:
    """The words of a refusal of data without a case of a split."""
    why = too_short(interactions)
    if interactions.split is not None:
        held = interactions.split.count(split)
        why = f"{held:,} sequences are marked {split!r}, and none of them has two items (a history and its next item)"
        why += "; mark some, or leave the marks out: the last two items of each sequence are then held out"
    return f"the data has no {split} cases: {why or 'sequences of two items or more are needed'}"
