"""Forward masking, the weighted cross-entropy, and item evidence.

Shape legend: M targets, L levels, T tokens of all levels together, N items.
"""

import warnings
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from mindrec.tokens.levels import Levels

EVIDENCE_FLOOR = 1e-5
"""Keeps log evidence finite for a code that no likely item has."""

MASKED = -1


def mask_probability(t: torch.Tensor, floor: float) -> torch.Tensor:
    """p = (1 - floor) t + floor for t (M,) in [0, 1] (MindRec's released masking; LLaDA, arXiv 2502.09992, alg. 1)."""
    return (1 - floor) * t + floor


def mask_targets(
    codes_ML: torch.Tensor, floor: float, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask each position with one probability a target.

    Returns:
        filled_ML: the codes, -1 where masked; every target keeps at least one masked position.
        weight_M: 1 / p, which makes the masked cross-entropy a bound on the likelihood.
    """
    M, L = codes_ML.shape
    p = mask_probability(torch.rand(M, generator=generator), floor).to(codes_ML.device)
    masked = torch.rand(M, L, generator=generator).to(codes_ML.device) < p[:, None]
    none = ~masked.any(1)
    if none.any():
        lucky = torch.randint(L, (int(none.sum()),), generator=generator).to(codes_ML.device)
        masked[none] = F.one_hot(lucky, L).bool()
    return codes_ML.masked_fill(masked, MASKED), 1 / p


def mask_path(
    codes_ML: torch.Tensor, generator: torch.Generator | None = None, views: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask all but the first n codes of each target, n drawn evenly from 0..L-1: what a decode meets that goes level by
    level.

    Args:
        views: so many rows in a line are one target's. Their n is spread evenly, as diffusion steps are in a batch
            (variational diffusion models, arXiv 2107.00630, appendix I.1): of L views, one has each n.

    Returns:
        filled_ML: the codes, -1 where masked.
        weight_ML: L at position n, which is revealed next; 0 elsewhere. The loss is then a chance sample of
            the item's negative log-likelihood, divided by L.
    """
    M, L = codes_ML.shape
    start = torch.rand(M // views, 1, generator=generator)
    known = (((start + torch.arange(views) / views) % 1).view(M) * L).long().to(codes_ML.device).clamp_(max=L - 1)
    masked = torch.arange(L, device=codes_ML.device) >= known[:, None]
    return codes_ML.masked_fill(masked, MASKED), F.one_hot(known, L).float() * L


def add_evidence(
    logits: torch.Tensor, evidence: torch.Tensor, weight: torch.Tensor, token_weight: torch.Tensor
) -> torch.Tensor:
    """beta l + alpha log(e + 1e-5): the one place where evidence meets the denoiser, in weighing and decoding alike.

    beta matters because l is trained to be right by itself too: two calibrated distributions at full weight would count
    twice what they share.

    Args:
        logits: l, (..., T).
        evidence: e, (..., T), for each position the share of item mass on each code, each level summing to 1.
        weight, token_weight: alpha and beta of each token's position, (T,).
    """
    return token_weight * logits + weight * torch.log(evidence + EVIDENCE_FLOOR)


class CodeTable(torch.nn.Module):
    """Which items hold which codes, for training: work follows targets x items x levels, not the number of codes.

    Decoding does the same sums over postings (mindrec.decoding.item_index); a test holds the two equal.
    """

    def __init__(self, codes_NL: torch.Tensor, level_sizes: tuple[int, ...]):
        super().__init__()
        self.levels = Levels(level_sizes)
        tokens = self.levels.tokens(codes_NL)
        order = tokens.reshape(-1).argsort(stable=True)
        start = F.pad(torch.bincount(tokens.reshape(-1), minlength=self.levels.n_tokens).cumsum(0), (1, 0))
        self.register_buffer("start_T", start, persistent=False)
        self.register_buffer("holders", order // tokens.shape[1], persistent=False)
        self.register_buffer("tokens_NL", tokens, persistent=False)
        codes_NL, self.level_sizes = codes_NL.long().to(tokens.device), tuple(level_sizes)
        order_N = torch.arange(len(tokens), device=tokens.device)
        for level in reversed(range(tokens.shape[1])):
            order_N = order_N[codes_NL[order_N, level].argsort(stable=True)]
        self.register_buffer("order_N", order_N, persistent=False)
        self.branches = torch.nn.ModuleList(_branches(codes_NL, order_N))

    def consistent(self, filled_ML: torch.Tensor) -> torch.Tensor:
        """Which items agree with every filled position, bool (M, N)."""
        out = torch.ones(len(filled_ML), len(self.tokens_NL), dtype=torch.bool, device=filled_ML.device)
        for filled_M, tokens_N, first in zip(filled_ML.T, self.tokens_NL.T, self.levels.offsets, strict=True):
            known = (filled_M >= 0).nonzero()[:, 0]
            out[known] &= tokens_N == filled_M[known, None] + first
        return out

    def sum_by_code(self, mass_MN: torch.Tensor, level: int | None = None) -> torch.Tensor:
        """Item mass summed by code, (M, T); of one level's codes alone with `level`."""
        rows = slice(None)
        if level is not None:
            level_slice = self.levels.slices[level]
            rows = slice(level_slice.start, level_slice.stop + 1)
        start_T = self.start_T[rows]
        holders = self.holders[start_T[0] : start_T[-1]]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR")  # the one product needed is supported
            ones, shape = torch.ones_like(holders, dtype=mass_MN.dtype), (len(start_T) - 1, mass_MN.shape[1])
            incidence_TN = torch.sparse_csr_tensor(start_T - start_T[0], holders, ones, shape, check_invariants=False)
            return (incidence_TN @ mass_MN.T).T

    def running_sums(self, mass_MN: torch.Tensor) -> torch.Tensor:
        """Item mass summed up in the order of the items' codes, for `next_codes`: float64, (M, N + 1)."""
        return F.pad(mass_MN.index_select(1, self.order_N).cumsum(1, dtype=torch.float64), (1, 0))

    def next_codes(self, sums_M1: torch.Tensor, row_S: torch.Tensor, item_S: torch.Tensor, level: int) -> torch.Tensor:
        """Mass of the items that have the first `level` codes of an item, summed by their code at `level`: (S, codes).

        Items that begin with the same codes are neighbours in the order of codes, so each sum is a difference of two
        running sums: what `consistent` and `sum_by_code` find by going over all items.

        Args:
            row_S: whose running sums.
        """
        branches = self.branches[level]
        first_S, count_S = branches.first_N[item_S], branches.count_N[item_S]
        state = torch.arange(len(item_S), device=item_S.device).repeat_interleave(count_S)
        offset = torch.arange(len(state), device=item_S.device) - (count_S.cumsum(0) - count_S)[state]
        branch, row = first_S[state] + offset, row_S[state]
        mass = sums_M1[row, branches.bound[branch + 1]] - sums_M1[row, branches.bound[branch]]
        out_SC = torch.zeros(len(item_S), self.level_sizes[level], device=item_S.device)
        return out_SC.index_put((state, branches.code[branch]), mass.float())


class _Branches(torch.nn.Module):
    """How the items part at one level. A branch is a run of items, in the order of codes, with the same codes up to it.

    Attributes:
        bound: where each branch begins, and the number of items.
        code: of each branch at the level.
        first_N, count_N: the branches of the prefix that each item has before the level.
    """

    def __init__(self, **buffers: torch.Tensor):
        super().__init__()
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)


def _branches(codes_NL: torch.Tensor, order_N: torch.Tensor) -> Iterator[_Branches]:
    """Of every level, the coarsest first."""
    sorted_NL = codes_NL[order_N]
    prefix_N = torch.zeros_like(order_N)  # number of each item's prefix, in the order of codes
    for level in range(codes_NL.shape[1]):
        begins_N = F.pad((prefix_N.diff() != 0) | (sorted_NL[:, level].diff() != 0), (1, 0), value=True)
        start = begins_N.nonzero()[:, 0]
        count_P = torch.bincount(prefix_N[start])
        first_P = count_P.cumsum(0) - count_P
        node_N = prefix_N[order_N.argsort()]
        bound, code = F.pad(start, (0, 1), value=len(order_N)), sorted_NL[start, level]
        yield _Branches(bound=bound, code=code, first_N=first_P[node_N], count_N=count_P[node_N])
        prefix_N = begins_N.cumsum(0) - 1


def restricted(mass_MN: torch.Tensor, consistent_MN: torch.Tensor) -> torch.Tensor:
    """Item mass on consistent items alone, renormalised to 1, (M, N)."""
    mass = mass_MN * consistent_MN
    return mass.div_(mass.sum(1, keepdim=True).clamp(min=1e-30))


def item_evidence(
    mass_MN: torch.Tensor, consistent_MN: torch.Tensor, table: CodeTable, level: int | None = None
) -> torch.Tensor:
    """Item mass restricted to consistent items, renormalised to 1, summed by code: (M, T), or one level's codes."""
    return table.sum_by_code(restricted(mass_MN, consistent_MN), level)


def code_cross_entropy(
    logits_MC: torch.Tensor,
    codes_M: torch.Tensor,
    legal_MC: torch.Tensor | None = None,
    soft_MC: torch.Tensor | None = None,
    soft_share: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy (M,) of one level's C codes.

    Args:
        legal_MC: codes that share the probability; all without.
        soft_MC: a teacher's probability of every code, of which `soft_share` is mixed with the true code's.
    """
    if legal_MC is not None:
        logits_MC = logits_MC.masked_fill(~legal_MC, -1e9)
    hard_M = F.cross_entropy(logits_MC, codes_M, reduction="none")
    if soft_MC is None:
        return hard_M
    return (1 - soft_share) * hard_M + soft_share * F.cross_entropy(logits_MC, soft_MC, reduction="none")


def masked_cross_entropy(
    logits_MT: torch.Tensor,
    legal_MT: torch.Tensor,
    codes_ML: torch.Tensor,
    filled_ML: torch.Tensor,
    weight_M: torch.Tensor,
    level_sizes: tuple[int, ...],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy at masked positions, weighted by 1/p and divided by L.

    Args:
        legal_MT: codes that share the probability.

    Returns:
        loss_M: of each target.
        nll_ML: unweighted, 0 at filled positions.
    """
    levels = zip(logits_MT.split(level_sizes, 1), codes_ML.unbind(1), legal_MT.split(level_sizes, 1), strict=True)
    nll_ML = torch.stack([code_cross_entropy(*level) for level in levels], 1) * (filled_ML == MASKED)
    return nll_ML.sum(1) * weight_M / len(level_sizes), nll_ML
