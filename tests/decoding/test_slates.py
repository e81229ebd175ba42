"""Slates against enumeration: every order of items, each scored by the closed form."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from toys import Toy, toy

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.slates import Slate, SlateShape, slates
from mindrec.errors import MindRecError
from mindrec.model.oracle import OracleDenoiser

MADE = toy((2, 3, 3), 9, seed=4, n_categories=2)
WIDE = DecodeConfig(beam_size=20, evidence="off")


def best(made: Toy, history, n: int, most: int | None = None) -> dict[frozenset, float]:
    """The best order of every set of n items: without replacement, in proportion to p."""
    p, out = made.truth(history), {}
    free = [row for row in range(made.n_items) if p[row] > 0]
    held = made.codes[:, made.n_categories - 1].tolist()
    for order in permutations(free, n):
        if most is not None and max([held[row] for row in order].count(held[row]) for row in order) > most:
            continue
        score, rest, full = 0.0, p.clone(), []
        for row in order:
            score += math.log(rest[row] / rest.sum())
            rest[row] = 0
            full.append(held[row])
            if most is not None and full.count(held[row]) >= most:
                rest[torch.tensor(held) == held[row]] = 0
        key = frozenset(order)
        out[key] = max(score, out.get(key, -math.inf))
    return out


@pytest.mark.parametrize("most", [None, 1, 2])
def test_a_wide_search_finds_the_likeliest_slates_of_an_oracle(most):
    histories, n = [[2, 5], [1]], 3
    exact = DecodeConfig(beam_size=20, evidence="only")  # a denoiser does not know what is ruled out, item mass does
    chosen = slates(MADE.oracle(), MADE.index, histories, exact, SlateShape(n, 10_000, most))
    for history, ranked_slates in zip(histories, chosen, strict=True):
        want = best(MADE, history, n, most)
        assert {frozenset(s.rows) for s in ranked_slates} == set(want)
        assert [s.score for s in ranked_slates] == pytest.approx(sorted(want.values(), reverse=True), abs=1e-9)
        assert all(s.score == pytest.approx(want[frozenset(s.rows)], abs=1e-9) for s in ranked_slates)


def test_a_later_item_knows_the_earlier_ones():
    """Item n is followed by n + 1 for sure: a slate walks the chain, which ten separate answers could not."""
    made = toy((4, 4), 12, 0)

    def follows(history):
        p = torch.full((12,), 1e-6, dtype=torch.float64)
        p[(history[-1] + 1) % 12] = 1
        p[list(history)] = 0
        return p / p.sum()

    chain = OracleDenoiser(made.tokens, made.sizes, follows)
    (ranked_slates,) = slates(chain, made.index, [[3]], DecodeConfig(evidence="off"), SlateShape(4))
    assert ranked_slates[0].rows == (4, 5, 6, 7)


def test_width_one_takes_the_first_answer_again_and_again():
    history, want = [2], []
    model = MADE.compact()
    for _ in range(4):
        (step,) = slates(model, MADE.index, [[*history, *want]], WIDE, SlateShape(1))
        want.append(step[0].rows[0])
    (ranked_slates,) = slates(model, MADE.index, [history], WIDE, SlateShape(4, width=1))
    assert ranked_slates == [Slate(tuple(want), ranked_slates[0].scores)]


def test_a_batch_chooses_as_its_histories_do_alone():
    histories = [[2], [5, 1, 0], [8, 7]]
    together = slates(MADE.compact(), MADE.index, histories, WIDE, SlateShape(4))
    for history, ranked_slates in zip(histories, together, strict=True):
        (alone,) = slates(MADE.compact(), MADE.index, [history], WIDE, SlateShape(4))
        assert [s.rows for s in ranked_slates] == [s.rows for s in alone]


def repeats(n_slates: int) -> int:
    """How many of some random slates, from all kinds of settings, have an item twice or one of the history."""
    rng, wrong = np.random.default_rng(0), 0
    made, per = toy((3, 4, 4), 40, 1, 2), 20
    model = made.compact()
    for seed in range(n_slates // per):
        seen = seed % 2 == 0
        config = DecodeConfig(
            beam_size=int(rng.integers(1, 6)), exclude_seen=seen, temperature=float(seed % 3), seed=seed
        )
        histories = [rng.choice(40, rng.integers(1, 8), replace=False).tolist() for _ in range(per)]
        most = [None, 1, 3][seed % 3]
        chosen = slates(model, made.index, histories, config, SlateShape(4, int(rng.integers(1, 4)), most))
        for history, (first, *_) in zip(histories, chosen, strict=True):
            codes = made.codes[list(first.rows), 1].tolist()
            wrong += len(set(first.rows)) < 4 or (seen and bool(set(first.rows) & set(history)))
            wrong += most is not None and max(map(codes.count, codes)) > most
    return wrong


def test_no_slate_has_an_item_twice_or_too_much_of_a_category():
    assert repeats(200) == 0


@pytest.mark.slow
def test_no_slate_of_ten_thousand_has_an_item_twice():
    assert repeats(10_000) == 0


@pytest.mark.parametrize(("changes", "n", "words"), [
    ({"constraint": "level"}, 2, "constraint='exact'"),
    ({"algorithm": "published"}, 2, "algorithm='mindrec'"),
    ({}, 0, "n=0 is not"),
    ({}, 8, "leaves 7 items for a slate, and 8 were asked for"),
])  # fmt: skip
def test_slates_that_cannot_be_are_refused(changes, n, words):
    with pytest.raises(MindRecError, match=words):
        slates(MADE.oracle(), MADE.index, [[2, 5]], DecodeConfig(evidence="off", **changes), SlateShape(n))


def test_a_limit_needs_categories():
    made = toy((3, 3), 8)
    with pytest.raises(MindRecError, match="category levels"):
        slates(made.oracle(), made.index, [[1]], DecodeConfig(evidence="off"), SlateShape(2, max_per_category=1))


def test_a_recommender_names_the_slate_and_traces_each_slot(recommender):
    history = [item.item_id for item in recommender.catalog.items[:2]]
    chosen = recommender.slate(history, 3, max_per_category=1, trace=True)
    rows = [item.row for item in chosen.items]
    assert [item.rank for item in chosen.items] == [1, 2, 3]
    assert len(set(rows)) == 3
    for slot, trace in enumerate(chosen.traces):
        assert list(trace.history) == [*recommender.history_rows(history), *rows[:slot]]
        scores = {r.row: r.score for r in trace.results}
        assert scores[rows[slot]] == pytest.approx(chosen.items[slot].score, abs=1e-3)
    assert recommender.slates([history, history], 3, max_per_category=1)[1].items == chosen.items
