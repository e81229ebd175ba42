"""How far answers reach, worked by hand."""

import numpy as np
import pytest

from mindrec.data.catalog import Interactions
from mindrec.data.splits import item_counts
from mindrec.evaluation.slices import reach

POPULARITY = np.arange(10, 0, -1)
"""Ten items: 0 is held by ten training sequences, 9 by one."""


def test_reach_by_hand():
    """The last two are the least taken, the first the most taken. One of two tail targets is found."""
    rows = np.array([[0, 9, -1], [0, 1, 2], [0, 3, -1]])
    measures = reach(rows, np.array([9, 8, 0]), POPULARITY)
    measures.pop("propensity_hit@10")
    assert measures == {"coverage@10": 5 / 10, "tail_hit@10": 0.5, "popular_share": 3 / 7}


def test_propensity_weights_by_hand():
    """Counts 3, 8 and 0 weigh 1 / 2, 1 / 3 and 1: the hits of the first and the last make 3 / 2 of 11 / 6."""
    rows, counts = np.array([[0], [2], [2]]), np.array([3, 8, 0])
    assert reach(rows, np.array([0, 1, 2]), counts)["propensity_hit@10"] == pytest.approx(9 / 11)


def test_only_the_first_ten_answers_count():
    rows = np.array([[*range(1, 10), 9, 0]])
    measures = reach(rows, np.array([0]), POPULARITY)
    assert (measures["coverage@10"], measures["popular_share"], measures["propensity_hit@10"]) == (0.9, 0, 0)


def test_no_tail_case_is_no_number():
    assert reach(np.array([[0]]), np.array([0]), POPULARITY)["tail_hit@10"] is None


def test_no_answer_reaches_nothing():
    measures = reach(np.array([[-1, -1]]), np.array([9]), POPULARITY)
    assert measures == {"coverage@10": 0, "tail_hit@10": 0, "popular_share": 0, "propensity_hit@10": 0}


def test_a_repeat_within_a_training_sequence_counts_once():
    sequences = tuple(np.array(rows, dtype=np.int32) for rows in ([0, 0, 2, 1, 1], [2, 3, 0, 1]))
    held = Interactions(("a", "b"), sequences, 4, None, True)
    assert item_counts(held).tolist() == [1, 0, 2, 1]
