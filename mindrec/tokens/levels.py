"""The levels of an answer: how their vocabularies lie side by side, and which of them are category levels.

A *code* counts within its level; a *token* counts through the vocabularies of all levels, one after the other.

Shape legend: N items, L levels, T tokens of all levels together.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Levels:
    """The layout of L levels, coarse to fine.

    Attributes:
        sizes: vocabulary size of each level, (L,).
        n_categories: leading levels that are category levels; 0 where only the vocabularies matter, as in a model.
    """

    sizes: tuple[int, ...]
    n_categories: int = 0

    def __post_init__(self):
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def n_tokens(self) -> int:
        """T."""
        return sum(self.sizes)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first token of each level, (L,)."""
        return tuple(np.cumsum([0, *self.sizes])[:-1].tolist())

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each level lies among the tokens."""
        return tuple(slice(first, first + size) for first, size in zip(self.offsets, self.sizes, strict=True))

    @property
    def categories(self) -> range:
        """The category levels."""
        return range(self.n_categories)

    def offset_tensor(self, device) -> "torch.Tensor":
        """`offsets` on a device, int64 (L,); do not write to it."""
        return _offsets(self.sizes, device)

    def level_of_token(self, device) -> "torch.Tensor":
        """The level of each token on a device, int64 (T,); do not write to it."""
        return _level_of_token(self.sizes, device)

    def codes(self, tokens):
        """Codes (..., L) of tokens (..., L): a tensor of a tensor, an array of an array."""
        return tokens - self._beside(tokens)

    def tokens(self, codes):
        """Tokens (..., L) of codes (..., L), int64: a tensor of a tensor, an array of an array."""
        return (codes.astype(np.int64) if isinstance(codes, np.ndarray) else codes.long()) + self._beside(codes)

    def _beside(self, values):
        return np.array(self.offsets) if isinstance(values, np.ndarray) else self.offset_tensor(values.device)

    def split(self, values: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        """The part (..., size) of each level of values (..., T)."""
        return values.split(self.sizes, -1)

    def softmax(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Of each level over its whole vocabulary, (..., T)."""
        import torch

        return torch.cat([part.softmax(-1) for part in self.split(logits)], -1)

    def log_softmax(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Of each level over its whole vocabulary, (..., T)."""
        import torch

        return torch.cat([part.log_softmax(-1) for part in self.split(logits)], -1)

    def legal_log_softmax(
        self, logits: "torch.Tensor", legal: "torch.Tensor", only: list[int] | None = None
    ) -> "torch.Tensor":
        """Of each level over its legal codes, (A, T); -inf elsewhere and where a level has none.

        Args:
            logits: (A, T).
            legal: bool (A, T).
            only: the levels wanted; the others stay -inf. All without.
        """
        import torch

        masked, wanted = logits.masked_fill(~legal, -torch.inf), range(len(self)) if only is None else only
        nothing = masked.new_full((), -torch.inf)
        parts = [
            part.log_softmax(1) if level in wanted else nothing.expand_as(part)
            for level, part in enumerate(self.split(masked))
        ]
        # Of a level without a legal code the softmax is no number.
        return torch.cat(parts, 1).masked_fill_(masked.isneginf(), -torch.inf)


@lru_cache(maxsize=256)
def _offsets(sizes: tuple[int, ...], device) -> "torch.Tensor":
    import torch

    with torch.inference_mode(False):  # one made in inference mode could not be used in training afterwards
        return torch.tensor(Levels(sizes).offsets, dtype=torch.int64, device=device)


@lru_cache(maxsize=256)
def _level_of_token(sizes: tuple[int, ...], device) -> "torch.Tensor":
    import torch

    with torch.inference_mode(False):
        return torch.repeat_interleave(
            torch.arange(len(sizes), device=device), torch.tensor(sizes, dtype=torch.int64, device=device)
        )
