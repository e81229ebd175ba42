"""Gaps and odd ones out against sums over a small world in which the last item decides the next."""

import math

import pytest
import torch
from toys import toy

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.gaps import fill_gaps, least, odd_one_out
from mindrec.errors import MindRecError
from mindrec.model.oracle import OracleDenoiser

MADE = toy((3, 4), 10, seed=2, n_categories=1)
NEXT = torch.rand(11, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 4 + 1e-4
EXACT = DecodeConfig(evidence="only")


def truth(history) -> torch.Tensor:
    """The last item's row of NEXT (the eleventh for an empty history), without what was seen."""
    p = NEXT[history[-1] if history else 10].clone()
    p[list(history)] = 0
    return p / p.sum()


MODEL = OracleDenoiser(MADE.tokens, MADE.sizes, truth)


@pytest.mark.parametrize("right", [0, 1, 2, 5])
def test_a_gap_is_ranked_by_bayes_rule_over_both_sides(right):
    gaps = [([3, 7], [1, 5]), ([], [4]), ([2, 6], [])]
    for (left, after), fillings in zip(gaps, fill_gaps(MODEL, MADE.index, gaps, EXACT, right=right), strict=True):
        want = {}
        for row in set(range(10)) - {*left, *after}:
            value, before = math.log(truth(left)[row]), [*left, row]
            for item in after[:right]:
                value += math.log(truth(before)[item])
                before.append(item)
            want[row] = value
        total = math.log(sum(map(math.exp, want.values())))
        assert {f.row: f.score for f in fillings} == pytest.approx({r: v - total for r, v in want.items()}, abs=1e-9)
        assert [f.row for f in fillings] == sorted(want, key=lambda row: -want[row])
        assert sum(math.exp(f.score) for f in fillings) == pytest.approx(1)


def test_only_the_first_candidates_of_the_left_side_are_weighed():
    (fillings,) = fill_gaps(MODEL, MADE.index, [([3], [1])], EXACT, candidates=4)
    left = truth([3]).clone()
    left[1] = 0
    assert {f.row for f in fillings} == set(left.topk(4).indices.tolist())


def test_a_right_item_that_was_seen_before_says_nothing():
    (fillings,) = fill_gaps(MODEL, MADE.index, [([3, 1], [3])], EXACT)
    assert all(f.right == 0 for f in fillings)


def test_each_item_is_scored_given_the_others_and_the_least_is_marked():
    histories = [[3, 7, 1], [0, 9]]
    for history, lifts in zip(histories, odd_one_out(MODEL, MADE.index, histories, EXACT), strict=True):
        for position, scored in enumerate(lifts):
            others = [*history[:position], *history[position + 1 :]]
            assert scored.row == history[position]
            assert scored.score == pytest.approx(math.log(truth(others)[history[position]]), abs=1e-9)
            assert scored.lift is None
        assert lifts[least(lifts)].score == min(found.score for found in lifts)


def test_lift_tells_a_rare_item_from_one_that_does_not_fit():
    """Item 0 is hardly ever taken and comes here as often as anywhere; item 1 is taken by all and hardly ever here."""
    made = type(MADE)(MADE.codes, MADE.sizes, MADE.p, 1, popularity=torch.tensor([2, 900, *[50] * 8]))
    p = torch.full((10,), 0.1, dtype=torch.float64)
    p[0], p[1] = 0.02, 0.05

    def world(history):
        rest = p.clone()
        rest[list(history)] = 0
        return rest / rest.sum()

    (lifts,) = odd_one_out(OracleDenoiser(made.tokens, made.sizes, world), made.index, [[0, 1, 5, 6]], EXACT)
    assert min(lifts, key=lambda found: found.score).row == 0
    assert lifts[least(lifts)].row == 1


@pytest.mark.parametrize("history", [[], [4], [4, 5, 4]])
def test_an_odd_one_needs_others(history):
    with pytest.raises(MindRecError, match="none of them twice"):
        odd_one_out(MODEL, MADE.index, [[1, 2], history], EXACT)


def test_a_recommender_names_them(recommender):
    ids = [item.item_id for item in recommender.catalog.items[:4]]
    fillings = recommender.fill_gap(ids, 2, candidates=8)
    assert [f.rank for f in fillings] == list(range(1, len(fillings) + 1))
    assert not {f.row for f in fillings} & set(recommender.history_rows(ids))
    assert sum(f.probability for f in fillings) == pytest.approx(1)
    odd = recommender.odd_one_out(ids)
    assert [o.item.item_id for o in odd] == ids
    assert sum(o.odd for o in odd) == 1
    for position in (-1, 5, True, "1"):
        with pytest.raises(MindRecError, match=r"is not in 0\.\.4"):
            recommender.fill_gap(ids, position)
