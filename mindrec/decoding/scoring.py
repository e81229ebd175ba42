"""What the denoiser and the evidence say of each beam, over legal codes only.

Shape legend: A beams looked at, B users, K beams a user (padded), L levels, T tokens, M members.
"""

from dataclasses import dataclass

import torch

from mindrec.decoding.guidance import Guidance, log_share
from mindrec.decoding.item_index import Excluded, ItemIndex, Members, Postings
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser, HistoryCache
from mindrec.model.diffusion import add_evidence

LEAST_MASS = 1e-300
"""Of an item or a code that is possible, so that its logarithm is finite."""


@dataclass(frozen=True)
class Opinions:
    """Opinions of A beams.

    Attributes:
        logp: (A, T), log-probability of each code of its position, -inf where illegal. What the search uses.
        legal: int64 (A, T), items possible on each token; 0 is illegal.
        raw: (A, T), the denoiser's own logits; zeros where the evidence decides alone.
        evidence: (A, T), item mass on each token, each level summing to 1; None without evidence.
        calls, rows: denoiser calls and beams they looked at.
        sides: (A, T) twice, log-probability of each code given the history and for anybody, before guidance joins them;
            None where nothing is guided or nobody wants to see it.
    """

    logp: torch.Tensor
    legal: torch.Tensor
    raw: torch.Tensor
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
    users, slot_user = user_A.unique_consecutive(return_inverse=True)
    counts = torch.bincount(slot_user)
    slot = torch.arange(len(user_A), device=user_A.device) - (counts.cumsum(0) - counts)[slot_user]
    padded = codes_AL.new_full((len(users), int(counts.max()), codes_AL.shape[1]), -1)
    padded[slot_user, slot] = codes_AL
    return ask(denoiser.select(cache, users), padded)[slot_user, slot]


def evidence_by_token(
    index: ItemIndex,
    mass_BN: torch.Tensor,
    user_A: torch.Tensor,
    members: Members | Postings,
    levels: list[int] | None = None,
) -> torch.Tensor:
    """Item mass restricted to each beam's members, renormalised to 1 and summed by code, float64 (A, T)."""
    if isinstance(members, Postings):  # the root: every allowed item is possible, and the mass sums to 1 already
        return torch.mm(index.incidence(), mass_BN.T).T[user_A]
    mass = mass_BN[user_A[members.state], members.item]
    sums = index.sum_by_token(members, mass, levels)
    total = mass.new_zeros(members.n_states).index_add_(0, members.state, mass)
    return sums / total.clamp(min=1e-300)[:, None]


def look(
    denoiser: Denoiser,
    cache: HistoryCache | None,
    index: ItemIndex,
    user_A: torch.Tensor,
    codes_AL: torch.Tensor,
    members: Members | Postings,
    excluded: Excluded,
    mass_BN: torch.Tensor | None,
    *,
    evidence: str,
    scoring: str,
    exact: bool,
    levels: list[int] | None,
    guidance: Guidance | None = None,
    both_sides: bool = False,
) -> Opinions:
    """One denoiser call on the beams, evidence and guidance added, legality applied; at some levels only where `levels`
    is given.

    Args:
        cache: None where every history is empty: then no denoiser is asked.
        mass_BN: item evidence, guided where there is guidance.
        both_sides: whether `Opinions.sides` are wanted where there is guidance.
    """
    if isinstance(members, Postings):
        wanted = list(range(index.n_levels)) if levels is None else levels
        counts = index.count_in_postings(members, user_A, excluded, wanted)
    else:
        counts = index.count_by_token(members, levels)
    legal = counts > 0 if exact else torch.ones_like(counts, dtype=torch.bool)
    by_token, raw = None, None
    if mass_BN is not None:
        by_token = evidence_by_token(index, mass_BN, user_A, members, levels)
    elif evidence == "only":
        raise MindRecError("evidence='only' needs a denoiser with a dense head; use evidence='off'")
    if evidence == "only":
        legal = legal & (by_token > 0)
    raw = given = anyone = sides = None
    if guidance is not None:
        anyone = evidence_by_token(index, guidance.anyone_BN, user_A, members, levels)
    if evidence != "only" and cache is not None and by_token is not None and denoiser.adds_up:
        raw, logits, given = _by_item(denoiser, cache, index, user_A, codes_AL, members, mass_BN, levels, guidance)
        scoring = "token"  # the items have decided together already
    else:
        if evidence != "only" and cache is not None:
            raw = run_denoiser(denoiser, cache, user_A, codes_AL)
        guided = raw if raw is None or guidance is None else guidance.logits(raw, anyone)
        logits = join(denoiser, index, guided, by_token)
    if guidance is not None:
        logits = guidance.with_empty(logits, anyone, user_A)
        if both_sides:
            if given is None:
                mass = guidance.given_BN
                mass = None if mass is None else evidence_by_token(index, mass, user_A, members, levels)
                given = join(denoiser, index, raw, mass)
            both = guidance.with_empty(given, anyone, user_A), log_share(anyone)
            sides = tuple(index.levels.legal_log_softmax(side, legal, levels) for side in both)
    logp = index.levels.legal_log_softmax(logits, legal, levels)
    if scoring == "item" and exact:
        logp = item_posterior(index, members, logp, codes_AL)
    calls, rows = (0, 0) if raw is None else (1, len(user_A))
    raw = torch.zeros_like(logp) if raw is None else raw
    return Opinions(logp, counts if exact else legal.long(), raw, by_token, calls, rows, sides)


def join(
    denoiser: Denoiser, index: ItemIndex, logits_AT: torch.Tensor | None, by_token_AT: torch.Tensor | None
) -> torch.Tensor:
    """The denoiser's logits and item evidence in one, (A, T); either may be missing."""
    if logits_AT is None:
        return by_token_AT.log()
    if by_token_AT is None:
        return logits_AT
    weights = denoiser.evidence_weight()[index.level_of_T], denoiser.opinion_weight()[index.level_of_T]
    return add_evidence(logits_AT, by_token_AT.to(logits_AT.dtype), *weights)


def _by_item(
    denoiser: Denoiser,
    cache: HistoryCache,
    index: ItemIndex,
    user_A: torch.Tensor,
    codes_AL: torch.Tensor,
    members: Members | Postings,
    mass_BN: torch.Tensor,
    levels: list[int] | None,
    guidance: Guidance | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """What a denoiser of whole items says of codes, and the same weighed with evidence: logs of shares, (A, T) each.

    p(item | state) is proportional to evidence^alpha q^beta, where q is the denoiser's own over the items possible in
    the state; a code has the sum of its items. Weighed code by code, every level would be normalised by itself, and an
    item in a crowded branch would pay for its neighbours. The second is guided where there is guidance, and then the
    third is the same without; None otherwise.
    """
    scores_AT = run_denoiser(denoiser, cache, user_A, codes_AL, scores=True).double()
    if isinstance(members, Postings):  # the root: every allowed item is possible
        members = Members(*(mass_BN[user_A] > 0).nonzero().T, len(user_A))
    own_M = torch.zeros(len(members.item), dtype=scores_AT.dtype, device=scores_AT.device)
    for level in (codes_AL < 0).any(0).nonzero()[:, 0].tolist():
        of_level = scores_AT.masked_fill((codes_AL[:, level] >= 0)[:, None], 0.0)
        own_M += of_level[members.state, index.tokens_NL[:, level][members.item]]
    alpha, beta = denoiser.evidence_weight()[0].double(), denoiser.opinion_weight()[0].double()
    place = user_A[members.state], members.item

    def logs(score_M: torch.Tensor) -> torch.Tensor:
        return item_shares(index, members, score_M, levels).clamp(min=LEAST_MASS).log()

    def weighed(mass_BN: torch.Tensor, own_M: torch.Tensor) -> torch.Tensor:
        return logs(alpha * mass_BN[place].clamp(min=LEAST_MASS).log() + beta * own_M)

    if guidance is None:
        return logs(own_M), weighed(mass_BN, own_M), None
    guided_M = guidance.logits(own_M, guidance.anyone_BN[place])
    return logs(own_M), weighed(mass_BN, guided_M), weighed(guidance.given_BN, own_M)


def item_shares(
    index: ItemIndex, members: Members, score_M: torch.Tensor, levels: list[int] | None = None
) -> torch.Tensor:
    """Softmax of the members' scores in each state, summed by code: (A, T); at some levels where given."""
    logp_M = score_M - segment_logsumexp(score_M, members.state, members.n_states)[members.state]
    return index.sum_by_token(members, logp_M.exp(), levels)


def item_log_posterior(
    index: ItemIndex, members: Members, logp_AT: torch.Tensor, codes_AL: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each member, float64 (M,), normalised in its beam.

    The sum of log p over the open positions that no other open one implies (ItemIndex.telling).
    """
    open_logp = logp_AT.double().masked_fill(~index.telling(codes_AL < 0)[:, index.level_of_T], 0.0)
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
