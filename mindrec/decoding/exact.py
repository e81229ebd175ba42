"""Slow, obviously right references for the search.

Shape legend: N items, L levels.
"""

from itertools import permutations

import torch

from mindrec.decoding.item_index import ItemIndex
from mindrec.model.denoiser import Denoiser


def enumerate_order(
    denoiser: Denoiser, index: ItemIndex, history: list[int], allowed_N: torch.Tensor, order: tuple[int, ...]
) -> torch.Tensor:
    """Log-probability (N,) of every item when positions are revealed in a fixed order, one item at a time.

    Walks each item's own path: at each position the denoiser's distribution over the codes of items that are still
    possible. -inf for items that are not allowed.
    """
    cache = denoiser.encode([history])
    codes = index.levels.codes(index.tokens_NL)
    out = torch.full((index.n_items,), -torch.inf, dtype=torch.float64)
    for row in allowed_N.nonzero()[:, 0].tolist():
        filled = torch.full((1, 1, index.n_levels), -1, dtype=torch.int64)
        score = 0.0
        for position in order:
            known = filled[0, 0] >= 0
            possible = allowed_N & (codes[:, known] == filled[0, 0, known]).all(1)
            legal = torch.zeros(1, index.n_tokens, dtype=torch.bool)
            legal[0, index.tokens_NL[possible].unique()] = True
            logp = index.levels.legal_log_softmax(denoiser.token_logits(cache, filled)[0], legal)
            score += float(logp[0, index.tokens_NL[row, position]].double())
            filled[0, 0, position] = codes[row, position]
        out[row] = score
    return out


def enumerate_all_orders(
    denoiser: Denoiser, index: ItemIndex, history: list[int], allowed_N: torch.Tensor
) -> dict[tuple[int, ...], torch.Tensor]:
    """`enumerate_order`, (N,), for each of the L! orders."""
    return {
        order: enumerate_order(denoiser, index, history, allowed_N, order)
        for order in permutations(range(index.n_levels))
    }
