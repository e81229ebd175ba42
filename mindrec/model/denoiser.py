"""The protocol of a denoiser: all that the decoder needs of a model.

Shape legend: B users, K beams a user, L levels (positions of the answer), T tokens of all levels together, N items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class HistoryCache:
    """A denoiser's memory of B histories; the decoder passes it back untouched.

    Attributes:
        histories: item rows of each history, oldest first, as the denoiser saw them.
        state: the denoiser's own tensors; every tensor has the users on axis 0.
    """

    histories: tuple[tuple[int, ...], ...]
    state: Any


class Denoiser(Protocol):
    """A bidirectional model of the target block given a history.

    Attributes:
        level_sizes: vocabulary size of each level, (L,).
        n_items: catalog size N.
        max_history: items kept of a history, the most recent ones.
        orders: names of the unmask orders it supports; None means all (an auto-regressive model has one).
        adds_up: whether its scores of open positions' codes add up to an item's (mindrec.model.item_softmax): it has
            `code_scores`, and evidence meets it item by item, with one weight for all positions.
        reads_empty: whether an empty history means something to it; what anybody takes answers one where not.
        cache_exact: whether cached histories give the same numbers as a full forward pass.
    """

    level_sizes: tuple[int, ...]
    n_items: int
    max_history: int
    orders: tuple[str, ...] | None
    adds_up: bool
    cache_exact: bool
    reads_empty: bool

    def encode(self, histories: Sequence[Sequence[int]]) -> HistoryCache:
        """Read B histories of item rows, once."""
        ...

    def extend(self, cache: HistoryCache, row: int) -> HistoryCache:
        """The cache of one history (B = 1) with one more item."""
        ...

    def select(self, cache: HistoryCache, users: torch.Tensor) -> HistoryCache:
        """The cache of some users, int64 (n,)."""
        ...

    def token_logits(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, T) of every code at every position, before any legality.

        `filled_BKL` holds codes, with -1 where the position is masked. Only masked positions' logits mean anything.
        """
        ...

    def code_scores(self, cache: HistoryCache, filled_BKL: torch.Tensor) -> torch.Tensor:
        """Scores of codes that a denoiser that `adds_up` sums to item scores, (B, K, T), not normalised."""
        ...

    def dense_logits(self, cache: HistoryCache) -> torch.Tensor | None:
        """Next-item logits (B, N) of the dense head alone, or None for a denoiser without one: a baseline."""
        ...

    def item_logits(self, cache: HistoryCache) -> torch.Tensor | None:
        """Next-item logits (B, N) that item evidence is made of, or None for a denoiser without a dense head."""
        ...

    def evidence_weight(self) -> torch.Tensor | None:
        """alpha (L,), the weight of item evidence at each position; None without a dense head."""
        ...

    def token_weight(self) -> torch.Tensor | None:
        """beta (L,), the weight of the denoiser's own logits where evidence is on; None without a head."""
        ...


class StoredDenoiser(Denoiser, Protocol):
    """A denoiser that a checkpoint folder can hold (mindrec.model.registry lists them).

    Attributes:
        kind: its name in config.json.
        config_type: the frozen dataclass of its sizes and choices.
        config: one of these; `to_dict()` gives it as config.json holds it.
    """

    kind: str
    config_type: type
    config: Any

    @classmethod
    def from_folder(cls, folder: Path, config: Any, tokenizer: Any, titles: Sequence[str]) -> "StoredDenoiser":
        """The denoiser of a checkpoint folder, before its trained weights are put in."""
        ...

    def save_extras(self, folder: Path) -> None:
        """Write the files that it needs beside its weights."""
        ...

    def damage(self) -> str | None:
        """Name of a loaded weight whose values no training makes; None where all is sound."""
        ...
