"""The loss of one batch: a dense next-item head and the masked-diffusion (or auto-regressive) target block.

Shape legend: B sequences, W window, R = W - 1 targets a sequence, M valid targets, V views (masked states) of a target,
S = M * V states, L levels, N items, D width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import (
    MASKED,
    CodeTable,
    code_cross_entropy,
    mask_path,
    mask_targets,
)
from mindrec.model.item_softmax import item_cross_entropy, item_scores
from mindrec.model.softmax import catalog_cross_entropy, sampled_cross_entropy
from mindrec.training.sliced_loss import sum_of_slices
from mindrec.training.teacher import code_masses, predicts_next

LEAST_MASS = 1e-12
"""Minimum mass of an item, so that a code that some item has (above 0) differs from one that no item has (0)."""
CHUNK = 128
"""Targets whose item masses are made at a time on a CPU, whose cache holds them."""
GPU_CHUNK = 4096
"""The same on a GPU, where the number of kernels counts instead."""
SLICE = 6144
"""Positions (targets x views x levels) that the block works on at a time on a CPU: what their gradient needs is held at
once."""
GPU_SLICE = 1 << 17
"""The same on a GPU."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        mask_floor: eps of the masking p = (1 - eps) t + eps.
        path_share: fraction of training states masked as a path: coarse levels revealed, loss on the next level only.
            The rest are masked at random, with loss on every masked position.
        views: masked states of each target in a step. They share the encoder's work and the dense head's, so that four
            cost far less than four steps. The auto-regressive twin has one: its block asks every position at once.
        legal: whether codes are normalised over those that some item agrees with, as exact decoding does. Without, over
            their level's whole vocabulary: the block must find by itself which codes go together, which the published
            search, that has no constraint, cannot do without.
        distil: share of the token loss that is taken against the dense head's distribution over the codes of a state,
            instead of against the one true code. Only training sees the dense head then; decoding with evidence off
            does not.
        block_targets: targets of a window that a step of the block learns from, drawn anew each time; 0 is all of them.
            The block costs most of a step, and neighbouring targets of a window teach it nearly the same.
        rivals: items, drawn anew each step, that stand for the whole catalog where the dense part or the code reader
            learns alone: an epoch of 12,000 items then costs less than half. 0 is the whole catalog.
        item_dropout: share of item embeddings zeroed in a batch, so that tokens alone must carry an item (cold items).
    """

    mask_floor: float = 0.4
    path_share: float = 0.0
    views: int = 1
    legal: bool = False
    distil: float = 0.0
    block_targets: int = 0
    rivals: int = 0
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
    loss = _next_item_loss(read.last_MD, read.items_ND, model.item_bias, read.target_M, config, generator)
    return BatchLoss(loss, loss.item(), 0.0, len(read.target_M))


def _next_item_loss(states_MD, items_ND, bias_N, target_M, config: LossConfig, generator) -> torch.Tensor:
    """Cross-entropy over the catalog, or over as many rivals of it as the config says."""
    if not 0 < config.rivals < len(items_ND):
        return catalog_cross_entropy(states_MD, items_ND, bias_N, target_M)
    rival_R = torch.randperm(len(items_ND), generator=generator)[: config.rivals].to(target_M.device)
    return sampled_cross_entropy(states_MD, items_ND, bias_N, target_M, rival_R)


def reader_loss(
    model: CompactDenoiser, rows_BW: torch.Tensor, config: LossConfig, generator: torch.Generator
) -> BatchLoss:
    """The code reader alone, without a block: next-item cross-entropy, an item's score being the sum of its codes'."""
    valid_BR = rows_BW[:, 1:] >= 0
    states_BHD = model.reader.states(rows_BW[:, :-1].clamp(min=0), model.tokens_NL)
    items_ND = F.embedding(model.tokens_NL, model.output_embedding.weight).sum(1)
    bias_N = model.token_bias[model.tokens_NL].sum(1)
    loss = _next_item_loss(states_BHD[valid_BR], items_ND, bias_N, rows_BW[:, 1:][valid_BR], config, generator)
    return BatchLoss(loss, 0.0, loss.item(), int(valid_BR.sum()))


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
        read = _read(model, rows_BW, config, generator, config.block_targets)
    if model.reader is not None:
        read = _read_codes(model, rows_BW, read)
    token = _mean_token_loss(model, table, rows_BW, read, config, generator)
    if not dense:
        return BatchLoss(token, 0.0, token.item(), len(read.target_M))
    item = catalog_cross_entropy(read.last_MD, read.items_ND, model.item_bias, read.target_M)
    return BatchLoss(token + item, item.item(), token.item(), len(read.target_M))


def _mean_token_loss(
    model: CompactDenoiser,
    table: CodeTable,
    rows_BW: torch.Tensor,
    read: "_Read",
    config: LossConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    """Mean loss of the tokens over the targets that decoding may recommend, a scalar. Some sequences at a time."""
    codes_ML = model.levels.codes(model.tokens_NL[read.target_M])
    if model.config.objective == "ar":
        states = _States(codes_ML, codes_ML, torch.ones(codes_ML.shape, device=codes_ML.device), 1)
    else:
        states = _masked(codes_ML.repeat_interleave(config.views, 0), config, generator)
    # A target that its own history holds is excluded in decoding, so it teaches the tokens nothing.
    new_M = torch.ones_like(read.target_M, dtype=torch.bool)
    if not model.config.repeats:
        new_M = ~(_before(rows_BW, read.after_BR)[read.valid_BR] == read.target_M[:, None]).any(1)
    slices = list(_slices(read, states))

    def loss_of(number: int, states_BHD: torch.Tensor, query_MD: torch.Tensor) -> torch.Tensor:
        sequences, targets = slices[number]
        some = _part(read, sequences, targets, states_BHD, query_MD)
        states_part = _part_of_states(states, targets)
        allowed_MN = _allowed(model, rows_BW[sequences], some)
        if model.config.item_softmax:
            token_S = _item_loss(model, some, allowed_MN, states_part)
        else:
            token_S = _token_loss(model, table, some, allowed_MN, states_part, config)
        return (token_S.view(-1, states_part.views).mean(1) * new_M[targets]).sum()

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return sum_of_slices(loss_of, slices, (read.states_BHD, read.query_MD), weights) / new_M.sum().clamp(min=1)


def _allowed(model: CompactDenoiser, rows_BW: torch.Tensor, read: "_Read") -> torch.Tensor:
    """Which items each target could be, bool (M, N): those that its history does not hold, where repeats are out."""
    if model.config.repeats:
        return torch.ones(len(read.target_M), model.n_items, dtype=torch.bool, device=rows_BW.device)
    allowed_MN = _history_mask(rows_BW, read.after_BR, read.valid_BR, model.n_items).logical_not_()
    allowed_MN |= ~allowed_MN.any(1, keepdim=True)  # a history of the whole catalog must not turn the loss into NaN
    return allowed_MN


@dataclass(frozen=True)
class _Read:
    """A batch as the encoder read it.

    Attributes:
        states_BHD, query_MD: states that the block reads, and the one that asks codes for each valid target.
        items_ND, last_MD: item vectors, and the dense part's last state before each valid target.
        after_BR, valid_BR: how many items come before each target, and whether there is one.
        target_M: item rows.
    """

    states_BHD: torch.Tensor
    query_MD: torch.Tensor
    items_ND: torch.Tensor
    last_MD: torch.Tensor
    after_BR: torch.Tensor
    valid_BR: torch.Tensor
    target_M: torch.Tensor


def _read(
    model: CompactDenoiser, rows_BW: torch.Tensor, config: LossConfig, generator: torch.Generator, targets: int = 0
) -> _Read:
    """`targets` targets of each window, drawn at random; all with 0."""
    history, valid_BR = rows_BW[:, :-1].clamp(min=0), rows_BW[:, 1:] >= 0
    keep_N = None
    if config.item_dropout:
        keep_N = (torch.rand(model.n_items, generator=generator) >= config.item_dropout).to(rows_BW.device)
    position_BR = torch.arange(valid_BR.shape[1], device=rows_BW.device).expand(valid_BR.shape)
    if 0 < targets < valid_BR.shape[1]:
        drawn = torch.rand(valid_BR.shape, generator=generator).to(rows_BW.device).masked_fill(~valid_BR, 2.0)
        position_BR = drawn.argsort(1)[:, :targets]
    states_BHD, items_ND = model.encode_states(history, keep_N)
    valid_BR, target_BR = valid_BR.gather(1, position_BR), rows_BW[:, 1:].gather(1, position_BR)
    last_MD = _states_at(states_BHD, position_BR)[valid_BR]
    return _Read(states_BHD, last_MD, items_ND, last_MD, position_BR + 1, valid_BR, target_BR[valid_BR])


def _states_at(states_BHD: torch.Tensor, position_BR: torch.Tensor) -> torch.Tensor:
    """States (B, R, D) at some places of each history."""
    return states_BHD.gather(1, position_BR[..., None].expand(-1, -1, states_BHD.shape[2]))


def _read_codes(model: CompactDenoiser, rows_BW: torch.Tensor, read: _Read) -> _Read:
    """The same targets with the states of the code reader for the block."""
    states_BHD = model.reader.states(rows_BW[:, :-1].clamp(min=0), model.tokens_NL)
    query_MD = _states_at(states_BHD, read.after_BR - 1)[read.valid_BR]
    return replace(read, states_BHD=states_BHD, query_MD=query_MD)


@dataclass(frozen=True)
class _States:
    """The questions of a step to the block: S = M * V partial answers, V in a line for each target.

    Attributes:
        codes_SL: the target's.
        seen_SL: those that the block sees, -1 where masked. The twin sees all, each position the ones before it.
        weight_SL: of a position's loss; 0 where nothing is asked.
    """

    codes_SL: torch.Tensor
    seen_SL: torch.Tensor
    weight_SL: torch.Tensor
    views: int


def _part(read: _Read, sequences: slice, targets: slice, states_BHD: torch.Tensor, query_MD: torch.Tensor) -> _Read:
    """The batch's reading, of some of its sequences."""
    rows = {"after_BR": read.after_BR[sequences], "valid_BR": read.valid_BR[sequences]}
    of_targets = {"last_MD": read.last_MD[targets], "target_M": read.target_M[targets]}
    return replace(read, states_BHD=states_BHD, query_MD=query_MD, **rows, **of_targets)


def _part_of_states(states: _States, targets: slice) -> _States:
    rows = slice(targets.start * states.views, targets.stop * states.views)
    return _States(states.codes_SL[rows], states.seen_SL[rows], states.weight_SL[rows], states.views)


def _slices(read: _Read, states: _States) -> Iterator[tuple[slice, slice]]:
    """Runs of sequences that fill SLICE, at least one sequence each, and which targets are theirs."""
    B, R = read.valid_BR.shape
    largest = SLICE if read.valid_BR.device.type == "cpu" else GPU_SLICE
    step = max(1, largest // (R * states.views * states.codes_SL.shape[1]))
    ends_B = [0, *read.valid_BR.sum(1).cumsum(0).tolist()]
    for first in range(0, B, step):
        last = min(first + step, B)
        yield slice(first, last), slice(ends_B[first], ends_B[last])


def _masked(codes_SL: torch.Tensor, config: LossConfig, generator: torch.Generator) -> _States:
    filled_SL, weight_S = mask_targets(codes_SL, config.mask_floor, generator)
    weight_SL = weight_S[:, None] * (filled_SL == MASKED)
    if config.path_share:
        path_SL, path_weight_SL = mask_path(codes_SL, generator, config.views)
        on_path_S1 = (torch.rand(len(codes_SL), 1, generator=generator) < config.path_share).to(codes_SL.device)
        filled_SL = torch.where(on_path_S1, path_SL, filled_SL)
        weight_SL = torch.where(on_path_S1, path_weight_SL, weight_SL)
    return _States(codes_SL, filled_SL, weight_SL, config.views)


def _token_loss(
    model: CompactDenoiser, table: CodeTable, read: _Read, allowed_MN: torch.Tensor, states: _States, config: LossConfig
) -> torch.Tensor:
    """Loss (S,) of the codes of each state, level by level: of those states alone that ask for the level."""
    hidden_SLD = _block_states(model, read, states)
    teacher = [None] * len(model.level_sizes)
    if config.distil or config.legal:
        teacher = _teacher(model, table, read, allowed_MN, states)
    loss_S = torch.zeros(len(hidden_SLD), device=hidden_SLD.device)
    for level, mass in enumerate(teacher):
        counted = states.weight_SL[:, level].nonzero()[:, 0]
        logits = model.level_logits(hidden_SLD[counted, level], read.query_MD[counted // states.views], level).float()
        legal = mass > 0 if config.legal else None
        soft = mass if config.distil else None
        nll = code_cross_entropy(logits, states.codes_SL[counted, level], legal, soft, config.distil)
        loss_S = loss_S.index_add(0, counted, nll * states.weight_SL[counted, level])
    return loss_S / len(model.level_sizes)


def _item_loss(model: CompactDenoiser, read: _Read, allowed_MN: torch.Tensor, states: _States) -> torch.Tensor:
    """-log p(item | state), (S,): among the items that agree with the state and that the history does not hold."""
    open_states = replace(states, weight_SL=(states.seen_SL == MASKED).float())
    hidden_SLD = _block_states(model, read, open_states)
    logits_ST = model._head(hidden_SLD, read.query_MD.repeat_interleave(states.views, 0)).float()
    scores_SN = item_scores(
        logits_ST, states.seen_SL, model.tokens_NL, model.levels.level_of_token(model.tokens_NL.device)
    )
    views = states.views
    return item_cross_entropy(
        scores_SN, allowed_MN.repeat_interleave(views, 0), read.target_M.repeat_interleave(views, 0)
    )


def _block_states(model: CompactDenoiser, read: _Read, states: _States) -> torch.Tensor:
    """Hidden states of the block for every partial answer beside its target's history, (S, L, D)."""
    valid_BR, V = read.valid_BR, states.views
    seen_BRVL = torch.full((*valid_BR.shape, V, states.seen_SL.shape[1]), MASKED, device=valid_BR.device)
    seen_BRVL[valid_BR] = states.seen_SL.view(-1, *seen_BRVL.shape[2:])
    read_BRVL = torch.zeros(seen_BRVL.shape, dtype=torch.bool, device=valid_BR.device)
    read_BRVL[valid_BR] = (states.weight_SL > 0).view(-1, *seen_BRVL.shape[2:])
    # Views of a target stand beside each other, as so many targets more at its place in the history.
    hidden = model.block_states(
        read.states_BHD, seen_BRVL.flatten(1, 2), read.after_BR.repeat_interleave(V, 1), read_BRVL.flatten(1, 2)
    )
    return hidden.unflatten(1, (-1, V))[valid_BR].flatten(0, 1)


@torch.no_grad()
def _teacher(
    model: CompactDenoiser, table: CodeTable, read: _Read, allowed_MN: torch.Tensor, states: _States
) -> list[torch.Tensor]:
    """The dense head's probability of each level's codes, (states that ask for the level, its codes), 0 where a code is
    illegal. Some targets at a time (see CHUNK)."""
    chunk, V, parts = CHUNK if allowed_MN.device.type == "cpu" else GPU_CHUNK, states.views, []
    for first in range(0, len(allowed_MN), chunk):
        of_some, rows_S = slice(first, first + chunk), slice(first * V, (first + chunk) * V)
        with torch.autocast(allowed_MN.device.type, enabled=False):  # a mass of 1e-12 must stay above none
            last_MD, allowed = read.last_MD[of_some].float(), allowed_MN[of_some]
            dense = torch.addmm(model.item_bias, last_MD, read.items_ND.float().T).masked_fill_(~allowed, -torch.inf)
            mass = dense.softmax(1).clamp_(min=LEAST_MASS).mul_(allowed)
            seen, counted = states.seen_SL[rows_S], states.weight_SL[rows_S] > 0
            of_next = counted if model.config.objective == "ar" else counted & predicts_next(seen)
            parts.append(code_masses(table, mass, read.target_M[of_some], seen, counted, of_next))
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def _before(rows_BW: torch.Tensor, after_BR: torch.Tensor) -> torch.Tensor:
    """Items of each target's history, (B, R, H); -1 in the places after it."""
    before_BRH = torch.arange(rows_BW.shape[1] - 1, device=rows_BW.device) < after_BR[..., None]
    return rows_BW[:, None, :-1].where(before_BRH, -1)


def _history_mask(rows_BW: torch.Tensor, after_BR: torch.Tensor, valid_BR: torch.Tensor, n_items: int) -> torch.Tensor:
    """Which items each target's history holds, bool (M, N)."""
    index = _before(rows_BW, after_BR)[valid_BR]
    index = index.where(index >= 0, n_items)
    mask = torch.zeros(len(index), n_items + 1, dtype=torch.bool, device=rows_BW.device)
    return mask.scatter_(1, index, True)[:, :-1]
