"""Votes against brute force: every order of every item, walked position by position."""

from itertools import permutations

import pytest
import torch
from toys import Toy, toy

from mindrec.decoding.beam_search import answers, final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exact import enumerate_order
from mindrec.decoding.votes import vote_orders
from mindrec.errors import MindRecError
from mindrec.tokens.levels import Levels

HISTORY = [2, 5]
MADE = toy((2, 3, 4, 3), 30, seed=5, n_categories=1)
ALL = DecodeConfig(beam_size=100, votes=24, evidence="off")


def last_step(made: Toy, model, config: DecodeConfig, histories=(HISTORY,)):
    return final(search(model, made.index, histories, config))


def ranked(made: Toy, last, user=0, users=1, beam_size=100) -> dict[int, float]:
    rows, scores = answers(made.index, last, users, beam_size)
    return {r: s for r, s in zip(rows[user].tolist(), scores[user].tolist(), strict=True) if r >= 0}


def item_of(last) -> list[int]:
    out = torch.full_like(last.beams.user, -1)
    out[last.beams.members.state] = last.beams.members.item
    return out.tolist()


@pytest.mark.parametrize("order", ["coarse_to_fine", "confidence", "random"])
def test_all_orders_of_an_oracle_agree_so_that_votes_change_nothing(order):
    last = last_step(MADE, MADE.oracle(), DecodeConfig(beam_size=100, votes=24, order=order, evidence="off"))
    plain = last_step(MADE, MADE.oracle(), DecodeConfig(beam_size=100, order=order, evidence="off"))
    assert len(last.votes.orders) == 6
    truth = MADE.truth(HISTORY)
    for row, logp in zip(item_of(last), last.votes.logp.tolist(), strict=True):
        assert logp == pytest.approx([float(truth[row].log())] * 6, abs=1e-9)
    answer = ranked(MADE, last)
    assert list(answer) == list(ranked(MADE, plain))
    assert answer == pytest.approx(ranked(MADE, plain), abs=1e-9)


@pytest.mark.parametrize("pins", [(), ((2, 1),), ((0, 1), (3, 0))])
def test_each_vote_is_the_walk_along_its_order(pins):
    """A trained denoiser's orders differ; each is what a walk alone along that order gives."""
    model = MADE.compact()
    last = last_step(MADE, model, DecodeConfig(beam_size=100, votes=24, evidence="off", pins=pins))
    pinned = tuple(p for p, _ in pins)
    allowed = MADE.truth(HISTORY) > 0
    for position, code in pins:
        allowed &= MADE.codes[:, position] == code
    assert torch.equal(torch.tensor(sorted(item_of(last))), allowed.nonzero()[:, 0])
    for number, order in enumerate(last.votes.orders):
        want = enumerate_order(model, MADE.index, HISTORY, allowed, (*pinned, *order))
        got = last.votes.logp[:, number].tolist()
        assert got == pytest.approx(want[item_of(last)].tolist(), abs=1e-4), order


def test_the_mean_over_the_orders_ranks_and_another_ranking_comes_of_it():
    last = last_step(MADE, MADE.compact(1), ALL)
    answer = ranked(MADE, last)
    mean = dict(zip(item_of(last), last.votes.logp.mean(1).tolist(), strict=True))
    assert answer == pytest.approx(mean)
    assert list(answer.values()) == sorted(answer.values(), reverse=True)
    assert list(answer) != item_of(last)


@pytest.mark.parametrize("settings", [{}, {"evidence": "on"}, {"guidance": 0.7}, {"scoring": "item"},
                                      {"expansion": "joint"}, {"evidence": "only"}], ids=str)  # fmt: skip
def test_a_batch_votes_as_its_users_do_alone_and_one_call_scores_all(settings):
    made = Toy(MADE.codes, MADE.sizes, MADE.p, 1, popularity=torch.arange(30))
    config = DecodeConfig(**{"beam_size": 6, "votes": 4, "evidence": "off"} | settings)
    histories = [HISTORY, [7], [1, 3, 8]]
    together = last_step(made, made.compact(), config, histories)
    assert together.votes.calls.tolist() == [0 if settings.get("evidence") == "only" else 1] * 3
    for user, history in enumerate(histories):
        alone = ranked(made, last_step(made, made.compact(), config, [history]), beam_size=6)
        assert ranked(made, together, user, 3, 6) == pytest.approx(alone, abs=1e-4)


def test_parts_of_a_large_batch_score_the_same(monkeypatch):
    histories = [HISTORY, [1], [], [4, 9, 3]]
    whole = last_step(MADE, MADE.oracle(), ALL, histories)
    monkeypatch.setattr("mindrec.decoding.votes.MAX_STATES", 7)
    monkeypatch.setattr("mindrec.decoding.votes.MAX_MEMBERS", 40)
    parts = last_step(MADE, MADE.oracle(), ALL, histories)
    assert torch.allclose(parts.votes.logp, whole.votes.logp)
    assert parts.votes.calls.tolist() == whole.votes.calls.tolist() == [1] * 4
    assert torch.equal(parts.votes.rows, whole.votes.rows)


def test_states_shared_by_items_and_orders_are_scored_once():
    """All items in all orders: no more rows than partial answers with a known first level and several items left."""
    last = last_step(MADE, MADE.oracle(), ALL, [[]])
    states = {(-1, -1, -1, -1)}
    for codes in MADE.codes.tolist():
        for order in permutations((1, 2, 3)):
            for n in range(3):
                states.add(tuple(c if p == 0 or p in order[:n] else -1 for p, c in enumerate(codes)))
    held = MADE.codes.tolist()
    several = [s for s in states if sum(all(a in (-1, b) for a, b in zip(s, c, strict=True)) for c in held) > 1]
    assert int(last.votes.rows[0]) == len(several)


def test_orders_are_different_begin_coarse_to_fine_and_come_from_the_seed():
    levels = Levels((3, 3, 5, 5, 5, 5), 2)
    drawn = vote_orders(levels, (), 5, 0)
    assert drawn == vote_orders(levels, (), 5, 0) != vote_orders(levels, (), 5, 1)
    assert len(set(drawn)) == 5
    assert drawn[0] == (0, 1, 2, 3, 4, 5)
    assert all(order[:2] == (0, 1) and sorted(order) == [0, 1, 2, 3, 4, 5] for order in drawn)
    assert set(vote_orders(levels, (1, 3, 5), 24, 0)) == {(0, 2, 4), (0, 4, 2)}
    assert vote_orders(Levels((3, 3), 2), (), 4, 0) == ((0, 1),)


@pytest.mark.parametrize("settings", [{"algorithm": "published"}, {"constraint": "level"}])
def test_votes_need_a_search_over_items(settings):
    with pytest.raises(MindRecError, match="votes=2 needs"):
        DecodeConfig(votes=2, **settings)


def test_an_auto_regressive_denoiser_has_one_order():
    with pytest.raises(MindRecError, match="one order"):
        last_step(MADE, MADE.compact(objective="ar"), DecodeConfig(votes=2, order="left_to_right"))


def test_the_trace_keeps_each_orders_rank_of_each_item(recommender):
    history = [item.item_id for item in recommender.catalog.items[:2]]
    answer = recommender.recommend(history, {"votes": 4, "beam_size": 6}).trace
    plain = recommender.recommend(history, {"beam_size": 6}).trace
    assert answer.steps == plain.steps
    assert plain.votes is None
    votes = answer.votes
    assert [item.row for item in votes.items] == [r.row for r in plain.results]
    assert [item.searched for item in votes.items] == list(range(len(votes.items)))
    for ranks in zip(*(item.ranks for item in votes.items), strict=True):
        assert sorted(ranks) == list(range(len(votes.items)))
    assert {r.row for r in answer.results} == {item.row for item in votes.items}
    assert type(answer).from_json(answer.to_json()) == answer
    with pytest.raises(MindRecError, match="ranks are needed"):
        type(answer).from_json(answer.to_json().replace('"ranks":[', '"ranks":[0,'))
    with pytest.raises(MindRecError, match="no items that they are on"):
        type(answer).from_dict(answer.to_dict() | {"results": []})
