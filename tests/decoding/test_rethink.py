"""Rethink: re-mask the least certain positions of the best answer, decode again, keep the likelier item."""

import pytest
import torch
from toys import toy

from mindrec.decoding.beam_search import final, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.rethink import position_log_likelihood, rethink
from mindrec.errors import MindRecError

CONFIG = DecodeConfig(beam_size=3, evidence="off", rethink=True)


def first_answers(made, model, history):
    last = final(search(model, made.index, [history], CONFIG))
    rows, scores = ranked_items(made.index, last.beams, 1, CONFIG.beam_size)
    return [(r, s) for r, s in zip(rows[0].tolist(), scores[0].tolist(), strict=True) if r >= 0]


@pytest.fixture(scope="module")
def thought():
    """What an untrained model thinks again of 60 histories: (before, after, told)."""
    made = toy((4, 4, 4, 4), 120, n_categories=1)
    out = []
    for seed in range(3):
        model = made.compact(seed)
        for row in range(20):
            ranked = first_answers(made, model, [row])
            again, record = rethink(model, made.index, [row], CONFIG, ranked)
            out.append((made, model, row, ranked, again, record))
    return out


def test_some_answers_are_swapped_and_only_for_a_likelier_one(thought):
    swaps = [case for case in thought if case[5].swapped]
    assert swaps
    for made, model, row, _, again, told in swaps:
        assert told.after > told.before
        assert again[0][0] == told.after_row != told.before_row
        cache = model.encode([[row]])
        codes = made.codes[told.after_row]
        assert float(position_log_likelihood(model, cache, made.index, codes).sum()) == pytest.approx(told.after, 1e-5)


def test_without_a_swap_nothing_moves(thought):
    kept = [case for case in thought if not case[5].swapped]
    assert kept
    assert all(again == ranked for _, _, _, ranked, again, _ in kept)


def test_at_least_beam_size_items_were_possible(thought):
    for made, _, row, _, _, told in thought:
        held = [p for p in range(4) if p not in told.positions]
        same = (made.codes[:, held] == made.codes[told.before_row, held]).all(1)
        same[row] = False
        assert int(same.sum()) >= CONFIG.beam_size


def test_no_item_comes_twice_and_none_was_seen(thought):
    for _, _, row, _, again, told in thought:
        rows = [r for r, _ in again]
        assert len(rows) == len(set(rows)) <= CONFIG.beam_size
        assert row not in rows
        assert told.nfe >= 2


def test_pseudo_log_likelihood_is_that_of_each_code_given_all_others():
    made = toy((3, 4, 2), 12)
    model = made.compact()
    cache, codes = model.encode([[0]]), made.codes[5]
    likelihood = position_log_likelihood(model, cache, made.index, codes)
    for position in range(3):
        filled = codes.clone()
        filled[position] = -1
        logits = model.token_logits(cache, filled[None, None])[0, 0].split(made.sizes)[position]
        assert float(likelihood[position]) == pytest.approx(float(logits.log_softmax(0)[codes[position]]), abs=1e-5)


def test_a_twin_is_refused():
    made = toy((3, 3), 6)
    with pytest.raises(MindRecError, match="auto-regressive"):
        rethink(made.compact(objective="ar"), made.index, [0], CONFIG, [(1, 0.0)])


def test_nothing_to_rethink():
    made = toy((3, 3), 6)
    assert rethink(made.compact(), made.index, [0], CONFIG, []) == ([], None)
    assert torch.is_inference_mode_enabled() is False
