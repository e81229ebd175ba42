"""The beams that a search starts with, and those that its kept candidates become.

Shape legend: S beams of all users, L levels.
"""

from dataclasses import replace

import torch

from mindrec.decoding.beams import Beams
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.context import StepContext
from mindrec.decoding.expansion import Candidates, Filled
from mindrec.decoding.item_index import Excluded, ItemIndex, Members, Postings
from mindrec.decoding.scoring import BeamScores


def start(index: ItemIndex, excluded: Excluded, config: DecodeConfig) -> Beams:
    """One beam a user, all masked but for the pins."""
    B, device = excluded.n_users, index.tokens_NL.device
    codes = torch.full((B, index.n_levels), -1, dtype=torch.int64, device=device)
    for position, code in config.pins:
        codes[:, position] = code
    users = torch.arange(B, device=device)
    zeros = torch.zeros(B, dtype=torch.float64, device=device)
    members: Members | Postings = Postings(torch.full((B,), -1, dtype=torch.int64, device=device))
    items = excluded.counts()
    if excluded.banned is not None or (items == 1).any():
        members = index.expand(members, users, excluded)
    nowhere = torch.zeros(B, index.n_levels, dtype=torch.bool, device=device)
    beams = Beams(users, codes, zeros, users, zeros, nowhere, members, items)
    return _fill_forced(index, beams) if config.constraint == "exact" else beams


def children(context: StepContext, candidates: Candidates, scores: BeamScores) -> Beams:
    """The beams of the kept candidates, with the items that each can still become."""
    kept, before, filled = candidates.kept, context.before, candidates.filled(candidates.kept)
    parent, score, perturbed = filled.parent, candidates.score, candidates.perturbed_score
    if isinstance(before.members, Postings):
        members, items = _child_postings(context, parent, candidates.token[kept], scores)
    else:
        members = _child_members(context.search.index, before, candidates, filled)
        items = members.counts()
    beams = Beams(
        user=before.user[parent],
        codes=filled.codes,
        score=score[kept],
        parent=parent,
        perturbed_score=perturbed[kept] if perturbed is not score else score[kept],
        forced=before.forced[parent],
        members=members,
        items=items,
    )
    return _fill_forced(context.search.index, beams) if context.search.exact else beams


def _child_postings(
    context: StepContext, parent: torch.Tensor, token: torch.Tensor, scores: BeamScores
) -> tuple[Members | Postings, torch.Tensor]:
    """Children of beams that are the postings of one token: postings again where the new token implies the old.

    It does at the root and down a category tree, whose nodes are keyed by their whole path.
    """
    index, before = context.search.index, context.before
    items = scores.legal[context.row_of[parent], token]
    held = before.members.token[parent]
    implied = (held < 0) | (index.implied(token, held))
    user = before.user[parent]
    if bool(implied.all()) and bool((items > 1).all()):
        return Postings(token), items
    members = index.pair_postings(held, token)
    fits = context.search.excluded.allows(user[members.state], members.item)
    return Members(members.state[fits], members.item[fits], len(token)), items


def _child_members(index: ItemIndex, before: Beams, candidates: Candidates, filled: Filled) -> Members:
    """Members of the new beams. A new beam's rank among the kept is its state number."""
    parent, fresh, carried, pairs = filled.parent, filled.fresh, filled.carried, []
    if filled.level is None:  # several positions at once: members were grouped by the codes they share
        state_of = torch.full((candidates.n_groups,), -1, dtype=torch.int64, device=parent.device)
        state_of[filled.by] = fresh
        pairs.append((state_of[candidates.group_of_member], candidates.group_members.item))
    else:
        table = torch.full((len(before.user), index.n_tokens), -1, dtype=torch.int64, device=parent.device)
        table[parent[fresh], filled.by] = fresh
        held = index.tokens_NL[before.members.item[:, None], filled.level.unique()]
        pairs.append((table[before.members.state[:, None], held], before.members.item[:, None].expand(held.shape)))
    if len(carried):  # complete beams take their items along
        state_of = torch.full((len(before.user),), -1, dtype=torch.int64, device=parent.device)
        state_of[parent[carried]] = carried
        pairs.append((state_of[before.members.state], before.members.item))
    there = [state >= 0 for state, _ in pairs]
    pairs = [(state[alive], item[alive]) for (state, item), alive in zip(pairs, there, strict=True)]
    return Members(torch.cat([s for s, _ in pairs]), torch.cat([i for _, i in pairs]), len(parent))


def _fill_forced(index: ItemIndex, beams: Beams) -> Beams:
    """A beam with one item left is complete: its open positions take that item's codes, at p = 1."""
    open_ = beams.open
    alone = (beams.items == 1) & open_.any(1)
    if not alone.any():
        return beams
    item = torch.zeros_like(beams.user)
    item[beams.members.state] = beams.members.item
    codes = index.levels.codes(index.tokens_NL[item])
    forced = alone[:, None] & open_
    return replace(beams, codes=torch.where(forced, codes, beams.codes), forced=beams.forced | forced)
