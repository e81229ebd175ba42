"""How much of the exact ranking a beam search loses."""

from collections.abc import Sequence

import torch

from mindrec.data.splits import Case
from mindrec.decoding.answerable import answerable
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.without_beams import is_defined, lost_of_first
from mindrec.evaluation.evaluate import Ranking
from mindrec.model.denoiser import Denoiser

CASES = 500
"""Cases looked at, the first of the sample: it takes more work than their decode."""
K, BATCH = 10, 64


def beam_loss(
    denoiser: Denoiser, index: ItemIndex, cases: Sequence[Case], ranking: Ranking, config: DecodeConfig
) -> float | None:
    """Share of the exact first ten items (with fewer beams, of as many) that a ranking has lost, mean over the first
    `CASES` cases; None where the settings define no exact ranking, or nobody can be answered."""
    if not is_defined(config) or config.rethink:
        return None
    able = answerable(index, [case.history for case in cases[:CASES]], config).nonzero()[0]
    shares = []
    for first in range(0, len(able), BATCH):
        part = able[first : first + BATCH]
        histories = [cases[n].history for n in part]
        rows = torch.from_numpy(ranking.rows[part]).to(index.tokens_NL.device)
        scores = torch.from_numpy(ranking.scores[part]).to(index.tokens_NL.device)
        lost_and_due = lost_of_first(denoiser, index, histories, config, (rows, scores), K)
        shares += [len(lost) / due for lost, due in lost_and_due if due]
    return sum(shares) / len(shares) if shares else None
