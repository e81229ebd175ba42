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


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        mask_floor: eps of the masking p = (1 - eps) t + eps.
        dense_weight: weight of the dense next-item cross-entropy beside the token loss.
        evidence_share: share of targets that see item evidence; 0 turns it off. Those targets are normalised over
            legal codes, as in decoding; the others over the level's whole vocabulary, so that the denoiser also
            learns by itself which codes go together and the published search has what it expects.
        item_dropout: share of item embeddings zeroed in a batch, so that tokens alone must carry an item (cold items).
    """

    mask_floor: float = 0.4
    dense_weight: float = 1.0
    evidence_share: float = 0.5
    item_dropout: float = 0.0


@dataclass(frozen=True)
class BatchLoss:
    """Scalars of a batch; `loss` carries the graph."""

    loss: torch.Tensor
    dense: float
    token: float
    targets: int


def batch_loss(
    model: CompactDenoiser, table: CodeTable, rows_BW: torch.Tensor, config: LossConfig, generator: torch.Generator
) -> BatchLoss:
    """Loss of all next-item targets of a batch of right-padded windows (-1 pads).

    The item distribution that becomes evidence is detached, excludes each target's own history, and is restricted to
    the items that agree with the positions left unmasked.
    """
    history, valid_BR = rows_BW[:, :-1].clamp(min=0), rows_BW[:, 1:] >= 0
    keep_N = None
    if config.item_dropout:
        keep_N = (torch.rand(model.n_items, generator=generator) >= config.item_dropout).to(rows_BW.device)
    states, items_ND = model.encode_states(history, keep_N)
    target_M = rows_BW[:, 1:][valid_BR]
    dense_MN = states[valid_BR] @ items_ND.T + model.item_bias
    dense_loss = F.cross_entropy(dense_MN.float(), target_M)

    codes_ML = (model.tokens_NL - model.offsets)[target_M]
    if model.config.objective == "ar":
        filled_ML = torch.full_like(codes_ML, MASKED)
        weight_M = torch.ones(len(codes_ML), device=codes_ML.device)
        seen_ML = codes_ML
    else:
        filled_ML, weight_M = mask_targets(codes_ML, config.mask_floor, generator)
        seen_ML = filled_ML
    filled_BRL = torch.full((*valid_BR.shape, codes_ML.shape[1]), MASKED, device=rows_BW.device)
    filled_BRL[valid_BR] = seen_ML
    after_BR = torch.arange(1, valid_BR.shape[1] + 1, device=rows_BW.device).expand(valid_BR.shape)
    hidden_MLD = model.block_states(states, filled_BRL, after_BR)[valid_BR]
    logits_MT = model._head(hidden_MLD).float()

    with torch.no_grad():
        allowed_MN = ~_history_mask(rows_BW, valid_BR, model.n_items)
        repeat_M = ~allowed_MN.gather(1, target_M[:, None])[:, 0]
    if model.config.objective == "ar":
        token_M = _ar_loss(model, table, logits_MT, dense_MN, allowed_MN, codes_ML, config, generator)
    else:
        legal_MT = torch.ones_like(logits_MT, dtype=torch.bool)
        if config.evidence_share > 0:
            use = (torch.rand(len(target_M), generator=generator) < config.evidence_share).nonzero()[:, 0]
            use = use.to(rows_BW.device)
            with torch.no_grad():
                consistent = table.consistent(filled_ML[use]) & allowed_MN[use]
                legal = table.sum_by_code(consistent.float()) > 0
                # A target that its own history holds is not consistent; its loss is dropped below.
                legal_MT[use] = legal.scatter(1, codes_ML[use] + model.offsets, True)
                mass = dense_MN[use].float().masked_fill(~allowed_MN[use], -torch.inf).softmax(1)
                evidence = item_evidence(mass, consistent, table)
            alpha_T, beta_T = model.evidence_weight()[model.level_of_T], model.opinion_weight()[model.level_of_T]
            mixed = add_evidence(logits_MT[use], evidence, alpha_T, beta_T)
            logits_MT = logits_MT.index_copy(0, use, mixed.to(logits_MT.dtype))
        token_M, _ = masked_cross_entropy(logits_MT, legal_MT, codes_ML, filled_ML, weight_M, model.level_sizes)
    # A target that its own history holds is excluded in decoding, so it teaches the tokens nothing.
    token_loss = (token_M * ~repeat_M).sum() / (~repeat_M).sum().clamp(min=1)
    loss = token_loss + config.dense_weight * dense_loss
    return BatchLoss(loss, dense_loss.item(), token_loss.item(), len(target_M))


def _ar_loss(model, table, logits_MT, dense_MN, allowed_MN, codes_ML, config, generator) -> torch.Tensor:
    """All positions, weight 1; position p is legal and has evidence given the codes before it."""
    M, L = codes_ML.shape
    use_M = torch.rand(M, generator=generator).to(codes_ML.device) < config.evidence_share
    with torch.no_grad():
        mass_MN = dense_MN.detach().float().masked_fill(~allowed_MN, -torch.inf).softmax(1)
    total, alpha_L, beta_L = 0, model.evidence_weight(), model.opinion_weight()
    consistent_MN = allowed_MN
    for level, (start, size) in enumerate(zip(model.offsets.tolist(), model.level_sizes, strict=True)):
        own = slice(start, start + size)
        with torch.no_grad():
            legal = table.sum_by_code(consistent_MN.float())[:, own] > 0
            legal |= F.one_hot(codes_ML[:, level], size).bool() | ~use_M[:, None]
            evidence = item_evidence(mass_MN, consistent_MN, table)[:, own]
            prefix = torch.full_like(codes_ML, MASKED)
            prefix[:, : level + 1] = codes_ML[:, : level + 1]
            consistent_MN = table.consistent(prefix) & allowed_MN
        logits = logits_MT[:, own]
        if config.evidence_share > 0:
            logits = torch.where(use_M[:, None], add_evidence(logits, evidence, alpha_L[level], beta_L[level]), logits)
        total = total + F.cross_entropy(logits.masked_fill(~legal, -1e9), codes_ML[:, level], reduction="none")
    return total / L


def _history_mask(rows_BW: torch.Tensor, valid_BR: torch.Tensor, n_items: int) -> torch.Tensor:
    """Which items each target's history holds, bool (M, N)."""
    B, R = valid_BR.shape
    seen = torch.arange(R, device=rows_BW.device)
    before = (seen[None, :] <= seen[:, None]).expand(B, R, R)
    index = torch.where(before, rows_BW[:, None, :-1].clamp(min=0), n_items)[valid_BR]
    mask = torch.zeros(len(index), n_items + 1, dtype=torch.bool, device=rows_BW.device)
    return mask.scatter_(1, index, True)[:, :-1]
