"""Cross-entropy over the whole catalog without the whole table of logits.

Shape legend: M targets, N items, D width.
"""

import math

import torch
import torch.nn.functional as F

CHUNK = 128
"""Targets at a time: a chunk's logits stay in the processor's cache from the product to the gradient."""


class _CatalogCrossEntropy(torch.autograd.Function):
    """The gradient is made in the forward pass, while a chunk's logits are at hand; backward only scales it."""

    @staticmethod
    def forward(ctx, states_MD, items_ND, bias_N, target_M, dtype):
        items, bias = items_ND.to(dtype), bias_N.to(dtype)
        grad_states = torch.empty_like(states_MD, dtype=torch.float32)
        grad_items = torch.zeros_like(items_ND, dtype=torch.float32)
        grad_bias = torch.zeros_like(bias_N, dtype=torch.float32)
        loss = states_MD.new_zeros((), dtype=torch.float32)
        for first in range(0, len(states_MD), CHUNK):
            states, target = states_MD[first : first + CHUNK].to(dtype), target_M[first : first + CHUNK, None]
            logp = F.log_softmax(torch.addmm(bias, states, items.T).float(), dim=1)
            loss -= logp.gather(1, target).sum()
            grad = logp.exp_().scatter_add_(1, target, torch.full_like(target, -1, dtype=torch.float32))
            grad_bias += grad.sum(0)
            grad = grad.to(dtype)
            grad_states[first : first + CHUNK] = grad @ items
            grad_items += grad.T @ states
        ctx.save_for_backward(grad_states, grad_items, grad_bias)
        return loss / len(states_MD)

    @staticmethod
    def backward(ctx, grad):
        states, items, bias = ctx.saved_tensors
        scale = grad / len(states)
        return scale * states, scale * items, scale * bias, None, None


def catalog_cross_entropy(
    states_MD: torch.Tensor, items_ND: torch.Tensor, bias_N: torch.Tensor, target_M: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of the next item, a scalar; the same number as F.cross_entropy(states @ items.T + bias).

    The (M, N) table is never whole in memory, as a large catalog needs. In time it is even, within a tenth (`bench
    train` times a step with both). Products are in the autocast type, sums and the softmax in float32.
    """
    device = states_MD.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
    return _CatalogCrossEntropy.apply(states_MD.float(), items_ND.float(), bias_N.float(), target_M, dtype)


def sampled_cross_entropy(
    states_MD: torch.Tensor,
    items_ND: torch.Tensor,
    bias_N: torch.Tensor,
    target_M: torch.Tensor,
    rival_R: torch.Tensor,
) -> torch.Tensor:
    """The same with a part of the catalog, drawn evenly, standing for all of it: a scalar.

    Each rival counts for N / R items, so that the sum over the catalog is estimated without bias. A target among the
    rivals counts once.
    """
    share = math.log(len(items_ND) / len(rival_R))
    gold_M = (states_MD * F.embedding(target_M, items_ND)).sum(1) + bias_N[target_M]
    of_rivals_MR = torch.addmm(bias_N[rival_R] + share, states_MD, F.embedding(rival_R, items_ND).T).float()
    of_rivals_MR = of_rivals_MR.masked_fill(rival_R == target_M[:, None], -1e9)
    return (torch.logaddexp(gold_M.float(), of_rivals_MR.logsumexp(1)) - gold_M).mean()
