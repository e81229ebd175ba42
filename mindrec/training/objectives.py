"""The loss of one batch: a dense next-item head and the masked-diffusion (or auto-regressive) target block.

Shape legend: B sequences, W window, R = W - 1 targets a sequence, M valid targets, L levels, N items, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import (
    MASKED,
    CodeTable,
    add_evidence,
    item_evidence,
    mask_targets,
    masked_cross_entropy,
)
from mindrec.model.softmax import catalog_cross_entropy


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        mask_floor: eps of the masking p = (1 - eps) t + eps.
        dense_weight: weight of the dense next-item cross-entropy beside the token loss.
        evidence_share: share of targets that see item evidence; with 0 the block learns from tokens alone and
            evidence is weighed afterwards (mindrec.training.calibrate). Targets that see it are normalised over legal
            codes, as in decoding; the others over the level's whole vocabulary, so that the denoiser also learns by
            itself which codes go together and the published search has what it expects.
        item_dropout: share of item embeddings zeroed in a batch, so that tokens alone must carry an item (cold items).
    """

    mask_floor: float = 0.4
    dense_weight: float = 1.0
    evidence_share: float = 0.0
    item_dropout: float = 0.0


@dataclass(frozen=True)
class BatchLoss:
    """Scalars of a batch; `loss` carries the graph."""

    loss: torch.Tensor
    dense: float
    token: float
    targets: int


def dense_loss(
    model: CompactDenoiser, rows_BW: torch.Tensor, config: LossConfig, generator: torch.Generator
) -> BatchLoss:
    """The dense head alone: next-item cross-entropy over the whole catalog."""
    read = _read(model, rows_BW, config, generator)
    loss = catalog_cross_entropy(read.last_MD, read.items_ND, model.item_bias, read.target_M)
    return BatchLoss(loss, loss.item(), 0.0, len(read.target_M))


def block_loss(
    model: CompactDenoiser,
    table: CodeTable,
    rows_BW: torch.Tensor,
    config: LossConfig,
    generator: torch.Generator,
    *,
    dense: bool = True,
) -> BatchLoss:
    """Loss of all next-item targets of a batch of right-padded windows (-1 pads).

    The item distribution that becomes evidence is detached, excludes each target's own history, and is restricted to
    the items that agree with the positions left unmasked.

    Args:
        dense: whether the dense part learns too; a frozen one is read without a graph and has no loss.
    """
    with torch.set_grad_enabled(dense):
        read = _read(model, rows_BW, config, generator)
    codes_ML = (model.tokens_NL - model.offsets)[read.target_M]
    causal = model.config.objective == "ar"
    if causal:
        filled_ML, weight_M = torch.full_like(codes_ML, MASKED), torch.ones(len(codes_ML), device=codes_ML.device)
    else:
        filled_ML, weight_M = mask_targets(codes_ML, config.mask_floor, generator)
    logits_MT = _block_logits(model, read, codes_ML if causal else filled_ML)
    with torch.no_grad():
        allowed_MN = ~_history_mask(rows_BW, read.valid_BR, model.n_items)
        repeat_M = ~allowed_MN.gather(1, read.target_M[:, None])[:, 0]
        chosen = torch.rand(len(codes_ML), generator=generator) < config.evidence_share
        use = chosen.nonzero()[:, 0].to(rows_BW.device)
        dense_UN = (read.last_MD[use] @ read.items_ND.T + model.item_bias).float()
        mass_UN = dense_UN.masked_fill(~allowed_MN[use], -torch.inf).softmax(1)
    if causal:
        token_M = _ar_loss(model, table, logits_MT, mass_UN, allowed_MN[use], codes_ML, use)
    else:
        legal_MT = torch.ones_like(logits_MT, dtype=torch.bool)
        if len(use):
            logits_MT, legal_MT = _with_evidence(model, table, logits_MT, mass_UN, allowed_MN, codes_ML, filled_ML, use)
        token_M, _ = masked_cross_entropy(logits_MT, legal_MT, codes_ML, filled_ML, weight_M, model.level_sizes)
    # A target that its own history holds is excluded in decoding, so it teaches the tokens nothing.
    token = (token_M * ~repeat_M).sum() / (~repeat_M).sum().clamp(min=1)
    if not dense:
        return BatchLoss(token, 0.0, token.item(), len(codes_ML))
    item = catalog_cross_entropy(read.last_MD, read.items_ND, model.item_bias, read.target_M)
    return BatchLoss(token + config.dense_weight * item, item.item(), token.item(), len(codes_ML))


@dataclass(frozen=True)
class _Read:
    """A batch as the encoder read it: states (B, H, D), item vectors (N, D), and of each valid target its last state
    (M, D) and item row (M,)."""

    states_BHD: torch.Tensor
    items_ND: torch.Tensor
    valid_BR: torch.Tensor
    last_MD: torch.Tensor
    target_M: torch.Tensor


def _read(model: CompactDenoiser, rows_BW: torch.Tensor, config: LossConfig, generator: torch.Generator) -> _Read:
    history, valid_BR = rows_BW[:, :-1].clamp(min=0), rows_BW[:, 1:] >= 0
    keep_N = None
    if config.item_dropout:
        keep_N = (torch.rand(model.n_items, generator=generator) >= config.item_dropout).to(rows_BW.device)
    states_BHD, items_ND = model.encode_states(history, keep_N)
    return _Read(states_BHD, items_ND, valid_BR, states_BHD[valid_BR], rows_BW[:, 1:][valid_BR])


def _block_logits(model: CompactDenoiser, read: _Read, seen_ML: torch.Tensor) -> torch.Tensor:
    """Token logits (M, T) of each target, whose block sees the codes `seen_ML`, -1 where masked."""
    valid_BR = read.valid_BR
    seen_BRL = torch.full((*valid_BR.shape, seen_ML.shape[1]), MASKED, device=seen_ML.device)
    seen_BRL[valid_BR] = seen_ML
    after_BR = torch.arange(1, valid_BR.shape[1] + 1, device=seen_ML.device).expand(valid_BR.shape)
    hidden_MLD = model.block_states(read.states_BHD, seen_BRL, after_BR)[valid_BR]
    return model._head(hidden_MLD, read.last_MD).float()


def _with_evidence(model, table, logits_MT, mass_UN, allowed_MN, codes_ML, filled_ML, use):
    """Logits with evidence where `use`, and the codes that are legal there; elsewhere logits as they are, all legal."""
    legal_MT = torch.ones_like(logits_MT, dtype=torch.bool)
    with torch.no_grad():
        consistent_UN = table.consistent(filled_ML[use]) & allowed_MN[use]
        legal_UT = table.sum_by_code(consistent_UN.float()) > 0
        # A target that its own history holds is not consistent; its loss is dropped later.
        legal_MT[use] = legal_UT.scatter(1, codes_ML[use] + model.offsets, True)
        evidence_UT = item_evidence(mass_UN, consistent_UN, table)
    alpha_T, beta_T = model.evidence_weight()[model.level_of_T], model.opinion_weight()[model.level_of_T]
    mixed = add_evidence(logits_MT[use], evidence_UT, alpha_T, beta_T)
    return logits_MT.index_copy(0, use, mixed.to(logits_MT.dtype)), legal_MT


def _ar_loss(model, table, logits_MT, mass_UN, allowed_UN, codes_ML, use) -> torch.Tensor:
    """All positions, weight 1; where `use`, position p is legal and has evidence given the codes before it."""
    parts = [
        F.cross_entropy(logits, codes, reduction="none")
        for logits, codes in zip(logits_MT.split(model.level_sizes, dim=1), codes_ML.unbind(1), strict=True)
    ]
    total_M = torch.stack(parts).sum(0)
    if not len(use):
        return total_M / codes_ML.shape[1]
    told_U, codes_UL, consistent_UN = torch.zeros_like(total_M[use]), codes_ML[use], allowed_UN
    alpha_L, beta_L = model.evidence_weight(), model.opinion_weight()
    for level, (start, size) in enumerate(zip(model.offsets.tolist(), model.level_sizes, strict=True)):
        own = slice(start, start + size)
        with torch.no_grad():
            legal = table.sum_by_code(consistent_UN.float())[:, own] > 0
            legal |= F.one_hot(codes_UL[:, level], size).bool()
            evidence = item_evidence(mass_UN, consistent_UN, table)[:, own]
            prefix = torch.full_like(codes_UL, MASKED)
            prefix[:, : level + 1] = codes_UL[:, : level + 1]
            consistent_UN = table.consistent(prefix) & allowed_UN
        logits = add_evidence(logits_MT[use][:, own], evidence, alpha_L[level], beta_L[level])
        told_U = told_U + F.cross_entropy(logits.masked_fill(~legal, -1e9), codes_UL[:, level], reduction="none")
    return total_M.index_copy(0, use, told_U) / codes_ML.shape[1]


def _history_mask(rows_BW: torch.Tensor, valid_BR: torch.Tensor, n_items: int) -> torch.Tensor:
    """Which items each target's history holds, bool (M, N)."""
    B, R = valid_BR.shape
    seen = torch.arange(R, device=rows_BW.device)
    before = (seen[None, :] <= seen[:, None]).expand(B, R, R)
    index = torch.where(before, rows_BW[:, None, :-1].clamp(min=0), n_items)[valid_BR]
    mask = torch.zeros(len(index), n_items + 1, dtype=torch.bool, device=rows_BW.device)
    return mask.scatter_(1, index, True)[:, :-1]
