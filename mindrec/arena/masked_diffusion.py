"""MindRec itself: its default decode, its tokens alone, and its auto-regressive twin. The project's own training.

The three differ in nothing but what their names say: one recipe chosen from the data (mindrec.training.auto_preset),
with epochs cut in proportion until the estimated time fits the budget, and with a sample of the sequences where not one
epoch of the block would fit. MindRec and its tokens alone are one checkpoint.

Shape legend: U users, K ranks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mindrec.arena.method import PART, Budget, History, Report, Task, left_out, pulls
from mindrec.checkpoint import load_checkpoint
from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import rank
from mindrec.recommender import Recommender
from mindrec.training.auto_preset import choose_preset, estimate_seconds
from mindrec.training.presets import Preset
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running
from mindrec.training.stages import Recipe

LEAST_SEEN = 0.05
"""Share of the training sequences below which nothing sensible can be learnt."""


class MindRec:
    """Masked diffusion with item evidence, by the checkpoint's default decode."""

    title = "MindRec"
    paper = "arXiv 2511.12597, with item evidence"
    published = ""
    objective, evidence, beams = "diffusion", None, 50

    def __init__(self, task: Task):
        self.task, self.calls = task, 0.0
        self.recommender: Recommender | None = None

    def size(self) -> int:
        """Trained numbers of the denoiser."""
        return sum(p.numel() for p in self.recommender.denoiser.parameters())

    def fit(self, budget: Budget, report: Report) -> None:
        """Train a checkpoint in the task's folder, or open the one that the same task has trained there."""
        out = self.task.folder / f"{self.objective}-{self.task.seed}"
        if not self.task.shared.get(out):
            recipe, sequences = within(budget, self.task, choose_preset(self.task.data).preset)
            made = train_checkpoint(
                self.task.data,
                recipe,
                out,
                Recipe(self.objective, max_sequences=sequences),
                Running("cpu", report=report, progress=False),
            )
            self.task.shared[out] = made.training["seconds_in_all"]
        self.recommender = Recommender(load_checkpoint(out, "cpu"))

    def settings(self, k: int) -> DecodeConfig:
        """The decode that gives k answers."""
        config = replace(
            self.recommender.default_config, beam_size=max(self.beams, k), exclude_seen=self.task.exclude_seen
        )
        return config if self.evidence is None else replace(config, evidence=self.evidence)

    def rank(self, histories: Sequence[History], k: int) -> np.ndarray:
        """The best k item rows of each history by Diffusion Beam Search, (U, k), -1 where fewer were found."""
        cases = [Case("", tuple(history), 0) for history in histories]
        recommender = self.recommender
        ranking = rank(recommender.denoiser, recommender.index, cases, self.settings(k), batch=PART // 4)
        self.calls = ranking.nfe
        return ranking.rows[:, :k]

    @torch.no_grad()
    def explain(self, history: History, row: int) -> dict:
        """`pulls`: how much the logarithm of the item's share falls when each history item is left out; an answer that
        the beams do not hold counts as the least share that they do."""
        cases = [Case("", tuple(h), 0) for h in left_out(history)]
        config = replace(self.settings(self.beams), exclude_seen=False)
        ranking = rank(self.recommender.denoiser, self.recommender.index, cases, config, batch=PART // 4)
        least = np.where(np.isfinite(ranking.scores), ranking.scores, np.inf).min(1)
        held = ranking.rows == row
        scores = np.where(held.any(1), np.where(held, ranking.scores, -np.inf).max(1), least)
        return {"pulls": pulls(scores.tolist(), len(history))}


class TokensAlone(MindRec):
    """The same checkpoint without item evidence: what the denoiser knows by itself."""

    title = "MindRec, tokens alone"
    paper = "arXiv 2511.12597"
    evidence = "off"


class LeftToRight(MindRec):
    """The auto-regressive twin without item evidence: categories from coarse to fine, then the semantic ID.

    It is TIGER's decoding (arXiv 2305.05065) with the order of levels of CoFiRec (arXiv 2511.22707), on the project's
    encoder, tokens and training.
    """

    title = "left to right (TIGER, CoFiRec)"
    paper = "arXiv 2305.05065 and 2511.22707, on the same encoder and tokens"
    published = "Beauty: TIGER Hit@10 .0648, NDCG@10 .0384"
    objective, evidence = "ar", "off"


def within(budget: Budget, task: Task, recipe: Preset) -> tuple[Preset, int | None]:
    """The recipe with the task's seed and as many epochs as the budget's time and count allow, and how many training
    sequences it sees: None for all of them, fewer where one epoch of the block takes longer than its share of the time.

    Raises:
        MindRecError: a twentieth of the sequences does not fit either.
    """
    wanted = estimate_seconds(task.data, recipe, torch.device("cpu"))
    share, wish = 60 * budget.minutes / max(wanted, 1e-9), recipe.train
    seen = min(1.0, share * wish.epochs)
    if seen < LEAST_SEEN:
        raise MindRecError(
            f"--minutes {budget.minutes:g} is too short for MindRec here: its recipe takes about {wanted / 60:.1f} "
            f"minutes for {wish.dense_epochs} and {wish.epochs} epochs"
        )
    stages = ("dense_epochs", "reader_epochs", "epochs")
    cut = {
        stage: max(1, min(budget.epochs, epochs, int(share / seen * epochs + 1e-9)))
        for stage, epochs in ((stage, getattr(wish, stage)) for stage in stages)
    }
    train = replace(wish, seed=task.seed, **cut)
    return replace(recipe, train=train), None if seen == 1 else int(seen * len(task.sequences))
