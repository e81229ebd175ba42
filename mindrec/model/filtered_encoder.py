"""A causal history encoder that mixes attention with a low-pass filter along time.

It follows BSARec (Shin et al., AAAI 2024, arXiv 2312.10325): beside attention, each layer splits its input into slow
and fast parts and keeps the fast ones to a learned, channel-wise extent. There the split is a Fourier transform of a
history padded to a fixed length; seen from the last item it is a convolution with a fixed kernel over the items before,
and that is what is computed here. So no place reads what comes after it, and every prefix is a sample in one pass.

Shape legend: B sequences, H history length, P items read before, D width.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

ATTENTION_SHARE = 0.3
FREQUENCIES = 2
"""Frequencies beside the constant that count as slow: the published filter's five components."""


def low_pass_kernel(length: int) -> torch.Tensor:
    """Weight of the item so many places before, (length,): what the lowest frequencies of that many items leave."""
    gap = torch.arange(length, dtype=torch.float32)
    waves = [2 * torch.cos(2 * math.pi * frequency * gap / length) for frequency in range(1, FREQUENCIES + 1)]
    return (1 + sum(waves)) / length


class FilteredLayer(nn.Module):
    """Attention and filter side by side, then a feed-forward part; each is added to its input and normalised."""

    def __init__(self, width: int, heads: int, inner: int, length: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.asked, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.of_attention, self.of_filter, self.of_both = (nn.LayerNorm(width) for _ in range(3))
        self.fast = nn.Parameter(torch.ones(width))
        self.register_buffer("kernel_H", low_pass_kernel(length), persistent=False)

    def forward(self, x_BHD: torch.Tensor, cache, number: int) -> torch.Tensor:
        """(B, H, D). With a cache, what was read before is in it and this layer's part is added."""
        query, key, value = self.asked(x_BHD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        inputs = x_BHD[:, None]
        if cache is not None:
            key, value = cache.update(key, value, 2 * number)
            inputs, _ = cache.update(inputs, inputs, 2 * number + 1)
        gap_HP = self._gaps(x_BHD.shape[1], key.shape[2], x_BHD.device)
        drop = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=gap_HP >= 0, dropout_p=drop)
        attention = self.of_attention(self._drop(self.attended(out.transpose(1, 2).flatten(2))) + x_BHD)
        kernel_HP = torch.where(gap_HP >= 0, self.kernel_H[gap_HP.clamp(min=0)], 0.0)
        slow = kernel_HP @ inputs[:, 0]
        filtered = self.of_filter(self._drop(slow + self.fast**2 * (x_BHD - slow)) + x_BHD)
        both = ATTENTION_SHARE * attention + (1 - ATTENTION_SHARE) * filtered
        return self.of_both(self._drop(self.down(F.gelu(self.up(both)))) + both)

    @staticmethod
    def _gaps(read: int, of: int, device) -> torch.Tensor:
        """How many places each of the last `read` places is behind each of `of`, (read, of); negative ahead."""
        places = torch.arange(of, device=device)
        return places[of - read :, None] - places

    def _drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout, self.training)


class FilteredEncoder(nn.Module):
    """A stack of such layers over normalised vectors and learned places; called as a Llama stack is.

    Args:
        config: gives `hidden_size`, `heads`, `intermediate_size`, `encoder_layers`, `max_history` and `dropout`.
    """

    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.config, self.dropout = config, nn.Dropout(config.dropout)
        self.place_embedding, self.norm = nn.Embedding(config.max_history, width), nn.LayerNorm(width)
        sizes = (width, config.heads, config.intermediate_size, config.max_history, config.dropout)
        self.layers = nn.ModuleList(FilteredLayer(*sizes) for _ in range(config.encoder_layers))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, inputs_embeds: torch.Tensor, cache=None, **_) -> SimpleNamespace:
        """`last_hidden_state` (B, H, D) of vectors (B, H, D), each from itself and those before it."""
        read = 0 if cache is None else cache.get_seq_length()
        places = self.place_embedding.weight[read : read + inputs_embeds.shape[1]]
        x_BHD = self.dropout(self.norm(inputs_embeds + places))
        for number, layer in enumerate(self.layers):
            x_BHD = layer(x_BHD, cache, number)
        return SimpleNamespace(last_hidden_state=x_BHD)
