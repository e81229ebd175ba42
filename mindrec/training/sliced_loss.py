"""A loss that is summed over slices of a batch, with the memory of one slice.

Shape legend: G slices.
"""

from collections.abc import Callable, Sequence

import torch


def sum_of_slices(
    loss_of: Callable[..., torch.Tensor],
    slices: Sequence[tuple[slice, ...]],
    inputs: tuple[torch.Tensor, ...],
    weights: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Sum over G slices, a scalar whose gradient is that of the whole batch, up to the order of a sum.

    Args:
        loss_of: (number of a slice, its part of each input...) -> scalar.
        slices: which rows of each input are a slice's.
        inputs: through which the gradient goes on to what made them.
        weights: the leaves that `loss_of` reads by itself and that learn.
    """
    if torch.is_grad_enabled() and len(slices) > 1:
        return _SliceBySlice.apply(loss_of, slices, len(inputs), *inputs, *weights)
    return sum(loss_of(n, *_parts(inputs, places)) for n, places in enumerate(slices))


def _parts(inputs: Sequence[torch.Tensor], places: Sequence[slice]) -> list[torch.Tensor]:
    return [x[at] for x, at in zip(inputs, places, strict=True)]


class _SliceBySlice(torch.autograd.Function):
    """The gradient of each slice is made in the forward pass and what it needed is freed; backward only scales it."""

    @staticmethod
    def forward(ctx, loss_of, slices, n_inputs, *given):
        inputs, weights = given[:n_inputs], given[n_inputs:]
        learns = [n for n, needed in enumerate(ctx.needs_input_grad[3:]) if needed]
        grads = [torch.zeros_like(x) if n in learns and n < n_inputs else None for n, x in enumerate(given)]
        total = given[0].new_zeros((), dtype=torch.float32)
        for number, places in enumerate(slices):
            parts = [part.detach().requires_grad_(n in learns) for n, part in enumerate(_parts(inputs, places))]
            with torch.enable_grad():
                loss = loss_of(number, *parts)
            with torch.autocast(total.device.type, enabled=False):
                of_slice = torch.autograd.grad(loss, [(*parts, *weights)[n] for n in learns], allow_unused=True)
            for n, grad in zip(learns, of_slice, strict=True):
                if grad is not None and n < n_inputs:
                    grads[n][places[n]] += grad
                elif grad is not None:
                    grads[n] = grad if grads[n] is None else grads[n].add_(grad)
            total += loss.detach()
        ctx.save_for_backward(*grads)
        return total

    @staticmethod
    def backward(ctx, grad):
        return None, None, None, *(None if of is None else grad * of for of in ctx.saved_tensors)
