"""SimGR: items as encoded semantic IDs, scored in one pass, with a softmax over items and no decoding.

"SimGR", arXiv 2602.07847 (abstract): histories and semantic IDs are encoded into one space, and the loss is the
cross-entropy over items of their cosine over a temperature. The encoder there is a fine-tuned language model; here it
is the arena's small one over sums of code embeddings, with the temperature that such losses take (.07).

Shape legend: B sequences, W window length, N items, D width, L levels, T tokens of all levels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import WIDTH, AttentionEncoder, last_states
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, pad
from mindrec.training.auto_preset import choose_preset
from mindrec.training.starting import make_tokenizer

TEMPERATURE = 0.07


class SimGR(NeuralMethod):
    """Score of an item: the cosine of the history's state and the item's encoded semantic ID."""

    title = "SimGR (one pass)"
    paper = "arXiv 2602.07847, on a small encoder"

    def __init__(self, task: Task):
        super().__init__(task)
        tokenizer = make_tokenizer(task.data, choose_preset(task.data).preset, task.seed)
        self.register_buffer("tokens_NL", torch.from_numpy(tokenizer.tokens).long())
        self.codes = nn.Embedding(sum(tokenizer.level_sizes), WIDTH)
        nn.init.normal_(self.codes.weight, std=0.1)
        self.read = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.encoder = AttentionEncoder(task.max_history)

    def vectors(self) -> torch.Tensor:
        """Items in the common space, (N, D): a perceptron over the sum of their codes' embeddings."""
        codes_ND = self.codes(self.tokens_NL).sum(1)
        return codes_ND + self.read(codes_ND)

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Cross-entropy (scalar) over all items of the cosine over the temperature, at every position."""
        vectors_ND = self.vectors()
        states_BHD = self.encoder(F.embedding(windows_BW[:, :-1].clamp(min=0), vectors_ND))
        real_BH = windows_BW[:, 1:] >= 0
        return F.cross_entropy(self._cosine(states_BHD[real_BH], vectors_ND), windows_BW[:, 1:][real_BH])

    @staticmethod
    def _cosine(states_SD: torch.Tensor, vectors_ND: torch.Tensor) -> torch.Tensor:
        return F.normalize(states_SD, dim=-1) @ F.normalize(vectors_ND, dim=-1).T / TEMPERATURE

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Cosine over temperature with all items, (B, N)."""
        vectors_ND = self.vectors()
        rows_BH, last_B = pad(histories, self.task.max_history)
        states_BHD = self.encoder(F.embedding(rows_BH.clamp(min=0), vectors_ND))
        return self._cosine(last_states(states_BHD, last_B), vectors_ND)
