"""Guidance: the likelihood that a history gives an item, against the item's share in all that was taken.

Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598, equation 6; for discrete diffusion Nisonoff et al.
2024, arXiv 2406.01572) with training popularity as the unconditional side. An item's log-probability l becomes
l + w (l - u), where u is the log of its share in what anybody takes; a code's logit likewise, with the share summed
over the items that a beam can still become. A tenth of the unconditional side is spread evenly over the catalog
(mindrec.decoding.item_index.EVEN): what was hardly ever taken is not preferred without bound. An empty history is
answered by the unconditional side alone.

Shape legend: A beams expanded, B users, N items, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.errors import MindRecError


@dataclass(frozen=True)
class Guidance:
    """The unconditional side of one decode, and how far to move away from it.

    Attributes:
        weight: w, 0 for a decode that only has empty histories to answer.
        anyone_BN: float64, the share of each allowed item in what anybody takes; each user's sum to 1.
        empty_B: bool, whose history is empty and answered by what anybody takes; None where nobody's is.
        given_BN: float64, item evidence given the histories; None without evidence.
    """

    weight: float
    anyone_BN: torch.Tensor
    empty_B: torch.Tensor | None
    given_BN: torch.Tensor | None

    def mass(self) -> torch.Tensor | None:
        """Guided item evidence, float64 (B, N), each user's summing to 1; None without evidence."""
        if self.given_BN is None:
            return None
        given = self.given_BN.log()
        guided = given + self.weight * (given - log_share(self.anyone_BN))
        guided = guided.masked_fill(self.given_BN == 0, -torch.inf).softmax(1)
        return guided if self.empty_B is None else torch.where(self.empty_B[:, None], self.anyone_BN, guided)

    def logits(self, given_AT: torch.Tensor, log_anyone_AT: torch.Tensor) -> torch.Tensor:
        """Guided logits (A, T), from those given the history and the `log_share` of each code in what anybody takes."""
        return given_AT + self.weight * (given_AT - log_anyone_AT.to(given_AT.dtype))

    def with_empty(self, logits_AT: torch.Tensor, log_anyone_AT: torch.Tensor, user_A: torch.Tensor) -> torch.Tensor:
        """The same logits (A, T), but where the history is empty those of what anybody takes."""
        if self.empty_B is None:
            return logits_AT
        return torch.where(self.empty_B[user_A, None], log_anyone_AT.to(logits_AT.dtype), logits_AT)


def log_share(shares: torch.Tensor) -> torch.Tensor:
    """Logarithms of shares, same shape: finite also for a share of 0, which legality rules out, not this."""
    return shares.clamp(min=1e-300).log()


def guidance_of(
    index: ItemIndex,
    histories: Sequence[Sequence[int]],
    excluded: Excluded,
    weight: float,
    given_BN: torch.Tensor | None,
    *,
    reads_empty: bool,
) -> Guidance | None:
    """The guidance of a batch; None where there is neither guidance nor an empty history.

    Args:
        given_BN: item evidence given the histories, None without.
        reads_empty: whether the denoiser itself answers empty histories.

    Raises:
        MindRecError: it is needed, and nobody counted what training took.
    """
    empty = [not history and not reads_empty for history in histories]
    if not weight and not any(empty):
        return None
    if index.popularity_N is None:
        setting = f"guidance={weight!r}" if weight else "an empty history"
        raise MindRecError(
            f"{setting} needs what anybody takes, which this checkpoint does not know; "
            "`python -m mindrec count-popularity` adds it"
        )
    anyone_BN = index.anyone_N * excluded.table()
    anyone_BN = anyone_BN / anyone_BN.sum(1, keepdim=True)
    given_BN = anyone_BN if all(empty) else given_BN
    empty_B = torch.tensor(empty, device=index.tokens_NL.device) if any(empty) else None
    return Guidance(weight, anyone_BN, empty_B, given_BN)
