"""GenRec: a masked item of the sequence is written by a decoder that reads all the others.

"GenRec: generative sequential recommendation with large language models", arXiv 2407.21191 (abstract): a bidirectional
encoder reads the sequence with one item masked, in pre-training at a random place and in fine-tuning at the end; an
auto-regressive decoder writes it. Here an item is one token, so that the decoder is one cross-attention from the place
of the mask; places are counted from the mask, as relative positions of such language models are; and both phases are
drawn in each batch.

Shape legend: B sequences, W window length, N items, D width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.arena.encoder import DROPOUT, HEADS, WIDTH, AttentionEncoder, item_table
from mindrec.arena.fitting import NeuralMethod
from mindrec.arena.method import History, Task, pad

AT_THE_END = 0.5
"""Share of the sequences whose last item is masked; in the rest it is any one."""
MASKINGS = 4
"""Maskings of a window in a batch: each teaches one place, where a causal model learns from all."""


class GenRec(NeuralMethod):
    """Score of an item: its vector times what the decoder reads at the masked place."""

    title = "GenRec"
    paper = "arXiv 2407.21191, one token an item"

    def __init__(self, task: Task):
        super().__init__(task)
        self.length = task.max_history + 1
        self.items = item_table(task.n_items + 1)  # the last row is the mask
        self.encoder = AttentionEncoder(2 * self.length, causal=False)
        self.decoder = nn.MultiheadAttention(WIDTH, HEADS, DROPOUT, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)

    def _masked_state(self, rows_BW: torch.Tensor, position_B: torch.Tensor) -> torch.Tensor:
        """The decoder's output at one masked position of each row, (B, D)."""
        users, padded_BW = torch.arange(len(rows_BW)), rows_BW < 0
        masked_BW = rows_BW.clamp(min=0).index_put((users, position_B), torch.tensor(self.task.n_items))
        distance_BW = torch.arange(rows_BW.shape[1]) - position_B[:, None] + self.length
        states_BWD = self.encoder(self.items(masked_BW), padded_BW, distance_BW)
        query_B1D = states_BWD[users, position_B][:, None]
        read_B1D, _ = self.decoder(query_B1D, states_BWD, states_BWD, key_padding_mask=padded_BW)
        return self.norm(query_B1D + read_B1D)[:, 0]

    def loss(self, windows_BW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Cross-entropy of the masked item over all items in nats (scalar)."""
        rows_BW = windows_BW.repeat(MASKINGS, 1)
        length_B = (rows_BW >= 0).sum(1)
        anywhere_B = (torch.rand(len(rows_BW), generator=generator) * length_B).long()
        at_end_B = torch.rand(len(rows_BW), generator=generator) < AT_THE_END
        # The end of a prefix of random length, so that masked ends have histories of every length.
        end_B = (torch.rand(len(rows_BW), generator=generator) * (length_B - 1)).long() + 1
        position_B = torch.where(at_end_B, end_B, anywhere_B)
        after_BW = torch.arange(rows_BW.shape[1])[None] > position_B[:, None]
        rows_BW = rows_BW.masked_fill(after_BW & at_end_B[:, None], -1)
        targets_B = rows_BW[torch.arange(len(rows_BW)), position_B]
        return F.cross_entropy(self._masked_state(rows_BW, position_B) @ self.items.weight[:-1].T, targets_B)

    @torch.no_grad()
    def scores(self, histories: Sequence[History]) -> torch.Tensor:
        """Logits of all items behind the history, (B, N)."""
        rows_BH, _ = pad(histories, self.task.max_history)
        rows_BW = F.pad(rows_BH, (0, 1), value=-1)
        position_B = (rows_BH >= 0).sum(1)
        rows_BW[torch.arange(len(rows_BW)), position_B] = 0  # the masked place itself, which is there
        return self._masked_state(rows_BW, position_B) @ self.items.weight[:-1].T
