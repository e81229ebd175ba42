"""Losses that move a trained generative model towards better answers: a preference between two, or a margin.

They take log-probabilities of whole items, whichever model and search gave them, and nothing else: one of an item is
the sum over its tokens of log p(token | history, tokens before it).

Shape legend: P pairs, S samples, R rivals.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def log_ratio(
    policy_won_P: torch.Tensor, policy_lost_P: torch.Tensor, frozen_won_P: torch.Tensor, frozen_lost_P: torch.Tensor
) -> torch.Tensor:
    """How far the model has moved towards the better answer of each pair, in nats, (P,).

    log M'(w)/M(w) - log M'(l)/M(l), with M the frozen model that the alignment starts from.
    """
    return (policy_won_P - frozen_won_P) - (policy_lost_P - frozen_lost_P)


def preference_loss(ratio_P: torch.Tensor, beta: float = 0.1) -> torch.Tensor:
    """Mean of -log sigmoid(beta * log_ratio), a scalar: log 2 where nothing has moved.

    Direct preference optimization, arXiv 2305.18290 (equation 7), as OneRec takes it, arXiv 2502.18965.
    """
    return -F.logsigmoid(beta * ratio_P).mean()


def margin_loss(true_S: torch.Tensor, rivals_SR: torch.Tensor, margins: Sequence[float]) -> torch.Tensor:
    """Mean over samples and rivals of max(0, rival - true + margin), a scalar.

    LTRGR, arXiv 2306.15222: the best-ranked rival with one margin, another rival with a larger one, equally weighted.
    A rival of -inf (there is none) costs nothing.

    Args:
        margins: one for each of the R rivals, in nats.
    """
    margin_R = torch.tensor(margins, dtype=rivals_SR.dtype, device=rivals_SR.device)
    return F.relu(rivals_SR - true_S[:, None] + margin_R).mean()
