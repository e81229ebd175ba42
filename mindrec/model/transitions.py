"""Transitions: counts of what followed an item in training, where the dense head generalises and order means something.

Shape legend: B users, N items.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch

from mindrec.model.pair_votes import PairVotes, largest_of_rows

WINDOW = 5
"""Items that follow within so many places count, the nearer more: 1 / distance."""
BACKWARDS = 0.25
"""Weight of the same pair in the other direction."""
RECENT = 10
"""The last items of a history that vote, the recent more: 1 / distance from its end."""
MAX_PAIRS = 100
"""Pairs kept of an item, the most frequent."""


class Transitions(PairVotes):
    """Votes of the last items of a history for what followed them in training."""

    FLOOR = 1e-3

    @classmethod
    def counted(cls, sequences: Sequence[np.ndarray], n_items: int, *, repeats: bool = False) -> "Transitions":
        """From training sequences of item rows (length,). Votes are divided by the root of their voter's followers."""
        return cls.of_weights(largest_of_rows(_follows(sequences, n_items), MAX_PAIRS), repeats=repeats)

    def shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Each item's share of the votes, (B, N): 0 for all where there are none, and for what is in the history
        unless people come back to it."""
        votes_BN = self._sum_votes(histories, self._all_voters(histories))
        return votes_BN / votes_BN.sum(1, keepdim=True).clamp(min=1e-30)

    def voters(self, history: Sequence[int]) -> list[tuple[int, int]]:
        """See `PairVotes.voters`."""
        return [(row, distance) for distance, row in enumerate(reversed(history[-RECENT:]), 1)]


def _follows(sequences: Sequence[np.ndarray], n_items: int) -> sp.csr_matrix:
    """How often the column's item followed the row's, (N, N), damped by row."""
    total = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    for gap in range(1, WINDOW + 1):
        longer = [rows for rows in sequences if len(rows) > gap]
        if longer:
            pairs = np.concatenate([r[:-gap] for r in longer]), np.concatenate([r[gap:] for r in longer])
            total += sp.coo_matrix((np.full(len(pairs[0]), 1 / gap, np.float32), pairs), total.shape).tocsr()
    total = total + BACKWARDS * total.T
    return sp.csr_matrix(sp.diags(np.maximum(np.asarray(total.sum(1)).ravel(), 1) ** -0.5) @ total, dtype=np.float32)
