"""How much counted pairs and the denoiser's logits count beside the dense head: fitted on validation cases.

Both the dense head and the tokens know their training targets by heart, so weights that training itself would learn
trust what is memorised; pairs counted from them would too. On held-out cases each is weighed as it will be used.
Evidence as a whole keeps its weight of 1: over the positions of an item it then multiplies to the item's probability,
and the denoiser tilts that; a weight of its own at each level, which fits codes a little better, ranks items worse.
A denoiser of whole items (`adds_up`) is weighed item by item instead, one power for each side: two independent models
of one thing are each surer than both together should be. Its share is the one that ranks best, and it has one only
where cases that the share was not chosen on gain by it: the likeliest share cost test users a twentieth of NDCG@10.

Likelihood asks about all of the catalog, and an answer shows ten items. Where the votes are shares of a distribution
(transitions), the two agree. Those of the item-item model are predictions of least squares, best at the top and nothing
below it: there the likeliest powers trust them too little. So their ratio to the dense head is what ranks held-out
cases best, and one temperature for both, which changes no rank, what makes them likeliest.

Shape legend: U cases, L levels, T tokens, N items.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize, minimize_scalar

from mindrec.data.splits import Case
from mindrec.evaluation.bootstrap import SHORT, bootstrap_ratio
from mindrec.evaluation.metrics import ndcg_at_k
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import MASKED, CodeTable, add_evidence, item_evidence
from mindrec.model.item_softmax import item_scores
from mindrec.model.pair_votes import PairVotes
from mindrec.system.progress import progress_bar

BATCH = 64
MAX_NUMBERS = 40_000_000
"""Cases times items that the powers are fitted on: 160 MB of logits, twice, and besides only what a batch needs."""
UNSEEN = -1e4
"""Score of an item that may not be recommended; finite, for 0 times infinity is no number."""
MIN_READER, MAX_STRENGTH = 0.02, 40.0
"""Bounds of the reader's power while the likeness of texts is fitted beside it, and of that likeness, in nats."""
MIN_WEIGHT, MAX_WEIGHT = 1e-4, 4.0
"""Bounds of a weight: it is kept through the inverse of softplus, which has no zero."""
RATIOS = np.linspace(0, 1, 21)[:-1]
"""Shares of the second of two distributions, the rest being the first's, of which the one is taken that ranks best."""


def fit_powers(model: CompactDenoiser, votes: PairVotes, cases: Sequence[Case]) -> dict[str, float]:
    """Set the powers of dense head and votes to what makes the true items of `cases` likeliest; with `votes.RANKS`,
    to their ratio of the highest NDCG@10, then by one temperature to what makes them likeliest.

    Cases whose item is in their history are left out, unless people come back to items (`model.config.repeats`); where
    there are no others, the powers stay.

    Returns:
        Mean negative log-likelihood of the true items, in nats: of the dense head alone, and with votes.
    """
    repeats = model.config.repeats
    fitted = [case for case in cases if repeats or case.target not in case.history]
    fitted = fitted[: max(1, MAX_NUMBERS // model.n_items)]
    if not fitted:
        return {}
    parts = [_dense_and_votes(model, votes, fitted[i : i + BATCH]) for i in range(0, len(fitted), BATCH)]
    nll = _item_nll(parts, fitted)
    if votes.RANKS:
        ratio = _best_ratio(parts, fitted)
        powers = _likeliest_scale(nll, ratio) * ratio
    else:
        powers = minimize(nll, votes.powers.cpu().numpy(), jac=True, bounds=[(0.05, MAX_WEIGHT), (0.0, MAX_WEIGHT)]).x
    votes.powers.copy_(torch.from_numpy(powers))
    return {"dense": round(nll(np.array([1.0, 0.0]))[0], 4), "with votes": round(nll(powers)[0], 4)}


def _best_ratio(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], cases: Sequence[Case]) -> np.ndarray:
    """Powers of dense head and votes, summing to 1, of the highest NDCG@10; of equals the most of the dense head."""
    share = RATIOS[int(np.argmax(_ndcgs(parts, cases).mean(1)))]
    return np.array([1 - share, share])


def _ndcgs(parts: Iterable[tuple[torch.Tensor, torch.Tensor]], cases: Sequence[Case]) -> np.ndarray:
    """NDCG@10 of each case by each share of RATIOS, (shares, U): the scores are (1 - share) one + share other."""
    ndcg_parts, first = [], 0
    for one_UN, other_UN in parts:
        targets = [case.target for case in cases[first : first + len(one_UN)]]
        first += len(one_UN)
        target_U1 = torch.tensor(targets, device=one_UN.device)[:, None]
        ranks = []
        for share in RATIOS:
            scores_UN = (1 - share) * one_UN + share * other_UN
            ranks.append((scores_UN > scores_UN.gather(1, target_U1)).sum(1))
        ndcg_parts.append(ndcg_at_k(torch.stack(ranks).cpu().numpy(), 10))
    return np.concatenate(ndcg_parts, axis=1)


def _likeliest_scale(nll: Callable, ratio: np.ndarray) -> float:
    """One temperature for both distributions: no rank changes, and the true items are likeliest."""
    return minimize_scalar(lambda scale: nll(scale * ratio)[0], bounds=(0.05, MAX_WEIGHT), method="bounded").x


@torch.no_grad()
def _dense_and_votes(model, votes, cases: Sequence[Case]) -> tuple[torch.Tensor, torch.Tensor]:
    """The dense head's logits and the logs of the shares of votes, (U, N) both; very little for what was seen."""
    histories = [case.history for case in cases]
    cache = model.encode(histories)
    dense_UN, votes_UN = model.dense_logits(cache).clone(), votes.log_shares(cache.histories)
    for user, history in enumerate(() if model.config.repeats else histories):
        dense_UN[user, list(history)] = UNSEEN
    return dense_UN, votes_UN


def calibrate(
    model: CompactDenoiser, table: CodeTable, cases: Sequence[Case], *, progress: bool = False
) -> dict[str, list[float]]:
    """Set every position's alpha to 1, and fit its beta by the likelihood of the true items of `cases`.

    A case's states are those on the way to its true item, coarse to fine, so the sum over positions is the
    log-probability that the default decode gives to that item. For a denoiser that `adds_up` one alpha and one beta are
    fitted in the all-masked state, on as many cases as memory is meant for, and the lists hold one number, of the item.

    Returns:
        Mean negative log-likelihood of the true code at each position: of item evidence alone ("evidence"), of the
        tokens alone ("tokens"), of both as weighed ("both"), in nats. Empty lists, and weights as they are, where every
        case's item is in its history: nothing could be weighed.
    """
    if model.adds_up:
        return _calibrate_items(model, cases)
    nll = {"evidence": [], "tokens": [], "both": []}
    if model.likeness is not None:
        _fit_likeness_by_level(model, table, cases)
    levels = _by_level(model, table, cases, progress)
    if not len(levels[0][-1]):
        return nll
    for level, parts in enumerate(levels):
        nll_of = partial(_nll, *parts, 1.0)
        beta = minimize_scalar(nll_of, bounds=(MIN_WEIGHT, MAX_WEIGHT), method="bounded").x
        with torch.no_grad():
            model.evidence[level], model.opinion[level] = _inverse_softplus(1.0), _inverse_softplus(beta)
        for name, weights in (("evidence", (1.0, 0.0)), ("tokens", (0.0, 1.0)), ("both", (1.0, beta))):
            nll[name].append(round(_nll(*parts, *weights), 4))
    return nll


def _fit_likeness_by_level(model: CompactDenoiser, table: CodeTable, cases: Sequence[Case]) -> None:
    """Fit the strength of texts' likeness by the likelihood of the true codes under the tokens alone."""
    scores = []
    for strength in (0.0, 1.0):  # scores are linear in it
        model.likeness.set_strength(strength)
        scores.append(_by_level(model, table, cases, progress=False))

    def nll(strength: float) -> float:
        levels = zip(*scores, strict=True)
        return sum(
            _nll(none[0] + strength * (one[0] - none[0]), *none[1:], 0.0, 1.0) for none, one in levels if len(none[-1])
        )

    model.likeness.set_strength(minimize_scalar(nll, bounds=(0.0, MAX_STRENGTH), method="bounded").x)


def _calibrate_items(model: CompactDenoiser, cases: Sequence[Case]) -> dict[str, list[float]]:
    """One alpha and one beta for all positions: their ratio by rank, their size by likelihood, all masked."""
    fitted = [case for case in cases if model.config.repeats or case.target not in case.history]
    if not fitted:
        return {"evidence": [], "tokens": [], "both": []}
    few = fitted[:: math.ceil(len(fitted) * model.n_items / MAX_NUMBERS)]  # of all kinds: users may be in some order
    if model.likeness is not None:
        _fit_likeness(model, few)
    ratio = _proven_ratio(model, fitted)
    nll = _item_nll(list(_evidence_and_tokens(model, few)), few)
    powers = _likeliest_scale(nll, ratio) * ratio
    with torch.no_grad():
        for kept, weight in zip((model.evidence, model.opinion), powers, strict=True):
            kept.fill_(_inverse_softplus(max(MIN_WEIGHT, weight)))
    said = {"evidence": (1.0, 0.0), "tokens": (0.0, 1.0), "both": powers}
    return {name: [round(nll(np.array(weights))[0], 4)] for name, weights in said.items()}


def _fit_likeness(model: CompactDenoiser, cases: Sequence[Case]) -> None:
    """Fit the strength of texts' likeness beside the reader by the likelihood of the true items with evidence."""
    likeness = model.likeness
    likeness.set_strength(0.0)
    parts = list(_evidence_and_tokens(model, cases))
    items_NW = likeness.of_items(model.tokens_NL)
    batches = [cases[i : i + BATCH] for i in range(0, len(cases), BATCH)]
    alike = [likeness.of_histories([c.history for c in batch], model.tokens_NL) @ items_NW.T for batch in batches]
    nll = _item_nll([(*part, like_UN) for part, like_UN in zip(parts, alike, strict=True)], cases)
    fitted = minimize(
        nll, (0.7, 0.3, 0.0), jac=True, bounds=[(MIN_WEIGHT, MAX_WEIGHT), (MIN_READER, MAX_WEIGHT), (0.0, MAX_STRENGTH)]
    )
    likeness.set_strength(fitted.x[2] / fitted.x[1])


def _proven_ratio(model: CompactDenoiser, cases: Sequence[Case]) -> np.ndarray:
    """Powers of evidence and tokens, summing to 1, of the highest NDCG@10; evidence alone where no gain is proven.

    Each half of the cases is ranked with the share that the other half would choose. The gain of all of them over
    evidence alone is proven where the lower end of its paired 95 % interval is above 1.
    """
    gains_SU = _ndcgs(_evidence_and_tokens(model, cases), cases)
    even = np.arange(len(cases)) % 2 == 0
    chosen_U = np.where(even, np.argmax(gains_SU[:, ~even].mean(1)), np.argmax(gains_SU[:, even].mean(1)))
    fused_U, alone_U = gains_SU[chosen_U, np.arange(len(cases))], gains_SU[0]
    proven = alone_U.any() and bootstrap_ratio(fused_U[None], alone_U[None], SHORT)["low"] > 1
    share = RATIOS[int(np.argmax(gains_SU.mean(1)))] if proven else 0.0
    return np.array([1 - share, share])


def _item_nll(parts: Sequence[tuple[torch.Tensor, ...]], cases: Sequence[Case]) -> Callable:
    """Powers of several distributions -> mean negative log-likelihood of the targets in nats, and its gradient; convex.

    Args:
        parts: the logs of the distributions, (BATCH, N) each, of consecutive cases. They are never joined, and the
            gradient is made part by part: on all cases at once it takes five times their memory.
    """
    device = parts[0][0].device
    targets = torch.tensor([case.target for case in cases], device=device).split(BATCH)

    def nll(powers: np.ndarray) -> tuple[float, np.ndarray]:
        of, total = torch.tensor(powers, dtype=torch.float32, device=device, requires_grad=True), 0.0
        for part, target_U in zip(parts, targets, strict=True):
            scores_UN = sum(power * log_UN for power, log_UN in zip(of, part, strict=True))
            loss = F.cross_entropy(scores_UN, target_U, reduction="sum") / len(cases)
            loss.backward()
            total += float(loss.detach())
        return total, of.grad.double().cpu().numpy()

    return nll


@torch.no_grad()
def _evidence_and_tokens(model: CompactDenoiser, cases: Sequence[Case]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Log-probability of every item by evidence and by the denoiser itself, all masked, (BATCH, N) both, of BATCH
    cases after each other."""
    for first in range(0, len(cases), BATCH):
        some = cases[first : first + BATCH]
        cache = model.encode([case.history for case in some])
        filled = torch.full((len(some), 1, len(model.level_sizes)), MASKED, device=model.tokens_NL.device)
        scores_UT = model.code_scores(cache, filled)[:, 0]
        tokens_UN = item_scores(
            scores_UT, filled[:, 0], model.tokens_NL, model.levels.level_of_token(filled.device)
        ).clone()
        evidence_UN = model.item_logits(cache).clone()
        for user, case in enumerate(() if model.config.repeats else some):
            tokens_UN[user, list(case.history)] = evidence_UN[user, list(case.history)] = UNSEEN
        yield evidence_UN.log_softmax(1), tokens_UN.log_softmax(1)


def token_likelihood(model: CompactDenoiser, table: CodeTable, cases: Sequence[Case]) -> float:
    """Mean log-probability (nats) of the true items of `cases`, decoded from left to right by the tokens alone.

    Cases whose item is in their history are left out, as in `calibrate`; 0 where there are no others.
    """
    levels = _by_level(model, table, cases, progress=False)
    return -sum(_nll(*parts, 0.0, 1.0) for parts in levels) if len(levels[0][-1]) else 0.0


def _by_level(model: CompactDenoiser, table: CodeTable, cases: Sequence[Case], progress: bool) -> list[list]:
    """The results of `_scores_by_level` for each level, all cases joined."""
    batches = progress_bar(range(0, len(cases), BATCH), desc="calibrate", unit=" batches", shown=progress)
    kept = [_scores_by_level(model, table, cases[i : i + BATCH]) for i in batches]
    return [[torch.cat(chunks) for chunks in zip(*level, strict=True)] for level in zip(*kept, strict=True)]


@torch.no_grad()
def _scores_by_level(model: CompactDenoiser, table: CodeTable, cases: Sequence[Case]) -> list[tuple[torch.Tensor, ...]]:
    """For each level: logits, evidence and legality of its codes (U, codes of the level), and the true codes (U,)."""
    device = model.tokens_NL.device
    cache = model.encode([c.history for c in cases])
    dense_UN = model.item_logits(cache).clone()
    for user, case in enumerate(() if model.config.repeats else cases):
        dense_UN[user, list(case.history)] = -torch.inf
    target_U = torch.tensor([c.target for c in cases], device=device)
    scored_U = dense_UN.gather(1, target_U[:, None])[:, 0] > -torch.inf  # a repeated item is never recommended
    codes_UL = model.levels.codes(model.tokens_NL[target_U])
    mass_UN, L = dense_UN.softmax(1), len(model.level_sizes)
    states_ULL = codes_UL[:, None].repeat(1, L, 1)
    states_ULL[:, torch.ones(L, L, dtype=torch.bool, device=device).triu()] = MASKED
    logits_ULT = model.token_logits(cache, states_ULL).clone()
    out = []
    for level, block in enumerate(model.levels.slices):
        consistent_UN = table.consistent(states_ULL[:, level]) & (mass_UN > 0)
        evidence_UC = item_evidence(mass_UN, consistent_UN, table, level)
        legal_UC = table.sum_by_code(consistent_UN.float(), level) > 0
        parts = (logits_ULT[:, level, block], evidence_UC, legal_UC, codes_UL[:, level])
        out.append(tuple(part[scored_U].clone() for part in parts))
    return out


def _nll(logits, evidence, legal, codes, alpha: float, beta: float) -> float:
    """Of the true codes, in nats; convex in both weights."""
    mixed = add_evidence(logits, evidence, alpha, beta)
    return float(F.cross_entropy(mixed.masked_fill(~legal, -1e9), codes))


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
