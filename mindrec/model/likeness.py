"""How like the texts of the last items an item's text is, told through its codes.

A code reader that is trained on who took what learns what the dense part learns too. Texts say something else: which
items are alike although nobody took both. Codes made from text vectors carry them: an item's text is near the sum of
its codes' vectors, so its likeness to a history is a sum over its codes, and is added to their scores. Nothing here is
learnt from targets but one number, its strength, which is fitted on held-out cases.

Shape legend: B users, N items, L levels, T tokens, W width of text vectors.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from mindrec.model.code_reader import spread_over_codes

RECENCY = 0.5
"""How much an item of the history counts against the one after it."""


class Likeness(nn.Module):
    """Scores of codes by the likeness of texts.

    Attributes:
        vectors: (T, W), the part of a text vector that each code carries.
        strength: (1,), how many nats a likeness of 1 is worth; 0 until it is fitted.
    """

    def __init__(self, n_tokens: int, width: int):
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(n_tokens, width))
        self.strength = nn.Parameter(torch.zeros(1))

    @torch.no_grad()
    def set_texts(self, vectors_NW: torch.Tensor, tokens_NL: torch.Tensor, level_sizes: tuple[int, ...]) -> None:
        """Make the sums over items' codes come near these unit vectors of their texts; narrower ones are padded."""
        padded = F.pad(vectors_NW, (0, self.vectors.shape[1] - vectors_NW.shape[1])).to(self.vectors)
        self.vectors.copy_(spread_over_codes(padded, tokens_NL, level_sizes)[0])

    @torch.no_grad()
    def set_strength(self, nats: float) -> None:
        """Make a likeness of 1 worth so many nats."""
        self.strength.fill_(nats)

    @torch.no_grad()
    def of_items(self, tokens_NL: torch.Tensor) -> torch.Tensor:
        """Items' text vectors as their codes tell them, (N, W)."""
        return F.embedding(tokens_NL, self.vectors).sum(1)

    @torch.no_grad()
    def of_histories(self, histories: Sequence[Sequence[int]], tokens_NL: torch.Tensor) -> torch.Tensor:
        """The mean text vector of each history, the last items counting most, (B, W)."""
        out = []
        for history in histories:
            weights = RECENCY ** torch.arange(len(history) - 1, -1, -1, device=tokens_NL.device).float()
            rows = torch.tensor(history, device=tokens_NL.device)
            out.append((weights / weights.sum()) @ self.of_items(tokens_NL[rows]))
        return torch.stack(out)

    @torch.no_grad()
    def scores(self, read_BW: torch.Tensor) -> torch.Tensor:
        """The addition of each code to its items' scores, (B, T), in nats."""
        return self.strength * (read_BW @ self.vectors.T)
