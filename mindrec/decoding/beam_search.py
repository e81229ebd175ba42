"""Diffusion Beam Search: one generator, used by the app, the evaluator, the tests and the API.

`search` decodes a batch of users and yields a `Step` of tensors after each denoiser step, the first one all masked.
mindrec.decoding.recording turns the steps of one user into a trace.

Definitions that design section 5 leaves open:
- Positions of a step with several are picked one after the other: the order is asked again with those picked so far
  taken as filled, so that "not now" positions follow once the allowed ones are used up.
- Several positions a step need expansion="partition" and constraint="exact"; anything else is an error.
- Under constraint="level" a beam is complete when all positions are filled; it may name no item. History and
  forbidden items are not excluded there, as in the published search; forbidden tokens are.
- joint keys the merge on the state after forced filling, so that one item reached by two paths is one state.

Shape legend: B users, S beams of all users, A beams looked at, C candidates, L levels, T tokens, N items.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.expansion import Candidates, expand_groups, expand_tokens, merge_states, select
from mindrec.decoding.opinions import Opinions, look, normalise
from mindrec.decoding.orders import ORDERS, View
from mindrec.decoding.state import Beams, StateKeys
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser
from mindrec.tokens.item_index import ItemIndex, Members


@dataclass(frozen=True)
class Step:
    """What one denoiser step did to the beams of all users.

    Attributes:
        index: 0 is the start, before any denoiser call.
        before: the beams that were expanded; None at the start.
        beams: the beams kept.
        looked: int64 (A,), which of `before` were open, in order; the rows of `opinions`.
        opinions: what was seen of them; None at the start.
        chosen: bool (A, L), the positions that each of them branched on.
        candidates: all that competed, best first for each user; the kept ones lead. None at the start.
        coverage: float64 (B,), the search's own probability on items still possible; None where undefined.
        nfe, rows: int64 (B,), denoiser calls so far, and beams looked at in them.
    """

    index: int
    before: Beams | None
    beams: Beams
    looked: torch.Tensor
    opinions: Opinions | None
    chosen: torch.Tensor
    candidates: Candidates | None
    coverage: torch.Tensor | None
    nfe: torch.Tensor
    rows: torch.Tensor


def search(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    *,
    n_categories: int,
    cache=None,
) -> Iterator[Step]:
    """Decode B histories of item rows.

    Args:
        n_categories: leading positions that are category levels.
        cache: the histories' cache where the caller has it already.

    Raises:
        MindRecError: settings that exclude each other, a pin or ban that leaves no item, an order that the denoiser
            does not support.
    """
    with torch.inference_mode():
        yield from _search(denoiser, index, histories, config, n_categories, cache)


def final(steps: Iterator[Step]) -> Step:
    """Run to the end; the last step holds the answer."""
    step = None
    for step in steps:
        pass
    return step


def _search(denoiser, index, histories, config, n_categories, cache) -> Iterator[Step]:
    check(config, denoiser, index)
    device = index.tokens_NL.device
    exact = config.constraint == "exact"
    cache = denoiser.encode(histories) if cache is None else cache
    allowed_BN = allowed_items(index, histories, config)
    mass_BN = _item_mass(denoiser, cache, allowed_BN) if config.evidence != "off" else None
    keys = StateKeys(index.level_sizes, device)
    beams, root_counts = start(index, allowed_BN, config)
    B = len(histories)
    nfe, rows = torch.zeros(2, B, dtype=torch.int64, device=device)
    coverage = _coverage(beams, B, config)
    nothing = torch.zeros(0, dtype=torch.int64, device=device)
    yield Step(0, None, beams, nothing, None, beams.open[:0], None, coverage, nfe, rows)
    plan = positions_per_step(int(beams.open[0].sum()), config)
    for number, n_positions in enumerate(plan, 1):
        looked = beams.open.any(1).nonzero()[:, 0]
        if not len(looked):
            return
        needs_members = n_positions > 1 or config.scoring == "item"
        if beams.members is None and (needs_members or not exact):
            beams = replace(beams, members=_all_allowed(allowed_BN))
        before = beams
        user, codes = before.user[looked], before.codes[looked]
        members = _of_states(before.members, looked, len(before.user))
        opinions = look(
            denoiser,
            cache,
            index,
            user,
            codes,
            members,
            root_counts,
            mass_BN,
            evidence=config.evidence,
            scoring=config.scoring,
            exact=exact,
        )
        if config.forbid_tokens and not exact:
            opinions = _without_tokens(opinions, index, config)
        chosen = choose(opinions, codes, index, config, n_categories, n_positions)
        seen = torch.bincount(user, minlength=B)
        nfe, rows = nfe + (seen > 0) * opinions.calls, rows + seen * (opinions.rows > 0)
        if n_positions == 1:
            candidates = expand_tokens(index, before, looked, opinions, chosen, config)
        else:
            candidates = expand_groups(index, before, looked, opinions, chosen, members, keys)
        if config.expansion == "joint":
            candidates = merge_states(index, before, candidates, opinions, members, looked, keys, config.merge)
        candidates = select(candidates, before, keys, config, number)
        beams = _keep(index, before, candidates, allowed_BN, config)
        coverage = _coverage(beams, B, config)
        yield Step(number, before, beams, looked, opinions, chosen, candidates, coverage, nfe, rows)


# -- before the first step ---------------------------------------------------------------------------------------------


def check(config: DecodeConfig, denoiser: Denoiser, index: ItemIndex) -> None:
    """Refuse settings that contradict each other or the denoiser."""
    if config.order not in ORDERS:
        raise MindRecError(f"order={config.order!r} is not one of {', '.join(ORDERS)}")
    if denoiser.orders is not None and config.order not in denoiser.orders:
        raise MindRecError(f"order={config.order!r}: this denoiser decodes {' or '.join(denoiser.orders)} only")
    several = config.steps is not None or config.resolve is not None
    if denoiser.orders is not None and (several or config.expansion == "joint"):
        raise MindRecError("an auto-regressive denoiser fills one position a step, with expansion='partition'")
    if several and (config.expansion == "joint" or config.constraint == "level"):
        raise MindRecError("steps and resolve need expansion='partition' and constraint='exact'")
    if config.scoring == "item" and config.constraint == "level":
        raise MindRecError("scoring='item' needs constraint='exact'")
    for position, code in (*config.pins, *config.forbid_tokens):
        if position >= index.n_levels or code >= index.level_sizes[position]:
            raise MindRecError(f"token (position {position}, code {code}) does not exist; levels are {index.level_sizes}")
    for row in config.forbid_items:
        if not 0 <= row < index.n_items:
            raise MindRecError(f"forbidden item row {row} is outside 0..{index.n_items - 1}")


def allowed_items(index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig) -> torch.Tensor:
    """Items that may be recommended to each user, bool (B, N): pins, bans and, if asked, the history applied."""
    device = index.tokens_NL.device
    base = torch.ones(index.n_items, dtype=torch.bool, device=device)
    codes = index.tokens_NL - index.offsets
    for position, code in config.pins:
        base &= codes[:, position] == code
    for position, code in config.forbid_tokens:
        base &= codes[:, position] != code
    base[list(config.forbid_items)] = False
    allowed = base.expand(len(histories), -1).clone()
    if config.exclude_seen and config.constraint == "exact":
        for user, history in enumerate(histories):
            allowed[user, list(history)] = False
    if not allowed.any(1).all():
        user = int((~allowed.any(1)).nonzero()[0, 0])
        raise MindRecError(
            f"no item is left to recommend (history {user}): the pins, bans and seen items rule all out; lift one"
        )
    return allowed


def positions_per_step(n_open: int, config: DecodeConfig) -> list[int]:
    """How many positions each step fills: one each, or `steps` even parts with the larger last, or `resolve`."""
    if config.resolve is not None and config.resolve < n_open:
        return [1] * config.resolve + [n_open - config.resolve]
    if config.steps is not None and config.steps < n_open:
        part, larger = divmod(n_open, config.steps)
        return [part] * (config.steps - larger) + [part + 1] * larger
    return [1] * n_open


def start(index: ItemIndex, allowed_BN: torch.Tensor, config: DecodeConfig) -> tuple[Beams, torch.Tensor | None]:
    """One beam a user, all masked but for the pins; and the counts of items on each token, (B, T)."""
    B, device = len(allowed_BN), allowed_BN.device
    codes = torch.full((B, index.n_levels), -1, dtype=torch.int64, device=device)
    for position, code in config.pins:
        codes[:, position] = code
    restricted = bool(config.pins or config.forbid_tokens or config.forbid_items)
    members = _all_allowed(allowed_BN) if restricted else None
    counts = None
    if members is None:
        counts = index.root_counts([(~row).nonzero()[:, 0] for row in allowed_BN])
    zeros = torch.zeros(B, dtype=torch.float64, device=device)
    beams = Beams(
        user=torch.arange(B, device=device),
        codes=codes,
        score=zeros,
        parent=torch.arange(B, device=device),
        noisy=zeros,
        forced=torch.zeros(B, index.n_levels, dtype=torch.bool, device=device),
        members=members,
        items=allowed_BN.sum(1),
    )
    return _fill_forced(index, beams) if members is not None and config.constraint == "exact" else beams, counts


def _item_mass(denoiser: Denoiser, cache, allowed_BN: torch.Tensor) -> torch.Tensor | None:
    """The dense head's distribution over allowed items, float64 (B, N)."""
    logits = denoiser.item_logits(cache)
    return None if logits is None else logits.double().masked_fill(~allowed_BN, -torch.inf).softmax(1)


def _all_allowed(allowed_BN: torch.Tensor) -> Members:
    user, item = allowed_BN.nonzero(as_tuple=True)
    return Members(user, item, len(allowed_BN))


def _of_states(members: Members | None, states: torch.Tensor, n_states: int) -> Members | None:
    """The members of some states, renumbered 0..len(states)-1."""
    if members is None or len(states) == n_states:
        return members
    place = torch.full((n_states,), -1, dtype=torch.int64, device=states.device)
    place[states] = torch.arange(len(states), device=states.device)
    state = place[members.state]
    keep = state >= 0
    return Members(state[keep], members.item[keep], len(states))


# -- one step ----------------------------------------------------------------------------------------------------------


def choose(
    opinions: Opinions, codes: torch.Tensor, index: ItemIndex, config: DecodeConfig, n_categories: int, n: int
) -> torch.Tensor:
    """The positions each beam branches on, bool (A, L): n for partition, all that the order allows for joint."""
    order = ORDERS[config.order]

    def probabilities():
        return [p.exp() for p in opinions.logp.split(index.level_sizes, 1)]

    open_AL = codes < 0
    view = View(open_AL, n_categories, config.seed, probabilities)
    if config.expansion == "joint":
        return order(view).isfinite() & open_AL
    chosen = torch.zeros_like(open_AL)
    for _ in range(n):
        place = order(view).argmax(1, keepdim=True)
        chosen.scatter_(1, place, True)
        left = open_AL & ~chosen
        if not left.any():
            break
        view = replace(view, open=left)
    return chosen


def _without_tokens(opinions: Opinions, index: ItemIndex, config: DecodeConfig) -> Opinions:
    banned = [int(index.offsets[position]) + code for position, code in config.forbid_tokens]
    legal = opinions.legal.clone()
    legal[:, banned] = 0
    return replace(opinions, legal=legal, logp=normalise(opinions.logp, legal > 0, index.level_sizes))


def _keep(index, before: Beams, candidates: Candidates, allowed_BN: torch.Tensor, config: DecodeConfig) -> Beams:
    """The beams of the kept candidates, with what each can still become."""
    kept = candidates.kept
    parent, codes = candidates.parent[kept], candidates.codes(kept)
    members = _child_members(index, before, candidates, kept, allowed_BN)
    beams = Beams(
        user=before.user[parent],
        codes=codes,
        score=candidates.score[kept],
        parent=parent,
        noisy=candidates.noisy[kept],
        forced=before.forced[parent],
        members=members,
        items=members.counts(),
    )
    return _fill_forced(index, beams) if config.constraint == "exact" else beams


def _child_members(index, before: Beams, candidates: Candidates, kept: torch.Tensor, allowed_BN) -> Members:
    """Members of the new beams. A new beam's place among the kept is its state number."""
    parent, token = candidates.parent[kept], candidates.token[kept]
    n_kept, device = len(kept), kept.device
    if candidates.group is not None:  # several positions at once: members were grouped by the codes they share
        place = torch.full((candidates.n_groups,), -1, dtype=torch.int64, device=device)
        fresh = candidates.group[kept] >= 0
        place[candidates.group[kept][fresh]] = fresh.nonzero()[:, 0]
        state = place[candidates.group_of_member]
        pairs = [(state[state >= 0], candidates.group_members.item[state >= 0])]
    elif before.members is None:
        members = index.postings(token)
        fine = allowed_BN[before.user[parent][members.state], members.item]
        return Members(members.state[fine], members.item[fine], n_kept)
    else:
        pairs, new_state = [], torch.arange(n_kept, device=device)
        table = torch.full((len(before.user), index.n_tokens), -1, dtype=torch.int64, device=device)
        positions = torch.where(token >= 0, index.level_of_T[token.clamp(min=0)], -1)
        for position in positions.unique().tolist():
            if position < 0:
                continue
            mine = positions == position
            table.fill_(-1)
            table[parent[mine], token[mine]] = new_state[mine]
            state = table[before.members.state, index.tokens_NL[before.members.item, position]]
            pairs.append((state[state >= 0], before.members.item[state >= 0]))
    carried = (token < 0) & (candidates.group[kept] < 0 if candidates.group is not None else True)
    if carried.any():  # complete beams take their items along
        place = torch.full((len(before.user),), -1, dtype=torch.int64, device=device)
        place[parent[carried]] = carried.nonzero()[:, 0]
        state = place[before.members.state]
        pairs.append((state[state >= 0], before.members.item[state >= 0]))
    return Members(torch.cat([s for s, _ in pairs]), torch.cat([i for _, i in pairs]), n_kept)


def _fill_forced(index: ItemIndex, beams: Beams) -> Beams:
    """A beam with one item left is complete: its open positions take that item's codes, at p = 1."""
    alone = (beams.items == 1) & beams.open.any(1)
    if not alone.any():
        return beams
    item = torch.zeros_like(beams.user)
    item[beams.members.state] = beams.members.item
    codes = (index.tokens_NL - index.offsets)[item]
    forced = alone[:, None] & beams.open
    return replace(beams, codes=torch.where(forced, codes, beams.codes), forced=beams.forced | forced)


def _coverage(beams: Beams, n_users: int, config: DecodeConfig) -> torch.Tensor | None:
    summed = config.expansion == "partition" or config.merge == "logsumexp"
    if not summed or config.diversity or config.constraint == "level" or config.temperature:
        return None
    mass = torch.zeros(n_users, dtype=torch.float64, device=beams.user.device)
    return mass.index_add_(0, beams.user, beams.score.exp())


# -- the answer --------------------------------------------------------------------------------------------------------


def ranked_items(index: ItemIndex, beams: Beams, n_users: int, beam_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Item rows (B, K), -1 where there is none or the answer is off the catalog; and scores float64 (B, K)."""
    rows = torch.full((n_users, beam_size), -1, dtype=torch.int64, device=beams.user.device)
    scores = torch.full((n_users, beam_size), -torch.inf, dtype=torch.float64, device=beams.user.device)
    item = torch.full_like(beams.user, -1)
    item[beams.members.state] = beams.members.item
    item = torch.where((beams.items == 1) & ~beams.open.any(1), item, -1)
    rows[beams.user, beams.rank] = item
    scores[beams.user, beams.rank] = beams.score
    return rows, scores
