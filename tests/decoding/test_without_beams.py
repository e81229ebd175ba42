"""The search without beams: every item's exact score and rank, against brute force and the widest beam search."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toy, toy, toys

from mindrec.decoding import without_beams
from mindrec.decoding.beam_search import final, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exact import enumerate_order
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.without_beams import answers_above, lost_of_first, open_exact, score_of
from mindrec.errors import MindRecError


def everything(histories) -> torch.Tensor:
    return torch.full((len(histories),), -torch.inf, dtype=torch.float64)


@settings(max_examples=20)
@given(case=toys(), rows=st.sampled_from([2, 4096]))
def test_scores_and_ranks_are_those_of_brute_force(case, rows):
    made, histories = case
    config = DecodeConfig(evidence="off", exclude_seen=made.exclude_seen, order="left_to_right", beam_size=1)
    allowed = rule_out(made.index, histories, config).table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(without_beams, "ROWS", rows)
        above = answers_above(open_exact(made.oracle(), made.index, histories, config), everything(histories))
    order = tuple(range(len(made.sizes)))
    for user, history in enumerate(histories):
        want = enumerate_order(made.oracle(), made.index, history, allowed[user], order)
        mine = above.user == user
        assert torch.allclose(above.score[mine], want[above.item[mine]], atol=1e-9)
        assert sorted(above.item[mine].tolist()) == (want > -torch.inf).nonzero()[:, 0].tolist()
        for item, rank in zip(above.item[mine].tolist(), above.rank[mine].tolist(), strict=True):
            assert int((want > want[item] + 1e-12).sum()) <= rank < int((want >= want[item] - 1e-12).sum())


@pytest.mark.parametrize(
    "settings",
    [
        {"order": "confidence"},
        {"steps": 2},
        {"scoring": "item", "guidance": 0.5},
        {"evidence": "off", "order": "random"},
        {"evidence": "only"},
        {"constraint": "level", "exclude_seen": False},
        {"pins": ((0, 1),), "forbid_items": (3, 4)},
    ],
)
def test_it_is_the_widest_beam_search_at_any_beam_size(settings):
    """A model of small numbers, 40 items: a beam search of 100 drops nothing, and both give the same answers."""
    made = toy((3, 3, 5), 40, n_categories=2, popularity=torch.arange(40))
    model, histories = made.compact(), [[0, 5, 7], [2], [9, 1]]
    wide = DecodeConfig(beam_size=100, **settings)
    last = final(search(model, made.index, histories, wide))
    rows, scores = ranked_items(made.index, last.beams, 3, 100)
    listed = answers_above(
        open_exact(model, made.index, histories, DecodeConfig(beam_size=1, **settings)), everything(histories)
    )
    for user in range(3):
        mine, real = listed.user == user, scores[user].isfinite()
        assert listed.item[mine].tolist() == rows[user][real].tolist()
        assert torch.allclose(listed.score[mine], scores[user][real], atol=1e-5)
    targets = torch.stack([listed.item[(listed.user == user) & (listed.item >= 0)][-1] for user in range(3)])
    score, rank = listed.of(targets)
    exact = open_exact(model, made.index, histories, wide)
    assert torch.allclose(score_of(exact, targets), score, atol=1e-5)
    above = answers_above(exact, score, targets)
    assert above.of(targets)[1].tolist() == rank.tolist()


def test_a_floor_spares_what_lies_below_it_and_never_the_target():
    made = toy((3, 3, 5), 40, n_categories=2)
    oracle, config = made.oracle(), DecodeConfig(evidence="off")
    p = made.truth([0]).log()
    floor = p.sort(descending=True).values[4:5]
    last = int(p.masked_fill(p.isinf(), torch.inf).argmin())
    above = answers_above(open_exact(oracle, made.index, [[0]], config), floor, torch.tensor([last]))
    assert above.item.tolist() == [*p.sort(descending=True, stable=True).indices[:5].tolist(), last]


def test_an_item_that_is_ruled_out_or_unknown_has_no_score():
    made = toy((3, 3, 5), 40)
    targets = torch.tensor([0, -1])
    score = score_of(open_exact(made.oracle(), made.index, [[0], [0]], DecodeConfig(evidence="off")), targets)
    assert score.tolist() == [-torch.inf, -torch.inf]


@pytest.mark.parametrize("settings", [{"expansion": "joint"}, {"algorithm": "published"}, {"votes": 2}])
def test_scores_that_beams_define_are_refused(settings):
    made = toy((3, 3), 8)
    with pytest.raises(MindRecError, match="partition"):
        open_exact(made.oracle(), made.index, [[0]], DecodeConfig(**settings))


@pytest.mark.parametrize(("beams", "lost", "due"), [(1, [8], 1), (2, [8], 2), (12, [], 5)])
def test_what_beams_lost_of_the_exact_first_items(beams, lost, due):
    """The likeliest item stands alone in the least likely of three categories: two beams never reach it."""
    codes = torch.tensor([(0, n) for n in range(5)] + [(1, n) for n in range(3)] + [(2, 0)])
    made = Toy(codes, (3, 5), torch.tensor([0.1] * 8 + [0.2], dtype=torch.float64), exclude_seen=False)
    config = DecodeConfig(evidence="off", beam_size=beams, exclude_seen=False)
    last = final(search(made.oracle(), made.index, [[], []], config))
    answers = ranked_items(made.index, last.beams, 2, beams)
    assert lost_of_first(made.oracle(), made.index, [[], []], config, answers, k=5) == [(lost, due)] * 2
