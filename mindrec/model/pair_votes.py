"""Pairs of items counted in training, whose votes for the next item enter item evidence beside the dense head.

A neural distribution over what comes next gains from one of counts beside it, most where a case was seen before
(kNN-LM, Khandelwal et al., arXiv 1911.00172). Theirs are mixed; here they are multiplied, each to a power of its own,
so that both powers can be fitted on held-out cases and a head too sure of itself is made less so
(mindrec.training.calibrate).

Two kinds are counted: mindrec.model.transitions where order means something, mindrec.model.item_item where it does not.

Shape legend: B users, N items, P pairs kept, V votes of all users together.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn


class PairVotes(nn.Module):
    """Votes of a history's items for the next one, and how they enter the dense head's logits.

    Attributes:
        start_N: where the pairs of each item begin, and P.
        item_P, weight_P: the other item of each pair, and its vote.
        powers: of the dense head's probability and of the votes; (1, 0) is the dense head alone.
        repeats: whether items of the history are voted for too, as often as they came back in training.
    """

    FLOOR: float
    """The share that an item without any vote is given."""
    RANKS = False
    """Whether the votes are scores to rank by, and no shares of a distribution."""

    def __init__(self, n_items: int, n_pairs: int, *, repeats: bool = False):
        super().__init__()
        self.repeats = repeats
        self.register_buffer("start_N", torch.zeros(n_items + 1, dtype=torch.int64))
        self.register_buffer("item_P", torch.zeros(n_pairs, dtype=torch.int64))
        self.register_buffer("weight_P", torch.zeros(n_pairs))
        self.register_buffer("powers", torch.tensor([1.0, 0.0]))

    @classmethod
    def of_weights(cls, weights: sp.csr_matrix, *, repeats: bool = False) -> Self:
        """From the vote of each row's item for each column's, (N, N)."""
        new = cls(weights.shape[0], weights.nnz, repeats=repeats)
        new.start_N.copy_(torch.from_numpy(weights.indptr))
        new.item_P.copy_(torch.from_numpy(weights.indices))
        new.weight_P.copy_(torch.from_numpy(weights.data))
        return new

    def grown(self, n_items: int) -> Self:
        """The same over a longer catalog; nothing votes for or by a new item."""
        new = type(self)(n_items, len(self.item_P), repeats=self.repeats).to(self.start_N.device)
        more = self.start_N[-1:].expand(n_items + 1 - len(self.start_N))
        new.load_state_dict(self.state_dict() | {"start_N": torch.cat([self.start_N, more])})
        return new

    def is_sound(self) -> bool:
        """Whether every pair is of this catalog and every vote a number: what a damaged file may say otherwise."""
        bounds, N = self.start_N, len(self.start_N) - 1
        inside = ((self.item_P >= 0) & (self.item_P < N)).all()
        numbers = self.weight_P.isfinite().all() & self.powers.isfinite().all()
        ordered = (bounds.diff() >= 0).all() and bounds[[0, -1]].tolist() == [0, len(self.item_P)]
        return bool(inside) and bool(numbers) and bool(ordered)

    def shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """How strongly each item is voted for, (B, N), from 0 up; 0 for what is in the history unless people come
        back to it."""
        raise NotImplementedError

    def voters(self, history: Sequence[int]) -> list[tuple[int, int]]:
        """The items of a history that vote, and what the votes of each are divided by."""
        raise NotImplementedError

    def _all_voters(self, histories: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
        return [(user, row, by) for user, history in enumerate(histories) for row, by in self.voters(history)]

    def votes_for(self, history: Sequence[int], target: int) -> dict[int, float]:
        """How strongly each item of a history votes for one item, before any share or clamp; 0 for no vote."""
        out = dict.fromkeys(history, 0.0)
        for row, divided in self.voters(history):
            pairs = slice(int(self.start_N[row]), int(self.start_N[row + 1]))
            out[row] += float(self.weight_P[pairs][self.item_P[pairs] == target].sum()) / divided
        return out

    def log_shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logarithms (B, N) of shares, finite: nothing is ruled out for want of votes."""
        return (self.shares(histories) + self.FLOOR).log()

    def forward(self, dense_BN: torch.Tensor, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Next-item logits (B, N) from the dense head's."""
        dense, votes = self.powers.unbind()
        return dense * dense_BN + votes * self.log_shares(histories)

    def _sum_votes(self, histories: Sequence[Sequence[int]], voters: list[tuple[int, int, float]]) -> torch.Tensor:
        """Summed votes (B, N); a voter is its user, its item and what its votes are divided by."""
        device, N = self.start_N.device, len(self.start_N) - 1
        user_V, row_V, distance_V = torch.tensor(voters, device=device).T
        count_V = self.start_N[row_V + 1] - self.start_N[row_V]
        pair = torch.arange(int(count_V.sum()), device=device)
        pair += (self.start_N[row_V] - count_V.cumsum(0) + count_V).repeat_interleave(count_V)
        vote = self.weight_P[pair] / distance_V.repeat_interleave(count_V)
        votes_BN = torch.zeros(len(histories), N, device=device)
        votes_BN.view(-1).index_add_(0, user_V.repeat_interleave(count_V) * N + self.item_P[pair], vote)
        if not self.repeats:
            seen = [(user, row) for user, h in enumerate(histories) for row in h]
            votes_BN[tuple(torch.tensor(seen, device=device).T)] = 0
        return votes_BN


def largest_of_rows(weights: sp.csr_matrix, limit: int) -> sp.csr_matrix:
    """The `limit` largest of each row by size; of equal ones the first items'."""
    weights.sort_indices()
    row_P = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    order = np.lexsort((-np.abs(weights.data), row_P))
    rank = np.arange(len(order)) - weights.indptr[row_P]
    kept = np.sort(order[rank < limit])
    return sp.csr_matrix((weights.data[kept], (row_P[kept], weights.indices[kept])), weights.shape)
