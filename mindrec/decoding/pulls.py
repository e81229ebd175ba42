"""Who did it: how much each item of a history pulls towards an answer, by leaving it out.

The pull of an item is log p(answer | history) - log p(answer | history without it), in nats: above zero it speaks for
the answer, below zero against it. Everything that a history rules out stays ruled out, so that a pull is influence and
not a change of what may be recommended. Pulls do not add up: two items can say the same.

Shape legend: V histories, a user's own first and then those with one item left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beam_search import open_search, read_histories, with_items
from mindrec.decoding.children import start
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.context import StepContext
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.scoring import score_beams
from mindrec.decoding.without_beams import open_exact, score_of
from mindrec.model.denoiser import Denoiser

CELLS = 20_000_000
"""Numbers in the item distributions of one batch: histories times catalog."""


@dataclass(frozen=True)
class Pull:
    """The pull of one item of a history: its row, and nats towards an answer (above 0) or away from it."""

    row: int
    nats: float


def variants(denoiser: Denoiser, index: ItemIndex, history: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Each item that the denoiser reads of a history, once, and the history without it.

    A history of one item leaves an empty one, which is left out where nothing answers it.
    """
    read = dict.fromkeys(history[-denoiser.max_history :])
    out = [(row, [other for other in history if other != row]) for row in read]
    answers_empty = denoiser.reads_empty or index.popularity_N is not None
    return [(row, rest) for row, rest in out if rest or answers_empty]


def pulls_on_items(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    targets: Sequence[int],
) -> list[list[Pull]]:
    """The pulls of every history on one item each, strongest first; none for a target that is unknown or ruled out.

    Raises:
        MindRecError: settings whose scores are defined by beams (mindrec.decoding.without_beams).
    """
    questions: list[tuple[int, int, list[int]]] = []  # user, item left out (-1: none), history
    for user, (history, target) in enumerate(zip(histories, targets, strict=True)):
        if target >= 0:
            questions += [(user, -1, list(history))]
            questions += [(user, row, rest) for row, rest in variants(denoiser, index, history)]
    batch = max(1, min(1024, CELLS // index.n_items))
    scores: list[float] = []
    for first in range(0, len(questions), batch):
        part = questions[first : first + batch]
        excluded = rule_out(index, [histories[user] for user, _, _ in part], config)
        golds = torch.tensor([targets[user] for user, _, _ in part], device=index.tokens_NL.device)
        rests = [rest for _, _, rest in part]
        scores += score_of(open_exact(denoiser, index, rests, config, excluded), golds).tolist()
    whole = {user: score for (user, row, _), score in zip(questions, scores, strict=True) if row < 0}
    out: list[list[Pull]] = [[] for _ in histories]
    for (user, row, _), score in zip(questions, scores, strict=True):
        if row >= 0 and whole[user] > -torch.inf:
            out[user].append(Pull(row, whole[user] - score))
    return [strongest_first(pulls) for pulls in out]


def pulls_on_path(
    denoiser: Denoiser,
    index: ItemIndex,
    history: Sequence[int],
    config: DecodeConfig,
    path: Sequence[tuple[int, int]],
    *,
    last_only: bool = False,
) -> list[Pull]:
    """The pulls of one history on a partial answer, strongest first.

    Args:
        path: its (position, code) pairs in the order in which they were revealed, one at a time.
        last_only: whether the last pair alone is asked about, given all before it: a token instead of a beam.

    Raises:
        MindRecError: a pair that does not exist, or a path that no item can take.
    """
    left = variants(denoiser, index, history)
    logp_VR = path_log_probabilities(denoiser, index, [history, *(rest for _, rest in left)], history, config, path)
    score = logp_VR[:, -1] if last_only else logp_VR.sum(1)
    pairs = zip(left, (score[0] - score[1:]).tolist(), strict=True)
    return strongest_first([Pull(row, nats) for (row, _), nats in pairs])


def path_log_probabilities(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    seen: Sequence[int],
    config: DecodeConfig,
    path: Sequence[tuple[int, int]],
) -> torch.Tensor:
    """Log-probability of each step of a path given the steps before, (V, steps). `seen` is ruled out for all."""
    out = torch.zeros(len(histories), len(path), dtype=torch.float64)
    with torch.inference_mode():
        cache = read_histories(denoiser, histories)
        for step, (position, code) in enumerate(path):
            pinned = replace(config, pins=(*config.pins, *path[:step]), steps=None, resolve=None, temperature=0.0)
            excluded = rule_out(index, [seen] * len(histories), pinned)
            search = open_search(denoiser, index, histories, pinned, cache=cache, excluded=excluded, full_trace=True)
            beams = with_items(search, start(index, excluded, pinned), 1, 1)
            if not beams.open[0].any():  # one item is left, so what follows is certain
                continue
            everything = torch.arange(len(histories), device=beams.user.device)
            logp = score_beams(StepContext(search, 1, 1, beams, everything)).logp
            out[:, step] = logp[:, index.levels.offsets[position] + code].double().cpu()
    return out


def strongest_first(pulls: Sequence[Pull]) -> list[Pull]:
    """By size, whichever way they pull; of equal ones the first item's."""
    return sorted(pulls, key=lambda pull: (-abs(pull.nats), pull.row))
