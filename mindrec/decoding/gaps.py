"""Questions inside a history: which item stood in a gap, and which one does not belong.

An encoder that reads from left to right has seen nothing of what follows a gap, yet it can say how well each candidate
explains it. `fill_gaps` ranks candidates by p(candidate | left) p(right | left, candidate): Bayes' rule over the
answers of a search on the left side. It is an approximation in two places: what the search does not keep is no
candidate, and only the nearest items of the right side are weighed. (Both sides as a training aim: CaDiRec, arXiv
2408.10277 and GenRec, arXiv 2307.00457; this form needs no training.)

Shape legend: G gaps, K candidates a gap, R items right of a gap that are weighed, n items of a history.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import MAX_BEAMS, DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.without_beams import open_exact, score_of
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser

CANDIDATES = 50
"""Answers on the left side that are weighed by the right side."""
RIGHT = 2
"""Items right of a gap that are weighed, the nearest ones: each of them asks the model once for every candidate."""
TOGETHER = 256
"""Histories read at once."""


@dataclass(frozen=True)
class Filling:
    """A candidate for a gap, as item row.

    Attributes:
        left: log p(candidate | left side), of the search.
        right: log p(right side | left side, candidate), 0 where nothing stands there.
        score: log-probability by both sides, over the candidates alone.
    """

    row: int
    left: float
    right: float
    score: float


def fill_gaps(
    denoiser: Denoiser,
    index: ItemIndex,
    gaps: Sequence[tuple[Sequence[int], Sequence[int]]],
    config: DecodeConfig,
    *,
    candidates: int = CANDIDATES,
    right: int = RIGHT,
) -> list[list[Filling]]:
    """Rank the items that may have stood between the left and the right side of each gap, best first.

    Args:
        gaps: item rows left and right of each, oldest first. Where seen items are excluded, those of both sides are.
        candidates: how many answers of the left side are weighed, at most 100.
        right: how many items of the right side are weighed; 0 is the left side alone.

    Raises:
        MindRecError: settings without exact scores, or a gap that no item is left for.
    """
    if not 1 <= candidates <= MAX_BEAMS or right < 0:
        raise MindRecError(f"candidates={candidates} is not in 1..{MAX_BEAMS}, or right={right} is below 0")
    config = replace(config, beam_size=candidates, rethink=False, votes=1, temperature=0.0)
    lefts = [list(left) for left, _ in gaps]
    excluded = rule_out(index, [[*left, *after] for left, after in gaps], config)
    last = final(search(denoiser, index, lefts, config, full_trace=False, excluded=excluded))
    rows, scores = answers(index, last, len(gaps), candidates)
    candidates_of = [
        [(row, score) for row, score in zip(fillings, values, strict=True) if row >= 0]
        for fillings, values in zip(rows.tolist(), scores.tolist(), strict=True)
    ]
    weights = _right_sides(denoiser, index, gaps, candidates_of, config, right)
    return [_ranked(fillings, weight) for fillings, weight in zip(candidates_of, weights, strict=True)]


def _right_sides(denoiser, index: ItemIndex, gaps, fillings, config: DecodeConfig, right: int) -> list[list[float]]:
    """log p(right side | left side, candidate) of every candidate; an item seen before is passed over, as it would be
    by a search that excludes what was seen."""
    histories, targets, owners = [], [], []
    out = [[0.0] * len(candidates) for candidates in fillings]
    for gap, ((left, after), candidates) in enumerate(zip(gaps, fillings, strict=True)):
        for number, (row, _) in enumerate(candidates):
            for n, target in enumerate(after[:right]):
                before = [*left, row, *after[:n]]
                if not (config.exclude_seen and target in before):
                    histories.append(before)
                    targets.append(target)
                    owners.append((gap, number))
    values = log_probabilities(denoiser, index, histories, targets, config)
    for (gap, number), value in zip(owners, values, strict=True):
        out[gap][number] += value
    return out


def _ranked(pairs: Sequence[tuple[int, float]], weights: Sequence[float]) -> list[Filling]:
    both = torch.tensor([left + weight for (_, left), weight in zip(pairs, weights, strict=True)], dtype=torch.float64)
    scores = both.log_softmax(0).tolist()
    made = [Filling(row, left, w, s) for (row, left), w, s in zip(pairs, weights, scores, strict=True)]
    return sorted(made, key=lambda filling: -filling.score)  # stable: equal ones stay as the search has them


def log_probabilities(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    targets: Sequence[int],
    config: DecodeConfig,
) -> list[float]:
    """Exact log p(target | history) under the settings, whatever their beams; -inf for one that is ruled out."""
    out: list[float] = []
    for first in range(0, len(histories), TOGETHER):
        some = slice(first, first + TOGETHER)
        wanted = torch.tensor(targets[some], dtype=torch.int64, device=index.tokens_NL.device)
        out += score_of(open_exact(denoiser, index, histories[some], config), wanted).tolist()
    return out


@dataclass(frozen=True)
class Belonging:
    """How one item of a history goes with the others.

    Attributes:
        row: of the item.
        score: log p(item | the others).
        lift: score minus the log of its share in what anybody takes; None where that is not known. It tells an item
            that does not fit from one that is hardly ever taken.
    """

    row: int
    score: float
    lift: float | None


def odd_one_out(
    denoiser: Denoiser, index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig
) -> list[list[Belonging]]:
    """Each item of each history scored given the others, in the order of the history.

    The one of the lowest lift belongs least (`least`). Where order means something, "the others" keep theirs.

    Raises:
        MindRecError: a history of fewer than two items, or one with an item twice.
    """
    for number, history in enumerate(histories):
        if len(set(history)) < max(2, len(history)):
            raise MindRecError(
                f"history {number}: {len(history)} items; two or more are needed, and none of them twice"
            )
    plain = replace(
        config, exclude_seen=True, guidance=0.0, temperature=0.0, forbid_items=(), forbid_tokens=(), pins=()
    )
    variants = [([*h[:n], *h[n + 1 :]], row) for h in histories for n, row in enumerate(h)]
    values = iter(log_probabilities(denoiser, index, [o for o, _ in variants], [row for _, row in variants], plain))
    share = None if index.popularity_N is None else index.anyone_N.log().tolist()

    def scored(row: int, score: float) -> Belonging:
        return Belonging(row, score, None if share is None else score - share[row])

    return [[scored(row, next(values)) for row in history] for history in histories]


def least(items: Sequence[Belonging]) -> int:
    """The place of the item that belongs least: of the lowest lift, or probability where no lift is known."""
    return min(range(len(items)), key=lambda n: items[n].score if items[n].lift is None else items[n].lift)
