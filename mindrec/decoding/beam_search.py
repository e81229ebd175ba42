"""Diffusion Beam Search: one generator, used by the app, the evaluator, the tests and the API.

`search` decodes a batch of users and yields a `Step` of tensors after each denoiser step, the first one all masked.
mindrec.recording.recorder turns the steps of one user into a trace.

The exact definitions are in mindrec/README.md. Beyond them:
- Several positions a step need expansion="partition" and constraint="exact"; anything else is an error.
- Under constraint="level" a beam is complete when all positions are filled; it may name no item. History and
  forbidden items are not excluded there, as in the published search; forbidden tokens are.
- joint keys the merge on the state after forced filling, so that one item reached by two paths is one state.

Shape legend: B users, S beams of all users, A beams expanded, C candidates, L levels, T tokens, N items.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beams import Beams, StateKeys
from mindrec.decoding.children import children, start
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.context import SearchContext, StepContext
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.expansion import Candidates, expand_groups, expand_tokens, merge_states, select
from mindrec.decoding.guidance import guidance_of
from mindrec.decoding.inference import in_inference_mode
from mindrec.decoding.item_index import Excluded, ItemIndex, Postings
from mindrec.decoding.orders import ORDERS, View, allowed_positions, first_positions, order_of
from mindrec.decoding.scoring import BeamScores, score_beams
from mindrec.decoding.votes import Votes, cast_votes, voted
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser, HistoryCache


@dataclass(frozen=True)
class Step:
    """The effect of one denoiser step on the beams of all users.

    Attributes:
        index: 0 is the start, before any denoiser call.
        before: the beams that were expanded; None at the start.
        beams: the beams kept.
        expanded: int64 (A,), which of `before` were open, in order; the rows of `scores`.
        scores: of their codes; None at the start.
        chosen: bool (A, L), the positions that each of them branched on.
        candidates: all that competed, best first for each user; the kept ones lead. None at the start.
        coverage: float64 (B,), the search's own probability on items still possible; None where undefined.
        nfe, rows: int64 (B,), denoiser calls so far, and the beams in them.
        excluded: items that may not be recommended; None where the search rules nothing out.
        votes: the last step's items in several orders; None before it, and where one order is all that is asked for.
        item_mass: float64 (B, N), how likely each allowed item is next; None where evidence is off or unknown.
    """

    index: int
    before: Beams | None
    beams: Beams
    expanded: torch.Tensor
    scores: BeamScores | None
    chosen: torch.Tensor
    candidates: Candidates | None
    coverage: torch.Tensor | None
    nfe: torch.Tensor
    rows: torch.Tensor
    excluded: Excluded | None = None
    votes: Votes | None = None
    item_mass: torch.Tensor | None = None


@in_inference_mode
def search(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    *,
    cache=None,
    full_trace: bool = True,
    excluded: Excluded | None = None,
) -> Iterator[Step]:
    """Decode B histories of item rows.

    Args:
        cache: the histories' cache where the caller has it already.
        excluded: the items that may not be recommended, where it is not the settings and histories that say so.
        full_trace: whether scores are formed at every open position, which a trace needs, or only where the
            search branches, which is all that an answer needs.

    Raises:
        MindRecError: settings that exclude each other, a pin or ban that leaves no item, an order that the denoiser
            does not support.
    """
    opened = open_search(denoiser, index, histories, config, cache=cache, full_trace=full_trace, excluded=excluded)
    yield from steps_of(opened)


def final(steps: Iterator[Step]) -> Step:
    """Run to the end; the last step holds the answer."""
    return deque(steps, maxlen=1)[0]


def open_search(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    *,
    cache: HistoryCache | None = None,
    full_trace: bool = False,
    excluded: Excluded | None = None,
) -> SearchContext:
    """Everything that a search of B histories needs before its first step: checks, reads, item mass, guidance.

    Args:
        excluded: the items that may not be recommended, where it is not the settings and histories that say so.

    Raises:
        MindRecError: as `search`.
    """
    check(config, denoiser, index)
    excluded = rule_out(index, histories, config) if excluded is None else excluded
    cache = read_histories(denoiser, histories) if cache is None else cache
    mass_BN = _item_mass(denoiser, cache, excluded) if cache is not None and config.evidence != "off" else None
    guidance = guidance_of(index, histories, excluded, config.guidance, mass_BN, reads_empty=denoiser.reads_empty)
    return SearchContext(
        denoiser=denoiser,
        index=index,
        config=config,
        cache=cache,
        excluded=excluded,
        item_mass=mass_BN if guidance is None else guidance.mass(),
        guidance=guidance,
        keys=StateKeys(index.levels.sizes, index.tokens_NL.device),
        full_trace=full_trace,
    )


def steps_of(search: SearchContext, narrowed: Callable[[Step], Step] | None = None) -> Iterator[Step]:
    """The steps of an opened search; `narrowed` may take beams away after each, and the search goes on without them."""
    last = _first_step(search)
    yield last
    for number, n_positions in enumerate(positions_per_step(int(last.beams.open.sum(1).max()), search.config), 1):
        expanded = last.beams.open.any(1).nonzero()[:, 0]
        if not len(expanded):
            return
        before = with_items(search, last.beams, number, n_positions)
        last = _next_step(StepContext(search, number, n_positions, before, expanded), last)
        last = last if narrowed is None else narrowed(last)
        if search.config.votes > 1 and len(last.beams.user) and not last.beams.open.any():
            last = replace(last, votes=cast_votes(search, last.beams))
        yield last


def _first_step(search: SearchContext) -> Step:
    """The start: one beam a user, and no denoiser call yet."""
    beams = start(search.index, search.excluded, search.config)
    nfe, rows = torch.zeros(2, search.n_users, dtype=torch.int64, device=beams.user.device)
    nothing = torch.zeros(0, dtype=torch.int64, device=beams.user.device)
    coverage = _coverage(search, beams)
    return Step(
        index=0,
        before=None,
        beams=beams,
        expanded=nothing,
        scores=None,
        chosen=beams.open[:0],
        candidates=None,
        coverage=coverage,
        nfe=nfe,
        rows=rows,
        excluded=search.excluded,
        item_mass=search.item_mass,
    )


def _next_step(context: StepContext, last: Step) -> Step:
    """Score the open beams, fill positions, and keep the best."""
    search = context.search
    scores, chosen, candidates = expand(context)
    if search.joint:
        candidates = merge_states(context, candidates, scores)
    candidates = select(context, candidates)
    beams = children(context, candidates, scores)
    seen = torch.bincount(context.user, minlength=search.n_users)
    return Step(
        index=context.number,
        before=context.before,
        beams=beams,
        expanded=context.expanded,
        scores=scores,
        chosen=chosen,
        candidates=candidates,
        coverage=_coverage(search, beams),
        nfe=last.nfe + (seen > 0) if scores.calls else last.nfe,
        rows=last.rows + seen if scores.calls else last.rows,
        excluded=search.excluded,
        item_mass=search.item_mass,
    )


def expand(context: StepContext) -> tuple[BeamScores, torch.Tensor, Candidates]:
    """Scores of the open beams, the positions bool (A, L) that each branches on, and all that its beams may become."""
    search = context.search
    early = _choose_unscored(context)
    wanted = context.codes < 0 if early is None else early
    scores = score_beams(context, levels=[n for n, on in enumerate(wanted.any(0).tolist()) if on])
    if search.config.forbid_tokens and not search.exact:
        scores = _without_tokens(search, scores)
    chosen = _choose(context, scores) if early is None else early
    several = context.n_positions > 1
    return scores, chosen, (expand_groups if several else expand_tokens)(context, scores, chosen)


# -- before the first step ---------------------------------------------------------------------------------------------


def read_histories(denoiser: Denoiser, histories: Sequence[Sequence[int]]) -> HistoryCache | None:
    """The cache of B histories; None where all are empty and the denoiser reads no such, for then it is not run.

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
    if denoiser.orders is not None and (several or config.expansion == "joint" or config.postpone is not None):
        raise MindRecError(
            "an auto-regressive denoiser fills one position a step, in its own order, with expansion='partition'"
        )
    if config.postpone is not None and config.postpone >= index.n_levels:
        raise MindRecError(f"postpone={config.postpone}: levels are 0..{index.n_levels - 1}")
    if denoiser.orders is not None and config.votes > 1:
        raise MindRecError(f"votes={config.votes}: an auto-regressive denoiser has one order; use votes=1")
    for position, code in (*config.pins, *config.forbid_tokens):
        if position >= index.n_levels or code >= index.levels.sizes[position]:
            raise MindRecError(
                f"token (position {position}, code {code}) does not exist; levels are {index.levels.sizes}"
            )
    for row in config.forbid_items:
        if not 0 <= row < index.n_items:
            raise MindRecError(f"forbidden item row {row} is outside 0..{index.n_items - 1}")


def positions_per_step(n_open: int, config: DecodeConfig) -> list[int]:
    """How many positions each step fills: one each, or `steps` even parts with the larger last, or `resolve`."""
    if config.resolve is not None and config.resolve < n_open:
        return [1] * config.resolve + [n_open - config.resolve]
    if config.steps is not None and config.steps < n_open:
        part, larger = divmod(n_open, config.steps)
        return [part] * (config.steps - larger) + [part + 1] * larger
    return [1] * n_open


def _item_mass(denoiser: Denoiser, cache, excluded: Excluded) -> torch.Tensor | None:
    """How likely each allowed item is next, by dense head and transitions: float64 (B, N)."""
    logits = denoiser.item_logits(cache)
    return None if logits is None else logits.double().masked_fill(~excluded.table(), -torch.inf).softmax(1)


# -- one step ----------------------------------------------------------------------------------------------------------


def with_items(search: SearchContext, beams: Beams, number: int, n_positions: int) -> Beams:
    """List the items of each beam one by one, where the step cannot work with the postings of a token."""
    if not isinstance(beams.members, Postings):
        return beams
    one_by_one = n_positions > 1 or search.joint or search.config.scoring == "item" or not search.exact
    if number > 1:  # at the root, scores need no expansion; later only the bare search does without
        guided = search.item_mass is not None or search.guidance is not None
        one_by_one = one_by_one or search.full_trace or guided
    if not one_by_one:
        return beams
    return replace(beams, members=search.index.expand(beams.members, beams.user, search.excluded))


def _choose(context: StepContext, scores: BeamScores) -> torch.Tensor:
    """The positions each beam branches on, bool (A, L): `n_positions`, or all that the order allows for joint."""
    search = context.search
    order = order_of(search.config.order, search.config.postpone)

    def probabilities():
        return search.index.levels.split(scores.logp.exp())

    view = View(context.codes < 0, search.index.levels, search.config.seed, probabilities)
    return allowed_positions(order, view) if search.joint else first_positions(order, view, context.n_positions)


def _choose_unscored(context: StepContext) -> torch.Tensor | None:
    """The positions to branch on where they are known before any score, and no trace wants the others; else None."""
    search = context.search
    if search.full_trace or search.joint or search.config.scoring != "token":
        return None
    view = View(context.codes < 0, search.index.levels, search.config.seed, None)
    return first_positions(order_of(search.config.order, search.config.postpone), view, context.n_positions)


def _without_tokens(search: SearchContext, scores: BeamScores) -> BeamScores:
    """Make forbidden tokens illegal where the catalog does not rule them out."""
    levels = search.index.levels
    banned = [levels.offsets[position] + code for position, code in search.config.forbid_tokens]
    legal = scores.legal.clone()
    legal[:, banned] = 0
    return replace(scores, legal=legal, logp=levels.legal_log_softmax(scores.logp, legal > 0))


def _coverage(search: SearchContext, beams: Beams) -> torch.Tensor | None:
    """The probability that the search gives to items still possible, float64 (B,); None where it is undefined."""
    config = search.config
    summed = config.expansion == "partition" or config.merge == "logsumexp"
    if not summed or config.diversity or config.constraint == "level" or config.temperature:
        return None
    mass = torch.zeros(search.n_users, dtype=torch.float64, device=beams.user.device)
    return mass.index_add_(0, beams.user, beams.score.exp())


# -- the answer --------------------------------------------------------------------------------------------------------


def ranked_items(index: ItemIndex, beams: Beams, n_users: int, beam_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Item rows (B, K), -1 where there is none or the answer is off the catalog; and scores float64 (B, K).

    Raises:
        MindRecError: the search has not ended.
    """
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


def answers(index: ItemIndex, last: Step, n_users: int, beam_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`ranked_items` (B, K) of a search's last step, in the order of its votes where it has some."""
    rows, scores = ranked_items(index, last.beams, n_users, beam_size)
    return (rows, scores) if last.votes is None else voted(rows, scores, last.beams, last.votes)
