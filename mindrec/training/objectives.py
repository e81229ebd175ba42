"""The loss of one batch: a dense next-item head and the masked-diffusion (or auto-regressive) target block.

Shape legend: B sequences, W window, R = W - 1 targets a sequence, M valid targets, L levels, V views (masked states)
of a target, T tokens, N items, D width.
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
        path_share: share of the states that are those of a coarse-to-fine decode and teach what it reveals next; the
            rest are masked at random and teach all that is masked.
        views: masked states of each target in a step. They share the encoder's work and the dense head's, so that four
            cost far less than four steps. The auto-regressive twin has one: its block asks every position at once.
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
    views: int = 1
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
    causal = model.config.objective == "ar"
    views = 1 if causal else config.views
    codes_ML = (model.tokens_NL - model.offsets)[read.target_M].repeat_interleave(views, 0)
    if causal:
        filled_ML, weight_ML = torch.full_like(codes_ML, MASKED), torch.ones(1, 1, device=codes_ML.device)
    else:
        filled_ML, weight_ML = _masked(codes_ML, config, generator)
    seen_MVL = (codes_ML if causal else filled_ML).view(-1, views, codes_ML.shape[1])
    logits_MT = _block_logits(model, read, seen_MVL)
    allowed_MN = ~_history_mask(rows_BW, read.valid_BR, model.n_items)
    soft_MT = legal_MT = None
    if config.distil or config.legal:
        opinion_MT = _dense_opinion(model, table, read, allowed_MN, seen_MVL)
        soft_MT = opinion_MT if config.distil else None
        legal_MT = opinion_MT > 0 if config.legal else None
    token_M, _ = masked_cross_entropy(
        logits_MT, legal_MT, codes_ML, filled_ML, weight_ML, model.level_sizes, soft_MT, config.distil
    )
    # A target that its own history holds is excluded in decoding, so it teaches the tokens nothing.
    new_M = allowed_MN.gather(1, read.target_M[:, None])[:, 0]
    token = (token_M.view(-1, views).mean(1) * new_M).sum() / new_M.sum().clamp(min=1)
    if not dense:
        return BatchLoss(token, 0.0, token.item(), len(new_M))
    item = catalog_cross_entropy(read.last_MD, read.items_ND, model.item_bias, read.target_M)
    return BatchLoss(token + config.dense_weight * item, item.item(), token.item(), len(new_M))


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


def _block_logits(model: CompactDenoiser, read: _Read, seen_MVL: torch.Tensor) -> torch.Tensor:
    """Token logits (M * V, T) of each target's states, whose blocks see the codes `seen_MVL`, -1 where masked."""
    valid_BR, (_, V, L) = read.valid_BR, seen_MVL.shape
    seen_BRVL = torch.full((*valid_BR.shape, V, L), MASKED, device=seen_MVL.device)
    seen_BRVL[valid_BR] = seen_MVL
    after_BR = torch.arange(1, valid_BR.shape[1] + 1, device=seen_MVL.device).expand(valid_BR.shape)
    # Views of a target stand beside each other, as so many targets more at its place in the history.
    hidden = model.block_states(read.states_BHD, seen_BRVL.flatten(1, 2), after_BR.repeat_interleave(V, 1))
    hidden_MLD = hidden.unflatten(1, (-1, V))[valid_BR].flatten(0, 1)
    return model._head(hidden_MLD, read.last_MD.repeat_interleave(V, 0)).float()


def _masked(codes_ML: torch.Tensor, config: LossConfig, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """States (M, L), -1 where masked, and weights (M, L), of codes whose rows are `config.views` a target."""
    filled_ML, weight_M = mask_targets(codes_ML, config.mask_floor, generator)
    weight_ML = weight_M[:, None].expand(codes_ML.shape)
    if not config.path_share:
        return filled_ML, weight_ML
    path_ML, path_weight_ML = mask_path(codes_ML, generator, config.views)
    on_path_M1 = (torch.rand(len(codes_ML), 1, generator=generator) < config.path_share).to(codes_ML.device)
    return torch.where(on_path_M1, path_ML, filled_ML), torch.where(on_path_M1, path_weight_ML, weight_ML)


def _prefix(codes_ML: torch.Tensor, length: int) -> torch.Tensor:
    """The state in which the first `length` codes are known."""
    out = torch.full_like(codes_ML, MASKED)
    out[:, :length] = codes_ML[:, :length]
    return out


@torch.no_grad()
def _dense_opinion(model, table, read: _Read, allowed_MN, seen_MVL: torch.Tensor) -> torch.Tensor:
    """What the dense head says of the codes in each target's states, as item evidence: (M * V, T), 0 if illegal.

    The twin sees at each level the codes before it, a denoiser at all levels the codes that are not masked.
    """
    with torch.autocast(allowed_MN.device.type, enabled=False):  # a mass of 1e-12 must stay above none
        dense_MN = read.last_MD.float() @ read.items_ND.float().T + model.item_bias
        mass_MN = dense_MN.masked_fill_(~allowed_MN, -torch.inf).softmax(1).clamp_(min=LEAST_MASS)

        def evidence(seen_ML: torch.Tensor, level: int | None = None) -> torch.Tensor:
            return item_evidence(mass_MN, table.consistent(seen_ML) & allowed_MN, table, level)

        if model.config.objective != "ar":
            return torch.stack([evidence(seen_ML) for seen_ML in seen_MVL.unbind(1)], 1).flatten(0, 1)
        (seen_ML,) = seen_MVL.unbind(1)
        return torch.cat([evidence(_prefix(seen_ML, level), level) for level in range(seen_ML.shape[1])], 1)


def _history_mask(rows_BW: torch.Tensor, valid_BR: torch.Tensor, n_items: int) -> torch.Tensor:
    """Which items each target's history holds, bool (M, N)."""
    B, R = valid_BR.shape
    seen = torch.arange(R, device=rows_BW.device)
    before = (seen[None, :] <= seen[:, None]).expand(B, R, R)
    index = torch.where(before, rows_BW[:, None, :-1].clamp(min=0), n_items)[valid_BR]
    mask = torch.zeros(len(index), n_items + 1, dtype=torch.bool, device=rows_BW.device)
    return mask.scatter_(1, index, True)[:, :-1]
