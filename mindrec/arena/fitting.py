"""The training loop that the neural methods share, so that differences between them are the methods' own."""

import math
import time
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch

from mindrec.arena.method import Budget, Report, ScoringMethod, Task
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import gold_ranks, ndcg_at_k
from mindrec.training.batches import batches

LEARNING_RATE = 1e-3
"""Adam's, as SASRec, BSARec and FMRec take it."""
TARGETS = 2000
"""Next-item targets of a batch, about."""
STEPS = 50
"""Optimizer steps of an epoch at least, where the data is small."""


class NeuralMethod(ScoringMethod, torch.nn.Module):
    """A method that is a torch module with `loss(windows_BW, generator)` and `scores(histories)`."""

    def __init__(self, task: Task):
        torch.nn.Module.__init__(self)
        ScoringMethod.__init__(self, task)
        torch.manual_seed(task.seed)

    def size(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean loss (scalar) of right-padded windows of item rows, int64 (B, W), -1 where there is none."""
        raise NotImplementedError

    def groups(self, learning_rate: float) -> list[dict]:
        """Adam's parameter groups: all at one rate, unless a method has parts that learn slower."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def begin_epoch(self, epoch: int) -> None:
        """Called before each epoch, for methods that train their parts in turns."""

    def fit(self, budget: Budget, report: Report) -> None:
        """Train within the budget; the epoch with the best validation NDCG@10 stays."""
        fit(self, self.task, budget, report)


def fit(
    module: NeuralMethod,
    task: Task,
    budget: Budget,
    report: Report,
    learning_rate: float | None = None,
    *,
    trained: bool = False,
) -> None:
    """Adam on `module.loss` until time, epochs or patience are used up; the module holds the best epoch's weights.

    The time is checked after every step: a last, unfinished epoch is validated like the others.

    Args:
        learning_rate: Adam's; None for LEARNING_RATE.
        trained: whether the module has learned before, so that its weights stay where no epoch is better.

    Raises:
        MindRecError: the first epoch already has a loss that is no number.
    """
    started, limit = time.perf_counter(), 60 * budget.minutes
    optimizer = torch.optim.Adam(module.groups(learning_rate or LEARNING_RATE))
    targets = int(np.clip(sum(len(s) - 1 for s in task.sequences) / STEPS, 100, TARGETS))
    best, best_epoch, kept, over = -1.0, 0, None, False
    if trained:
        best, kept = validation_ndcg(module, task), deepcopy(module.state_dict())
    for epoch in range(budget.epochs):
        losses = []
        for loss in _epoch(module, optimizer, targets, epoch):
            losses.append(loss)
            over = time.perf_counter() - started > limit
            if over or not math.isfinite(loss):
                break
        module.eval()
        if not math.isfinite(losses[-1]):
            if kept is None:
                raise MindRecError(f"{module.title}: the loss is {losses[-1]} in the first epoch; nothing was learned")
            break
        score = validation_ndcg(module, task)
        seconds = round(time.perf_counter() - started, 2)
        report({"epoch": epoch, "loss": float(np.mean(losses)), "ndcg@10": score, "seconds": seconds})
        if score > best:
            best, best_epoch, kept = score, epoch, deepcopy(module.state_dict())
        if over or best == 1 or epoch - best_epoch >= budget.patience or time.perf_counter() - started > limit:
            break
    module.load_state_dict(kept)
    module.eval()


def _epoch(module: NeuralMethod, optimizer: torch.optim.Optimizer, targets: int, epoch: int) -> Iterator[float]:
    """One pass over the training sequences: yields the loss of each step once it is taken."""
    task, seed = module.task, module.task.seed * 100_003 + epoch
    generator = torch.Generator().manual_seed(seed)
    module.begin_epoch(epoch)
    module.train()
    ordered = task.data.interactions.ordered
    for windows_BW in batches(task.sequences, task.max_history + 1, targets, seed, ordered=ordered):
        loss = module.loss(windows_BW, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
        yield float(loss.detach())


def validation_ndcg(method: ScoringMethod, task: Task) -> float:
    """NDCG@10 on the task's validation cases."""
    rows_UK = method.rank([case.history for case in task.validation], 10)
    targets_U = np.array([case.target for case in task.validation])
    return float(ndcg_at_k(gold_ranks(rows_UK, targets_U), 10).mean())
