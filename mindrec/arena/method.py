"""A method of the arena: fitted within a budget, then asked to rank items. mindrec.arena.methods lists them.

Shape legend: U users, N items, K ranks, B sequences, H history length, W window length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import Case, cases, training_sequences
from mindrec.evaluation.baselines import best_rows

History = Sequence[int]
Report = Callable[[dict], None]
PART = 256
"""Histories that are scored at a time."""


@dataclass(frozen=True)
class Budget:
    """The limits of one training: whichever is reached first ends it.

    Attributes:
        minutes: wall-clock time, validation included.
        epochs: passes over the training sequences at most.
        patience: epochs without a better validation NDCG@10 after which training stops.
    """

    minutes: float = 10.0
    epochs: int = 100
    patience: int = 5


@dataclass(frozen=True)
class Task:
    """Data and seed that every method is given alike.

    Attributes:
        data: the prepared data; methods read training sequences and validation cases only.
        seed: of weights and batches.
        exclude_seen: whether an item of the history is ruled out as an answer.
        folder: where a method may keep a checkpoint.
        base: imported text backbone for the method that adapts one; None without.
        max_history: items of a history that a neural method reads, the last ones.
        validation_users: cases that select the epoch.
    """

    data: PreparedData
    folder: Path
    seed: int = 0
    exclude_seen: bool = True
    max_history: int = 20
    validation_users: int = 1000
    base: Path | None = None
    shared: dict = field(default_factory=dict)

    @property
    def n_items(self) -> int:
        """Size N of the catalog."""
        return len(self.data.catalog)

    @cached_property
    def sequences(self) -> list[np.ndarray]:
        """Item rows of each training sequence, int (length,) each."""
        return training_sequences(self.data.interactions)

    @cached_property
    def validation(self) -> list[Case]:
        """The cases that select the epoch."""
        return cases(self.data.interactions, "validation", self.validation_users, self.seed)


class Method(Protocol):
    """A recommender that learns from a task and ranks items.

    Attributes:
        title: its name in tables.
        paper: where it comes from, and how this form differs.
        published: figures of the paper by data set and measure, as text; "" without.
        calls: passes of a network for one user's answer.
    """

    title: str
    paper: str
    published: str
    calls: float

    def __init__(self, task: Task): ...

    def size(self) -> int:
        """How many numbers were trained."""
        ...

    def fit(self, budget: Budget, report: Report) -> None:
        """Learn from the task's training sequences; `report` is given a record an epoch."""
        ...

    def rank(self, histories: Sequence[History], k: int) -> np.ndarray:
        """The best k item rows of each history, (U, k), -1 where fewer are allowed."""
        ...

    def explain(self, history: History, row: int) -> dict:
        """How the method came to an item: JSON in the method's own terms, always with `pulls`, one number an item of
        the history: how much the item's score falls when it is left out."""
        ...


class ScoringMethod:
    """The part that methods share which score the whole catalog at once: ranking, and pulls by leaving out.

    A subclass gives `scores(histories)`, float32 (B, N).
    """

    published = ""
    calls = 1.0

    def __init__(self, task: Task):
        self.task = task

    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Scores of all items for each history, (B, N)."""
        raise NotImplementedError

    def rank(self, histories: Sequence[History], k: int) -> np.ndarray:
        """The best k item rows of each history, (U, k), -1 where fewer are allowed."""
        out = []
        for first in range(0, len(histories), PART):
            part = histories[first : first + PART]
            scores_BN = np.array(self.scores(part), dtype=np.float32)
            if self.task.exclude_seen:
                for user, history in enumerate(part):
                    scores_BN[user, list(history)] = -np.inf
            out.append(best_rows(scores_BN, k))
        return np.concatenate(out)

    def explain(self, history: History, row: int) -> dict:
        """The pull of each history item: the score's fall when it is left out (of an only item: 0)."""
        return {"pulls": pulls(self.scores(left_out(history))[:, row].tolist(), len(history))}


def left_out(history: History) -> list[list[int]]:
    """The history, then the history without each of its items in turn; itself alone where it has one item."""
    without = [[*history[:n], *history[n + 1 :]] for n in range(len(history))]
    return [list(history), *(without if len(history) > 1 else [])]


def pulls(scores: Sequence[float], length: int) -> list[float]:
    """The fall of an item's score for each history item left out, from scores of `left_out`; 0 for an only item."""
    return [float(scores[0] - score) for score in scores[1:]] or [0.0] * length


def pad(histories: Sequence[History], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The last `length` rows of each history, right-padded with -1, int64 (B, H); each one's last position, (B,)."""
    recent = [list(h)[-length:] for h in histories]
    H = max(1, max(map(len, recent)))
    rows_BH = torch.tensor([h + [-1] * (H - len(h)) for h in recent], dtype=torch.long)
    return rows_BH, torch.tensor([max(0, len(h) - 1) for h in recent])
