"""Popularity and co-visit: methods that count, as the project's baselines do (mindrec.evaluation.baselines)."""

from collections.abc import Sequence

import torch

from mindrec.arena.method import Budget, History, Report, ScoringMethod
from mindrec.data.splits import Case
from mindrec.evaluation import baselines


class _Counting(ScoringMethod):
    """A baseline by name."""

    calls = 0.0
    baseline = ""
    _scores: baselines.Scores | None = None

    def size(self) -> int:
        """0: nothing is trained."""
        return 0

    def fit(self, budget: Budget, report: Report) -> None:
        """Nothing is trained: counts are made when they are needed."""

    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Counts of all items, (B, N)."""
        cases = [Case("", tuple(history), 0) for history in histories]
        ordered = self.task.data.interactions.ordered
        if self._scores is None:
            self._scores = baselines.BASELINES[self.baseline](self.task.sequences, self.task.n_items, ordered)
        return torch.tensor(self._scores(cases), dtype=torch.float32)


class Popularity(_Counting):
    """How many training sequences hold an item, the same for everybody."""

    title, baseline = "popularity", "popularity"
    paper = "none: training counts"


class CoVisit(_Counting):
    """How often an item is near those of the history."""

    title, baseline = "co-visit", "covisit"
    paper = "item-to-item co-occurrence; weights in mindrec.evaluation.baselines"
