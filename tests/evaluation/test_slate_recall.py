"""How much of a hidden end of a history a slate brings back, counted by hand on a chain."""

import pytest

from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.slate_recall import evaluate_slates


@pytest.fixture(scope="module")
def found(checkpoint, chain_data):
    return evaluate_slates(checkpoint, chain_data, Protocol(users=60, device="cpu"), n=3)


def test_a_slate_walks_a_chain_and_separate_answers_cannot(found):
    """The last item decides the next: three steps on, only a slate knows the way."""
    ways = found["ways"]
    assert found["histories"] == 60
    assert ways["slate"]["recall"] > 1.5 * ways["top"]["recall"]
    difference = ways["slate"]["recall_minus_top"]
    assert difference["mean"] == pytest.approx(ways["slate"]["recall"] - ways["top"]["recall"], abs=2e-5)
    assert 0 < difference["low"] <= difference["mean"] <= difference["high"]
    assert ways["top"]["recall_minus_top"] == {"mean": 0, "low": 0, "high": 0}


def test_one_a_category_has_as_many_categories_as_items(found):
    assert found["ways"]["slate_one_a_category"]["categories"] == 3
    assert all(1 <= way["categories"] <= 3 for way in found["ways"].values())
