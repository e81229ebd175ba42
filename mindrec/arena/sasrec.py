"""SASRec: a causal transformer over items, trained on every prefix with a softmax over all items.

Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018, arXiv 1808.09781 (section III). The paper's
loss has one sampled negative; with the full softmax the same encoder is much stronger (Klenitskiy and Vasilev, RecSys
2023, arXiv 2309.07602), and that is the form that is fair to it.

Shape legend: B sequences, W window length, N items, D width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mindrec.arena.encoder import AttentionEncoder, item_table, last_states
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, pad


class SASRec(NeuralMethod):
    """Score of an item: its vector times the state of the last history item (equation 6)."""

    title = "SASRec (full softmax)"
    paper = "arXiv 1808.09781, loss of arXiv 2309.07602"
    published = "Beauty, full softmax: Hit@10 near .09"

    def __init__(self, task: Task):
        super().__init__(task)
        self.items = item_table(task.n_items)
        self.encoder = self.new_encoder(task.max_history)

    @staticmethod
    def new_encoder(length: int) -> torch.nn.Module:
        """The encoder of histories."""
        return AttentionEncoder(length)

    def states(self, rows_BH: torch.Tensor) -> torch.Tensor:
        """One state a history position, (B, H, D), of right-padded rows."""
        return self.encoder(self.items(rows_BH.clamp(min=0)))

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Cross-entropy (scalar) of the next item at every position: every prefix is a sample."""
        states_BHD, targets_BH = self.states(windows_BW[:, :-1]), windows_BW[:, 1:]
        real_BH = targets_BH >= 0
        return F.cross_entropy(states_BHD[real_BH] @ self.items.weight.T, targets_BH[real_BH])

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Logits of all items, (B, N)."""
        rows_BH, last_B = pad(histories, self.task.max_history)
        return last_states(self.states(rows_BH), last_B) @ self.items.weight.T
