"""The search without beams: the exact score and rank of items, where a beam search only tells of those that it keeps.

Partition's scores are log-probabilities of disjoint item sets, so no descendant of a partial answer scores above it.
That bounds the work: of an item that scores s, the exact rank needs only the partial answers that score s or more,
fewer than exp(-s) at each step. They are expanded depth first, `ROWS` at a time, so that memory does not grow with
the catalog.

Shape legend: B users, S partial answers of all users, L levels, R answers found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from mindrec.decoding.beam_search import expand, open_search, positions_per_step, with_items
from mindrec.decoding.beams import Beams, order_by, rank_within, taken
from mindrec.decoding.children import children, start
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.context import SearchContext, StepContext
from mindrec.decoding.expansion import Candidates
from mindrec.decoding.item_index import Excluded, ItemIndex, Postings
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser

ROWS = 4096
"""Partial answers expanded at once."""
FEW = 16
"""Partial answers of a user that are not worth a denoiser call of their own."""
SLACK = 1e-3
"""Nats below a floor that are expanded too: in another batch, 32 bits give one answer another last digit."""


@dataclass(frozen=True)
class Answers:
    """Complete answers of a search without beams, sorted by user, score downwards, and token ids.

    Attributes:
        user, item: int64 (R,); an item is -1 where the answer names none, under constraint="level".
        score: float64 (R,), log-probability.
    """

    user: torch.Tensor
    item: torch.Tensor
    score: torch.Tensor

    @property
    def rank(self) -> torch.Tensor:
        """Of each answer within its user's, 0 the best, (R,); exact, where the floor was not above it."""
        return rank_within(self.user)

    def of(self, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score float64 and rank int64 of one item a user, (B,) each: -inf and -1 where it is not among the answers."""
        score = torch.full((len(items),), -torch.inf, dtype=torch.float64, device=items.device)
        rank = torch.full_like(items, -1)
        mine = ((self.item == items[self.user]) & (self.item >= 0)).nonzero()[:, 0]
        score[self.user[mine]], rank[self.user[mine]] = self.score[mine], self.rank[mine]
        return score, rank


def is_defined(config: DecodeConfig) -> bool:
    """Whether items have a score without beams that ranks them.

    Partition's have; joint's add up over paths that beams cut, and votes rank only what beams have kept.
    """
    return config.algorithm == "mindrec" and config.expansion == "partition" and config.votes == 1


def open_exact(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    excluded: Excluded | None = None,
) -> SearchContext:
    """Read B histories for scores without beams.

    Args:
        excluded: the items that may not be recommended, where it is not the settings and histories that say so.

    Raises:
        MindRecError: settings whose scores are defined by beams (joint, published, votes), or that `search` refuses.
    """
    if not is_defined(config):
        raise MindRecError("scores without beams need algorithm='mindrec', expansion='partition' and votes=1")
    with torch.inference_mode():
        return open_search(denoiser, index, histories, replace(config, temperature=0.0), excluded=excluded)


def answers_above(search: SearchContext, floor_B: torch.Tensor, targets_B: torch.Tensor | None = None) -> Answers:
    """Every answer of each history whose log-probability is at least `floor_B`, whatever the beam size.

    Args:
        search: as `open_exact` opens it.
        floor_B: float64; -inf finds every item, inf none but the targets.
        targets_B: an item row a user that is followed whatever its score; -1 for none.
    """
    index = search.index
    with torch.inference_mode():
        targets = torch.full_like(floor_B, -1).long() if targets_B is None else targets_B
        wanted_BL = index.levels.codes(index.tokens_NL[targets.clamp(min=0)]).where(targets[:, None] >= 0, -2)
        return _walk(search, floor_B.double() - SLACK, wanted_BL)


def score_of(search: SearchContext, targets_B: torch.Tensor) -> torch.Tensor:
    """Exact log-probability of one item a history, float64 (B,): one partial answer a user; -inf where impossible."""
    never = torch.full(targets_B.shape, torch.inf, dtype=torch.float64, device=targets_B.device)
    return answers_above(search, never, targets_B).of(targets_B)[0]


def kth_score(scores_BK: torch.Tensor, k: int) -> torch.Tensor:
    """The k-th best score of each user's answers, float64 (B,): the exact k-th is no lower. -inf for fewer answers."""
    if scores_BK.shape[1] < k:
        return torch.full_like(scores_BK[:, 0], -torch.inf)
    return scores_BK.topk(k, dim=1).values[:, -1]


def lost_of_first(
    denoiser: Denoiser,
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    config: DecodeConfig,
    answers: tuple[torch.Tensor, torch.Tensor],
    k: int = 10,
) -> list[tuple[list[int], int]]:
    """Of each user the exact first items that a beam search did not answer with, best first, and how many were due.

    Args:
        answers: of the beam search, rows (B, K) and scores (B, K).
        k: how many first items are looked at; no more than there are beams.
    """
    rows_BK, scores_BK = answers
    k = min(k, scores_BK.shape[1])
    above = answers_above(open_exact(denoiser, index, histories, config), kth_score(scores_BK, k))
    first = (above.rank < k) & (above.item >= 0)
    out: list[tuple[list[int], int]] = []
    for user, kept in enumerate(rows_BK.tolist()):
        due = above.item[first & (above.user == user)].tolist()
        out.append(([item for item in due if item not in kept], len(due)))
    return out


# -- the walk ----------------------------------------------------------------------------------------------------------


def _walk(search: SearchContext, floor_B: torch.Tensor, wanted_BL: torch.Tensor) -> Answers:
    first = start(search.index, search.excluded, search.config)
    plan = positions_per_step(int(first.open.sum(1).max()), search.config)
    waiting, done = [(1, part) for part in _slices(first)], []
    while waiting:
        number, beams = waiting.pop()
        complete = ~beams.open.any(1)
        done.append(_answers(beams, complete))
        if complete.all():
            continue
        before = with_items(search, taken(beams, (~complete).nonzero()[:, 0]), number, plan[number - 1])
        everything = torch.arange(len(before.user), device=before.user.device)
        context = StepContext(search, number, plan[number - 1], before, everything)
        scores, _, candidates = expand(context)
        kept = _at_least(context, candidates, floor_B, wanted_BL)
        if len(kept.kept):
            waiting += [(number + 1, part) for part in _slices(children(context, kept, scores))]
    user, item, score, codes = (torch.cat(values) for values in zip(*done, strict=True))
    order = order_by(user, score, lambda: search.keys.of(codes))
    return Answers(user[order], item[order], score[order])


def _at_least(
    context: StepContext, candidates: Candidates, floor_B: torch.Tensor, wanted_BL: torch.Tensor
) -> Candidates:
    """Keep the candidates that reach their user's floor, and those that can become its target."""
    user, before = context.before.user[candidates.parent], context.before
    keep = candidates.score >= floor_B[user]
    held = ((before.codes < 0) | (before.codes == wanted_BL[before.user])).all(1)
    which = (held[candidates.parent] & candidates.score.isfinite()).nonzero()[:, 0]
    codes = candidates.codes(which)
    keep[which] |= ((codes < 0) | (codes == wanted_BL[user[which]])).all(1)
    kept = (keep & candidates.score.isfinite()).nonzero()[:, 0]
    return replace(candidates, kept=kept[user[kept].argsort(stable=True)])


def _answers(beams: Beams, complete: torch.Tensor) -> tuple[torch.Tensor, ...]:
    item = torch.full_like(beams.user, -1)
    if not isinstance(beams.members, Postings):
        item[beams.members.state] = beams.members.item
    item = item.where(beams.items == 1, -1)
    return beams.user[complete], item[complete], beams.score[complete], beams.codes[complete]


def _slices(beams: Beams) -> list[Beams]:
    """Parts of at most `ROWS`, of users with about equally many: a denoiser pads a user's rows to those of the most."""
    count = torch.bincount(beams.user).clamp(min=FEW)[beams.user]
    size = count.double().log2().ceil().long()
    parts = [part for n in size.unique() for part in (size == n).nonzero()[:, 0].split(ROWS)]
    return [beams] if len(parts) == 1 else [taken(beams, part) for part in parts]
