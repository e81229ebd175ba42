"""Target blocks through their Llama stack in decoding: the numbers of `LlamaModel.forward`, by less work.

A decode reads the states of open positions alone. In the last layer the other positions give their keys and values
and no more, and where all histories are equally long nothing is masked. Training goes through `LlamaModel.forward`; a
test holds the two equal.

Shape legend: B users, R blocks a user, L positions of a block, P positions that are read, H history positions,
h heads, w width of a head, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from transformers import LlamaModel

from mindrec.model.diffusion import MASKED

KeyValue = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Beside:
    """Keys that blocks attend to beside their own.

    Attributes:
        past: keys and values of the histories at each layer, (B, h, H, w) each.
        after_B: int64, how many items each history has.
        turn: `rotary_turn` of these histories.
        padded: whether some history is shorter than H.
        causal: whether a position of a block sees only those up to itself.
    """

    past: Sequence[KeyValue]
    after_B: torch.Tensor
    turn: torch.Tensor
    padded: bool
    causal: bool


@dataclass(frozen=True)
class Projected:
    """The input of a layer, and what it projects that to before positions attend to each other, (..., D) each."""

    hidden: torch.Tensor
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor

    def joined(self) -> torch.Tensor:
        """All four side by side, (..., 4 D)."""
        return torch.cat([self.hidden, self.query, self.key, self.value], -1)

    @classmethod
    def looked_up(cls, joined_X4D: torch.Tensor, rows: torch.Tensor) -> "Projected":
        """Rows, of any shape, of a table that `joined` made."""
        return cls(*F.embedding(rows, joined_X4D).chunk(4, -1))


def project(layer, hidden: torch.Tensor, read_BRP: torch.Tensor | None = None) -> Projected:
    """Of states (..., D); hidden and query of the positions `read_BRP` alone, where given."""
    attention, normed = layer.self_attn, _normed(layer.input_layernorm, hidden)
    key, value = attention.k_proj(normed), attention.v_proj(normed)
    if read_BRP is not None:
        hidden, normed = _taken(hidden, read_BRP), _taken(normed, read_BRP)
    return Projected(hidden, attention.q_proj(normed), key, value)


def masked_states(stack: LlamaModel, first: Projected, filled_BRL: torch.Tensor, beside: Beside) -> torch.Tensor:
    """The states (B, R, L, D) of the masked positions of blocks, each beside its history; 0 at the filled ones.

    Args:
        first: what the first layer projects each position to, (B, R, L, D).
        filled_BRL: codes, -1 where masked.
    """
    R, L = filled_BRL.shape[1:]
    masked_BRL = filled_BRL == MASKED
    read_BRP = _positions_read(masked_BRL)
    turn_BRLX = beside.turn.expand(-1, R, -1, -1)
    turn, turn_of_read = _factors(turn_BRLX), _factors(_taken(turn_BRLX, read_BRP))
    unseen, state = _unseen(beside, None, L, R), first
    for number, (layer, past) in enumerate(zip(stack.layers[:-1], beside.past[:-1], strict=True), 1):
        hidden = _layer(layer, state, turn, turn, past, unseen)
        state = project(stack.layers[number], hidden, read_BRP if number == len(stack.layers) - 1 else None)
    if state is first:
        state = replace(first, hidden=_taken(first.hidden, read_BRP), query=_taken(first.query, read_BRP))
    unseen = _unseen(beside, read_BRP, L, R)
    read = _normed(stack.norm, _layer(stack.layers[-1], state, turn_of_read, turn, beside.past[-1], unseen))
    states = read.new_zeros(*filled_BRL.shape, read.shape[-1]).scatter_(2, read_BRP[..., None].expand_as(read), read)
    return states.masked_fill_(~masked_BRL[..., None], 0.0)


def _positions_read(masked_BRL: torch.Tensor) -> torch.Tensor:
    """The masked positions of each block, ascending, int64 (B, R, P); P is the most that one block has, at least 1.

    A block that has fewer is filled up with its first other positions.
    """
    L = masked_BRL.shape[-1]
    order = (torch.arange(L, device=masked_BRL.device) - L * masked_BRL).argsort(-1)
    return order[..., : max(1, int(masked_BRL.sum(-1).max()))]


def _layer(layer, state: Projected, query_turn, key_turn, past: KeyValue, unseen) -> torch.Tensor:
    """The states after one layer, of the positions that have a query."""
    attention = layer.self_attn
    query, key, value = (_heads(attention, each) for each in (state.query, state.key, state.value))
    query, key = _turned(query, query_turn), _turned(key, key_turn)
    hidden = state.hidden + attention.o_proj(_attended(query, key, value, past, unseen, attention.scaling))
    return hidden + _fed_forward(layer.mlp, _normed(layer.post_attention_layernorm, hidden))


def _fed_forward(mlp, values: torch.Tensor) -> torch.Tensor:
    """`LlamaMLP.forward` in evaluation, without the modules' own calls."""
    gate, up = F.linear(values, mlp.gate_proj.weight), F.linear(values, mlp.up_proj.weight)
    return F.linear(F.silu(gate) * up, mlp.down_proj.weight)


def _normed(norm, values: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(values, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _attended(query, key, value, past: KeyValue, unseen, scaling: float) -> torch.Tensor:
    """Attention of positions (B, R, P, h, w) over their history and their own block, under one softmax: (B, R, P, D).

    What is attended to lies on an axis before the positions, for a softmax along a short last axis is slow.
    """
    (B, R, P, h, w), L = query.shape, key.shape[2]
    past_key, past_value = past
    H = past_key.shape[2]
    query, key, value = (each.permute(0, 3, 1, 2, 4) for each in (query * scaling, key, value))  # (B, h, R, ..., w)
    to_history = past_key @ query.reshape(B, h, R * P, w).transpose(2, 3)
    to_block = (key @ query.transpose(3, 4)).transpose(2, 3).reshape(B, h, L, R * P)
    scores = torch.cat([to_history, to_block], 2)
    if unseen is not None:
        scores = scores.masked_fill(unseen, torch.finfo(scores.dtype).min)
    weights = scores.softmax(2)
    within = weights[:, :, H:].view(B, h, L, R, P).permute(0, 1, 3, 4, 2)
    out = (weights[:, :, :H].transpose(2, 3) @ past_value).view(B, h, R, P, w) + within @ value
    return out.permute(0, 2, 3, 1, 4).reshape(B, R, P, h * w)


def _heads(attention, values: torch.Tensor) -> torch.Tensor:
    """(..., D) as (..., h, w)."""
    return values.unflatten(-1, (-1, attention.head_dim))


def _taken(values_BRLX: torch.Tensor, positions_BRP: torch.Tensor) -> torch.Tensor:
    return values_BRLX.gather(2, positions_BRP[..., None].expand(-1, -1, -1, values_BRLX.shape[-1]))


def rotary_turn(stack: LlamaModel, after_B: torch.Tensor, L: int) -> torch.Tensor:
    """The rotary embedding's factors for a head and its swapped halves at each position, (B, 1, L, 2 w).

    Args:
        after_B: int64, how many items each history has.
    """
    places = after_B[:, None] + torch.arange(L, device=after_B.device)
    cosines, sines = stack.rotary_emb(stack.norm.weight, places)
    first, second = sines.chunk(2, -1)
    return torch.cat([cosines, -first, second], -1)[:, None]


def _factors(turn_BRLX: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors of `rotary_turn`, for every head."""
    return turn_BRLX[..., None, :].chunk(2, -1)


def _turned(values: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary embedding of values (B, R, L, h, w)."""
    cosines, sines = turn
    first, second = values.chunk(2, -1)
    return torch.addcmul(values * cosines, torch.cat([second, first], -1), sines)


def _unseen(beside: Beside, read_BRP: torch.Tensor | None, L: int, R: int) -> torch.Tensor | None:
    """The positions of history and block that those in `read_BRP`, or all, do not see; None where all see all.

    bool (B, 1, H + L, R * P).
    """
    if not beside.padded and not beside.causal:
        return None
    B, H, device = len(beside.after_B), beside.past[0][0].shape[2], beside.after_B.device
    read = torch.arange(L, device=device).repeat(B, R) if read_BRP is None else read_BRP.flatten(1)
    behind = torch.arange(H, device=device)[:, None] >= beside.after_B[:, None, None]
    later = torch.arange(L, device=device)[:, None] > read[:, None]
    behind, later = behind.expand(B, H, later.shape[2]), later & beside.causal
    return torch.cat([behind, later], 1)[:, None]
