"""LIGER: generative and dense retrieval in one model. Beams and all cold items are ranked again by their texts.

"Unifying generative and dense retrieval for sequential recommendation", arXiv 2411.18814 (section 4):

- an item enters as the sum of its semantic ID's embeddings and a perceptron of its text's vector (dropout .2);
- loss: cross-entropy of the tokens + cross-entropy over items of cos(state, projected text) / .07, one to one; items
  that training never saw are left out of the softmax (the paper fixes their logits to -100);
- answer: the best K beams joined with all cold items (those that training never saw), ranked by the cosine.

It differs in the backbone (mindrec.arena.generative) and in the text model: TF-IDF vectors of 64 numbers take the place
of a sentence encoder's 768.

Shape legend: B sequences, W window length, S samples, N items, D width, V width of a text vector.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import WIDTH
from mindrec.arena.generative import Generative
from mindrec.arena.method import History, Task, left_out, pulls
from mindrec.text.features import text_vectors

TEMPERATURE = 0.07
TEXT_DROPOUT = 0.2


class LIGER(Generative):
    """Score of an item, if the beams hold it or it is cold: the cosine of the history's state and its text."""

    title = "LIGER"
    paper = "arXiv 2411.18814, on the shared encoder, TF-IDF texts"
    published = ""

    def __init__(self, task: Task):
        super().__init__(task)
        texts_NV = text_vectors([item.text for item in task.data.catalog.items], WIDTH, task.seed)
        self.register_buffer("texts_NV", torch.from_numpy(np.asarray(texts_NV, dtype=np.float32)))
        self.read = nn.Sequential(
            nn.Linear(texts_NV.shape[1], 2 * WIDTH), nn.GELU(), nn.Dropout(TEXT_DROPOUT), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.point = nn.Linear(WIDTH, WIDTH)
        taken_N = np.bincount(np.concatenate(task.sequences), minlength=task.n_items)
        self.register_buffer("cold_N", torch.from_numpy(taken_N == 0))

    def inputs(self) -> torch.Tensor:
        """Sums of code embeddings and projected texts, (N, D)."""
        return super().inputs() + self.read(self.texts_NV)

    def cosines(self, states_SD: torch.Tensor) -> torch.Tensor:
        """Cosine of each state with each item's projected text, over the temperature, (S, N)."""
        texts_ND = F.normalize(self.read(self.texts_NV), dim=-1)
        return F.normalize(self.point(states_SD), dim=-1) @ texts_ND.T / TEMPERATURE

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Cross-entropy of the tokens and of the items by text, one to one (scalar)."""
        real_BH = windows_BW[:, 1:] >= 0
        states_SD, targets_S = self.states(windows_BW[:, :-1])[real_BH], windows_BW[:, 1:][real_BH]
        dense = F.cross_entropy(self.cosines(states_SD).masked_fill(self.cold_N, -torch.inf), targets_S)
        return dense - self.writer(states_SD, self.codes_NL[targets_S]).mean()

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Cosines of the items that the beams hold and of cold ones, -inf of all others, (B, N)."""
        held_BN = super().scores(histories) > -torch.inf
        return self.cosines(self.queries(histories)).masked_fill(~(held_BN | self.cold_N), -torch.inf)

    @torch.no_grad()
    def explain(self, history: History, row: int) -> dict:
        """`held`: whether a beam holds the item, `cold`: whether training never saw it; and `pulls` on its cosine."""
        held = bool(super().scores([history])[0, row] > -torch.inf)
        cosines = self.cosines(self.queries(left_out(history)))[:, row].tolist()
        return {"pulls": pulls(cosines, len(history)), "held": held, "cold": bool(self.cold_N[row])}
