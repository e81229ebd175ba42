"""Searches run in inference mode, and their callers do not."""

import pytest
import torch
from toys import toy

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode

MADE = toy((2, 3, 4), 15, n_categories=1)


@pytest.mark.parametrize("algorithm", ["mindrec", "published"])
def test_two_searches_in_turn_leave_the_mode_as_it_was(algorithm):
    config = DecodeConfig(beam_size=4, algorithm=algorithm, evidence="off")
    alone = list(decode(MADE.compact(), MADE.index, [[1]], config))
    pairs = list(
        zip(*(decode(MADE.compact(), MADE.index, [[row]], config, full_trace=True) for row in (1, 2)), strict=True)
    )
    assert not torch.is_inference_mode_enabled()
    assert all(torch.equal(one.beams.score, want.beams.score) for (one, _), want in zip(pairs, alone, strict=True))
    assert (torch.ones(2, requires_grad=True) * 2).requires_grad


@pytest.mark.parametrize("algorithm", ["mindrec", "published"])
def test_a_caller_computes_gradients_between_two_steps(algorithm):
    config = DecodeConfig(beam_size=4, algorithm=algorithm, evidence="off")
    for step in decode(MADE.compact(), MADE.index, [[1]], config):
        weight = torch.ones(2, requires_grad=True)
        (weight * 2).sum().backward()
        assert weight.grad.tolist() == [2, 2]
        assert step.beams.score.is_inference() or step.index == 0
