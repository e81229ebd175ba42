"""The loss of one batch: a dense next-item head and the masked-diffusion (or auto-regressive) target block.

Shape legend: B sequences, W window, R = W - 1 targets a sequence, M valid targets, L levels, N items, D width.
"""

from dataclasses import dataclass

import torch

from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import (
    MASKED,
    CodeTable,
    item_evidence,
    mask_path,
    mask_targets,
    masked_cross_entropy,
)
from mindrec.model.softmax import catalog_cross_entropy

LEAST_MASS = 1e-12
"""Of an item, so that a code which some item has is told from one that none has."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        mask_floor: eps of the masking p = (1 - eps) t + eps.
        path_share: share of the targets that are masked as a coarse-to-fine decode finds them; the rest at random.
        legal: whether codes are normalised over those that some item agrees with, as exact decoding does. Without, over
            their level's whole vocabulary: the block must find by itself which codes go together, which the published
            search, that has no constraint, cannot do without.
        dense_weight: weight of the dense next-item cross-entropy beside the token loss.
        distil: share of the token loss that is taken against the dense head's distribution over the codes of a state,
            instead of against the one true code. Only training sees the dense head then; decoding with evidence off
            does not.
        item_dropout: share of item embeddings zeroed in a batch, so that tokens alone must carry an item (cold items).
    """

    mask_floor: float = 0.4
    path_share: float = 0.0
    legal: bool = False
    dense_weight: float = 1.0
    distil: float = 0.0
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

    The block learns from tokens alone. How much item evidence weighs beside it is fitted afterwards
    (mindrec.training.calibrate).

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
        filled_ML, weight_M = _masked(codes_ML, config, generator)
    logits_MT = _block_logits(model, read, codes_ML if causal else filled_ML)
    allowed_MN = ~_history_mask(rows_BW, read.valid_BR, model.n_items)
    soft_MT = legal_MT = None
    if config.distil or config.legal:
        opinion_MT = _dense_opinion(model, table, read, allowed_MN, codes_ML if causal else filled_ML)
        soft_MT = opinion_MT if config.distil else None
        legal_MT = opinion_MT > 0 if config.legal else None
    token_M, _ = masked_cross_entropy(
        logits_MT, legal_MT, codes_ML, filled_ML, weight_M, model.level_sizes, soft_MT, config.distil
    )
    # A target that its own history holds is excluded in decoding, so it teaches the tokens nothing.
    repeat_M = ~allowed_MN.gather(1, read.target_M[:, None])[:, 0]
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


def _masked(codes_ML: torch.Tensor, config: LossConfig, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """States of the targets (M, L), -1 where masked, and their weights (M,)."""
    filled_ML, weight_M = mask_targets(codes_ML, config.mask_floor, generator)
    if not config.path_share:
        return filled_ML, weight_M
    path_ML, path_weight_M = mask_path(codes_ML, generator)
    on_path = (torch.rand(len(codes_ML), generator=generator) < config.path_share).to(codes_ML.device)
    return torch.where(on_path[:, None], path_ML, filled_ML), torch.where(on_path, path_weight_M, weight_M)


def _prefix(codes_ML: torch.Tensor, length: int) -> torch.Tensor:
    """The state in which the first `length` codes are known."""
    out = torch.full_like(codes_ML, MASKED)
    out[:, :length] = codes_ML[:, :length]
    return out


@torch.no_grad()
def _dense_opinion(model, table, read: _Read, allowed_MN, seen_ML: torch.Tensor) -> torch.Tensor:
    """What the dense head says of the codes in each target's state, its item evidence: (M, T), 0 for illegal codes.

    The twin sees at each level the codes before it, a denoiser at all levels the codes that are not masked.
    """
    dense_MN = (read.last_MD @ read.items_ND.T + model.item_bias).float()
    mass_MN = dense_MN.masked_fill_(~allowed_MN, -torch.inf).softmax(1).clamp_(min=LEAST_MASS)
    if model.config.objective != "ar":
        return item_evidence(mass_MN, table.consistent(seen_ML) & allowed_MN, table)
    parts = []
    for level in range(seen_ML.shape[1]):
        consistent_MN = table.consistent(_prefix(seen_ML, level)) & allowed_MN
        parts.append(item_evidence(mass_MN, consistent_MN, table, level))
    return torch.cat(parts, 1)


def _history_mask(rows_BW: torch.Tensor, valid_BR: torch.Tensor, n_items: int) -> torch.Tensor:
    """Which items each target's history holds, bool (M, N)."""
    B, R = valid_BR.shape
    seen = torch.arange(R, device=rows_BW.device)
    before = (seen[None, :] <= seen[:, None]).expand(B, R, R)
    index = torch.where(before, rows_BW[:, None, :-1].clamp(min=0), n_items)[valid_BR]
    mask = torch.zeros(len(index), n_items + 1, dtype=torch.bool, device=rows_BW.device)
    return mask.scatter_(1, index, True)[:, :-1]
