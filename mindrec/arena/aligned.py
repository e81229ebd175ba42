"""Phases on top of a generative method: LTRGR's ranking loss and OneRec's preference loss on the beams of the model.

Half of the time goes to ordinary training (mindrec.arena.generative), the other half to rounds. A round draws training
prefixes, decodes them with the model as it is, and keeps for each a better and a worse answer; its steps add their
loss (mindrec.model.alignment) to the ordinary one. Rounds begin with the epochs. A phase that does not better
validation is not kept: the model of the first phase stays.

- LTRGR, "Learning to rank in generative retrieval", arXiv 2306.15222: the true item's score above that of the
  best-ranked wrong one by a margin, and above another one's by a larger margin, both weighted .5, beside the generation
  loss. The paper's margins (300, 400) are for sums over hundreds of n-grams; here they are 1 and 2 nats.
- OneRec, arXiv 2502.18965: iterative preference alignment. Of the beams the best and the worst by a reward,
  -log sigmoid(beta log-ratio), mixed into 1 % of the samples; the frozen model is that of the round before. The
  paper's reward is a model of watch time and its answers are sessions; here an answer is one item, and the reward is
  whether the person took it among the next five. Worst is the likeliest of those without a reward.

Shape legend: P pairs, R rivals, K beams.
"""

import time
from dataclasses import replace

import numpy as np
import torch

from mindrec.arena.fitting import fit
from mindrec.arena.generative import Generative
from mindrec.arena.method import PART, Budget, Report, Task
from mindrec.model.alignment import log_ratio, margin_loss, preference_loss

LEARNING_RATE = 2e-4
"""OneRec's; a tenth or so of the first phase's."""
PREFIXES = 512
"""Training prefixes that a round decodes."""
CANDIDATES = 15
"""Beams of a prefix from which wrong answers are taken, LTRGR's."""
PAIRS = 20
"""Mined prefixes of a step: 1 % of the targets of its batch, OneRec's share."""
MARGINS = (1.0, 2.0)
AHEAD = 5
"""Items of a session, OneRec's."""
BETA = 0.1


class Aligned(Generative):
    """Ordinary training, then rounds with another loss beside it."""

    weight = 1.0

    def __init__(self, task: Task):
        super().__init__(task)
        self.aligning, self.mined = False, ()

    def fit(self, budget: Budget, report: Report) -> None:
        """Train for half of the budget, align for the rest."""
        started, half = time.perf_counter(), replace(budget, minutes=budget.minutes / 2)
        fit(self, self.task, half, lambda record: report({"stage": "generation"} | record))
        self.aligning = True
        left = replace(budget, minutes=max(budget.minutes - (time.perf_counter() - started) / 60, 1e-3))
        fit(
            self,
            self.task,
            left,
            lambda record: report({"stage": "alignment"} | record),
            learning_rate=LEARNING_RATE,
            trained=True,
        )
        self.aligning = False

    def begin_epoch(self, epoch: int) -> None:
        """Begin a round: mine answers with the model as it is."""
        if self.aligning:
            self.mined = self.mine(np.random.default_rng(self.task.seed * 100_003 + epoch))

    @torch.no_grad()
    def mine(self, rng: np.random.Generator) -> tuple:
        """Histories, rows of better answers (P,), and of worse ones (P, 2), likeliest first, -1 where there are fewer.

        Items of the history are neither where they are ruled out as answers.
        """
        sequences = [s for s in self.task.sequences if len(s) >= 2]
        histories, wins, losses = [], [], []
        for n in rng.permutation(len(sequences))[:PREFIXES]:
            cut = int(rng.integers(1, len(sequences[n])))
            histories.append(sequences[n][:cut].tolist())
            wins.append(sequences[n][cut : cut + AHEAD].tolist())
        beams, was = [], self.training
        self.eval()
        for first in range(0, len(histories), PART):
            part = self.queries(histories[first : first + PART])
            beams += self.writer.search(part, self.prefixes, CANDIDATES + self.task.max_history)[0].tolist()
        self.train(was)
        won = []
        for history, ahead, rows in zip(histories, wins, beams, strict=True):
            seen = set(history) if self.task.exclude_seen else set()
            rows = [row for row in rows if row >= 0 and row not in seen][:CANDIDATES]
            wrong = [row for row in rows if row not in ahead]
            won.append(self.winner(rows, ahead))
            losses.append([*self.rivals(wrong, rng), -1, -1][:2])
        return histories, torch.tensor(won), torch.tensor(losses)

    def winner(self, rows: list[int], ahead: list[int]) -> int:
        """The better answer of a prefix: its true next item."""
        return ahead[0]

    def rivals(self, wrong: list[int], rng: np.random.Generator) -> list[int]:
        """The worse answers of a prefix, of the beams' wrong ones, likeliest first."""
        return wrong[:1]

    def extra(self, histories: list, won_P: torch.Tensor, lost_P2: torch.Tensor, at_P: torch.Tensor) -> torch.Tensor:
        """The loss (scalar) of some mined prefixes; `at_P` are their numbers in the round."""
        raise NotImplementedError

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Cross-entropy (scalar) of the tokens; in the second phase with the loss of a sample of mined answers."""
        generation = super().loss(windows_BW, generator)
        if not self.aligning:
            return generation
        histories, won_P, lost_P2 = self.mined
        usable = (lost_P2[:, 0] >= 0).nonzero()[:, 0]
        if not len(usable):
            return generation
        at_P = usable[torch.randperm(len(usable), generator=generator)[:PAIRS]]
        drawn = [histories[n] for n in at_P.tolist()]
        return generation + self.weight * self.extra(drawn, won_P[at_P], lost_P2[at_P], at_P)


class LearnToRank(Aligned):
    """LTRGR: the true item's tokens outscore those of wrong beams by a margin."""

    title = "LTRGR"
    paper = "arXiv 2306.15222, margins of 1 and 2 nats"
    published = ""
    weight = 0.5  # about the paper's share: its margins are 350 on average beside 1,000 times the generation loss

    def rivals(self, wrong: list[int], rng: np.random.Generator) -> list[int]:
        """The best-ranked wrong answer, and any other one."""
        return wrong[:1] + ([int(rng.choice(wrong[1:]))] if len(wrong) > 1 else [])

    def extra(self, histories: list, won_P: torch.Tensor, lost_P2: torch.Tensor, at_P: torch.Tensor) -> torch.Tensor:
        """The two margins, both weighted alike (scalar)."""
        true_P = self.log_p(histories, won_P)
        rivals_P2 = torch.stack([self.log_p(histories, lost_P2[:, n].clamp(min=0)) for n in (0, 1)], 1)
        return margin_loss(true_P, rivals_P2.masked_fill(lost_P2 < 0, -torch.inf), MARGINS)


class Preferring(Aligned):
    """OneRec's phase: direct preference optimization on the best and the worst of its own beams."""

    title = "OneRec's preference phase"
    paper = "arXiv 2502.18965, single items, reward: taken within the next five"
    published = ""

    def winner(self, rows: list[int], ahead: list[int]) -> int:
        """The likeliest beam that the person took within the session; without one, the next item itself."""
        return next((row for row in rows if row in ahead), ahead[0])

    def begin_epoch(self, epoch: int) -> None:
        """Begin a round, with the model as it is in the frozen one's stead."""
        super().begin_epoch(epoch)
        if self.aligning:
            self.frozen = self.pair_log_p(*self.mined)

    @torch.no_grad()
    def pair_log_p(self, histories: list, won_P: torch.Tensor, lost_P2: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of better and worse answers without dropout, (2, P)."""
        was = self.training
        self.eval()
        pair = torch.stack([self.log_p(histories, won_P), self.log_p(histories, lost_P2[:, 0].clamp(min=0))])
        self.train(was)
        return pair

    def extra(self, histories: list, won_P: torch.Tensor, lost_P2: torch.Tensor, at_P: torch.Tensor) -> torch.Tensor:
        """-log sigmoid of the log-ratio (scalar)."""
        moved = (self.log_p(histories, won_P), self.log_p(histories, lost_P2[:, 0]))
        return preference_loss(log_ratio(*moved, *self.frozen[:, at_P]), BETA)
