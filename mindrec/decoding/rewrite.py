"""Rewrite: mask some tokens of a finished answer again and decode them anew, the rest pinned.

A diffusion model may go back on what it has said (re-masking: Wang et al. 2025, arXiv 2503.00307); an auto-regressive
one would have to write everything after the first change again.

Shape legend: L levels, T tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser, HistoryCache

MASKED = -1


def position_log_likelihoods(
    denoiser: Denoiser, cache: HistoryCache, index: ItemIndex, codes_BL: torch.Tensor
) -> torch.Tensor:
    """log p(code | all other codes) of each position over its level's vocabulary, float64 (B, L); one denoiser call.

    A sum over positions is the pseudo-log-likelihood of an answer (Salazar et al. 2020, arXiv 1910.14659, equation 2).
    """
    L = index.n_levels
    alone = torch.eye(L, dtype=torch.bool, device=codes_BL.device)
    logits = denoiser.token_logits(cache, codes_BL[:, None].masked_fill(alone, MASKED))
    return index.levels.log_softmax(logits.double()).gather(2, index.levels.tokens(codes_BL)[:, :, None])[:, :, 0]


def position_log_likelihood(
    denoiser: Denoiser, cache: HistoryCache, index: ItemIndex, codes_L: torch.Tensor
) -> torch.Tensor:
    """`position_log_likelihoods` of one answer to one history, float64 (L,)."""
    return position_log_likelihoods(denoiser, cache, index, codes_L[None])[0]


def least_certain(
    denoiser: Denoiser, index: ItemIndex, history: Sequence[int], row: int, config: DecodeConfig, k: int
) -> tuple[int, ...]:
    """The k positions of an item that the denoiser is least sure of, given all others; none that is pinned.

    Raises:
        MindRecError: k is not a number of positions that are free.
    """
    pinned = {position for position, _ in config.pins}
    free = index.n_levels - len(pinned)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= free:
        raise MindRecError(f"least_certain={k!r} is not in 1..{free}, the positions that are not pinned")
    if not history and not denoiser.reads_empty:
        raise MindRecError("an empty history is answered without the denoiser, so no token is least certain; add items")
    with torch.inference_mode():
        codes = index.levels.codes(index.tokens_NL[row])
        certainty = position_log_likelihood(denoiser, denoiser.encode([history]), index, codes)
    order = [position for position in certainty.argsort(stable=True).tolist() if position not in pinned]
    return tuple(sorted(order[:k]))


def rewritten(index: ItemIndex, row: int, positions: Sequence[int], config: DecodeConfig) -> DecodeConfig:
    """The settings of a decode that fills some positions of an item anew: the rest of its tokens is pinned.

    Raises:
        MindRecError: a position that does not exist or is pinned.
    """
    pinned = {position for position, _ in config.pins}
    for position in positions:
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < index.n_levels:
            raise MindRecError(f"position {position!r} is not in 0..{index.n_levels - 1}")
        if position in pinned:
            raise MindRecError(f"position {position} is pinned, and pins hold always; lift the pin first")
    codes = index.levels.codes(index.tokens_NL[row]).tolist()
    kept = {position: code for position, code in enumerate(codes) if position not in positions}
    return replace(config, pins=tuple({**kept, **dict(config.pins)}.items()), rethink=False)
