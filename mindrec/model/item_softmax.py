"""A probability over items from the scores of their codes: the open positions of a partial answer decide together.

Token by token, parallel logits are treated as if positions were independent; summed and normalised over the items
that exist they are one distribution over the catalog, p(item | state) with log p = sum of the open positions' scores
minus a constant, and a code's probability is that of the items that hold it.

Shape legend: S states, N items, L levels, T tokens, B users, K states a user.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mindrec.model.diffusion import MASKED
from mindrec.tokens.levels import Levels

LEAST = 1e-30
"""Probability of a code that no possible item holds: its logit stays finite."""
LEAST_SCORE = -1e9
"""Of an item that is not to be named: finite, so that a state with no other item still has probabilities."""
MAX_SCORES = 16_000_000
"""States times items whose scores are held at a time: 64 MB, twice."""


def item_scores(
    logits_ST: torch.Tensor, filled_SL: torch.Tensor, tokens_NL: torch.Tensor, level_of_T: torch.Tensor
) -> torch.Tensor:
    """Sum of an item's scores at the open positions of each state, (S, N); -inf where it contradicts a filled one."""
    offset_L = torch.searchsorted(level_of_T, torch.arange(filled_SL.shape[1], device=level_of_T.device))
    filled_ST = filled_SL[:, level_of_T]
    agrees_ST = filled_ST + offset_L[level_of_T] == torch.arange(len(level_of_T), device=level_of_T.device)
    known_ST = torch.where(agrees_ST, 0.0, -torch.inf).to(logits_ST)
    table_ST = torch.where(filled_ST == MASKED, logits_ST, known_ST)
    # A state's scores lie together for every item, so that the sum is made row by row.
    return F.embedding_bag(tokens_NL, table_ST.T.contiguous(), mode="sum").T


def item_cross_entropy(scores_SN: torch.Tensor, allowed_SN: torch.Tensor, target_S: torch.Tensor) -> torch.Tensor:
    """-log p(target | state), (S,), over the allowed items; a target that is not allowed counts as if it were."""
    allowed = allowed_SN.scatter(1, target_S[:, None], True)
    return F.cross_entropy(scores_SN.masked_fill(~allowed, -torch.inf), target_S, reduction="none")


def code_log_probability(scores_SN: torch.Tensor, tokens_NL: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """Log of the item probability on every code, (S, T): each level's codes sum to 1."""
    # Where a state's codes belong to no item at all, the items share the probability: there is nothing to choose by.
    mass_NS = scores_SN.clamp(min=2 * LEAST_SCORE).T.softmax(0)
    mass_TS = mass_NS.new_zeros(n_tokens, mass_NS.shape[1])
    for tokens_N in tokens_NL.T:
        mass_TS.index_add_(0, tokens_N, mass_NS)
    return mass_TS.clamp_(min=LEAST).log_().T


def codes_by_items(
    logits_BKT: torch.Tensor,
    filled_BKL: torch.Tensor,
    tokens_NL: torch.Tensor,
    levels: Levels,
    out_of_reach: Sequence[Sequence[int]] = (),
) -> torch.Tensor:
    """Log-probability of every code from that of the items, (B, K, T).

    Args:
        out_of_reach: rows of the items of each user that have none; nobody has any such where it is empty.
    """
    out, (K, N) = torch.empty_like(logits_BKT), (filled_BKL.shape[1], len(tokens_NL))
    step = max(1, MAX_SCORES // (K * N))
    for first in range(0, len(filled_BKL), step):
        some = slice(first, first + step)
        of_states = logits_BKT[some].flatten(0, 1), filled_BKL[some].flatten(0, 1)
        scores = item_scores(*of_states, tokens_NL, levels.level_of_token(tokens_NL.device))
        for user, rows in enumerate(out_of_reach[some]):
            scores[user * K : (user + 1) * K, list(rows)] += LEAST_SCORE
        out[some] = code_log_probability(scores, tokens_NL, out.shape[2]).unflatten(0, (-1, K))
    return out
