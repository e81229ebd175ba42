"""Track the true next item ("gold"): decode cases in batches and follow it step by step.

Everything is done for all users of a batch at once; mindrec.diagnosis.cases turns the outcome into statistics.

Shape legend: B users of a batch, S beams of all users, D users whose gold dies in one step, L levels, C category
levels, P steps with the start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mindrec.data.splits import Case
from mindrec.decoding.beam_search import Step, answers, positions_per_step
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex
from mindrec.diagnosis.cases import COLUMNS
from mindrec.diagnosis.kinds import CAUSES
from mindrec.diagnosis.standing import errors_of
from mindrec.diagnosis.why import WHOLE, Depth, Why, why
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import HITS, gold_ranks, hit_at_k
from mindrec.model.denoiser import Denoiser
from mindrec.recording.recorder import best_gold_candidate, gold_standing
from mindrec.system.memory import in_fitting_parts

BATCH = 64


@dataclass(frozen=True)
class GoldTrack:
    """The track of the gold of B users. -1 stands for "none" throughout.

    Attributes:
        possible: bool (B,), known and not ruled out.
        beams, best: (B, P), beams that can still become the gold after each step, and the rank of the best of them.
        died: (B,), the first step after which there is none.
        level: (B,), the position revealed there.
        passed: bool (B, L), positions at which a beam took the gold's code and lived.
        margin: (B,), how far the best candidate for the gold lay under the worst kept beam; inf where there was none.
        sibling: bool (B,), whether a beam in the gold's finest category was kept when the gold died.
        entropy: (B,), in nats, of the codes at the position chosen first (their mean where several are).
        ranked: (B, K), recommended rows.
        scores: float64 (B, K), theirs.
        top_codes: (B, L), the best answer.
    """

    possible: np.ndarray
    beams: np.ndarray
    best: np.ndarray
    died: np.ndarray
    level: np.ndarray
    passed: np.ndarray
    margin: np.ndarray
    sibling: np.ndarray
    entropy: np.ndarray
    ranked: np.ndarray
    scores: np.ndarray
    top_codes: np.ndarray


def track_gold(denoiser: Denoiser, index: ItemIndex, part: Sequence[Case], config: DecodeConfig) -> GoldTrack:
    """Decode one batch and follow the gold of each case. A target of -1 is an item that the catalog lacks."""
    device, B, L = index.tokens_NL.device, len(part), index.n_levels
    gold = torch.tensor([c.target for c in part], device=device)
    histories = [c.history for c in part]
    known, gold, users = gold >= 0, gold.clamp(min=0), torch.arange(B, device=device)
    possible = known & rule_out(index, histories, config).allows(users, gold)
    died, level = torch.full((2, B), -1, device=device)
    passed = torch.ones(B, L, dtype=torch.bool, device=device)
    sibling = torch.zeros(B, dtype=torch.bool, device=device)
    margin = torch.full((B,), torch.nan, dtype=torch.float64, device=device)
    counts, ranks, held, step = [], [], None, None
    entropy = margin.clone()
    for step in decode(denoiser, index, histories, config, full_trace=False):
        standing, behind = gold_standing(index, step, users, gold)
        standing &= possible
        lost = ((died < 0) & ~standing.any(0)).nonzero()[:, 0]
        died[lost], passed[lost] = step.index, False
        if step.index == 1:
            entropy = _entropy(index, step, B)
        if step.index and len(lost):
            level[lost], passed[lost] = _where_lost(index, step, held, lost, gold)
            margin[lost] = behind[lost]
            sibling[lost] = _sibling_kept(index, step, lost, gold)
        counts.append(standing.sum(0))
        best = step.beams.rank[:, None].where(standing, config.beam_size).amin(0)
        ranks.append(best.where(counts[-1] > 0, -1))
        held = standing
    ranked, scores = answers(index, step, B, config.beam_size)
    top_codes = step.beams.codes[step.beams.rank == 0]
    n_steps = _n_steps(index, config)
    values = (
        possible,
        _to_length(counts, n_steps),
        _to_length(ranks, n_steps),
        *(died, level, passed, margin, sibling, entropy, ranked, scores, top_codes),
    )
    return GoldTrack(*(v.cpu().numpy() for v in values))


def _n_steps(index: ItemIndex, config: DecodeConfig) -> int:
    """Steps of the longest decode, with the start, so that a case's record does not depend on its batch."""
    if config.algorithm == "published":
        return index.n_levels + 1
    return len(positions_per_step(index.n_levels - len(config.pins), config)) + 1


def _to_length(values: list[torch.Tensor], n_steps: int) -> torch.Tensor:
    """(B, P): a decode that ended early stays as it ended."""
    return torch.stack(values + values[-1:] * (n_steps - len(values)), 1)


def _entropy(index: ItemIndex, step: Step, n_users: int) -> torch.Tensor:
    """Entropy of the codes at the positions chosen in a step where each user has one beam, float64 (B,)."""
    chosen = step.chosen[:, index.level_of_T]
    p = step.scores.logp.double().exp().masked_fill(~chosen, 0.0)
    out = torch.full((n_users,), torch.nan, dtype=torch.float64, device=p.device)
    out[step.before.user[step.expanded]] = torch.special.entr(p).sum(1) / step.chosen.sum(1)
    return out


def _where_lost(
    index: ItemIndex, step: Step, held: torch.Tensor, lost: torch.Tensor, gold: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """At which position (D,) the gold of some users died, and which positions (D, L) it had behind it.

    The position is the one that the gold's best candidate revealed, or without a candidate its best beam's choice.
    Where a step reveals several, it is the first, coarse to fine, at which no kept child still agreed with the gold:
    so a one-pass ranking that finds the right category but not the item did not lose it at the category.

    Args:
        held: bool (S before, B), beams that could become the gold before this step.
    """
    held, codes = held[:, lost], index.levels.codes(index.tokens_NL[gold[lost]])
    revealed, parent = _revealed(index, step, held, lost, gold)
    child = held[step.beams.parent]
    agrees = step.beams.codes[:, None] == codes
    leading = ((revealed & ~agrees).cumsum(2) == 0) & revealed & child[:, :, None]
    reached = leading.sum(2).amax(0).clamp(max=revealed.sum(1) - 1)
    order = revealed.cumsum(1) - 1
    level = (revealed & (order == reached[:, None])).int().argmax(1)
    places = torch.arange(index.n_levels, device=level.device)
    passed = (step.before.codes[parent] >= 0) | (revealed & (places < level[:, None]))
    return level, passed & (places != level[:, None])


def _revealed(
    index: ItemIndex, step: Step, held: torch.Tensor, lost: torch.Tensor, gold: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions revealed where each gold died, bool (D, L), and the beam it died in, (D,)."""
    before, c = step.before, step.candidates
    best = best_gold_candidate(index, step, lost, gold[lost])
    parent = held.int().argmax(0)  # beams stand in rank order: the first that could become the gold is the best
    row = torch.full_like(before.user, -1)
    row[step.expanded] = torch.arange(len(step.expanded), device=row.device)
    some = best >= 0
    parent[some] = c.parent[best[some]]
    revealed = step.chosen[row[parent]] & (row[parent] >= 0)[:, None]
    revealed[some] = (c.codes(best[some]) >= 0) & (before.codes[parent[some]] < 0)
    # A complete answer was cut by others that went on: what those revealed is what was revealed there.
    carried = (~revealed.any(1)).nonzero()[:, 0]
    going_on = before.user[step.expanded] == lost[carried][:, None]
    revealed[carried] = step.chosen[going_on.int().argmax(1)]
    return revealed, parent


def _sibling_kept(index: ItemIndex, step: Step, lost: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Whether a kept beam is in the gold's finest category, bool (D,); never, where items have no category."""
    if not index.levels.categories:
        return torch.zeros_like(lost, dtype=torch.bool)
    leaf = index.levels.categories[-1]
    same = step.beams.codes[:, leaf, None] == index.levels.codes(index.tokens_NL[gold[lost]])[:, leaf]
    return (same & (step.beams.user[:, None] == lost)).any(0)


# -- from fates to the table -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemFacts:
    """Facts of items that the table has besides their track.

    Attributes:
        ids: one a row.
        codes: (N, L).
        categories: the category levels.
        popularity: int64 (N,), training sequences that hold the item.
        of_category: int64 (N,), the same summed over the item's finest category; None without categories.
    """

    ids: tuple[str, ...]
    codes: np.ndarray
    categories: range
    popularity: np.ndarray
    of_category: np.ndarray | None

    @classmethod
    def of(cls, ids: Sequence[str], codes: np.ndarray, categories: range, train: Sequence[np.ndarray]) -> "ItemFacts":
        """Count items in the training sequences (arrays of item rows); `codes` are of all items, (N, L)."""
        rows = np.concatenate([np.unique(s) for s in train]) if len(train) else np.zeros(0, dtype=np.int64)
        popularity = np.bincount(rows, minlength=len(codes))
        of_category = None
        if categories:
            leaf = codes[:, categories[-1]]
            of_category = np.bincount(leaf, popularity).astype(np.int64)[leaf]
        return cls(tuple(ids), codes, categories, popularity, of_category)


def diagnose(
    denoiser: Denoiser,
    index: ItemIndex,
    sample: Sequence[Case],
    config: DecodeConfig,
    facts: ItemFacts,
    *,
    k: int = 10,
    depth: Depth = WHOLE,
    report: Callable[[int], object] = lambda done: None,
) -> pd.DataFrame:
    """The table of some cases, one row each (columns: mindrec.diagnosis.cases.COLUMNS).

    Args:
        k: an item ranked k or worse is a miss, and gets a cause.
        depth: how far beyond the cause the diagnosis goes.
        report: told how many cases each batch had, for a progress bar.

    Raises:
        MindRecError: settings that are not followed (see `check_followed`).
    """
    check_followed(config)

    def table(part: range) -> pd.DataFrame:
        some = sample[part.start : part.stop]
        track = track_gold(denoiser, index, some, config)
        reasons = why(denoiser, index, some, config, (track.ranked, track.scores), track.possible, k=k, depth=depth)
        frame = case_table(track, reasons, some, facts, k)
        report(len(some))
        return frame

    parts = (range(first, min(first + BATCH, len(sample))) for first in range(0, len(sample), BATCH))
    return pd.concat([frame for _, frame in in_fitting_parts(table, parts)], ignore_index=True)


def check_followed(config: DecodeConfig) -> None:
    """Refuse settings by which the answer is not that of the search that is followed. Raises MindRecError."""
    if config.rethink:
        raise MindRecError(
            "diagnose follows one search, and rethink=true decodes again after it; leave rethink out, or set it false"
        )


def case_table(track: GoldTrack, reasons: Why, part: Sequence[Case], facts: ItemFacts, k: int) -> pd.DataFrame:
    """One batch as a table."""
    gold = np.array([c.target for c in part])
    known, C = gold >= 0, len(facts.categories)
    ranks = np.where(known, gold_ranks(track.ranked, gold), -1)
    top = track.ranked[:, 0]
    columns = {
        "user_id": [c.user_id for c in part],
        "history": [[facts.ids[row] for row in c.history] for c in part],
        "gold": [facts.ids[row] if row >= 0 else None for row in gold],
        **{f"hit@{n}": hit_at_k(ranks, n).astype(bool) for n in HITS},
        "gold_rank": _or_null(ranks),
        "gold_beams": list(track.beams),
        "gold_best_rank": list(track.best),
        "died_step": _or_null(track.died),
        "died_level": _or_null(track.level),
        "levels_passed": list(track.passed),
        "margin": np.where(np.isfinite(track.margin), track.margin, np.nan),
        "cause": causes_of(track, ranks, known, C, k),
        "entropy": track.entropy,
        "history_length": [len(c.history) for c in part],
        "item_popularity": np.where(known, facts.popularity[gold], 0),
        "category_popularity": _or_null(np.full(len(gold), -1)),
        "cold_item": ~known | (facts.popularity[gold] == 0),
        "repeated_category": pd.array([None] * len(gold), dtype="boolean"),
        "gold_path": list(np.where(known[:, None], facts.codes[gold, :C], -1)),
        "top_item": [facts.ids[row] if row >= 0 else None for row in top],
        "top_path": list(track.top_codes[:, :C]),
        "top_probability": np.exp(track.scores[:, 0]),
        "exact_probability": np.exp(reasons.standing.score),
        "exact_rank": _or_null(reasons.standing.rank),
        "error": errors_of(hit_at_k(ranks, k).astype(bool), reasons.standing, k),
        "pulls": [[{"item": facts.ids[p.row], "nats": p.nats} for p in pulls] for pulls in reasons.pulls],
        "rescue": [None if saved is None else saved.label(facts.ids) for saved in reasons.rescues],
        "rescue_cost": [None if saved is None else saved.cost for saved in reasons.rescues],
    }
    if C:
        leaf = facts.codes[:, C - 1]
        columns["category_popularity"] = _or_null(np.where(known, facts.of_category[gold], -1))
        repeated = [leaf[c.target] in leaf[list(c.history)] if c.target >= 0 else None for c in part]
        columns["repeated_category"] = pd.array(repeated, dtype="boolean")
    return pd.DataFrame(columns)[list(COLUMNS)]


def causes_of(track: GoldTrack, ranks: np.ndarray, known: np.ndarray, depth: int, k: int) -> list[str | None]:
    """Why each case is a miss, None for a hit: the first of CAUSES that holds. ranks and known are (cases,)."""
    died = track.died >= 0
    holds = {
        "unknown": ~known,
        "excluded": ~track.possible,
        "not_proposed": died & np.isposinf(track.margin),
        "early_category": died & (track.level < depth),
        "sibling": died & track.sibling,
        "cut": died,
        "outranked": np.ones_like(died),
    }
    first = np.array([holds[cause] for cause in CAUSES]).argmax(0)
    hit = hit_at_k(ranks, k).astype(bool)
    return [None if ok else CAUSES[n] for ok, n in zip(hit, first, strict=True)]


def _or_null(values: np.ndarray) -> pd.arrays.IntegerArray:
    return pd.arrays.IntegerArray(values.astype(np.int64), values < 0)
