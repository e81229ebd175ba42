"""The history encoder that the neural methods share: item vectors in, one state a position out.

Shape legend: B sequences, H history length, N items, D width.
"""

from types import SimpleNamespace

import torch
from torch import nn

from mindrec.model.filtered_encoder import FilteredEncoder

WIDTH, LAYERS, HEADS, DROPOUT = 64, 2, 2, 0.3


class AttentionEncoder(nn.Module):
    """A causal transformer over item vectors with learned positions.

    SASRec, Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018, arXiv 1808.09781: two layers,
    layer norm before each part.
    """

    def __init__(self, length: int, width: int = WIDTH, dropout: float = DROPOUT, *, causal: bool = True):
        super().__init__()
        self.positions, self.causal = nn.Embedding(length, width), causal
        layer = nn.TransformerEncoderLayer(
            width, HEADS, width, dropout, batch_first=True, norm_first=True, activation="gelu"
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(width), enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(
        self,
        vectors_BHD: torch.Tensor,
        padded_BH: torch.Tensor | None = None,
        positions_BH: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """States (B, H, D), each of its own and earlier items; of all items where the encoder is not causal.

        `padded_BH` marks places without an item; a causal encoder of right-padded rows needs none. `positions_BH` are
        other positions than 0, 1, 2 and so on.
        """
        H = vectors_BHD.shape[1]
        positions = self.positions.weight[:H] if positions_BH is None else self.positions(positions_BH)
        x_BHD = self.dropout(vectors_BHD + positions)
        if not self.causal:
            return self.layers(x_BHD, src_key_padding_mask=padded_BH)
        later_HH = torch.ones(H, H, dtype=torch.bool, device=x_BHD.device).triu(1)
        return self.layers(x_BHD, mask=later_HH)


class FrequencyEncoder(nn.Module):
    """BSARec's encoder (mindrec.model.filtered_encoder) with the same call."""

    def __init__(self, length: int, width: int = WIDTH, dropout: float = DROPOUT):
        super().__init__()
        sizes = {"hidden_size": width, "heads": HEADS, "intermediate_size": 4 * width}
        depth = {"encoder_layers": LAYERS, "max_history": length, "dropout": dropout}
        self.stack = FilteredEncoder(SimpleNamespace(**sizes, **depth))

    def forward(self, vectors_BHD: torch.Tensor) -> torch.Tensor:
        """States (B, H, D), each of its own and earlier items."""
        return self.stack(vectors_BHD).last_hidden_state


def item_table(n_items: int, width: int = WIDTH) -> nn.Embedding:
    """One vector an item, small enough at first that a softmax over all starts even."""
    table = nn.Embedding(n_items, width)
    nn.init.normal_(table.weight, std=0.02)
    return table


def last_states(states_BHD: torch.Tensor, last_B: torch.Tensor) -> torch.Tensor:
    """The state at the last item of each history, (B, D)."""
    return states_BHD[torch.arange(len(last_B)), last_B]
