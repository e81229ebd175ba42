"""From scores to candidates, and from candidates to the kept beams.

Shape legend: S beams before, A of them expanded, C candidates, L levels, T tokens, M members, K beam size.
"""

from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beams import StateKeys, group_ids, order_by, rank_within
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.context import StepContext
from mindrec.decoding.item_index import Members
from mindrec.decoding.scoring import BeamScores, segment_logsumexp
from mindrec.tokens.levels import Levels


@dataclass(frozen=True)
class Candidates:
    """The candidates of a step: all that may become a beam.

    Attributes:
        parent: int64 (C,), the parent's number among the beams before.
        token: int64 (C,), the token filled in; -1 for a complete beam carried over and where several are filled.
        score, perturbed_score: float64 (C,), log-probability, and the same perturbed where sampling.
        before: int64 (S, L), the codes of the beams before.
        levels: of the answer.
        group: int64 (C,), for several positions at once the group of members a candidate stands for; -1 if carried.
        group_codes: int64 (G, L), codes of each group.
        group_of_member, group_members, n_groups: which members form the groups.
        kept: int64, the kept candidates, best first for each user.
        merged_into: int64 (C,), the candidate that took this one's state over; -1 if none.
    """

    parent: torch.Tensor
    token: torch.Tensor
    score: torch.Tensor
    perturbed_score: torch.Tensor
    before: torch.Tensor
    levels: Levels
    group: torch.Tensor | None = None
    group_codes: torch.Tensor | None = None
    group_of_member: torch.Tensor | None = None
    group_members: Members | None = None
    n_groups: int = 0
    kept: torch.Tensor | None = None
    merged_into: torch.Tensor | None = None

    def codes(self, which: torch.Tensor) -> torch.Tensor:
        """Partial answers of some candidates, (n, L), before any forced filling."""
        return self.filled(which).codes

    def filled(self, which: torch.Tensor) -> "Filled":
        """The tokens that some candidates (n,) fill in."""
        parent = self.parent[which]
        codes = self.before[parent]
        if self.group is not None:
            group = self.group[which]
            fresh = (group >= 0).nonzero()[:, 0]
            codes[fresh] = self.group_codes[group[fresh]]
            return Filled(parent, codes, fresh, group[fresh], None)
        token = self.token[which]
        fresh = (token >= 0).nonzero()[:, 0]
        token = token if len(fresh) == len(which) else token[fresh]
        level = self.levels.level_of_token(token.device)[token]
        codes[fresh, level] = token - self.levels.offset_tensor(token.device)[level]
        return Filled(parent, codes, fresh, token, level)


@dataclass(frozen=True)
class Filled:
    """The tokens that some candidates (n,) fill in.

    Attributes:
        parent: (n,), numbers of their parents.
        codes: (n, L), their partial answers, before any forced filling.
        fresh: (m,), those that fill something; the others are complete beams carried over.
        by: (m,), the tokens that fill them, or the groups where several positions are filled.
        level: (m,), of those tokens; None for groups.
    """

    parent: torch.Tensor
    codes: torch.Tensor
    fresh: torch.Tensor
    by: torch.Tensor
    level: torch.Tensor | None

    @property
    def carried(self) -> torch.Tensor:
        """The complete beams among them, (n - m,)."""
        if len(self.fresh) == len(self.parent):
            return self.fresh[:0]
        there = torch.ones_like(self.parent, dtype=torch.bool)
        there[self.fresh] = False
        return there.nonzero()[:, 0]


def expand_tokens(context: StepContext, scores: BeamScores, chosen: torch.Tensor) -> Candidates:
    """Make candidates of one position each: every legal code of positions chosen (A, L); complete beams as they are."""
    index, before, config = context.search.index, context.before, context.search.config
    allowed = chosen.index_select(1, index.level_of_T) & scores.logp.isfinite()
    row, token = allowed.nonzero(as_tuple=True)
    gain = scores.logp[row, token].double()
    if config.expansion == "joint" and config.merge == "logsumexp":
        gain = gain - chosen.sum(1).double().log()[row]
    parent, done = context.expanded[row], context.complete
    score = before.score[parent] + gain
    if len(done):
        score = torch.cat([score, before.score[done]])
        parent, token = torch.cat([parent, done]), torch.cat([token, torch.full_like(done, -1)])
    return Candidates(
        parent=parent,
        token=token,
        score=score,
        perturbed_score=score,
        before=before.codes,
        levels=index.levels,
    )


def expand_groups(context: StepContext, scores: BeamScores, chosen: torch.Tensor) -> Candidates:
    """Make candidates of several positions each: the distinct code tuples of the items left.

    Positions are chosen by bool (A, L); a tuple's score is its share p(tuple) among them.

    p(tuple) is proportional to the product of p(code) over the positions that no other chosen one implies: a category
    is not counted again for each of its ancestors. Under item scoring `scores.logp` comes from the item
    posterior, and the product is over its marginals, renormalised over the tuples that exist.
    """
    index, before, members, expanded = context.search.index, context.before, context.members, context.expanded
    codes = index.levels.codes(index.tokens_NL[members.item])
    filled = torch.where(chosen[members.state], codes, context.codes[members.state])
    group, n_groups = group_ids(members.state, context.search.keys.of(filled))
    first = torch.full((n_groups,), -1, dtype=torch.int64, device=group.device)
    first[group] = torch.arange(len(group), device=group.device)
    state = members.state[first]
    picked = scores.logp.double().masked_fill(~index.independent_positions(chosen)[:, index.level_of_T], 0.0)
    gain = picked[state[:, None], index.tokens_NL[members.item[first]]].sum(1)
    gain = gain - segment_logsumexp(gain, state, members.n_states)[state]
    done = context.complete
    nothing = torch.full_like(done, -1)
    score = torch.cat([before.score[expanded[state]] + gain, before.score[done]])
    return Candidates(
        parent=torch.cat([expanded[state], done]),
        token=torch.full_like(torch.cat([state, done]), -1),
        score=score,
        perturbed_score=score,
        before=before.codes,
        levels=index.levels,
        group=torch.cat([torch.arange(n_groups, device=state.device), nothing]),
        group_codes=filled[first],
        group_of_member=group,
        group_members=members,
        n_groups=n_groups,
    )


def merge_states(context: StepContext, candidates: Candidates, scores: BeamScores) -> Candidates:
    """Join candidates that are one state: the best path's score, or the log-sum of all. The best one stays."""
    keys, user = context.search.keys, context.before.user[candidates.parent]
    everything = torch.arange(len(candidates.parent), device=user.device)
    codes = candidates.codes(everything)
    if context.search.exact:  # under constraint="level" nothing is forced
        _fill_forced(context, candidates, scores, codes)
    group, n_groups = group_ids(user, keys.of(codes))
    order = order_by(group, candidates.score, lambda: keys.of(candidates.codes(everything)))
    if context.search.config.merge == "logsumexp":
        total = segment_logsumexp(candidates.score, group, n_groups)
        candidates = replace(candidates, score=total[group], perturbed_score=total[group])
    lead = leaders(group, order, n_groups)[group]
    return replace(candidates, merged_into=torch.where(lead == everything, -1, lead))


def leaders(group: torch.Tensor, order: torch.Tensor, n_groups: int) -> torch.Tensor:
    """The first element of each group in an order, int64 (n_groups,); no group may be empty.

    By a reduction and not by assignment: which of several writes to one index wins is undefined, on a GPU and on
    several threads of a CPU.
    """
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return order[rank.new_full((n_groups,), len(order)).scatter_reduce_(0, group, rank, "amin")]


def _fill_forced(context: StepContext, candidates: Candidates, scores: BeamScores, codes: torch.Tensor) -> None:
    """Complete, in `codes` (C, L), each candidate with one item left: it is that item."""
    index, members = context.search.index, context.members
    fresh = (candidates.token >= 0).nonzero()[:, 0]
    row, token = context.row_of[candidates.parent[fresh]], candidates.token[fresh]
    alone = scores.legal[row, token] == 1
    if alone.any():
        # With one item on a token, the sum of item rows over its members is that item.
        item = index.sum_by_token(members, members.item.double())[row[alone], token[alone]].long()
        codes[fresh[alone]] = index.levels.codes(index.tokens_NL[item])


def select(context: StepContext, candidates: Candidates) -> Candidates:
    """Choose the beams to keep: the `beam_size` best of each user, ties by token ids."""
    config, keys, user = context.search.config, context.search.keys, context.before.user[candidates.parent]
    if config.temperature:
        candidates = replace(candidates, perturbed_score=_perturb(context, candidates, user))
    pool = (candidates.perturbed_score > -torch.inf).nonzero()[:, 0]
    if candidates.merged_into is not None:
        pool = pool[candidates.merged_into[pool] < 0]
    n_users = context.search.n_users
    pool = _shortlist(pool, user, n_users, candidates.perturbed_score, config.beam_size, config.diversity)
    if config.diversity:
        kept = _diverse(candidates, pool, user, keys, config)
    else:
        owner = None if n_users == 1 else user[pool]
        order = pool[order_by(owner, candidates.perturbed_score[pool], lambda: keys.of(candidates.codes(pool)))]
        kept = order[: config.beam_size] if n_users == 1 else order[rank_within(user[order]) < config.beam_size]
    return replace(candidates, kept=kept)


def _shortlist(
    pool: torch.Tensor, user: torch.Tensor, n_users: int, score: torch.Tensor, beam_size: int, slack: float
) -> torch.Tensor:
    """Leave out candidates that cannot be kept, ties of the last rank included, before the exact sort.

    A diversity penalty lowers a score by `slack` at most, so one that lies farther behind cannot be kept either.
    """
    widest = len(pool) if n_users == 1 else int(torch.bincount(user[pool], minlength=n_users).max())
    if widest <= 4 * beam_size:
        return pool
    by_user = pool[user[pool].argsort(stable=True)]
    table = score.new_full((n_users, widest), -torch.inf)
    table[user[by_user], rank_within(user[by_user])] = score[by_user]
    worst = table.topk(beam_size, dim=1).values[:, -1]
    return pool[score[pool] >= worst[user[pool]] - slack]


def _perturb(context: StepContext, candidates: Candidates, user: torch.Tensor) -> torch.Tensor:
    """Gumbel scores whose maximum over a beam's children is the beam's own: sampling without replacement.

    Stochastic beam search (Kool, van Hoof and Welling 2019, arXiv 1903.06059, algorithm 1), at a temperature; each
    user draws from a generator of its own, so that a batch draws what its members would draw alone.
    """
    before, config, step = context.before, context.search.config, context.number
    phi = candidates.score / config.temperature
    uniform = torch.empty_like(phi)
    for one in user.unique().tolist():
        mine = user == one
        generator = torch.Generator().manual_seed(config.seed * 1009 + step)
        uniform[mine] = torch.rand(int(mine.sum()), generator=generator, dtype=torch.float64).to(phi.device)
    gumbel = phi - torch.log(-torch.log(uniform.clamp(1e-300, 1 - 1e-16)))
    n_parents = len(before.user)
    top = gumbel.new_full((n_parents,), -torch.inf).scatter_reduce_(0, candidates.parent, gumbel, "amax")
    target = before.perturbed_score / (config.temperature if step == 1 else 1.0)
    z, t = top[candidates.parent], target[candidates.parent]
    v = t - gumbel + torch.log1p(-torch.exp((gumbel - z).clamp(max=0)))
    conditioned = t - v.clamp(min=0) - torch.log1p(torch.exp(-v.abs()))
    return torch.where(gumbel >= z, t, conditioned)


def _diverse(
    candidates: Candidates, pool: torch.Tensor, user: torch.Tensor, keys: StateKeys, config: DecodeConfig
) -> torch.Tensor:
    """Greedy choice by score minus lambda times the largest share of filled positions equal to a kept beam's.

    One round a rank, all users at once; the scores stored stay unpenalised.
    """
    pool = pool[order_by(user[pool], candidates.perturbed_score[pool], lambda: keys.of(candidates.codes(pool)))]
    codes, owner, score = candidates.codes(pool), user[pool], candidates.perturbed_score[pool].clone()
    filled = (codes >= 0).sum(1).clamp(min=1)
    likeness = torch.zeros(len(pool), dtype=torch.float64, device=pool.device)
    n_users = int(user.max()) + 1
    kept = []
    for _ in range(config.beam_size):
        penalised = score - config.diversity * likeness
        best = penalised.new_full((n_users,), -torch.inf).scatter_reduce_(0, owner, penalised, "amax")
        hit = ((penalised == best[owner]) & penalised.isfinite()).nonzero()[:, 0]
        if not len(hit):
            break
        first = hit[rank_within(owner[hit]) == 0]  # the pool is sorted: the first of equals has the lowest tokens
        kept.append(first)
        score[first] = -torch.inf
        newest = torch.full((n_users, codes.shape[1]), -2, device=pool.device)
        newest[owner[first]] = codes[first]
        same = ((codes == newest[owner]) & (codes >= 0)).sum(1) / filled
        likeness = torch.maximum(likeness, same.double())
    chosen = torch.cat(kept)
    return pool[
        chosen[order_by(owner[chosen], candidates.perturbed_score[pool[chosen]], lambda: keys.of(codes[chosen]))]
    ]
