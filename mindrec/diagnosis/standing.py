"""Search error or model error: where the true item stands under the same scores without beams.

A miss is a *search error* where the exact ranking has the item among the first k, so that wider beams would have kept
it, and a *model error* where it has not. Whether is decided at little cost: an item that scores below the k-th answer
of the beam search is no member of the exact first k. Only the rank of such an item takes a long walk.

Shape legend: B users of a batch, K beams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.without_beams import SLACK, answers_above, is_defined, open_exact, score_of
from mindrec.diagnosis.kinds import ERRORS
from mindrec.model.denoiser import Denoiser


@dataclass(frozen=True)
class Standing:
    """Of the true items of B users, without beams.

    Attributes:
        score: float64 (B,), log-probability; -inf for an item that is unknown or ruled out, nan where the settings
            define none (joint, published).
        rank: int64 (B,), 0 is the best; -1 where it was not looked for.
    """

    score: np.ndarray
    rank: np.ndarray


def standing_of(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    gold_B: torch.Tensor,
    enough_B: torch.Tensor,
) -> Standing:
    """Exact score and rank of one item a user, -1 for an unknown one.

    Args:
        enough_B: float64, a score below which the rank is not looked for; -inf looks for every rank.
    """
    if not is_defined(config):
        return Standing(np.full(len(gold_B), np.nan), np.full(len(gold_B), -1))
    search = open_exact(denoiser, index, histories, config)
    score = score_of(search, gold_B)
    wanted = score.isfinite() & (score >= enough_B - SLACK)
    rank = torch.full_like(gold_B, -1)
    if wanted.any():
        exact, ranks = answers_above(search, score.where(wanted, torch.inf), gold_B).of(gold_B)
        score, rank = exact.where(wanted, score), ranks.where(wanted, -1)
    return Standing(score.cpu().numpy(), rank.cpu().numpy())


def errors_of(hit: np.ndarray, standing: Standing, k: int) -> list[str | None]:
    """search or model for every miss of hit (cases,); None for a hit, and where the settings define no exact score."""
    near = (standing.rank >= 0) & (standing.rank < k)
    kinds = np.where(np.isnan(standing.score), None, np.where(near, *ERRORS))
    return [None if ok else kind for ok, kind in zip(hit, kinds, strict=True)]
