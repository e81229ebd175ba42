"""Rethink: re-mask the tokens of the best answer that the denoiser is least sure of, decode again, keep the better.

Shape legend: B users, L levels, T tokens, N items.
"""

from collections.abc import Sequence

import torch

from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.rewrite import position_log_likelihood, position_log_likelihoods, rewritten
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser
from mindrec.trace.records import Rethink, six_digits


def rethink(
    denoiser: Denoiser,
    index: ItemIndex,
    history: Sequence[int],
    config: DecodeConfig,
    ranked: Sequence[tuple[int, float]],
) -> tuple[list[tuple[int, float]], Rethink | None]:
    """Re-mask the least certain positions of the first item until `beam_size` items are possible, and decode again.

    A pinned position is never re-masked. The first item of the second search takes the first place if its
    pseudo-log-likelihood is higher; the others keep their order. Its score is then that of the second search, which
    took the unmasked positions as given.

    Args:
        ranked: (row, score) best first, of the first search.

    Returns:
        The ranking, and what happened; None where there was nothing to rethink.
    """
    check_rethink(denoiser)
    if not ranked or not history:
        return list(ranked), None
    with torch.inference_mode():
        cache = denoiser.encode([history])
        best = ranked[0][0]
        codes = index.levels.codes(index.tokens_NL[best])
        certainty = position_log_likelihood(denoiser, cache, index, codes)
        allowed = rule_out(index, [history], config).table()[0]
        pinned = {position for position, _ in config.pins}
        remasked = _remask(index, codes, certainty, allowed, pinned, config.beam_size)
        if not remasked:
            return list(ranked), None
        again = rewritten(index, best, remasked, config)
        last = final(search(denoiser, index, [history], again, cache=cache, full_trace=False))
        rows, scores = answers(index, last, 1, config.beam_size)
        # Under constraint="level" an answer may name no item, and then there is nothing to swap for.
        named = [(row, score) for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True) if row >= 0]
        other, other_score = named[0] if named else ranked[0]
        other_codes = index.levels.codes(index.tokens_NL[other])
        before = float(certainty.sum())
        after = float(position_log_likelihood(denoiser, cache, index, other_codes).sum()) if other != best else before
    swapped = other != best and after > before
    nfe = int(last.nfe[0]) + 1 + (other != best)
    record = Rethink(tuple(remasked), best, six_digits(before), other, six_digits(after), swapped, nfe)
    if not swapped:
        return list(ranked), record
    rest = [(row, score) for row, score in ranked if row != other]
    listed = next((score for row, score in ranked if row == other), other_score)
    return [(other, listed), *rest][: config.beam_size], record


def check_rethink(denoiser: Denoiser) -> None:
    """Refuse a denoiser that cannot fill in positions again."""
    if denoiser.orders is not None:
        raise MindRecError("rethink re-masks positions; an auto-regressive denoiser cannot fill them in again")


def may_find(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    best_B: torch.Tensor,
    targets_B: torch.Tensor,
) -> torch.Tensor:
    """Whether a second look at the first items of B answers could name the targets, bool (B,).

    It can where a target has every token of the first item that would not be re-masked.

    Args:
        histories: none of them empty.
        best_B: rows of the first items.
    """
    pinned = {position for position, _ in config.pins}
    allowed_BN = rule_out(index, histories, config).table()
    best_BL, targets_BL = (index.levels.codes(index.tokens_NL[rows]) for rows in (best_B, targets_B))
    with torch.inference_mode():
        certainty_BL = position_log_likelihoods(denoiser, denoiser.encode(histories), index, best_BL)
    same_BL = best_BL == targets_BL
    for codes_L, certainty_L, allowed_N, same_L in zip(best_BL, certainty_BL, allowed_BN, same_BL, strict=True):
        same_L[_remask(index, codes_L, certainty_L, allowed_N, pinned, config.beam_size)] = True
    return same_BL.all(1)


def _remask(index: ItemIndex, codes_L, certainty_L, allowed_N, pinned: set[int], wanted: int) -> list[int]:
    """The least certain free positions, as many as leave at least `wanted` items possible (all, if none do)."""
    agree = index.levels.codes(index.tokens_NL) == codes_L
    out: list[int] = []
    for position in certainty_L.argsort(stable=True).tolist():
        if position in pinned:
            continue
        out.append(position)
        kept = [p for p in range(index.n_levels) if p not in out]
        if int((agree[:, kept].all(1) & allowed_N).sum()) >= wanted:
            break
    return sorted(out)
