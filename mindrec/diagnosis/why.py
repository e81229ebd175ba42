"""Beyond where a true item was lost: which kind of error it was, which items of the history did it, what saves it.

Shape legend: B users of a batch, K beams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.pulls import Pull, pulls_on_items
from mindrec.decoding.without_beams import is_defined, kth_score
from mindrec.diagnosis.kinds import NONE
from mindrec.diagnosis.rescue import Decoded, Rescue, rescues
from mindrec.diagnosis.standing import Standing, standing_of
from mindrec.evaluation.metrics import gold_ranks, hit_at_k
from mindrec.model.denoiser import Denoiser


@dataclass(frozen=True)
class Depth:
    """How far a diagnosis goes.

    Attributes:
        ranks: the exact rank of every true item; without, only of those that may be among the exact first k, which is
            enough to tell search error from model error.
        pulls: of each history on the true item.
        rescue: the smallest change that saves each miss.
    """

    ranks: bool = True
    pulls: bool = True
    rescue: bool = False


WHOLE = Depth()
"""Everything but rescues, which take some thirty decodes a miss."""

QUICK = Depth(ranks=False, pulls=False)
"""The kind of error alone: little more work than the decode itself."""


@dataclass(frozen=True)
class Why:
    """Of B cases: the exact standing of the true item, the pulls on it, and the rescue of each miss (None for a hit,
    and for all where none was looked for)."""

    standing: Standing
    pulls: list[list[Pull]]
    rescues: list[Rescue | None]


def why(
    denoiser: Denoiser,
    index: ItemIndex,
    part: Sequence[Case],
    config: DecodeConfig,
    answers: tuple[np.ndarray, np.ndarray],
    possible_B: np.ndarray,
    *,
    k: int,
    depth: Depth,
) -> Why:
    """Look into a batch of decoded cases.

    Args:
        answers: of their decode, rows (B, K) and scores (B, K).
        possible_B: whose true item is known and not ruled out.
    """
    ranked_BK, scores_BK = answers
    device, histories = index.tokens_NL.device, [case.history for case in part]
    gold = torch.tensor([case.target for case in part], device=device).where(torch.tensor(possible_B).to(device), -1)
    enough = kth_score(torch.tensor(scores_BK, device=device), k)
    if depth.ranks:
        enough = torch.full_like(enough, -torch.inf)
    standing = standing_of(denoiser, index, histories, config, gold, enough)
    pulls: list[list[Pull]] = [[] for _ in part]
    if depth.pulls and is_defined(config):
        pulls = pulls_on_items(denoiser, index, histories, config, gold.tolist())
    saved: list[Rescue | None] = [None] * len(part)
    if depth.rescue:
        hit = hit_at_k(gold_ranks(ranked_BK, np.array([case.target for case in part])), k).astype(bool)
        tried = np.flatnonzero(~hit & possible_B)
        for n in np.flatnonzero(~hit):
            saved[n] = Rescue(NONE, None)
        decoded = Decoded(ranked_BK[tried], standing.score[tried])
        changes = rescues(denoiser, index, [part[n] for n in tried], config, k, decoded)
        for n, rescue in zip(tried, changes, strict=True):
            saved[n] = rescue
    return Why(standing, pulls, saved)
