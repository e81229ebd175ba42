"""Votes: the items that a search ends with, scored again in several unmask orders.

A masked denoiser gives the probability of one and the same item in any order of its positions. For an exact one these
are equal; of a trained one each order errs in its own way, and the mean of their logarithms errs less. All partial
answers that the orders go through are known beforehand, so that one denoiser call scores them all; what two items or
two orders share is scored once.

Shape legend: B users, S beams, K orders, M sets of filled positions, P positions of an order, A partial answers,
L levels, T tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mindrec.decoding.beams import Beams, group_ids
from mindrec.decoding.context import SearchContext, StepContext
from mindrec.decoding.item_index import Excluded, ItemIndex, Members
from mindrec.decoding.scoring import BeamScores, score_beams
from mindrec.tokens.levels import Levels

MAX_STATES = 1024
"""Partial answers scored in one denoiser call, unless one user has more."""
MAX_MEMBERS = 4_000_000
"""Items listed at once, unless one user's partial answers have more."""


@dataclass(frozen=True)
class Votes:
    """Exact log-probabilities of the items that a search ended with.

    Attributes:
        orders: the positions in the order of their filling, without those that were pinned; K tuples.
        logp: float64 (S, K), of each beam's item in each order; -inf for a beam that names no item.
        calls, rows: int64 (B,), denoiser calls for each user, and the partial answers in them.
    """

    orders: tuple[tuple[int, ...], ...]
    logp: torch.Tensor
    calls: torch.Tensor
    rows: torch.Tensor

    @property
    def score(self) -> torch.Tensor:
        """The mean over the orders, float64 (S,)."""
        return self.logp.mean(1)


def vote_orders(levels: Levels, pinned: Sequence[int], votes: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """At most `votes` different orders: the category levels coarse to fine, then the others in any order.

    The first goes from left to right; the seed draws the rest. There are as many as there are, where that is fewer.
    """
    walk = [p for p in levels.categories if p not in pinned]
    free = [p for p in range(levels.n_categories, len(levels)) if p not in pinned]
    rng, walks = np.random.default_rng(seed), {tuple(free): None}  # a dictionary keeps the order in which they came
    while len(walks) < min(votes, math.factorial(len(free))):
        walks.setdefault(tuple(rng.permutation(free).tolist()))
    return tuple((*walk, *rest) for rest in walks)


def cast_votes(search: SearchContext, beams: Beams) -> Votes:
    """Score the items of complete beams in `config.votes` orders, under everything else that the search went by."""
    index, device = search.index, beams.user.device
    pinned = [position for position, _ in search.config.pins]
    orders = vote_orders(index.levels, pinned, search.config.votes, search.config.seed)
    sets, where_KP = _filled_sets(orders, pinned, index.n_levels)
    S, M = len(beams.user), len(sets)
    codes = torch.where(torch.tensor(sets, device=device), beams.codes[:, None], -1).reshape(S * M, -1)
    user = beams.user.repeat_interleave(M)
    state, n_states = group_ids(user, search.keys.of(codes))
    first = torch.full((n_states,), S * M, device=device).scatter_reduce_(
        0, state, torch.arange(S * M, device=device), "amin"
    )
    state_SKP = state.view(S, M)[:, torch.tensor(where_KP, device=device)]
    token_SKP = index.levels.tokens(beams.codes)[:, torch.tensor(orders, device=device)]
    logp = torch.zeros(state_SKP.shape, dtype=torch.float64, device=device)  # one item left: p = 1, no call
    calls, rows = torch.zeros(2, search.n_users, dtype=torch.int64, device=device)
    number_of = torch.empty(n_states, dtype=torch.int64, device=device)
    for part in _calls(search, user[first], codes[first]):
        user_of_state = user[first[part]]
        scores = _score_states(search, user_of_state, codes[first[part]])
        seen = torch.bincount(user_of_state, minlength=search.n_users) * scores.calls
        calls, rows = calls + (seen > 0), rows + seen
        number_of.fill_(-1)
        number_of[part] = torch.arange(len(part), device=device)
        number = number_of[state_SKP]
        logp = torch.where(number < 0, logp, scores.logp[number.clamp(min=0), token_SKP].double())
    whole = (beams.items == 1) & ~beams.open.any(1)
    return Votes(orders, logp.sum(2).masked_fill(~whole[:, None], -torch.inf), calls, rows)


def voted(rows_BK: torch.Tensor, scores_BK: torch.Tensor, beams: Beams, votes: Votes) -> tuple:
    """Ranked items (B, K) and scores in the order of the votes: the mean log-probability; ties stay as they are."""
    score = torch.full_like(scores_BK, -torch.inf)
    score[beams.user, beams.rank] = votes.score
    score = score.masked_fill(rows_BK < 0, -torch.inf)
    score, order = score.sort(dim=1, descending=True, stable=True)
    return rows_BK.gather(1, order), score


def _filled_sets(
    orders: Sequence[Sequence[int]], pinned: Sequence[int], n_levels: int
) -> tuple[list[list[bool]], list[list[int]]]:
    """The sets of filled positions that the orders go through, and the number of the set before each position."""
    number: dict[frozenset, int] = {}
    where = []
    for order in orders:
        filled = [frozenset((*pinned, *order[:n])) for n in range(len(order))]
        where.append([number.setdefault(one, len(number)) for one in filled])
    return [[p in one for p in range(n_levels)] for one in number], where


def _calls(search: SearchContext, user_A: torch.Tensor, codes_AL: torch.Tensor) -> list[torch.Tensor]:
    """The numbers of the partial answers that have several items left, one tensor a denoiser call.

    A call pads its users to as many partial answers as one of them has, so users with about as many share one.
    """
    index = search.index
    listed = _cut(torch.arange(len(user_A), device=user_A.device), user_A, _rarest(index, codes_AL)[1])
    items = torch.cat([members_of(index, user_A[p], codes_AL[p], search.excluded).counts() for p in listed])
    open_ = (items > 1).nonzero()[:, 0]
    count_B = torch.bincount(user_A[open_], minlength=search.n_users)
    order = open_[(count_B[user_A[open_]] * search.n_users + user_A[open_]).argsort(stable=True)]
    return _cut(order, user_A, items)


def _cut(which: torch.Tensor, user_A: torch.Tensor, items_A: torch.Tensor) -> list[torch.Tensor]:
    """Partial answers in parts within the bounds; no user's, which stand together, are parted."""
    if not len(which):
        return []
    every = torch.arange(len(which), device=which.device)
    part = torch.maximum(items_A[which].cumsum(0) // MAX_MEMBERS, every // MAX_STATES)
    counts = user_A[which].unique_consecutive(return_counts=True)[1]
    part = part[counts.cumsum(0) - counts].repeat_interleave(counts)
    return list(which.split(part.unique_consecutive(return_counts=True)[1].tolist()))


def _rarest(index: ItemIndex, codes_AL: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each partial answer, the filled token that the fewest items have (-1: none is filled), and how many do."""
    tokens = index.levels.tokens(codes_AL.clamp(min=0))
    count, position = index.count_T[tokens].masked_fill(codes_AL < 0, index.n_items + 1).min(1)
    token = tokens.gather(1, position[:, None])[:, 0]
    nothing = (codes_AL < 0).all(1)
    return token.masked_fill(nothing, -1), count.clamp(max=index.n_items)


def members_of(index: ItemIndex, user_A: torch.Tensor, codes_AL: torch.Tensor, excluded: Excluded) -> Members:
    """The allowed items that agree with each partial answer."""
    token, _ = _rarest(index, codes_AL)
    some = (token >= 0).nonzero()[:, 0]
    listed = index.postings(token[some])
    state, item = [some[listed.state]], [listed.item]
    for nothing in (token < 0).nonzero()[:, 0].tolist():
        state.append(torch.full((index.n_items,), nothing, device=token.device))
        item.append(torch.arange(index.n_items, device=token.device))
    state, item = torch.cat(state), torch.cat(item)
    codes, held = codes_AL[state], index.levels.codes(index.tokens_NL[item])
    fits = ((codes < 0) | (codes == held)).all(1) & excluded.allows(user_A[state], item)
    order = state[fits].argsort(stable=True)
    return Members(state[fits][order], item[fits][order], len(user_A))


def _score_states(search: SearchContext, user_A: torch.Tensor, codes_AL: torch.Tensor) -> BeamScores:
    """Score the next codes of partial answers that all have several items left; those of a user stand together."""
    members = members_of(search.index, user_A, codes_AL, search.excluded)
    zeros = torch.zeros(len(user_A), dtype=torch.float64, device=user_A.device)
    states = Beams(user_A, codes_AL, zeros, torch.zeros_like(user_A), zeros, codes_AL >= 0, members, members.counts())
    every = torch.arange(len(user_A), device=user_A.device)
    return score_beams(StepContext(replace(search, full_trace=False), 0, 1, states, every))
