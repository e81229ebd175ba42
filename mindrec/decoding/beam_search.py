"""Diffusion Beam Search: one generator, used by the app, the evaluator, the tests and the API.

`search` decodes a batch of users and yields a `Step` of tensors after each denoiser step, the first one all masked.
mindrec.recording.recorder turns the steps of one user into a trace.

Definitions that design section 5 leaves open:
- Positions of a step with several are picked one after the other: the order is asked again with those picked so far
  taken as filled, so that "not now" positions follow once the allowed ones are used up.
- Several positions a step need expansion="partition" and constraint="exact"; anything else is an error.
- Under constraint="level" a beam is complete when all positions are filled; it may name no item. History and
  forbidden items are not excluded there, as in the published search; forbidden tokens are.
- joint keys the merge on the state after forced filling, so that one item reached by two paths is one state.

Shape legend: B users, S beams of all users, A beams looked at, C candidates, L levels, T tokens, N items.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beams import Beams, StateKeys
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.expansion import Candidates, expand_groups, expand_tokens, merge_states, select
from mindrec.decoding.guidance import guidance_of
from mindrec.decoding.item_index import Excluded, ItemIndex, Members, Postings
from mindrec.decoding.orders import ORDERS, View
from mindrec.decoding.scoring import Opinions, look
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser, HistoryCache


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
        excluded: what may not be recommended; None where the search rules nothing out.
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
    excluded: Excluded | None = None


def search(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    *,
    cache=None,
    everywhere: bool = True,
) -> Iterator[Step]:
    """Decode B histories of item rows.

    Args:
        cache: the histories' cache where the caller has it already.
        everywhere: whether opinions are formed at every open position, which a trace needs, or only where the
            search branches, which is all that an answer needs.

    Raises:
        MindRecError: settings that exclude each other, a pin or ban that leaves no item, an order that the denoiser
            does not support.
    """
    with torch.inference_mode():
        yield from _search(denoiser, index, histories, config, cache, everywhere)


def final(steps: Iterator[Step]) -> Step:
    """Run to the end; the last step holds the answer."""
    return deque(steps, maxlen=1)[0]


def _search(denoiser, index, histories, config, cache, everywhere) -> Iterator[Step]:
    check(config, denoiser, index)
    device, B = index.tokens_NL.device, len(histories)
    exact = config.constraint == "exact"
    cache = read_histories(denoiser, histories) if cache is None else cache
    excluded = rule_out(index, histories, config)
    mass_BN = _item_mass(denoiser, cache, excluded) if cache is not None and config.evidence != "off" else None
    guidance = guidance_of(index, histories, excluded, config.guidance, mass_BN, reads_empty=denoiser.reads_empty)
    mass_BN = mass_BN if guidance is None else guidance.mass()
    keys = StateKeys(index.levels.sizes, device)
    beams = start(index, excluded, config)
    nfe, rows = torch.zeros(2, B, dtype=torch.int64, device=device)
    nothing = torch.zeros(0, dtype=torch.int64, device=device)
    yield Step(0, None, beams, nothing, None, beams.open[:0], None, _coverage(beams, B, config), nfe, rows, excluded)
    for number, n_positions in enumerate(positions_per_step(int(beams.open.sum(1).max()), config), 1):
        looked = beams.open.any(1).nonzero()[:, 0]
        if not len(looked):
            return
        joint, early = config.expansion == "joint", None
        one_by_one = n_positions > 1 or joint or config.scoring == "item" or not exact
        if number > 1:  # at the root, opinions need no expansion; later only the bare search does without
            one_by_one = one_by_one or everywhere or mass_BN is not None or guidance is not None
        if isinstance(beams.members, Postings) and one_by_one:
            beams = replace(beams, members=index.expand(beams.members, beams.user, excluded))
        before = beams
        user, codes = before.user[looked], before.codes[looked]
        if not everywhere and not joint and config.scoring == "token":
            early = _choose_unseen(index, codes, config, n_positions)
        opinions = look(
            denoiser,
            cache,
            index,
            user,
            codes,
            _of_states(before.members, looked, len(before.user)),
            excluded,
            mass_BN,
            evidence=config.evidence,
            scoring=config.scoring,
            exact=exact,
            levels=None if early is None else early.any(0).nonzero()[:, 0].tolist(),
            guidance=guidance,
            both_sides=everywhere,
        )
        if config.forbid_tokens and not exact:
            opinions = _without_tokens(opinions, index, config)
        chosen = early if early is not None else choose(opinions, codes, index, config, n_positions)
        seen = torch.bincount(user, minlength=B)
        nfe, rows = nfe + (seen > 0) * opinions.calls, rows + seen * (opinions.rows > 0)
        members = _of_states(before.members, looked, len(before.user))
        if n_positions == 1:
            candidates = expand_tokens(index, before, looked, opinions, chosen, config)
        else:
            candidates = expand_groups(index, before, looked, opinions, chosen, members, keys)
        if joint:
            forcing = members if exact else None  # under constraint="level" nothing is forced
            candidates = merge_states(index, before, candidates, opinions, forcing, looked, keys, config.merge)
        candidates = select(candidates, before, keys, config, number)
        beams = _keep(index, before, candidates, opinions, looked, excluded, config)
        coverage = _coverage(beams, B, config)
        yield Step(number, before, beams, looked, opinions, chosen, candidates, coverage, nfe, rows, excluded)


# -- before the first step ---------------------------------------------------------------------------------------------


def read_histories(denoiser: Denoiser, histories: Sequence[Sequence[int]]) -> HistoryCache | None:
    """The cache of B histories; None where all are empty and the denoiser reads no such, for then it is not asked.

    Beside others an empty one is read as a history of the first item, which nothing makes use of.
    """
    if denoiser.reads_empty:
        return denoiser.encode(histories)
    return denoiser.encode([history or (0,) for history in histories]) if any(map(len, histories)) else None


def check(config: DecodeConfig, denoiser: Denoiser, index: ItemIndex) -> None:
    """Refuse settings that the denoiser or the catalog contradicts."""
    if config.order not in ORDERS:
        raise MindRecError(f"order={config.order!r} is not one of {', '.join(ORDERS)}")
    if denoiser.orders is not None and config.order not in denoiser.orders:
        raise MindRecError(f"order={config.order!r}: this denoiser decodes {' or '.join(denoiser.orders)} only")
    several = config.steps is not None or config.resolve is not None
    if denoiser.orders is not None and (several or config.expansion == "joint"):
        raise MindRecError("an auto-regressive denoiser fills one position a step, with expansion='partition'")
    for position, code in (*config.pins, *config.forbid_tokens):
        if position >= index.n_levels or code >= index.levels.sizes[position]:
            raise MindRecError(
                f"token (position {position}, code {code}) does not exist; levels are {index.levels.sizes}"
            )
    for row in config.forbid_items:
        if not 0 <= row < index.n_items:
            raise MindRecError(f"forbidden item row {row} is outside 0..{index.n_items - 1}")


def rule_out(index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig) -> Excluded:
    """The items that the search of `config` cannot recommend, and the only rule for it.

    Pins and forbidden tokens rule items out for all users, in every search that knows them. Forbidden items and, if
    asked, each user's history do so where the catalog constrains the search: not under constraint="level", nor in the
    published search, which refuses pins and bans.

    Raises:
        MindRecError: no item is left for some history.
    """
    device, exact = index.tokens_NL.device, config.constraint == "exact" and config.algorithm != "published"
    forbidden = list(config.forbid_items) if exact else []
    banned = None
    if config.pins or config.forbid_tokens or forbidden:
        banned = torch.zeros(index.n_items, dtype=torch.bool, device=device)
        codes = index.levels.codes(index.tokens_NL)
        for position, code in config.pins:
            banned |= codes[:, position] != code
        for position, code in config.forbid_tokens:
            banned |= codes[:, position] == code
        banned[forbidden] = True
    seen = [sorted(set(h)) for h in histories] if config.exclude_seen and exact else []
    excluded = Excluded(
        torch.tensor([u for u, rows in enumerate(seen) for _ in rows], dtype=torch.int64, device=device),
        torch.tensor([row for rows in seen for row in rows], dtype=torch.int64, device=device),
        banned,
        len(histories),
        index.n_items,
    )
    left = excluded.counts()
    if not (left > 0).all():
        user = int((left <= 0).nonzero()[0, 0])
        raise MindRecError(
            f"no item is left to recommend (history {user}): the pins, bans and seen items rule all out; lift one"
        )
    return excluded


def positions_per_step(n_open: int, config: DecodeConfig) -> list[int]:
    """How many positions each step fills: one each, or `steps` even parts with the larger last, or `resolve`."""
    if config.resolve is not None and config.resolve < n_open:
        return [1] * config.resolve + [n_open - config.resolve]
    if config.steps is not None and config.steps < n_open:
        part, larger = divmod(n_open, config.steps)
        return [part] * (config.steps - larger) + [part + 1] * larger
    return [1] * n_open


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


def _item_mass(denoiser: Denoiser, cache, excluded: Excluded) -> torch.Tensor | None:
    """How likely each allowed item is next, by dense head and transitions: float64 (B, N)."""
    logits = denoiser.item_logits(cache)
    return None if logits is None else logits.double().masked_fill(~excluded.table(), -torch.inf).softmax(1)


def _of_states(members: Members | Postings, states: torch.Tensor, n_states: int) -> Members | Postings:
    """The members of some states, renumbered 0..len(states)-1."""
    if len(states) == n_states:
        return members
    if isinstance(members, Postings):
        return Postings(members.token[states])
    place = torch.full((n_states,), -1, dtype=torch.int64, device=states.device)
    place[states] = torch.arange(len(states), device=states.device)
    state = place[members.state]
    keep = state >= 0
    return Members(state[keep], members.item[keep], len(states))


# -- one step ----------------------------------------------------------------------------------------------------------


def choose(opinions: Opinions, codes: torch.Tensor, index: ItemIndex, config: DecodeConfig, n: int) -> torch.Tensor:
    """The positions each beam branches on, bool (A, L): n for partition, all that the order allows for joint."""
    order = ORDERS[config.order]

    def probabilities():
        return [p.exp() for p in index.levels.split(opinions.logp)]

    view = View(codes < 0, index.levels, config.seed, probabilities)
    if config.expansion == "joint":
        return order(view).isfinite() & view.open
    return _pick(order, view, n)


def _pick(order, view: View, n: int) -> torch.Tensor:
    """The n first positions of an order, asked again with those picked so far taken as filled."""
    open_AL, chosen = view.open, torch.zeros_like(view.open)
    for _ in range(n):
        place = order(view).argmax(1, keepdim=True)
        chosen.scatter_(1, place, True)
        left = open_AL & ~chosen
        if not left.any():
            break
        view = replace(view, open=left)
    return chosen


class _Asked(Exception):
    """An order asked for probabilities."""


def _choose_unseen(index: ItemIndex, codes: torch.Tensor, config: DecodeConfig, n: int) -> torch.Tensor | None:
    """The positions to branch on where the order needs no probabilities to tell; else None."""

    def refuse():
        raise _Asked

    try:
        return _pick(ORDERS[config.order], View(codes < 0, index.levels, config.seed, refuse), n)
    except _Asked:
        return None


def _without_tokens(opinions: Opinions, index: ItemIndex, config: DecodeConfig) -> Opinions:
    banned = [index.levels.offsets[position] + code for position, code in config.forbid_tokens]
    legal = opinions.legal.clone()
    legal[:, banned] = 0
    return replace(opinions, legal=legal, logp=index.levels.legal_log_softmax(opinions.logp, legal > 0))


def _keep(
    index, before: Beams, candidates: Candidates, opinions: Opinions, looked, excluded: Excluded, config: DecodeConfig
) -> Beams:
    """The beams of the kept candidates, with what each can still become."""
    kept = candidates.kept
    parent, token = candidates.parent[kept], candidates.token[kept]
    if isinstance(before.members, Postings):
        members, items = _child_postings(index, before, parent, token, opinions, looked, excluded)
    else:
        members = _child_members(index, before, candidates)
        items = members.counts()
    beams = Beams(
        user=before.user[parent],
        codes=candidates.codes(kept),
        score=candidates.score[kept],
        parent=parent,
        noisy=candidates.noisy[kept],
        forced=before.forced[parent],
        members=members,
        items=items,
    )
    return _fill_forced(index, beams) if config.constraint == "exact" else beams


def _child_postings(
    index, before: Beams, parent, token, opinions: Opinions, looked, excluded: Excluded
) -> tuple[Members | Postings, torch.Tensor]:
    """Children of beams that are the postings of one token: postings again where the new token implies the old.

    It does at the root and down a category tree, whose nodes are keyed by their whole path.
    """
    place = torch.full((len(before.user),), -1, dtype=torch.int64, device=parent.device)
    place[looked] = torch.arange(len(looked), device=parent.device)
    items = opinions.legal[place[parent], token]
    held = before.members.token[parent]
    implied = (held < 0) | (index.implied(token, held))
    user = before.user[parent]
    if bool(implied.all()) and bool((items > 1).all()):
        return Postings(token), items
    members = index.pair_postings(held, token)
    fits = excluded.allows(user[members.state], members.item)
    return Members(members.state[fits], members.item[fits], len(token)), items


def _child_members(index, before: Beams, candidates: Candidates) -> Members:
    """Members of the new beams. A new beam's place among the kept is its state number."""
    kept = candidates.kept
    parent, token = candidates.parent[kept], candidates.token[kept]
    new_state = torch.arange(len(kept), device=kept.device)
    carried, pairs = token < 0, []
    if candidates.group is not None:  # several positions at once: members were grouped by the codes they share
        place = torch.full((candidates.n_groups,), -1, dtype=torch.int64, device=kept.device)
        carried = candidates.group[kept] < 0
        place[candidates.group[kept][~carried]] = new_state[~carried]
        pairs.append((place[candidates.group_of_member], candidates.group_members.item))
    else:
        table = torch.full((len(before.user), index.n_tokens), -1, dtype=torch.int64, device=kept.device)
        position_of = index.level_of_T[token.clamp(min=0)]
        for position in position_of[~carried].unique().tolist():
            mine = ~carried & (position_of == position)
            table.fill_(-1)
            table[parent[mine], token[mine]] = new_state[mine]
            state = table[before.members.state, index.tokens_NL[before.members.item, position]]
            pairs.append((state, before.members.item))
    if carried.any():  # complete beams take their items along
        place = torch.full((len(before.user),), -1, dtype=torch.int64, device=kept.device)
        place[parent[carried]] = new_state[carried]
        pairs.append((place[before.members.state], before.members.item))
    pairs = [(state[state >= 0], item[state >= 0]) for state, item in pairs]
    return Members(torch.cat([s for s, _ in pairs]), torch.cat([i for _, i in pairs]), len(kept))


def _fill_forced(index: ItemIndex, beams: Beams) -> Beams:
    """A beam with one item left is complete: its open positions take that item's codes, at p = 1."""
    alone = (beams.items == 1) & beams.open.any(1)
    if not alone.any():
        return beams
    item = torch.zeros_like(beams.user)
    item[beams.members.state] = beams.members.item
    codes = index.levels.codes(index.tokens_NL[item])
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
    if isinstance(beams.members, Postings):  # one allowed item in the whole catalog would have been filled in
        raise MindRecError("the search has not ended; run it to its last step")
    rows = torch.full((n_users, beam_size), -1, dtype=torch.int64, device=beams.user.device)
    scores = torch.full((n_users, beam_size), -torch.inf, dtype=torch.float64, device=beams.user.device)
    item = torch.full_like(beams.user, -1)
    item[beams.members.state] = beams.members.item
    item = torch.where((beams.items == 1) & ~beams.open.any(1), item, -1)
    rows[beams.user, beams.rank] = item
    scores[beams.user, beams.rank] = beams.score
    return rows, scores
