"""The oracle denoiser: exact by counting over a small catalog. The truth that tests hold the search against.

Shape legend: B users, K beams a user, L levels, T tokens, N items.
"""

from collections.abc import Callable, Sequence

import torch

from mindrec.model.denoiser import HistoryCache
from mindrec.tokens.levels import Levels


class OracleDenoiser:
    """p(code | partial answer) by summing item probabilities, in float64.

    Args:
        tokens_NL: int64 (N, L) global token ids.
        level_sizes: vocabulary size of each level.
        item_probability: history -> probabilities (N,), zero for items that are not allowed.
    """

    orders = None
    adds_up = False
    cache_exact = True
    reads_empty = True

    def __init__(
        self,
        tokens_NL: torch.Tensor,
        level_sizes: tuple[int, ...],
        item_probability: Callable[[Sequence[int]], torch.Tensor],
        max_history: int = 20,
    ):
        self.tokens_NL, self.item_probability = tokens_NL, item_probability
        self.level_sizes, self.levels = tuple(level_sizes), Levels(level_sizes)
        self.n_items, self.max_history = len(tokens_NL), max_history

    def encode(self, histories: Sequence[Sequence[int]]) -> HistoryCache:
        """Compute the true item probabilities of each history."""
        histories = tuple(tuple(h[-self.max_history :]) for h in histories)
        return HistoryCache(histories, torch.stack([self.item_probability(h).double() for h in histories]))

    def extend(self, cache: HistoryCache, row: int) -> HistoryCache:
        """The cache of a history with one more item."""
        return self.encode([(*cache.histories[0], row)])

    def select(self, cache: HistoryCache, users: torch.Tensor) -> HistoryCache:
        """The cache of some users, int64 (n,)."""
        return HistoryCache(tuple(cache.histories[u] for u in users.tolist()), cache.state[users])

    def token_logits(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Log of the item probability summed by code over items that agree with the filled positions, (B, K, T)."""
        codes_NL = self.levels.codes(self.tokens_NL)
        agree = ((filled_BKL[:, :, None] < 0) | (filled_BKL[:, :, None] == codes_NL)).all(-1)
        mass_BKN = cache.state[:, None] * agree
        B, K, N = mass_BKN.shape
        out = torch.zeros(B * K, sum(self.level_sizes), dtype=torch.float64)
        for level in range(len(self.level_sizes)):
            out.index_add_(1, self.tokens_NL[:, level], mass_BKN.view(B * K, N))
        return out.log().view(B, K, -1)

    def item_logits(self, cache: HistoryCache) -> torch.Tensor:
        """Log of the true item probabilities, (B, N)."""
        return cache.state.log()

    dense_logits = item_logits

    def evidence_weight(self) -> torch.Tensor:
        """Zeros (L,): the oracle needs no evidence."""
        return torch.zeros(len(self.level_sizes), dtype=torch.float64)

    def token_weight(self) -> torch.Tensor:
        """Ones (L,): the oracle's logits count in full at every level."""
        return torch.ones(len(self.level_sizes), dtype=torch.float64)
