"""The beams of all users as flat tensors, and the exact identity of a partial answer.

Shape legend: S beams of all users together, L levels, M members (beam, possible item), W key words.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mindrec.decoding.item_index import Members, Postings


@dataclass(frozen=True)
class Beams:
    """Partial answers, sorted by user and then by rank.

    Attributes:
        user: int64 (S,).
        codes: int64 (S, L), -1 where masked.
        score: float64 (S,), log-probability.
        parent: int64 (S,), number of the parent among the beams before.
        perturbed_score: float64 (S,), the score that sampled decoding ranks by; `score` in a deterministic search.
        forced: bool (S, L), positions filled because one item was left.
        members: items still possible, one by one, or as the postings of one token a beam.
        items: int64 (S,), how many are possible.
    """

    user: torch.Tensor
    codes: torch.Tensor
    score: torch.Tensor
    parent: torch.Tensor
    perturbed_score: torch.Tensor
    forced: torch.Tensor
    members: Members | Postings
    items: torch.Tensor

    @property
    def open(self) -> torch.Tensor:
        """Masked positions, bool (S, L)."""
        return self.codes < 0

    @property
    def rank(self) -> torch.Tensor:
        """Rank within the user, 0 the best, (S,)."""
        return rank_within(self.user)


def rank_within(sorted_group: torch.Tensor) -> torch.Tensor:
    """Rank of each element (S,) within its run of equal values."""
    counts = torch.bincount(sorted_group) if len(sorted_group) else sorted_group
    first = counts.cumsum(0) - counts
    return torch.arange(len(sorted_group), device=sorted_group.device) - first[sorted_group]


def taken(beams: Beams, which: torch.Tensor) -> Beams:
    """Some beams, numbers (n,) ascending, by themselves."""
    if isinstance(beams.members, Postings):
        members: Members | Postings = Postings(beams.members.token[which])
    else:
        new = torch.full_like(beams.user, -1)
        new[which] = torch.arange(len(which), device=which.device)
        state = new[beams.members.state]
        members = Members(state[state >= 0], beams.members.item[state >= 0], len(which))
    values = {name: getattr(beams, name)[which] for name in ("user", "codes", "score", "parent", "perturbed_score")}
    return Beams(**values, forced=beams.forced[which], members=members, items=beams.items[which])


class StateKeys:
    """Packs a partial answer into as few int64 words as hold it: equal keys are equal answers, exactly.

    A level of n codes is a digit of n + 1 values (the last is "masked"); earlier positions weigh more, so that keys
    order answers by their token ids, coarse to fine.
    """

    def __init__(self, level_sizes: tuple[int, ...], device: torch.device):
        self.masked = torch.tensor(level_sizes, device=device)
        words: list[list[int]] = [[]]
        product = 1
        for level in reversed(range(len(level_sizes))):
            if product * (level_sizes[level] + 1) >= 2**62:
                words.append([])
                product = 1
            words[-1].append(level)
            product *= level_sizes[level] + 1
        stride = [[0] * len(words) for _ in level_sizes]
        for w, levels in enumerate(reversed(words)):
            step = 1
            for level in levels:
                stride[level][w] = step
                step *= level_sizes[level] + 1
        self.stride = torch.tensor(stride, dtype=torch.int64, device=device)

    def of(self, codes: torch.Tensor) -> torch.Tensor:
        """Keys (S, W) of partial answers (S, L)."""
        digits = torch.where(codes < 0, self.masked, codes)
        return (digits[:, :, None] * self.stride).sum(1)

    def change(self, position: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """The change of a key when a masked position is filled, (n, W)."""
        return (code - self.masked[position])[:, None] * self.stride[position]


def order_by(user: torch.Tensor | None, score: torch.Tensor, keys: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Indices (n,) that sort by user, then by score downwards, then by key: equal scores break by token ids.

    Args:
        user: int64 (n,); None where all are of one.
        score: (n,).
        keys: makes the keys (n, W); called only where two scores are equal.
    """
    in_order, order = score.sort(descending=True, stable=True)
    if bool((in_order[1:] == in_order[:-1]).any()):
        words, order = keys().T, torch.arange(len(score), device=score.device)
        for word in words.flip(0):
            order = order[word[order].argsort(stable=True)]
        order = order[score[order].argsort(descending=True, stable=True)]
    return order if user is None else order[user[order].argsort(stable=True)]


def group_ids(user: torch.Tensor, keys: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A number for each distinct (user, key), (n,), and how many there are."""
    ids = user
    for word in keys.T:
        _, inverse = word.unique(return_inverse=True)
        _, ids = (ids * (int(inverse.max()) + 1 if len(inverse) else 1) + inverse).unique(return_inverse=True)
    return ids, int(ids.max()) + 1 if len(ids) else 0
