"""Which items are still possible, for any partial answer: sorted postings, not a prefix tree.

A *member* is a pair (state, item): the item agrees with every filled position of the state. Members are two flat
arrays, so that the work follows the number of items still possible, whatever the catalog's size.

Shape legend: N items, L levels, T tokens of all levels together, S states, M members.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Members:
    """Items still possible in each of S states.

    Attributes:
        state: int64 (M,), ascending.
        item: int64 (M,).
        n_states: S.
    """

    state: torch.Tensor
    item: torch.Tensor
    n_states: int

    def counts(self) -> torch.Tensor:
        """Items possible in each state, (S,)."""
        return torch.bincount(self.state, minlength=self.n_states)


class ItemIndex:
    """Any-order legality over a catalog's codes.

    Args:
        tokens_NL: int64 (N, L) global token ids of every item.
        level_sizes: vocabulary size of each level.
    """

    def __init__(self, tokens_NL: torch.Tensor, level_sizes: tuple[int, ...]):
        self.tokens_NL, self.level_sizes = tokens_NL, tuple(level_sizes)
        self.n_items, self.n_levels = tokens_NL.shape
        self.n_tokens = sum(level_sizes)
        device = tokens_NL.device
        self.offsets = torch.tensor([0, *level_sizes], device=device).cumsum(0)[:-1]
        self.level_of_T = torch.repeat_interleave(
            torch.arange(self.n_levels, device=device), torch.tensor(level_sizes, device=device)
        )
        # Postings: the items of token t are self.posted[start[t] : start[t + 1]], ascending.
        self.posted = torch.stack([tokens_NL[:, p].argsort(stable=True) for p in range(self.n_levels)], 1).T.reshape(-1)
        self.count_T = torch.bincount(tokens_NL.reshape(-1), minlength=self.n_tokens)
        self.start_T = torch.cat([self.count_T.new_zeros(1), self.count_T.cumsum(0)])
        # Token incidence for the root, where every item is possible: one sparse product sums all levels at once.
        self._incidence: torch.Tensor | None = None

    def to(self, device: torch.device) -> "ItemIndex":
        return ItemIndex(self.tokens_NL.to(device), self.level_sizes)

    def incidence(self) -> torch.Tensor:
        """Sparse (T, N): which items hold which token, in float64."""
        if self._incidence is None:
            ones = torch.ones(len(self.posted), dtype=torch.float64, device=self.posted.device)
            self._incidence = torch.sparse_csr_tensor(
                self.start_T, self.posted, ones, (self.n_tokens, self.n_items), check_invariants=False
            )
        return self._incidence

    def root_counts(self, excluded: list[torch.Tensor]) -> torch.Tensor:
        """Items left on each token at the root, int64 (B, T), after taking off each user's excluded rows."""
        counts = self.count_T.expand(len(excluded), -1).clone()
        for user, rows in enumerate(excluded):
            if len(rows):
                counts[user] -= torch.bincount(self.tokens_NL[rows].reshape(-1), minlength=self.n_tokens)
        return counts

    def postings(self, tokens: torch.Tensor) -> Members:
        """The items of each token, one state a token."""
        counts = self.count_T[tokens]
        state = torch.repeat_interleave(torch.arange(len(tokens), device=tokens.device), counts)
        first = self.start_T[tokens] - torch.cat([counts.new_zeros(1), counts.cumsum(0)[:-1]])
        place = torch.arange(len(state), device=tokens.device) + first[state]
        return Members(state, self.posted[place], len(tokens))

    def count_by_token(self, members: Members) -> torch.Tensor:
        """Items possible on each token of each state, int64 (S, T). A token is legal where the count is not zero."""
        where = members.state[:, None] * self.n_tokens + self.tokens_NL[members.item]
        return torch.bincount(where.reshape(-1), minlength=members.n_states * self.n_tokens).view(-1, self.n_tokens)

    def sum_by_token(self, members: Members, mass_M: torch.Tensor) -> torch.Tensor:
        """Member mass summed on each token of each state, (S, T)."""
        out = mass_M.new_zeros(members.n_states * self.n_tokens)
        where = members.state[:, None] * self.n_tokens + self.tokens_NL[members.item]
        out.index_add_(0, where.reshape(-1), mass_M[:, None].expand(-1, self.n_levels).reshape(-1))
        return out.view(-1, self.n_tokens)
