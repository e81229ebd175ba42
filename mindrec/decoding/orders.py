"""Unmask orders: which open position is filled next. Adding one is a function and a line in ORDERS.

An order gives each position a priority, float64 (A, L): the highest is filled, -inf is not now.

Positions of a step with several are picked one after the other: the order is evaluated again with those picked so far
taken as filled, so that "not now" positions follow once the allowed ones are used up.

Shape legend: A beams expanded, L levels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from mindrec.tokens.levels import Levels


@dataclass(frozen=True)
class View:
    """The state that an order sees.

    Attributes:
        open: bool (A, L), the masked positions.
        levels: of the answer.
        seed: of the decode.
        probabilities: computes probabilities over legal codes as one (A, size) tensor a level; None before the
            denoiser has run, when only an order that needs none can choose.
    """

    open: torch.Tensor
    levels: Levels
    seed: int
    probabilities: Callable[[], list[torch.Tensor]] | None

    @cached_property
    def entropy(self) -> torch.Tensor:
        """The entropy of each position in nats, (A, L); 0 at positions that no beam has open."""
        probabilities = self.probabilities()
        nothing, is_open = probabilities[0].new_zeros(len(self.open)), self.open.any(0).tolist()
        pairs = zip(probabilities, is_open, strict=True)
        return torch.stack([torch.special.entr(p).sum(1) if open_ else nothing for p, open_ in pairs], 1)

    @cached_property
    def margin(self) -> torch.Tensor:
        """The probability of the likeliest code minus that of the second, (A, L)."""
        tops = [p.topk(min(2, p.shape[1]), dim=1).values for p in self.probabilities()]
        return torch.stack([t[:, 0] - t[:, 1] if t.shape[1] > 1 else t[:, 0] for t in tops], 1)


def left_to_right(view: View) -> torch.Tensor:
    """Priorities (A, L) from left to right, as an auto-regressive model fills."""
    positions = torch.arange(view.open.shape[1], device=view.open.device, dtype=torch.float64)
    return (-positions).masked_fill(~view.open, -torch.inf).where(_first(view.open), -torch.inf)


def coarse_to_fine(view: View) -> torch.Tensor:
    """Priorities (A, L) of the paper: category levels first, in order; then the most certain position."""
    categories = _open_categories(view)
    walking = categories.any(1, keepdim=True)
    if bool(walking.all()):
        return torch.zeros(view.open.shape, dtype=torch.float64, device=view.open.device).masked_fill(
            ~_first(categories), -torch.inf
        )
    allowed = torch.where(walking, _first(categories), view.open) if bool(walking.any()) else view.open
    return (-view.entropy.double()).masked_fill(~allowed, -torch.inf)


def confidence(view: View) -> torch.Tensor:
    """Priorities (A, L): the position with the lowest entropy first."""
    return (-view.entropy.double()).masked_fill(~view.open, -torch.inf)


def margin(view: View) -> torch.Tensor:
    """Priorities (A, L): the position whose likeliest code leads the second by most first."""
    return view.margin.double().masked_fill(~view.open, -torch.inf)


def random(view: View) -> torch.Tensor:
    """Priorities (A, L) of one permutation drawn from the seed, the same for every beam and user."""
    L = view.open.shape[1]
    rank = torch.randperm(L, generator=torch.Generator().manual_seed(view.seed)).double()
    return rank.to(view.open.device).expand(view.open.shape).masked_fill(~view.open, -torch.inf)


def _first(mask: torch.Tensor) -> torch.Tensor:
    """The first True of each row alone."""
    return mask & (mask.cumsum(1) == 1)


def _open_categories(view: View) -> torch.Tensor:
    """The masked category positions, bool (A, L)."""
    return view.open & (torch.arange(view.open.shape[1], device=view.open.device) < len(view.levels.categories))


def _always(view: View) -> bool:
    return True


def _never(view: View) -> bool:
    return False


def _past_categories(view: View) -> bool:
    """Whether some beam has all its category levels filled."""
    return not bool(_open_categories(view).any(1).all())


@dataclass(frozen=True)
class Order:
    """An unmask order.

    Attributes:
        priority: maps a view to the priority (A, L) of each open position; minus infinity is "not now".
        needs_probabilities: whether the priorities of a view depend on its probabilities. Where they do not, the
            search scores only the positions that it fills.
    """

    priority: Callable[[View], torch.Tensor]
    needs_probabilities: Callable[[View], bool] = _always


ORDERS: dict[str, Order] = {
    "coarse_to_fine": Order(coarse_to_fine, _past_categories),
    "confidence": Order(confidence),
    "left_to_right": Order(left_to_right, _never),
    "margin": Order(margin),
    "random": Order(random, _never),
}
"""The orders by the name that a decode's settings give."""


def order_of(name: str, postponed: int | None = None) -> Order:
    """The order of a name; with `postponed`, that level is filled when no other is open."""
    order = ORDERS[name]
    if postponed is None:
        return order

    def before_it(view: View) -> View:
        others = view.open.clone()
        others[:, postponed] = False
        return replace(view, open=others.where(others.any(1, keepdim=True), view.open))

    return Order(lambda view: order.priority(before_it(view)), lambda view: order.needs_probabilities(before_it(view)))


def allowed_positions(order: Order, view: View) -> torch.Tensor:
    """All open positions that an order allows now, bool (A, L)."""
    return order.priority(view).isfinite() & view.open


def first_positions(order: Order, view: View, n: int) -> torch.Tensor | None:
    """The first n positions of an order, bool (A, L); None where it needs probabilities and the view has none."""
    open_AL, chosen = view.open, torch.zeros_like(view.open)
    for number in range(n):
        if view.probabilities is None and order.needs_probabilities(view):
            return None
        position = order.priority(view).argmax(1, keepdim=True)
        chosen.scatter_(1, position, True)
        if number == n - 1:
            break
        left = open_AL & ~chosen
        if not left.any():
            break
        view = replace(view, open=left)
    return chosen
