"""Context that the parts of a search share: the constants of a whole decode, and the state of one of its steps.

Shape legend: B users, S beams of all users, A beams expanded, L levels, N items.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from mindrec.decoding.beams import Beams, StateKeys
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.guidance import Guidance
from mindrec.decoding.item_index import Excluded, ItemIndex, Members, Postings
from mindrec.model.denoiser import Denoiser, HistoryCache


@dataclass(frozen=True)
class SearchContext:
    """One decode of a batch: everything that stays the same from its first step to its last.

    Attributes:
        denoiser: scores partial answers.
        index: of the catalog.
        config: the decode's settings.
        cache: the histories as the denoiser has read them; None where all are empty and it reads no such.
        excluded: the items that may not be recommended.
        item_mass: float64 (B, N), how likely each allowed item is next, guided where there is guidance; None where
            evidence is off or unknown.
        guidance: the unconditional side; None without guidance or an empty history.
        keys: tell partial answers apart.
        full_trace: whether every open position is scored, which a trace needs, or only those that are filled.
    """

    denoiser: Denoiser
    index: ItemIndex
    config: DecodeConfig
    cache: HistoryCache | None
    excluded: Excluded
    item_mass: torch.Tensor | None
    guidance: Guidance | None
    keys: StateKeys
    full_trace: bool

    @property
    def exact(self) -> bool:
        """Whether every beam must be able to become an item."""
        return self.config.constraint == "exact"

    @property
    def joint(self) -> bool:
        """Whether all open positions of a beam compete in one step."""
        return self.config.expansion == "joint"

    @cached_property
    def evidence_weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """alpha and beta of each token's position, (T,) each; the denoiser must have a dense head."""
        of_token = self.index.level_of_T
        return self.denoiser.evidence_weight()[of_token], self.denoiser.token_weight()[of_token]

    @property
    def n_users(self) -> int:
        """B."""
        return self.excluded.n_users


@dataclass(frozen=True)
class StepContext:
    """One step of a search, before it is known which beams it keeps.

    Attributes:
        search: the decode that the step belongs to.
        number: 1 for the first step.
        n_positions: how many positions each beam fills.
        before: the beams that the step starts from.
        expanded: int64 (A,), those of them that have an open position, in order.
    """

    search: SearchContext
    number: int
    n_positions: int
    before: Beams
    expanded: torch.Tensor

    @cached_property
    def user(self) -> torch.Tensor:
        """The user of each expanded beam, int64 (A,)."""
        return self.before.user[self.expanded]

    @cached_property
    def codes(self) -> torch.Tensor:
        """The codes of each expanded beam, int64 (A, L), -1 where masked."""
        return self.before.codes[self.expanded]

    @cached_property
    def row_of(self) -> torch.Tensor:
        """The number of each beam among the expanded ones, int64 (S,); -1 for a complete beam."""
        row = torch.full((len(self.before.user),), -1, dtype=torch.int64, device=self.expanded.device)
        row[self.expanded] = torch.arange(len(self.expanded), device=row.device)
        return row

    @cached_property
    def complete(self) -> torch.Tensor:
        """The beams without an open position, which are carried over, int64 (S - A,)."""
        if len(self.expanded) == len(self.before.user):
            return self.expanded[:0]
        return (self.row_of < 0).nonzero()[:, 0]

    @cached_property
    def members(self) -> Members | Postings:
        """The items still possible in each expanded beam, with states numbered 0..A-1."""
        members = self.before.members
        if len(self.expanded) == len(self.before.user):
            return members
        if isinstance(members, Postings):
            return Postings(members.token[self.expanded])
        state = self.row_of[members.state]
        keep = state >= 0
        return Members(state[keep], members.item[keep], len(self.expanded))
