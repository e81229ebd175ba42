"""Slates: several items that go together, each chosen in the knowledge of those before it.

A beam search over slates: a partial slate is decoded as a history that ends with its items, its answers become the
next slot, and the best `width` slates go on. All partial slates of all histories are one batch. (Slates as a whole
session: OneRec, arXiv 2502.18965; there an auto-regressive model writes one, item after item.)

Shape legend: B users, P partial slates of all users, N items.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch

from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.errors import MindRecError
from mindrec.model.denoiser import Denoiser

WIDTH = 4
"""Partial slates of a history kept after each slot."""
MAX_TOGETHER = 128
"""Partial slates in one decode."""


@dataclass(frozen=True)
class Slate:
    """Item rows in the order of their choice, and the log-probability of each after the history and those before."""

    rows: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def score(self) -> float:
        """Log-probability of the slate in this order."""
        return sum(self.scores)


Part = tuple[Sequence[tuple[int, Slate]], Excluded]
"""Partial slates that are decoded together, each with its user, and the items that may not come next in them."""


@dataclass(frozen=True)
class SlateShape:
    """The slates that are wanted.

    Attributes:
        n: items of a slate.
        width: partial slates kept after each slot; 1 is greedy, the first answer again and again.
        max_per_category: how many items of one finest category a slate may have; any number without.
    """

    n: int
    width: int = WIDTH
    max_per_category: int | None = None


def slates(
    denoiser: Denoiser, index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig, shape: SlateShape
) -> list[list[Slate]]:
    """The best slates after each history of item rows: at most `shape.width`, best first, no two of the same set.

    Raises:
        MindRecError: settings that rule nothing out, numbers below 1, or fewer than n items to choose from.
    """
    _check(index, config, shape)
    config = replace(config, rethink=False)
    kept = [[Slate()] for _ in histories]
    for slot in range(shape.n):
        partial = [(user, slate) for user, sets in enumerate(kept) for slate in sets]
        excluded = _excluded(index, histories, partial, config, shape.max_per_category)
        able = excluded.counts() > 0
        left = {user for (user, _), some in zip(partial, able.tolist(), strict=True) if some}
        if stuck := set(range(len(histories))) - left:
            raise MindRecError(
                f"history {min(stuck)} leaves {slot} items for a slate, and {shape.n} were asked for; ask for fewer, "
                "or lift max_per_category, pins and bans"
            )
        parts = [
            ([partial[n] for n in part.tolist()], _of(excluded, part))
            for part in able.nonzero()[:, 0].split(MAX_TOGETHER)
        ]
        kept = _next_slot(denoiser, index, histories, config, parts, shape.width)
    return kept


def _check(index: ItemIndex, config: DecodeConfig, shape: SlateShape) -> None:
    for name, value in asdict(shape).items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise MindRecError(f"{name}={value!r} is not a whole number from 1 up")
    if config.algorithm != "mindrec" or config.constraint != "exact":
        raise MindRecError("a slate never has an item twice: it needs algorithm='mindrec' and constraint='exact'")
    if shape.max_per_category is not None and not index.levels.n_categories:
        raise MindRecError("max_per_category needs category levels, and this catalog has none; leave it out")


def _excluded(
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    partial: Sequence[tuple[int, Slate]],
    config: DecodeConfig,
    max_per_category: int | None,
) -> Excluded:
    """Items that may not come next in each partial slate: those its history excludes, its own, and full categories."""
    base = rule_out(index, [histories[user] for user, _ in partial], config)
    number, item = [base.user], [base.item]
    category_N = None
    if max_per_category is not None:
        category_N = index.levels.codes(index.tokens_NL)[:, index.levels.n_categories - 1]
    for n, (_, slate) in enumerate(partial):
        rows = torch.tensor(slate.rows, dtype=torch.int64, device=base.item.device)
        if category_N is not None:
            code, count = category_N[rows].unique(return_counts=True)
            rows = torch.cat([rows, torch.isin(category_N, code[count >= max_per_category]).nonzero()[:, 0]])
        number.append(torch.full_like(rows, n))
        item.append(rows)
    pairs = (torch.cat(number) * index.n_items + torch.cat(item)).unique()  # an Excluded counts each pair
    return replace(base, user=pairs // index.n_items, item=pairs % index.n_items)


def _next_slot(denoiser, index, histories, config, parts: Sequence[Part], width: int) -> list[list[Slate]]:
    """Decode the partial slates that can go on, and keep the best sets of items of each history."""
    grown: list[dict[frozenset, Slate]] = [{} for _ in histories]
    for extended, excluded in parts:
        read = [[*histories[user], *slate.rows] for user, slate in extended]
        last = final(search(denoiser, index, read, config, full_trace=False, excluded=excluded))
        rows_BK, scores = answers(index, last, len(extended), config.beam_size)
        for (user, slate), rows, log_p in zip(extended, rows_BK.tolist(), scores.tolist(), strict=True):
            for row, score in zip(rows, log_p, strict=True):
                if row >= 0:
                    longer = Slate((*slate.rows, row), (*slate.scores, score))
                    same = grown[user].setdefault(frozenset(longer.rows), longer)
                    if longer.score > same.score:
                        grown[user][frozenset(longer.rows)] = longer
    return [sorted(log_p.values(), key=lambda s: (-s.score, s.rows))[:width] for log_p in grown]


def _of(excluded: Excluded, users: torch.Tensor) -> Excluded:
    """The part of some users, numbered anew."""
    number = torch.full((excluded.n_users,), -1, dtype=torch.int64, device=users.device)
    number[users] = torch.arange(len(users), device=users.device)
    user = number[excluded.user]
    return replace(excluded, user=user[user >= 0], item=excluded.item[user >= 0], n_users=len(users))
