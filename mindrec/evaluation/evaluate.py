"""Decode the cases of a split in batches and measure."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mindrec.data.splits import Case
from mindrec.decoding.answerable import answerable
from mindrec.decoding.beam_search import answers, final
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.rethink import rethink
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import accuracy, diversity, gold_ranks
from mindrec.model.denoiser import Denoiser
from mindrec.system import distributed as processes
from mindrec.system.memory import in_fitting_parts
from mindrec.system.progress import progress_bar

DENSE_BATCH = 256
"""Histories that the dense head reads at once."""


@dataclass(frozen=True)
class Ranking:
    """Answers to a list of cases.

    Attributes:
        rows: int64 (U, K), -1 padded; off-catalog answers are -1 too.
        scores: float64 (U, K), -inf where there is no answer.
        nfe: denoiser calls a user, mean.
        beam_rows: beams looked at a user, mean.
        coverage: search mass kept at the end, mean; None where undefined.
        forced: share of the answers' positions that were filled because one item was left, not by the denoiser.
        seconds: of decoding alone.
    """

    rows: np.ndarray
    scores: np.ndarray
    nfe: float
    beam_rows: float
    coverage: float | None
    forced: float
    seconds: float


def rank(
    denoiser: Denoiser,
    index: ItemIndex,
    cases: Sequence[Case],
    config: DecodeConfig,
    *,
    batch: int = 64,
    progress: bool = False,
) -> Ranking:
    """Rank items for every case with the given decode settings.

    A case for whom nothing is left to recommend has no answer and costs nothing.
    A batch that memory does not hold is halved, and said to be (mindrec.system.memory).
    Under several processes (mindrec.system.distributed) each decodes every
    `world_size`-th batch; all return the full ranking.
    """

    def rank_part(part: range) -> tuple:
        return _rank_batch(denoiser, index, cases[part.start : part.stop], config)

    firsts = range(0, len(cases), batch)[processes.rank() :: processes.world()]
    wanted = [range(first, min(first + batch, len(cases))) for first in firsts]
    bar = progress_bar(wanted, desc="decode", unit=" batches", shown=progress)
    parts = dict(in_fitting_parts(rank_part, bar))
    parts = {first: part for gathered in processes.gather(parts) for first, part in gathered.items()}
    rows, scores, nfe, looked, coverage, forced, seconds = zip(*(parts[first] for first in sorted(parts)), strict=True)
    of_beams = np.concatenate(forced)
    return Ranking(
        np.concatenate(rows),
        np.concatenate(scores),
        float(np.concatenate(nfe).mean()),
        float(np.concatenate(looked).mean()),
        None if any(c is None for c in coverage) else float(np.concatenate(coverage).mean()),
        float(of_beams.mean()) if len(of_beams) else 0.0,
        sum(seconds),
    )


def _rank_batch(denoiser, index, part: Sequence[Case], config: DecodeConfig) -> tuple:
    """Of one batch the fields of `Ranking`: a value a user, of `forced` one a beam; coverage may be None."""
    able = answerable(index, [c.history for c in part], config)
    if able.all():
        return _decode_batch(denoiser, index, part, config)
    B, K = len(part), config.beam_size
    blank = (np.full((B, K), -1), np.full((B, K), -np.inf), *np.zeros((2, B), dtype=np.int64), np.zeros(B))
    if not able.any():
        return (*blank, np.zeros(0), 0.0)
    *results, forced, seconds = _decode_batch(
        denoiser, index, [c for c, ok in zip(part, able, strict=True) if ok], config
    )
    for n, values in enumerate(results):
        if values is not None:
            blank[n][able] = values
    return (*(None if values is None else blank[n] for n, values in enumerate(results)), forced, seconds)


def _decode_batch(denoiser, index, part: Sequence[Case], config: DecodeConfig) -> tuple:
    started = time.perf_counter()
    histories = [c.history for c in part]
    last = final(decode(denoiser, index, histories, config, full_trace=False))
    rows, score = answers(index, last, len(part), config.beam_size)
    calls, looked = last.nfe.clone(), last.rows
    if last.votes is not None:
        calls, looked = calls + last.votes.calls, looked + last.votes.rows
    if config.rethink:
        for user, history in enumerate(histories):
            calls[user] += _think_again(denoiser, index, history, config, rows[user], score[user])
    seconds = time.perf_counter() - started
    coverage = None if last.coverage is None else last.coverage.cpu().numpy()
    forced = last.beams.forced.double().mean(1).cpu().numpy()
    return (*(t.cpu().numpy() for t in (rows, score, calls, looked)), coverage, forced, seconds)


def _think_again(denoiser, index, history, config, rows_K, scores_K) -> int:
    """Rethink one user's ranking in place; returns the denoiser calls it took."""
    ranked = [(r, s) for r, s in zip(rows_K.tolist(), scores_K.tolist(), strict=True) if r >= 0]
    ranked, record = rethink(denoiser, index, history, config, ranked)
    for slot, (row, score) in enumerate(ranked):
        rows_K[slot], scores_K[slot] = row, score
    return record.nfe if record else 0


def dense_ranking(
    denoiser: Denoiser,
    cases: Sequence[Case],
    *,
    transitions: bool = False,
    exclude_seen: bool = True,
    forbidden: Sequence[int] = (),
    k: int = 10,
) -> np.ndarray:
    """The dense head's first k rows, (U, k), -1 where fewer are allowed: a SASRec with full softmax, no tokens and no
    search.

    With `transitions`, where the denoiser has them, the whole of its item evidence ranks. Rows in `forbidden` are not
    ranked. Raises MindRecError for a denoiser without a dense head.
    """
    logits_of = denoiser.item_logits if transitions else denoiser.dense_logits
    out = []
    with torch.inference_mode():
        for first in range(0, len(cases), DENSE_BATCH):
            part = cases[first : first + DENSE_BATCH]
            logits = logits_of(denoiser.encode([c.history for c in part]))
            if logits is None:
                raise MindRecError("baseline 'dense' needs a denoiser with a dense head; leave it out for this one")
            logits[:, list(forbidden)] = -torch.inf
            if exclude_seen:
                for user, case in enumerate(part):
                    logits[user, list(case.history)] = -torch.inf
            top = logits.topk(min(k, logits.shape[1]), dim=1)
            out.append(top.indices.where(top.values > -torch.inf, -1).cpu().numpy())
    return np.concatenate(out)


def measure(ranking: Ranking, cases: Sequence[Case], codes: np.ndarray, n_items: int) -> dict[str, float]:
    """Accuracy, diversity and cost of a ranking; `codes` are of all items, (N, L)."""
    targets = np.array([c.target for c in cases])
    ranks = gold_ranks(ranking.rows, targets)
    answers = [row[np.isfinite(score)][:10] for row, score in zip(ranking.rows, ranking.scores, strict=True)]
    out = accuracy(ranks) | diversity(answers, codes, n_items)
    seen = np.array([len(set(c.history)) for c in cases])
    out["excluded_targets"] = int(sum(c.target in c.history for c in cases))
    out["mean_history"] = float(seen.mean())
    out["forced_positions"] = ranking.forced
    if ranking.coverage is not None:
        out["search_mass_kept"] = ranking.coverage
    return out
