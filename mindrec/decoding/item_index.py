"""Which items are still possible, for any partial answer: sorted postings, not a prefix tree.

A *member* is a pair (state, item): the item agrees with every filled position of the state. Members are two flat
arrays, so that the work follows the number of items still possible, whatever the catalog's size.

Shape legend: N items, L levels, T tokens of all levels together, S states, M members.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mindrec.tokens.levels import Levels

EVEN = 0.1
"""Part of what anybody takes that is spread evenly over the catalog, so that hardly any taking is not next to none."""


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


@dataclass(frozen=True)
class Postings:
    """Items still possible, unexpanded: each of S states can become just the items of one token (-1: any item).

    This is what a beam is while it walks down the category tree, and it spares large catalogs the expansion.
    """

    token: torch.Tensor


@dataclass(frozen=True)
class Excluded:
    """Items ruled out: pairs of a user and an item row, (E,) each, and rows ruled out for all, bool (N,) or None."""

    user: torch.Tensor
    item: torch.Tensor
    banned: torch.Tensor | None
    n_users: int
    n_items: int

    def allows(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Whether each (user, item) may be recommended, (n,)."""
        keys = (self.user * self.n_items + self.item).sort().values
        wanted = user * self.n_items + item
        if len(keys):
            near = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
            fine = keys[near] != wanted
        else:
            fine = torch.ones_like(wanted, dtype=torch.bool)
        return fine if self.banned is None else fine & ~self.banned[item]

    def table(self) -> torch.Tensor:
        """Allowed items of every user, bool (B, N)."""
        allowed = torch.ones(self.n_users, self.n_items, dtype=torch.bool, device=self.user.device)
        if self.banned is not None:
            allowed &= ~self.banned
        allowed[self.user, self.item] = False
        return allowed

    def counts(self) -> torch.Tensor:
        """Items left to each user, (B,)."""
        if self.banned is not None:
            return self.table().sum(1)
        return self.n_items - torch.bincount(self.user, minlength=self.n_users)


@dataclass(frozen=True)
class _PairTable:
    """Tokens of two levels that occur together.

    Attributes:
        start: of each first token, where its pairs begin (one more at the end).
        together, count: of each pair, the second token, and how many items hold both.
        pairs: of each pair, first token x T + second token, ascending.
        items: the items of all pairs, pair after pair.
    """

    start: torch.Tensor
    together: torch.Tensor
    count: torch.Tensor
    pairs: torch.Tensor
    items: torch.Tensor

    @cached_property
    def first(self) -> torch.Tensor:
        """Where each pair's items begin."""
        return self.count.cumsum(0) - self.count


def _ranges(first: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers of all ranges first .. first + length, one after the other, and which range each is of."""
    of = torch.repeat_interleave(torch.arange(len(length), device=length.device), length)
    shift = first - (length.cumsum(0) - length)
    return torch.arange(len(of), device=length.device) + shift[of], of


class ItemIndex:
    """Any-order legality over a catalog's codes.

    Args:
        tokens_NL: int64 (N, L) global token ids of every item.
        levels: their layout.
        popularity_N: how many training sequences hold each item, (N,), where that is known.
    """

    def __init__(self, tokens_NL: torch.Tensor, levels: Levels, popularity_N: torch.Tensor | None = None):
        self.tokens_NL, self.levels, self.popularity_N = tokens_NL, levels, popularity_N
        self.n_items, self.n_levels = tokens_NL.shape
        self.n_tokens = levels.n_tokens
        self.level_of_T = levels.level_of_token(tokens_NL.device)
        # Postings: the items of token t are self.posted[start[t] : start[t + 1]], ascending.
        self.posted = torch.stack([tokens_NL[:, p].argsort(stable=True) for p in range(self.n_levels)], 1).T.reshape(-1)
        self.count_T = torch.bincount(tokens_NL.reshape(-1), minlength=self.n_tokens)
        self.start_T = torch.cat([self.count_T.new_zeros(1), self.count_T.cumsum(0)])
        # Token incidence for the root, where every item is possible: one sparse product sums all levels at once.
        self._incidence: torch.Tensor | None = None
        self._pair_tables: dict[tuple[int, int], _PairTable] = {}

    def to(self, device: torch.device) -> "ItemIndex":
        """The same index on another device."""
        popularity_N = None if self.popularity_N is None else self.popularity_N.to(device)
        return ItemIndex(self.tokens_NL.to(device), self.levels, popularity_N)

    @cached_property
    def anyone_N(self) -> torch.Tensor:
        """The share of each item in what anybody takes, float64 (N,); `popularity_N` must be known."""
        counts = self.popularity_N.double()
        return (1 - EVEN) * counts / counts.sum().clamp(min=1) + EVEN / self.n_items

    @cached_property
    def codes_NL(self) -> np.ndarray:
        """The codes of every item as an array, (N, L)."""
        return self.levels.codes(self.tokens_NL).cpu().numpy()

    @cached_property
    def implied_LL(self) -> torch.Tensor:
        """bool (L, L): [a, b] where the code at b leaves a single code at a, as a category leaves its parent.

        Of two levels that imply each other only the later is said to be implied.
        """
        codes_NL, L = self.codes_NL, self.n_levels
        out = torch.zeros(L, L, dtype=torch.bool)
        for a in range(L):
            for b in range(L):
                if a != b:
                    pairs = len(np.unique(codes_NL[:, b] * self.levels.sizes[a] + codes_NL[:, a]))
                    out[a, b] = pairs == len(np.unique(codes_NL[:, b]))
        mutual = out & out.T
        return (out & ~mutual.triu()).to(self.tokens_NL.device)

    def independent_positions(self, open_AL: torch.Tensor) -> torch.Tensor:
        """Drop positions (A, L) that another one of the set determines, so that probabilities are not counted twice.

        A category determines its parent, say.
        """
        return open_AL & ~(open_AL[:, None, :] & self.implied_LL).any(2)

    @cached_property
    def _posted(self) -> tuple[np.ndarray, list[int]]:
        return self.posted.cpu().numpy(), self.start_T.tolist()

    def holders(self, position: int, code: int) -> np.ndarray:
        """Rows (n,) of the items with one code at one position, ascending."""
        posted, start = self._posted
        token = self.levels.offsets[position] + code
        return posted[start[token] : start[token + 1]]

    def incidence(self) -> torch.Tensor:
        """Sparse (T, N): which items hold which token, in float64."""
        if self._incidence is None:
            ones = torch.ones(len(self.posted), dtype=torch.float64, device=self.posted.device)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse CSR")  # the one product needed is supported
                self._incidence = torch.sparse_csr_tensor(
                    self.start_T, self.posted, ones, (self.n_tokens, self.n_items), check_invariants=False
                )
        return self._incidence

    def count_in_postings(
        self, states: Postings, user: torch.Tensor, excluded: Excluded, levels: list[int]
    ) -> torch.Tensor:
        """Items possible on each token of some levels, int64 (S, T); zero at the other levels.

        Work follows the number of codes and excluded items, not the number of items: the counts come from tables of
        which tokens occur together, made once for each pair of levels that is asked for.
        """
        token, T = states.token, self.n_tokens
        counts = torch.zeros(len(token), T, dtype=torch.int64, device=token.device)
        root, walked = token < 0, (token >= 0).nonzero()[:, 0]
        if len(levels) == self.n_levels:
            counts[root] = self.count_T
        for target in levels if len(levels) < self.n_levels else ():
            of_level = self.levels.slices[target]
            counts[root, of_level] = self.count_T[of_level]
        level_of_walked = self.level_of_T[token[walked]]
        for level in level_of_walked.unique().tolist() if len(walked) else ():
            rows = walked[level_of_walked == level]
            code = token[rows] - self.levels.offsets[level]
            for target in levels:
                table = self._pairs(level, target)
                first = table.start[code]
                at, of = _ranges(first, table.start[code + 1] - first)
                counts[rows[of], table.together[at]] = table.count[at]
        self._take_off(counts, token, user, excluded, levels)
        return counts

    def _pairs(self, level: int, target: int) -> "_PairTable":
        """Which tokens of `target` the items of each token of `level` hold, and which items those are."""
        if (level, target) not in self._pair_tables:
            keys = self.tokens_NL[:, level] * self.n_tokens + self.tokens_NL[:, target]
            keys, items = keys.sort(stable=True)
            pairs, count = keys.unique_consecutive(return_counts=True)
            codes = pairs // self.n_tokens - self.levels.offsets[level]
            holders = torch.bincount(codes, minlength=self.levels.sizes[level])
            start = torch.cat([holders.new_zeros(1), holders.cumsum(0)])
            self._pair_tables[level, target] = _PairTable(start, pairs % self.n_tokens, count, pairs, items)
        return self._pair_tables[level, target]

    def pair_postings(self, old: torch.Tensor, token: torch.Tensor) -> Members:
        """The items that hold both tokens, one state a pair (n,); old = -1 asks for the token alone.

        Every pair must occur. Work follows the number of items found, not that of either token.
        """
        if (old < 0).all():
            return self.postings(token)
        state, item = [], []
        levels = torch.stack([self.level_of_T[old], self.level_of_T[token]], 1)
        for level, target in levels.unique(dim=0).tolist():
            mine = ((levels[:, 0] == level) & (levels[:, 1] == target)).nonzero()[:, 0]
            table = self._pairs(level, target)
            pair = torch.searchsorted(table.pairs, old[mine] * self.n_tokens + token[mine])
            count = table.count[pair]
            at, of = _ranges(table.first[pair], count)
            state.append(mine[of])
            item.append(table.items[at])
        return Members(torch.cat(state), torch.cat(item), len(token))

    def _take_off(self, counts, token, user, excluded: Excluded, levels: list[int]) -> None:
        """Subtract a state's excluded items from its counts."""
        if not len(excluded.item):
            return
        held = self.tokens_NL[excluded.item]
        is_open = token < 0
        level = torch.where(is_open, 0, self.level_of_T[token.clamp(min=0)])
        applies = (user[:, None] == excluded.user) & (is_open[:, None] | (token[:, None] == held[:, level].T))
        state, which = applies.nonzero(as_tuple=True)
        tokens = held[which][:, levels]
        counts.index_put_((state[:, None], tokens), torch.full_like(tokens, -1), accumulate=True)

    def implied(self, token: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """Whether every item of each token also holds the old token, (n,)."""
        first = self.posted[self.start_T[token]]
        level, target = self.level_of_T[token], self.level_of_T[old.clamp(min=0)]
        alone = torch.zeros(len(token), dtype=torch.bool, device=token.device)
        for a, b in torch.stack([level, target], 1).unique(dim=0).tolist():
            mine = (level == a) & (target == b)
            start = self._pairs(a, b).start
            code = token[mine] - self.levels.offsets[a]
            alone[mine] = start[code + 1] - start[code] == 1
        return alone & (self.tokens_NL[first, target] == old)

    def expand(self, states: Postings, user: torch.Tensor, excluded: Excluded) -> Members:
        """The items of each state (S,), one by one."""
        everything = states.token < 0
        if everything.any():
            allowed = excluded.table()[user]
            state, item = allowed.nonzero(as_tuple=True)
            fits = everything[state] | (
                self.tokens_NL[item, self.level_of_T[states.token.clamp(min=0)][state]] == states.token[state]
            )
            return Members(state[fits], item[fits], len(user))
        members = self.postings(states.token)
        fine = excluded.allows(user[members.state], members.item)
        return Members(members.state[fine], members.item[fine], members.n_states)

    def postings(self, tokens: torch.Tensor) -> Members:
        """The items of each token (n,), one state a token."""
        at, state = _ranges(self.start_T[tokens], self.count_T[tokens])
        return Members(state, self.posted[at], len(tokens))

    def token_places(self, members: Members, levels: list[int] | None = None) -> torch.Tensor:
        """Where each member's tokens lie in a flat (S, T), of some levels where given: what both sums below go by."""
        tokens = self.tokens_NL
        if levels is not None:
            first = self.n_levels - len(levels)
            last_ones = levels == list(range(first, self.n_levels))  # a part of the table, and no copy
            tokens = tokens[:, first:] if last_ones else tokens[:, levels]
        return members.state[:, None] * self.n_tokens + tokens[members.item]

    def count_by_token(self, members: Members, places: torch.Tensor | None = None) -> torch.Tensor:
        """Items possible on each token of each state, int64 (S, T). A token is legal where the count is not zero.

        With the `places` of some levels, only those are counted and the rest is zero.
        """
        places = self.token_places(members) if places is None else places
        return torch.bincount(places.reshape(-1), minlength=members.n_states * self.n_tokens).view(-1, self.n_tokens)

    def sum_by_token(self, members: Members, mass_M: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        """Member mass summed on each token of each state, (S, T); of some levels with their `places`."""
        places = self.token_places(members) if places is None else places
        out = mass_M.new_zeros(members.n_states * self.n_tokens)
        out.index_add_(0, places.reshape(-1), mass_M[:, None].expand(places.shape).reshape(-1))
        return out.view(-1, self.n_tokens)
