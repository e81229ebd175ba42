"""Rewrite: what is masked again is the posterior given the rest, and pins hold."""

import pytest
import torch
from toys import toy

from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.rewrite import least_certain, position_log_likelihood, rewritten
from mindrec.errors import MindRecError

MADE = toy((2, 3, 4), 18, seed=6, n_categories=1)
HISTORY = [2, 5]
CONFIG = DecodeConfig(beam_size=30, evidence="off")


@pytest.mark.parametrize("positions", [(0,), (1, 2), (0, 1, 2)])
def test_a_rewrite_is_the_oracles_posterior_given_the_tokens_that_stay(positions):
    row = 7
    config = rewritten(MADE.index, row, positions, CONFIG)
    last = final(search(MADE.oracle(), MADE.index, [HISTORY], config))
    rows, scores = answers(MADE.index, last, 1, 30)
    kept = [p for p in range(3) if p not in positions]
    p = MADE.truth(HISTORY) * (MADE.codes[:, kept] == MADE.codes[row, kept]).all(1)
    want = (p / p.sum()).log()
    by_row = {r: s for r, s in zip(rows[0].tolist(), scores[0].tolist(), strict=True) if r >= 0}
    assert by_row == pytest.approx({r: float(want[r]) for r in want.isfinite().nonzero()[:, 0].tolist()}, abs=1e-9)


def test_a_rewrite_of_everything_is_the_decode_itself():
    assert rewritten(MADE.index, 7, (0, 1, 2), CONFIG) == CONFIG


def test_pins_hold_always():
    pinned = DecodeConfig(beam_size=30, evidence="off", pins=((0, int(MADE.codes[7, 0])),))
    config = rewritten(MADE.index, 7, (1, 2), pinned)
    assert config.pins == pinned.pins
    assert 0 not in least_certain(MADE.compact(), MADE.index, HISTORY, 7, pinned, 2)
    with pytest.raises(MindRecError, match="pins hold always"):
        rewritten(MADE.index, 7, (0,), pinned)


def test_the_least_certain_positions_are_those_of_the_lowest_likelihood_given_the_rest():
    model = MADE.compact()
    with torch.inference_mode():
        logp = position_log_likelihood(model, model.encode([HISTORY]), MADE.index, MADE.codes[7])
    for k in (1, 2, 3):
        positions = least_certain(model, MADE.index, HISTORY, 7, CONFIG, k)
        assert positions == tuple(sorted(logp.argsort()[:k].tolist()))


@pytest.mark.parametrize("position", [-1, 3, True, "1"])
def test_positions_that_do_not_exist_are_refused(position):
    with pytest.raises(MindRecError, match=r"is not in 0\.\.2"):
        rewritten(MADE.index, 7, (position,), CONFIG)


@pytest.mark.parametrize("k", [0, 4, True, None])
def test_numbers_of_positions_that_cannot_be_are_refused(k):
    with pytest.raises(MindRecError, match=r"is not in 1\.\.3"):
        least_certain(MADE.compact(), MADE.index, HISTORY, 7, CONFIG, k)


def test_a_recommendation_is_rewritten_and_told_by_its_own_trace(recommender):
    first = recommender.recommend([recommender.catalog.items[0].item_id])
    again = recommender.rewrite(first, least_certain=2)
    codes = first.trace.steps[-1].beams[0].codes
    kept = dict(again.trace.config["pins"])
    assert len(kept) == len(codes) - 2
    assert all(codes[position] == code for position, code in kept.items())
    assert again.trace.history == first.trace.history
    for beam in again.trace.steps[-1].beams:
        assert all(beam.codes[position] == code for position, code in kept.items())
    position = next(p for p in range(len(codes)) if p not in kept)
    by_hand = recommender.rewrite(first.trace, [position], rank=2)
    assert len(by_hand.trace.config["pins"]) == len(codes) - 1
    refused = [
        ({}, "one of them"),
        ({"positions": [0], "least_certain": 1}, "one of them"),
        ({"least_certain": 1, "rank": 99}, "rank=99"),
    ]
    for bad, words in refused:
        with pytest.raises(MindRecError, match=words):
            recommender.rewrite(first, **bad)
