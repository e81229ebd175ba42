"""Unmask orders: which open position is filled next. Adding one is a function and a line in ORDERS.

Shape legend: A beams looked at, L levels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from mindrec.tokens.levels import Levels


@dataclass(frozen=True)
class View:
    """What an order may look at.

    Attributes:
        open: bool (A, L), the masked positions.
        levels: of the answer.
        seed: of the decode.
        probabilities: gives, when first asked, probabilities over legal codes as one (A, size) tensor a level.
    """

    open: torch.Tensor
    levels: Levels
    seed: int
    probabilities: Callable[[], list[torch.Tensor]]

    @cached_property
    def entropy(self) -> torch.Tensor:
        """In nats, (A, L)."""
        return torch.stack([torch.special.entr(p).sum(1) for p in self.probabilities()], 1)

    @cached_property
    def margin(self) -> torch.Tensor:
        """Likeliest code minus the second, (A, L)."""
        tops = [p.topk(min(2, p.shape[1]), dim=1).values for p in self.probabilities()]
        return torch.stack([t[:, 0] - t[:, 1] if t.shape[1] > 1 else t[:, 0] for t in tops], 1)


def left_to_right(view: View) -> torch.Tensor:
    """Position by position: what an auto-regressive model does."""
    places = torch.arange(view.open.shape[1], device=view.open.device, dtype=torch.float64)
    return (-places).masked_fill(~view.open, -torch.inf).where(_first(view.open), -torch.inf)


def coarse_to_fine(view: View) -> torch.Tensor:
    """The paper's: category levels first, in order; then the most certain position."""
    categories = view.open.clone()
    categories[:, len(view.levels.categories) :] = False
    walking = categories.any(1, keepdim=True)
    if bool(walking.all()):
        return torch.zeros(view.open.shape, dtype=torch.float64, device=view.open.device).masked_fill(
            ~_first(categories), -torch.inf
        )
    allowed = torch.where(walking, _first(categories), view.open)
    return (-view.entropy.double()).masked_fill(~allowed, -torch.inf)


def confidence(view: View) -> torch.Tensor:
    """The position with the lowest entropy."""
    return (-view.entropy.double()).masked_fill(~view.open, -torch.inf)


def margin(view: View) -> torch.Tensor:
    """The position whose likeliest code leads the second by most."""
    return view.margin.double().masked_fill(~view.open, -torch.inf)


def random(view: View) -> torch.Tensor:
    """One permutation of the positions, drawn from the seed, the same for every beam and user."""
    L = view.open.shape[1]
    places = torch.randperm(L, generator=torch.Generator().manual_seed(view.seed)).double()
    return places.to(view.open.device).expand(view.open.shape).masked_fill(~view.open, -torch.inf)


def _first(mask: torch.Tensor) -> torch.Tensor:
    """The first True of each row alone."""
    return mask & (mask.cumsum(1) == 1)


ORDERS: dict[str, Callable[[View], torch.Tensor]] = {
    "coarse_to_fine": coarse_to_fine,
    "confidence": confidence,
    "left_to_right": left_to_right,
    "margin": margin,
    "random": random,
}
"""An order maps a view to a priority (A, L) of each open position; minus infinity is "not now"."""
