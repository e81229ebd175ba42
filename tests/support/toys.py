"""Small catalogs and denoisers whose right answers are known: what most tests of the core stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from hypothesis import strategies as st

from mindrec.decoding.item_index import ItemIndex
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.model.oracle import OracleDenoiser
from mindrec.tokens.levels import Levels


@dataclass(frozen=True)
class Toy:
    """A catalog of codes (N, L) with a true probability for every item; how often each was taken may be known."""

    codes: torch.Tensor
    sizes: tuple[int, ...]
    p: torch.Tensor
    n_categories: int = 0
    exclude_seen: bool = True
    popularity: torch.Tensor | None = None

    @property
    def n_items(self) -> int:
        return len(self.codes)

    @property
    def index(self) -> ItemIndex:
        return ItemIndex(self.tokens, Levels(self.sizes, self.n_categories), self.popularity)

    @property
    def tokens(self) -> torch.Tensor:
        return Levels(self.sizes).tokens(self.codes)

    def truth(self, history: Sequence[int]) -> torch.Tensor:
        """Probability of every item to come next, (N,)."""
        p = self.p.clone()
        if self.exclude_seen:
            p[list(history)] = 0
        return p / p.sum()

    def oracle(self) -> OracleDenoiser:
        return OracleDenoiser(self.tokens, self.sizes, self.truth)

    def compact(self, seed: int = 0, **settings) -> CompactDenoiser:
        """An untrained model with weights far from their start, so that every part of it matters."""
        settings = {"hidden_size": 32, "heads": 4, "intermediate_size": 48, "max_history": 6, "dropout": 0.0} | settings
        torch.manual_seed(seed)
        model = CompactDenoiser(CompactConfig(self.sizes, self.n_items, **settings), self.codes)
        with torch.no_grad():
            for value in model.parameters():
                value.add_(0.2 * torch.randn_like(value))
        return model.eval()


def toy(sizes: Sequence[int], n_items: int, seed: int = 0, n_categories: int = 0, **settings) -> Toy:
    """`n_items` random code tuples, no two alike, with skewed probabilities."""
    rng = np.random.default_rng(seed)
    every = np.array(list(product(*map(range, sizes))))
    codes = torch.from_numpy(every[rng.choice(len(every), n_items, replace=False)])
    p = torch.from_numpy(rng.random(n_items)) ** 3 + 1e-4
    return Toy(codes, tuple(sizes), p / p.sum(), n_categories, **settings)


@st.composite
def toys(draw, max_items: int = 10) -> tuple[Toy, list[list[int]]]:
    """A random catalog, from one item up, and two histories that leave at least one item to recommend.

    Any number of category levels, 0 to all; levels may have one code, codes that no item has, and shared prefixes.
    """
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    n_items = draw(st.integers(1, min(max_items, int(np.prod(sizes)))))
    made = toy(
        sizes,
        n_items,
        draw(st.integers(0, 10_000)),
        draw(st.integers(0, len(sizes))),
        exclude_seen=n_items > 1,
    )
    rows = st.integers(0, n_items - 1)
    limit = max(1, n_items - 1)
    return made, [draw(st.lists(rows, min_size=1, max_size=limit, unique=True)) for _ in range(2)]
