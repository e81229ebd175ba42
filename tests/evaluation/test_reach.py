"""How far answers reach, worked by hand."""

import numpy as np

from mindrec.evaluation.evaluate import Ranking
from mindrec.evaluation.slices import reach


def test_reach_by_hand():
    """Ten items, the last two are the least taken, the first the most taken. One of two tail targets is found."""
    popularity = np.arange(10, 0, -1)
    rows = np.array([[0, 9, -1], [0, 1, 2], [0, 3, -1]])
    scores = np.where(rows >= 0, -1.0, -np.inf)
    found = reach(Ranking(rows, scores, 0, 0, None, 0, 0), np.array([1, -1, 0]), np.array([9, 8, 0]), popularity)
    assert found == {"coverage@10": 5 / 10, "tail_hit@10": 0.5, "popular_share": 3 / 7}


def test_no_tail_case_is_no_number():
    rows = np.array([[0]])
    one = reach(Ranking(rows, np.zeros((1, 1)), 0, 0, None, 0, 0), np.array([0]), np.array([0]), np.arange(10, 0, -1))
    assert one["tail_hit@10"] is None
