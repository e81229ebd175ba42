"""Generators that run in torch's inference mode and leave it whenever they wait for their caller."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P, T = ParamSpec("P"), TypeVar("T")


def in_inference_mode(generator: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """A generator function each of whose steps runs in inference mode, and nothing of its caller does.

    A `with torch.inference_mode()` around a yield is left only when the generator ends: the caller's own tensors would
    need no gradient until then, and two such generators that take turns would leave the mode on for ever.
    """

    @wraps(generator)
    def stepwise(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        values = generator(*args, **kwargs)
        while True:
            with torch.inference_mode():
                try:
                    value = next(values)
                except StopIteration:
                    return
            yield value

    return stepwise
