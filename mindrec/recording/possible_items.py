"""The likeliest items that partial answers can still become, read off the search's own lists of possible items.

Shape legend: S beams, M members, L levels, K codes listed.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from mindrec.decoding.beam_search import Step
from mindrec.decoding.beams import Beams
from mindrec.decoding.item_index import ItemIndex, Members

LISTED = 3
"""Items listed for each partial answer; the rest are a number."""


class PossibleItems:
    """The members of some beams as arrays, sorted by beam and then by how likely the items are, the likeliest first.

    Args:
        step: one of the search that the beams are of.
        beams: those of several steps, which are numbered through.

    Attributes:
        state, item: (M,).
        start: (S + 1,), where the members of each beam begin.
    """

    def __init__(self, index: ItemIndex, step: Step, beams: Sequence[Beams]):
        self.index = index
        states, items, users, first = [], [], [], 0
        for of_step in beams:
            members = of_step.members
            if not isinstance(members, Members):
                members = index.expand(members, of_step.user, step.excluded)
            states.append(members.state + first)
            items.append(members.item)
            users.append(of_step.user)
            first += len(of_step.user)
        state_M, item_M, user = torch.cat(states), torch.cat(items), torch.cat(users)
        state, item = state_M.cpu().numpy(), item_M.cpu().numpy()
        mass = _likely(index, step, user[state_M], item_M)
        last, number = _narrow(item, index.n_items), _narrow(state, first)
        order = np.lexsort((last, number) if mass is None else (last, -mass, number))
        self.state, self.item = state[order], item[order]
        self.start = np.searchsorted(self.state, np.arange(first + 1))

    @cached_property
    def codes_ML(self) -> np.ndarray:
        """The codes (M, L) of each member."""
        return self.index.codes_NL[self.item]

    @property
    def _max_codes(self) -> int:
        return max(self.index.levels.sizes[self.index.levels.n_categories :], default=1)

    def of_beams(self) -> list[tuple[int, ...]]:
        """Rows of the first items of each beam."""
        return _first(self.item, self.start[:-1], self.start[1:])

    def first_of(self, state_K: np.ndarray) -> np.ndarray:
        """Row of the likeliest item of some beams, (K,); any row where a beam has none."""
        if not len(self.item):
            return np.zeros(len(state_K), dtype=np.int64)
        return self.item[np.minimum(self.start[state_K], len(self.item) - 1)]

    @cached_property
    def _by_code(self) -> tuple[np.ndarray, np.ndarray]:
        """The items by semantic level, beam and code, (levels x M,); and where those of each of these begin, and end
        one place on."""
        codes_LM = self.codes_ML[:, self.index.levels.n_categories :].T
        keys = self.state * self._max_codes + codes_LM
        order = _narrow(keys, self._max_codes * len(self.start)).argsort(1, kind="stable")
        counts = [np.bincount(of_level, minlength=self._max_codes * len(self.start)) for of_level in keys]
        return self.item[order].ravel(), np.concatenate([[0], *counts]).cumsum()

    def with_codes(self, position_K: np.ndarray, state_K: np.ndarray, codes_K: np.ndarray) -> list[tuple[int, ...]]:
        """Rows of the first items of some beams that hold some codes, each at a semantic level: K tuples of at most
        LISTED."""
        item, start = self._by_code
        level_K = position_K - self.index.levels.n_categories
        wanted = (level_K * len(self.start) + state_K) * self._max_codes + codes_K
        return _first(item, start[wanted], start[wanted + 1])

    def that_fit(self, state: int, codes: dict[int, int]) -> list[int]:
        """Rows of the first items of one beam that hold a code at each of some positions."""
        of_state = slice(self.start[state], self.start[state + 1])
        fits = (self.codes_ML[of_state][:, list(codes)] == list(codes.values())).all(1)
        return self.item[of_state][fits][:LISTED].tolist()


def _narrow(values: np.ndarray, largest: int) -> np.ndarray:
    """The same numbers, from 0 to `largest`, in as few bits as hold them: 16 are sorted in one pass."""
    return values.astype(np.min_scalar_type(largest))


def _likely(index: ItemIndex, step: Step, user_M: torch.Tensor, item_M: torch.Tensor) -> np.ndarray | None:
    """By what members are sorted: item evidence, else what anybody takes; None where neither is known."""
    if step.item_mass is not None:
        return step.item_mass[user_M, item_M].cpu().numpy()
    return None if index.popularity_N is None else index.anyone_N[item_M].cpu().numpy()


def _first(items: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[tuple[int, ...]]:
    """The first of items[start:end], at most LISTED, of each of some ranges."""
    if not len(items):
        return [()] * len(start)
    at = start + np.arange(LISTED)[:, None]
    listed, count = items[np.minimum(at, len(items) - 1)].tolist(), np.minimum(end - start, LISTED).tolist()
    return [row if n == LISTED else row[:n] for row, n in zip(zip(*listed, strict=True), count, strict=True)]
