"""What followed an item in training: counts, where the dense head generalises.

A neural distribution over what comes next gains from one of counts beside it, most where a case was seen before
(kNN-LM, Khandelwal et al., arXiv 1911.00172). Theirs are mixed; here they are multiplied, each to a power of its own,
so that both powers can be fitted by likelihood on held-out cases and a head too sure of itself is made less so.

Shape legend: B users, N items, P pairs kept, V votes of all users together.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

WINDOW = 5
"""Items that follow within so many places count, the nearer more: 1 / distance."""
BACKWARDS = 0.25
"""What the same pair in the other direction counts."""
RECENT = 10
"""The last items of a history that vote, the recent more: 1 / distance from its end."""
MOST = 100
"""Pairs kept of an item, the most frequent."""
FLOOR = 1e-3
"""Share of the votes that an item without any is given."""


class Transitions(nn.Module):
    """Votes of a history's items for the next one, and how they enter the dense head's logits.

    Attributes:
        start_N: where the pairs of each item begin, and P.
        item_P, weight_P: the other item of each pair, and its vote.
        powers: of the dense head's probability and of the votes' share; (1, 0) is the dense head alone.
        repeats: whether items of the history are voted for too, as often as they came back in training.
    """

    def __init__(self, n_items: int, n_pairs: int, *, repeats: bool = False):
        super().__init__()
        self.repeats = repeats
        self.register_buffer("start_N", torch.zeros(n_items + 1, dtype=torch.int64))
        self.register_buffer("item_P", torch.zeros(n_pairs, dtype=torch.int64))
        self.register_buffer("weight_P", torch.zeros(n_pairs))
        self.register_buffer("powers", torch.tensor([1.0, 0.0]))

    @classmethod
    def counted(cls, sequences: Sequence[np.ndarray], n_items: int, *, repeats: bool = False) -> "Transitions":
        """From training sequences of item rows. Votes are divided by the root of how often their voter is followed."""
        follows = _most(_follows(sequences, n_items))
        new = cls(n_items, follows.nnz, repeats=repeats)
        new.start_N.copy_(torch.from_numpy(follows.indptr))
        new.item_P.copy_(torch.from_numpy(follows.indices))
        new.weight_P.copy_(torch.from_numpy(follows.data))
        return new

    def grown(self, n_items: int) -> "Transitions":
        """The same over a longer catalog; nothing followed or precedes a new item."""
        new = Transitions(n_items, len(self.item_P), repeats=self.repeats).to(self.start_N.device)
        more = self.start_N[-1:].expand(n_items + 1 - len(self.start_N))
        new.load_state_dict(self.state_dict() | {"start_N": torch.cat([self.start_N, more])})
        return new

    def is_sound(self) -> bool:
        """Whether every pair is of this catalog: what a damaged file may say otherwise."""
        bounds, N = self.start_N, len(self.start_N) - 1
        inside = ((self.item_P >= 0) & (self.item_P < N)).all()
        return bool(inside) and bool((bounds.diff() >= 0).all()) and bounds[[0, -1]].tolist() == [0, len(self.item_P)]

    def shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Each item's share of the votes, (B, N): 0 for all where there are none, and for what is in the history
        unless people come back to it."""
        place, N = self.start_N.device, len(self.start_N) - 1
        voters = [(user, row, distance) for user, h in enumerate(histories)
                  for distance, row in enumerate(reversed(h[-RECENT:]), 1)]  # fmt: skip
        user_V, row_V, distance_V = torch.tensor(voters, device=place).T
        count_V = self.start_N[row_V + 1] - self.start_N[row_V]
        pair = torch.arange(int(count_V.sum()), device=place)
        pair += (self.start_N[row_V] - count_V.cumsum(0) + count_V).repeat_interleave(count_V)
        vote = self.weight_P[pair] / distance_V.repeat_interleave(count_V)
        votes_BN = torch.zeros(len(histories), N, device=place)
        votes_BN.view(-1).index_add_(0, user_V.repeat_interleave(count_V) * N + self.item_P[pair], vote)
        if not self.repeats:
            seen = [(user, row) for user, h in enumerate(histories) for row in h]
            votes_BN[tuple(torch.tensor(seen, device=place).T)] = 0
        return votes_BN / votes_BN.sum(1, keepdim=True).clamp(min=1e-30)

    def log_shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Finite: nothing is ruled out for want of votes."""
        return (self.shares(histories) + FLOOR).log()

    def forward(self, dense_BN: torch.Tensor, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """Next-item logits (B, N) from the dense head's."""
        dense, votes = self.powers.unbind()
        return dense * dense_BN + votes * self.log_shares(histories)


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


def _most(follows: sp.csr_matrix) -> sp.csr_matrix:
    """The `MOST` largest of each row; of equal ones the first items'."""
    follows.sort_indices()
    row_P = np.repeat(np.arange(follows.shape[0]), np.diff(follows.indptr))
    order = np.lexsort((-follows.data, row_P))
    rank = np.arange(len(order)) - follows.indptr[row_P]
    kept = np.sort(order[rank < MOST])
    return sp.csr_matrix((follows.data[kept], (row_P[kept], follows.indices[kept])), follows.shape)
