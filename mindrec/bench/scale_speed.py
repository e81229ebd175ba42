"""`bench scale`: search and legality on catalogs from a thousand to a million items, the denoiser's cost apart."""

import resource
import time

import numpy as np
import torch

from mindrec.decoding.beam_search import final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.model.denoiser import HistoryCache
from mindrec.tokens.levels import Levels

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LEVELS = (20, 400, 4000, 256, 256, 256, 256)


class RandomDenoiser:
    """Fixed random logits: costs next to nothing, so that what is timed is the search."""

    orders, adds_up, cache_exact, max_history = None, False, True, 20
    reads_empty = True

    def __init__(self, level_sizes: tuple[int, ...], n_items: int, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self.level_sizes, self.n_items = level_sizes, n_items
        self.logits_T = torch.randn(sum(level_sizes), generator=generator)
        self.logits_N = torch.randn(n_items, generator=generator)

    def encode(self, histories) -> HistoryCache:
        """Keep the histories; there is nothing to read of them."""
        return HistoryCache(tuple(map(tuple, histories)), None)

    def select(self, cache: HistoryCache, users: torch.Tensor) -> HistoryCache:
        """The cache of some users, int64 (n,)."""
        return HistoryCache(tuple(cache.histories[u] for u in users.tolist()), None)

    def extend(self, cache: HistoryCache, row: int) -> HistoryCache:
        """The cache of a history with one more item."""
        return self.encode([(*cache.histories[0], row)])

    def token_logits(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """The same random logits for every partial answer, (B, K, T)."""
        return self.logits_T.expand(*filled_BKL.shape[:2], -1).clone()

    def item_logits(self, cache: HistoryCache) -> torch.Tensor:
        """The same random item logits for every history, (B, N)."""
        return self.logits_N.expand(len(cache.histories), -1).clone()

    dense_logits = item_logits

    def evidence_weight(self) -> torch.Tensor:
        """One for each level, (L,)."""
        return torch.ones(len(self.level_sizes))

    def token_weight(self) -> torch.Tensor:
        """One for each level, (L,)."""
        return torch.ones(len(self.level_sizes))


def made_catalog(n_items: int, seed: int = 0) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Token ids (N, 7) of a made catalog: a tree of up to 20 > 400 > 4,000 nodes, four levels of up to 256 codes."""
    rng = np.random.default_rng(seed)
    leaves = max(20, min(LEVELS[2], n_items // 10))
    leaf = rng.integers(0, leaves, n_items)
    parents = max(5, leaves // 10)
    middle = np.sort(rng.integers(0, parents, leaves))
    tops = max(2, parents // 20)
    top = np.sort(rng.integers(0, tops, parents))
    sid = rng.integers(0, LEVELS[3], (n_items, 4))
    codes = np.column_stack([top[middle[leaf]], middle[leaf], leaf, sid])
    codes = np.unique(codes, axis=0)
    sizes = (tops, parents, leaves, *LEVELS[3:])
    levels = Levels(sizes, 3)
    return torch.from_numpy(levels.tokens(codes)), levels


def bench_scale(sizes: tuple[int, ...] = SIZES, repeats: int = 9) -> dict:
    """Milliseconds of one decode (10 beams, history of 20) against catalog size, evidence off and on."""
    out = {
        "items": [],
        "ms_per_user": [],
        "ms_per_user_evidence": [],
        "index_mb": [],
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
    for n_items in sizes:
        tokens, levels = made_catalog(n_items)
        index = ItemIndex(tokens, levels)
        denoiser = RandomDenoiser(levels.sizes, index.n_items)
        history = [np.random.default_rng(1).choice(index.n_items, 20, replace=False).tolist()]
        out["items"].append(index.n_items)
        out["ms_per_user"].append(_median_ms(denoiser, index, history, DecodeConfig(evidence="off"), repeats))
        out["ms_per_user_evidence"].append(_median_ms(denoiser, index, history, DecodeConfig(), repeats))
        arrays = (index.tokens_NL, index.posted, index.count_T, index.start_T)
        out["index_mb"].append(round(sum(a.numel() * a.element_size() for a in arrays) / 1e6, 1))
    by_size = dict(zip(sizes, out["ms_per_user"], strict=True))
    if 10_000 in by_size and 1_000_000 in by_size:
        out["ratio_1m_to_10k"] = round(by_size[1_000_000] / by_size[10_000], 3)
    out["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return out


def _median_ms(denoiser, index, histories, config: DecodeConfig, repeats: int) -> float:
    times = []
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        final(search(denoiser, index, histories, config, full_trace=False))
        if repeat:
            times.append((time.perf_counter() - started) * 1000)
    return round(float(np.median(times)), 3)
