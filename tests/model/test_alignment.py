"""The losses of alignment against their closed forms."""

import math

import pytest
import torch

from mindrec.model.alignment import log_ratio, margin_loss, preference_loss


def numbers(*values, grad=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def test_nothing_moved_costs_log_2_and_pulls_both_ways_alike():
    won, lost = numbers(-3.0, -5.0, grad=True), numbers(-4.0, -2.0, grad=True)
    loss = preference_loss(log_ratio(won, lost, won.detach(), lost.detach()), beta=0.2)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(2))
    # d/dx of -log sigmoid(beta x) at 0 is -beta / 2, and the mean is over two pairs.
    torch.testing.assert_close(won.grad, numbers(-0.05, -0.05))
    torch.testing.assert_close(lost.grad, numbers(0.05, 0.05))


def test_preference_loss_is_the_log_of_one_plus_the_fall():
    """A ratio of log 3 nats at beta 1 leaves log(4 / 3)."""
    ratio = log_ratio(numbers(math.log(0.3)), numbers(math.log(0.2)), numbers(math.log(0.1)), numbers(math.log(0.2)))
    torch.testing.assert_close(ratio, numbers(math.log(3)))
    assert float(preference_loss(ratio, beta=1.0)) == pytest.approx(math.log(4 / 3))


def test_a_margin_is_paid_by_how_much_it_is_missed():
    """True item 1 above the first rival and 1 below the second, with margins .5 and 2: 0 and 3, their mean 1.5."""
    assert float(margin_loss(numbers(-1.0), numbers(-2.0, 0.0)[None], (0.5, 2.0))) == 1.5


def test_a_rival_that_is_not_there_costs_nothing_and_has_no_gradient():
    true = numbers(-1.0, grad=True)
    loss = margin_loss(true, numbers(-math.inf, -1.5)[None], (1.0, 1.0))
    loss.backward()
    assert float(loss.detach()) == 0.25
    torch.testing.assert_close(true.grad, numbers(-0.5))
