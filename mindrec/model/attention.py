"""Attention of many target blocks over one shared history; registered with transformers under the name "mindrec".

Shape legend: B users, R blocks a user, L positions of a block, H history positions, D width.
"""

import torch
import torch.nn.functional as F
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import repeat_kv

ATTENTION = "mindrec"


def causal_mask(length: int, like: torch.Tensor) -> torch.Tensor:
    """Lower-triangular bool (1, 1, length, length) on the device of `like`."""
    return torch.ones(length, length, dtype=torch.bool, device=like.device).tril()[None, None]


def block_attention(
    module,
    query,
    key,
    value,
    attention_mask,
    scaling=None,
    dropout=0.0,
    sliding_window=None,
    keep=None,
    history=None,
    sees_BRH=None,
    **kwargs,
):
    """Attention over a sequence, or of many blocks over one shared history and themselves.

    query, key, value are (B, heads, positions, D / heads). With `history` (keys and values of each layer) the positions
    are R blocks of L: scores against the history and within the block are joined under one softmax, so that neither
    the history is copied for a block nor a block's score against another block is computed. `attention_mask` is then
    the block's own, bool (1, 1, L, L), and `sees_BRH` the part of the history that each block sees.

    `keep` is a dict that collects every layer's key and value. Under `sliding_window` a position sees only those that
    are fewer than so many places away; a block stands right after its history.
    """
    if keep is not None:
        keep[_layer(module)] = (key, value)
    key, value = _for_every_head(module, key), _for_every_head(module, value)
    if history is None:
        if sliding_window is not None:
            attention_mask = attention_mask & _near(key.shape[2], 0, sliding_window, key.device)
            # A padded position may be near no real one: it sees itself, so that no row of scores is empty.
            attention_mask = attention_mask | torch.eye(key.shape[2], dtype=torch.bool, device=key.device)
        out = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=scaling, dropout_p=dropout
        )
        return out.transpose(1, 2), None
    past = tuple(_for_every_head(module, kept) for kept in history[_layer(module)])
    sees_BRLH = sees_BRH[:, None, :, None]
    if sliding_window is not None:
        H, L = past[0].shape[2], attention_mask.shape[-1]
        sees_BRLH = sees_BRLH & _near(L, H, sliding_window, key.device)[:, :H]
        attention_mask = attention_mask & _near(L, 0, sliding_window, key.device)
    out = _over_history_and_block(query, (key, value), past, sees_BRLH, attention_mask, scaling)
    return out.transpose(1, 2), None


def _over_history_and_block(query, block, past, sees_BRLH, within_LL, scaling) -> torch.Tensor:
    """(B, heads, R * L, width): each block's positions over the shared history and their own block, one softmax.

    `block` and `past` are (key, value) of the blocks and of the history; `within_LL` is the block's own mask.
    """
    (key, value), (past_key, past_value) = block, past
    B, heads, _, width = query.shape
    H, L = past_key.shape[2], within_LL.shape[-1]
    blocks = (B, heads, -1, L, width)
    to_history = (query @ past_key.transpose(2, 3)).view(B, heads, -1, L, H)
    to_block = query.view(blocks) @ key.view(blocks).transpose(3, 4)
    lowest = torch.finfo(to_block.dtype).min
    to_history = to_history.masked_fill(~sees_BRLH, lowest)
    to_block = to_block.masked_fill(~within_LL, lowest)
    scores = torch.cat([to_history, to_block], dim=-1) * scaling
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    out = weights[..., :H].reshape(B, heads, -1, H) @ past_value
    return out + (weights[..., H:] @ value.view(blocks)).view_as(out)


def _layer(module):
    """The key of a layer: its number, or the module itself where an architecture does not number them."""
    return getattr(module, "layer_idx", module)


def _near(length: int, first: int, window: int, device) -> torch.Tensor:
    """bool (length, first + length): which places are fewer than `window` away from those from `first` on."""
    places = torch.arange(first + length, device=device)
    return (places[first:, None] - places).abs() < window


def _for_every_head(module, kept: torch.Tensor) -> torch.Tensor:
    """Keys or values of grouped heads, repeated for each query head."""
    return repeat_kv(kept, getattr(module, "num_key_value_groups", 1))


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, block_attention)
