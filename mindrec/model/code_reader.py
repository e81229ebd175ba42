"""A second history encoder, which knows items by their codes alone.

Two models of one history add up only as far as they err apart. A block that reads the dense part's states learns
what the dense part knows already; one that reads codes with an encoder of its own and is trained by itself need not.

Shape legend: B users, H history length, N items, L levels, T tokens, D width.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.model.attention import causal_mask


class CodeReader(nn.Module):
    """Reads histories whose items are sums of the embeddings of their codes.

    Args:
        encoder: a Llama stack without its vocabulary.
        n_tokens: T.
    """

    def __init__(self, encoder: nn.Module, n_tokens: int, dropout: float):
        super().__init__()
        width = encoder.config.hidden_size
        self.embedding = nn.Embedding(n_tokens, width)
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=width**-0.5 / 2)

    def embed(self, rows_BH: torch.Tensor, tokens_NL: torch.Tensor) -> torch.Tensor:
        """Items as this reader sees them, (B, H, D)."""
        return F.embedding(tokens_NL[rows_BH], self.embedding.weight).sum(-2)

    def states(self, rows_BH: torch.Tensor, tokens_NL: torch.Tensor) -> torch.Tensor:
        """Encoder states (B, H, D) of right-padded histories, for training."""
        embedded = self.dropout(self.embed(rows_BH, tokens_NL))
        mask = causal_mask(rows_BH.shape[1], embedded)
        return self.dropout(self.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state)


def spread_over_codes(
    vectors_ND: torch.Tensor,
    tokens_NL: torch.Tensor,
    level_sizes: tuple[int, ...],
    weights_N: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token embeddings (T, D) whose sums come near the vectors of the items, and what they leave over (N, D).

    Level by level, a token becomes the mean of what its items still lack, weighted where items have weights.
    """
    rest, means_of_levels, start = vectors_ND, [], 0
    weight = torch.ones_like(rest[:, 0]) if weights_N is None else weights_N.to(rest)
    for level, size in enumerate(level_sizes):
        codes = tokens_NL[:, level] - start
        count = torch.bincount(codes, weight, minlength=size)[:, None]
        sums = torch.zeros_like(rest[:1]).repeat(size, 1).index_add_(0, codes, rest * weight[:, None])
        means = sums / torch.where(count > 0, count, 1).to(sums)
        means_of_levels.append(means)
        rest, start = rest - means[codes], start + size
    return torch.cat(means_of_levels), rest
