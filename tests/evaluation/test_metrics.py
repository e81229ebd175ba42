"""Measures, protocol and baselines on examples small enough to work by hand."""

import math
import tracemalloc

import numpy as np
import pytest

from mindrec.data.catalog import Interactions
from mindrec.data.splits import Case, cases, training_sequences
from mindrec.errors import MindRecError
from mindrec.evaluation.baselines import rank_baseline
from mindrec.evaluation.metrics import accuracy, diversity, gold_ranks, hit_at_k, ndcg_at_k

RANKED = np.array([[7, 1, 2, -1], [3, 4, 5, 6], [9, 8, -1, -1]])


def test_ranks_by_hand():
    """First, fourth, and not found; -1 pads and is never a hit."""
    assert gold_ranks(RANKED, np.array([7, 6, 5])).tolist() == [0, 3, -1]


def test_hit_and_ndcg_by_hand():
    ranks = np.array([0, 3, -1, 9, 10])
    assert hit_at_k(ranks, 1).tolist() == [1, 0, 0, 0, 0]
    assert hit_at_k(ranks, 4).tolist() == [1, 1, 0, 0, 0]
    assert hit_at_k(ranks, 10).tolist() == [1, 1, 0, 1, 0]
    assert ndcg_at_k(ranks, 5).tolist() == pytest.approx([1, 1 / math.log2(5), 0, 0, 0])
    assert ndcg_at_k(ranks, 10)[3] == pytest.approx(1 / math.log2(11))


def test_accuracy_by_hand():
    measures = accuracy(np.array([0, 3, -1, 9]))
    assert measures["hit@1"] == 0.25
    assert measures["hit@5"] == 0.5
    assert measures["hit@10"] == 0.75
    assert measures["ndcg@5"] == pytest.approx((1 + 1 / math.log2(5)) / 4)
    assert measures["ndcg@10"] == pytest.approx((1 + 1 / math.log2(5) + 1 / math.log2(11)) / 4)


def test_diversity_by_hand():
    """Items (0,0), (0,1), (1,0). Answers 0, 1 and 0, off-catalog: tokens a a a, x x y; one off."""
    codes = np.array([[0, 0], [0, 1], [1, 0]])
    measures = diversity([[0, 1], [0, -1]], codes, 3)
    share = np.array([3, 2, 1]) / 6
    assert measures["cc"] == 1
    assert measures["entropy"] == pytest.approx(-(share * np.log2(share)).sum())
    assert measures["ttr"] == pytest.approx(3 / 6)
    assert measures["catalog_coverage"] == pytest.approx(2 / 3)


def test_diversity_of_nothing():
    measures = diversity([[-1], []], np.array([[0], [1]]), 2)
    assert measures["cc"] == 1
    assert measures["catalog_coverage"] == 0
    assert measures["entropy"] == 0


# -- protocol ----------------------------------------------------------------------------------------------------------


def interactions(*sequences, split=None, n_items=6, ordered=True) -> Interactions:
    rows = tuple(np.array(s, dtype=np.int32) for s in sequences)
    return Interactions(tuple(f"u{n}" for n in range(len(rows))), rows, n_items, split, ordered)


def test_leave_one_out():
    """Last = test, second-last = validation, and neither is seen in training."""
    data = interactions([0, 1, 2, 3], [4, 5], [3])
    assert cases(data, "test") == [Case("u0", (0, 1, 2), 3), Case("u1", (4,), 5)]
    assert cases(data, "validation") == [Case("u0", (0, 1), 2)]
    assert [s.tolist() for s in training_sequences(data)] == [[0, 1]]


def test_given_split():
    data = interactions([0, 1, 2], [3, 4], [1, 5, 2], split=("train", "validation", "test"))
    assert [s.tolist() for s in training_sequences(data)] == [[0, 1, 2]]
    assert cases(data, "validation") == [Case("u1", (3,), 4)]
    assert cases(data, "test") == [Case("u2", (1, 5), 2)]


def test_a_sample_is_seeded_in_order_and_no_larger_than_asked():
    data = interactions(*([n % 6, (n + 1) % 6] for n in range(50)))
    one, same, other = cases(data, "test", 10, 0), cases(data, "test", 10, 0), cases(data, "test", 10, 1)
    assert one == same != other
    assert len(one) == 10
    order = [int(c.user_id[1:]) for c in one]
    assert order == sorted(set(order))
    assert len(cases(data, "test", 500)) == 50


def test_no_cases_and_no_such_split_are_errors():
    with pytest.raises(MindRecError, match="no test cases"):
        cases(interactions([1]), "test")
    with pytest.raises(MindRecError, match="validation, test"):
        cases(interactions([1, 2]), "train")


# -- baselines ---------------------------------------------------------------------------------------------------------

TRAIN = [np.array(s) for s in ([0, 1, 2], [0, 1], [0, 3], [1, 4, 1])]
"""Item 0 and 1 are held by three sequences each (a repeat counts once), 2, 3 and 4 by one."""


def ranks(name, histories, ordered, exclude_seen=True, k=5) -> list[list[int]]:
    sample = [Case("u", tuple(h), 5) for h in histories]
    return rank_baseline(name, TRAIN, sample, 6, ordered=ordered, exclude_seen=exclude_seen, k=k).tolist()


def test_popularity_by_hand():
    assert ranks("popularity", [[5]], True, exclude_seen=False) == [[0, 1, 2, 3, 4]]
    assert ranks("popularity", [[0, 2]], True, k=3) == [[1, 3, 4]]


def test_covisit_in_order_by_hand():
    """Pairs at most three apart, both ways: 0-1 twice, 0-2, 1-2, 0-3 once, 1-4 twice; and 1-1 across the repeat.

    History (3, 4), the last votes 1 and the one before 1/2: 1 gets 2, 0 gets .5.
    """
    assert ranks("covisit", [[3, 4]], True, k=2) == [[1, 0]]
    assert ranks("covisit", [[0]], True, k=3) == [[1, 2, 3]]
    assert ranks("covisit", [[1]], True, k=2) == [[0, 4]]


def test_covisit_without_order_by_hand():
    """Held together: 0-1 twice, 0-2, 1-2, 0-3, 1-4 (counted as often as held). History order carries nothing."""
    one, other = ranks("covisit", [[0, 2], [2, 0]], False, k=3)
    assert one == other
    assert one[0] == 1


def test_covisit_damps_the_votes_of_staples():
    """Item 0 was taken with everything; what goes with the rarer item 3 wins over what goes with 0."""
    train = [np.array(s) for s in ([0, 1], [0, 1], [0, 2], [0, 4], [0, 5], [3, 2], [3, 2])]
    sample = [Case("u", (0, 3), 5)]
    assert rank_baseline("covisit", train, sample, 6, ordered=False, exclude_seen=True, k=1).tolist() == [[2]]


def test_baselines_in_batches_are_the_same():
    sample = [Case("u", (n % 5,), 5) for n in range(23)]
    settings = {"ordered": False, "exclude_seen": True, "k": 3}
    one = rank_baseline("covisit", TRAIN, sample, 6, batch=4, **settings)
    assert (one == rank_baseline("covisit", TRAIN, sample, 6, **settings)).all()


@pytest.mark.parametrize("ordered", [False, True])
def test_a_large_catalog_is_ranked_in_bounded_memory(ordered):
    """400 users of 20,000 items: the scores of all of them at once, and their order, were 160 MB."""
    drawn = np.random.default_rng(0).integers(0, 20_000, (300, 6))
    sample = [Case(str(n), tuple(row.tolist()), 0) for n, row in enumerate(np.vstack([drawn, drawn[:100]]))]
    tracemalloc.start()
    rank_baseline("covisit", list(drawn), sample, 20_000, ordered=ordered, exclude_seen=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


def test_an_unknown_baseline_is_refused():
    with pytest.raises(MindRecError, match="popularity, covisit"):
        ranks("oracle", [[0]], True)
