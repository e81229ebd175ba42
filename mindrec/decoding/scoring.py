"""Scores of the codes of each beam: denoiser, evidence and guidance together, over legal codes only.

Shape legend: A beams expanded, B users, K beams a user (padded), L levels, T tokens, M members.
"""

from dataclasses import dataclass

import torch

from mindrec.decoding.context import SearchContext, StepContext
from mindrec.decoding.guidance import log_share
from mindrec.decoding.item_index import ItemIndex, Members, Postings
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser, HistoryCache
from mindrec.model.diffusion import add_evidence

LEAST_MASS = 1e-300
"""Of an item or a code that is possible, so that its logarithm is finite."""


@dataclass(frozen=True)
class BeamScores:
    """Scores of A beams.

    Attributes:
        logp: (A, T), log-probability of each code of its position, -inf where illegal. The search ranks by it.
        legal: int64 (A, T), items possible on each token; 0 is illegal.
        denoiser_logits: (A, T), of the denoiser without evidence; zeros where it is not run.
        evidence: (A, T), item mass on each token, each level summing to 1; None without evidence.
        calls, rows: denoiser calls, and the beams in them.
        sides: (A, T) twice, log-probability of each code given the history and for anybody, before guidance joins them;
            None without guidance or a full trace.
    """

    logp: torch.Tensor
    legal: torch.Tensor
    denoiser_logits: torch.Tensor
    evidence: torch.Tensor | None
    calls: int
    rows: int
    sides: tuple[torch.Tensor, torch.Tensor] | None = None


def run_denoiser(
    denoiser: Denoiser, cache: HistoryCache, user_A: torch.Tensor, codes_AL: torch.Tensor, *, scores: bool = False
) -> torch.Tensor:
    """Logits (A, T) of beams sorted by user: users lie along the batch, their beams along the sequence.

    With `scores`, what adds up to item scores (see Denoiser.code_scores).
    """
    ask = denoiser.code_scores if scores else denoiser.token_logits
    if len(cache.histories) == 1:
        return ask(cache, codes_AL[None])[0]
    users, slot_user = user_A.unique_consecutive(return_inverse=True)
    counts = torch.bincount(slot_user)
    slot = torch.arange(len(user_A), device=user_A.device) - (counts.cumsum(0) - counts)[slot_user]
    padded = codes_AL.new_zeros((len(users), int(counts.max()), codes_AL.shape[1]))  # nobody asks for filled positions
    padded[slot_user, slot] = codes_AL
    return ask(denoiser.select(cache, users), padded)[slot_user, slot]


def evidence_by_token(
    index: ItemIndex,
    mass_BN: torch.Tensor,
    user_A: torch.Tensor,
    members: Members | Postings,
    places: torch.Tensor | None = None,
) -> torch.Tensor:
    """Item mass restricted to each beam's members, renormalised to 1 and summed by code, float64 (A, T).

    Args:
        places: of the members' tokens at the levels wanted (ItemIndex.token_places); all levels without.
    """
    if isinstance(members, Postings):  # the root: every allowed item is possible, and the mass sums to 1 already
        return torch.mm(index.incidence(), mass_BN.T).T[user_A]
    mass = mass_BN[user_A[members.state], members.item]
    sums = index.sum_by_token(members, mass, places)
    total = mass.new_zeros(members.n_states).index_add_(0, members.state, mass)
    return sums / total.clamp(min=1e-300)[:, None]


def score_beams(context: StepContext, levels: list[int] | None = None) -> BeamScores:
    """Score the codes of the expanded beams: one denoiser call, evidence and guidance added, only legal codes left.

    Args:
        levels: the only levels that need a score; None for all.

    Raises:
        MindRecError: evidence="only", and the denoiser has no dense head.
    """
    search, index = context.search, context.search.index
    places = None if isinstance(context.members, Postings) else index.token_places(context.members, levels)
    counts = _items_by_token(context, levels, places)
    legal = counts > 0 if search.exact else torch.ones_like(counts, dtype=torch.bool)
    by_token = _mass_by_token(context, search.item_mass, places)
    only = search.config.evidence == "only"
    if only and by_token is None:
        raise MindRecError("evidence='only' needs a denoiser with a dense head; use evidence='off'")
    if only:
        legal = legal & (by_token > 0)
    run = not only and search.cache is not None
    by_item = run and by_token is not None and search.denoiser.adds_up
    log_anyone = None
    if search.guidance is not None:
        log_anyone = log_share(_mass_by_token(context, search.guidance.anyone_BN, places))
    denoiser_logits = given = None
    if by_item:
        denoiser_logits, logits, given = _by_item(context, levels)
    else:
        if run:
            denoiser_logits = run_denoiser(search.denoiser, search.cache, context.user, context.codes)
        guided = denoiser_logits
        if guided is not None and search.guidance is not None:
            guided = search.guidance.logits(guided, log_anyone)
        logits = join(search, guided, by_token)
    sides = None
    if search.guidance is not None:
        logits = search.guidance.with_empty(logits, log_anyone, context.user)
        if search.full_trace:
            if given is None:
                given = join(search, denoiser_logits, _mass_by_token(context, search.guidance.given_BN, places))
            both = search.guidance.with_empty(given, log_anyone, context.user), log_anyone
            sides = tuple(index.levels.legal_log_softmax(side, legal, levels) for side in both)
    logp = index.levels.legal_log_softmax(logits, legal, levels)
    if search.config.scoring == "item" and search.exact and not by_item:  # by item, the items have decided already
        logp = item_posterior(index, context.members, logp, context.codes)
    calls, rows = (1, len(context.user)) if run else (0, 0)
    denoiser_logits = torch.zeros_like(logp) if denoiser_logits is None else denoiser_logits
    return BeamScores(logp, counts if search.exact else legal.long(), denoiser_logits, by_token, calls, rows, sides)


def _items_by_token(context: StepContext, levels: list[int] | None, places: torch.Tensor | None) -> torch.Tensor:
    """How many items of each expanded beam hold each token, int64 (A, T); zero at levels that are not wanted."""
    index = context.search.index
    if isinstance(context.members, Postings):
        wanted = list(range(index.n_levels)) if levels is None else levels
        return index.count_in_postings(context.members, context.user, context.search.excluded, wanted)
    return index.count_by_token(context.members, places)


def _mass_by_token(
    context: StepContext, mass_BN: torch.Tensor | None, places: torch.Tensor | None
) -> torch.Tensor | None:
    """`evidence_by_token` of the expanded beams; None without mass."""
    if mass_BN is None:
        return None
    return evidence_by_token(context.search.index, mass_BN, context.user, context.members, places)


def join(search: SearchContext, logits_AT: torch.Tensor | None, by_token_AT: torch.Tensor | None) -> torch.Tensor:
    """The denoiser's logits and item evidence in one, (A, T); either may be missing."""
    if logits_AT is None:
        return by_token_AT.log()
    if by_token_AT is None:
        return logits_AT
    return add_evidence(logits_AT, by_token_AT.to(logits_AT.dtype), *search.evidence_weights)


def _by_item(context: StepContext, levels: list[int] | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Score codes by a denoiser of whole items, alone and weighed with evidence: logs of shares, (A, T) each.

    p(item | state) is proportional to evidence^alpha q^beta, where q is the denoiser's own over the items possible in
    the state; a code has the sum of its items. Weighed code by code, every level would be normalised by itself, and an
    item in a crowded branch would pay for its neighbours. The second is guided where there is guidance, and then the
    third is the same without; None otherwise.
    """
    search, user_A, codes_AL, members = context.search, context.user, context.codes, context.members
    index, denoiser, mass_BN, guidance = search.index, search.denoiser, search.item_mass, search.guidance
    scores_AT = run_denoiser(denoiser, search.cache, user_A, codes_AL, scores=True).double()
    if isinstance(members, Postings):  # the root: every allowed item is possible
        members = Members(*(mass_BN[user_A] > 0).nonzero().T, len(user_A))
    tokens_M = torch.zeros(len(members.item), dtype=scores_AT.dtype, device=scores_AT.device)
    for level in (codes_AL < 0).any(0).nonzero()[:, 0].tolist():
        of_level = scores_AT.masked_fill((codes_AL[:, level] >= 0)[:, None], 0.0)
        tokens_M += of_level[members.state, index.tokens_NL[:, level][members.item]]
    alpha, beta = denoiser.evidence_weight()[0].double(), denoiser.token_weight()[0].double()
    pair_M = user_A[members.state], members.item
    places = index.token_places(members, levels)

    def logs(score_M: torch.Tensor) -> torch.Tensor:
        return item_shares(index, members, score_M, places).clamp(min=LEAST_MASS).log()

    def weighed(mass_BN: torch.Tensor, tokens_M: torch.Tensor) -> torch.Tensor:
        return logs(alpha * mass_BN[pair_M].clamp(min=LEAST_MASS).log() + beta * tokens_M)

    if guidance is None:
        return logs(tokens_M), weighed(mass_BN, tokens_M), None
    guided_M = guidance.logits(tokens_M, log_share(guidance.anyone_BN[pair_M]))
    return logs(tokens_M), weighed(mass_BN, guided_M), weighed(guidance.given_BN, tokens_M)


def item_shares(
    index: ItemIndex, members: Members, score_M: torch.Tensor, places: torch.Tensor | None = None
) -> torch.Tensor:
    """Softmax of the members' scores in each state, summed by code: (A, T); at some levels with their `places`."""
    logp_M = score_M - segment_logsumexp(score_M, members.state, members.n_states)[members.state]
    return index.sum_by_token(members, logp_M.exp(), places)


def item_log_posterior(
    index: ItemIndex, members: Members, logp_AT: torch.Tensor, codes_AL: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each member, float64 (M,), normalised in its beam.

    The sum of log p over the open positions that no other open one implies (ItemIndex.independent_positions).
    """
    open_logp = logp_AT.double().masked_fill(~index.independent_positions(codes_AL < 0)[:, index.level_of_T], 0.0)
    member = open_logp[members.state[:, None], index.tokens_NL[members.item]].sum(1)
    return member - segment_logsumexp(member, members.state, members.n_states)[members.state]


def item_posterior(index: ItemIndex, members: Members, logp_AT: torch.Tensor, codes_AL: torch.Tensor) -> torch.Tensor:
    """The item posterior summed by code, as log-probabilities (A, T)."""
    mass = item_log_posterior(index, members, logp_AT, codes_AL).exp()
    return index.sum_by_token(members, mass).log()


def segment_logsumexp(values: torch.Tensor, group: torch.Tensor, n_groups: int) -> torch.Tensor:
    """Log-sum-exp of each group, (n_groups,); -inf for an empty one."""
    top = values.new_full((n_groups,), -torch.inf).scatter_reduce_(0, group, values, "amax")
    safe = torch.where(top.isfinite(), top, 0.0)
    return values.new_zeros(n_groups).index_add_(0, group, (values - safe[group]).exp()).log() + safe
