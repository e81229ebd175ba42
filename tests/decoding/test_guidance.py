"""Guidance against closed forms worked out item by item, and empty histories.

Shape legend: N items, L levels.
"""

from dataclasses import replace

import pytest
import torch
from toys import Toy, toy

from mindrec.decoding.beam_search import final, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.rethink import rethink
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

HISTORY = [2, 5]
COUNTS = (900, 0, 3, 40, 41, 7, 300, 1, 1, 88, 12, 5, 610, 2, 30, 9)


def counted(sizes=(3, 4, 4), n_items=16, seed=3, **settings) -> Toy:
    """A toy catalog of which it is known how often each item was taken."""
    return replace(toy(sizes, n_items, seed, **settings), popularity=torch.tensor(COUNTS[:n_items]))


def answers(made: Toy, config: DecodeConfig, histories=(HISTORY,), denoiser=None) -> list[dict[int, float]]:
    """Of each history, the score of every item that is answered."""
    last = final(search(denoiser or made.oracle(), made.index, histories, config))
    rows, scores = ranked_items(made.index, last.beams, len(histories), config.beam_size)
    pairs = [zip(r.tolist(), s.tolist(), strict=True) for r, s in zip(rows, scores, strict=True)]
    return [{row: score for row, score in own if row >= 0} for own in pairs]


def anyone(made: Toy, history=HISTORY) -> torch.Tensor:
    """What anybody takes, (N,): nine tenths by count, a tenth evenly, and nothing of the history."""
    share = 0.9 * made.popularity.double() / made.popularity.sum() + 0.1 / made.n_items
    share[list(history)] = 0
    return share / share.sum()


def assert_close(by_row: dict[int, float], want_N: torch.Tensor) -> None:
    allowed = want_N.isfinite().nonzero()[:, 0].tolist()
    assert sorted(by_row) == allowed
    for row in allowed:
        assert by_row[row] == pytest.approx(float(want_N[row]), abs=1e-9), row


ORDERS = ["coarse_to_fine", "confidence", "left_to_right", "margin", "random"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("weight", [0.3, 1.0, 2.0])
def test_guided_evidence_ranks_by_the_closed_form_in_every_order(order, weight):
    """p(item) ** (1 + w) / u(item) ** w, normalised over what is allowed: exact, whatever the order."""
    made = counted()
    want = made.truth(HISTORY).log() * (1 + weight) - weight * anyone(made).log()
    want = torch.where(made.truth(HISTORY) > 0, want, -torch.inf).log_softmax(0)
    config = DecodeConfig(beam_size=100, order=order, guidance=weight, evidence="only")
    assert_close(answers(made, config)[0], want)


def test_guided_joint_search_sums_to_the_closed_form():
    made = counted()
    want = made.truth(HISTORY).log() * 1.5 - 0.5 * anyone(made).log()
    want = torch.where(made.truth(HISTORY) > 0, want, -torch.inf).log_softmax(0)
    config = DecodeConfig(beam_size=100, guidance=0.5, evidence="only", expansion="joint", merge="logsumexp")
    assert_close(answers(made, config)[0], want)


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_guided_tokens_multiply_along_each_path(weight):
    """Level by level: p(code | before) ** (1 + w) / u(code | before) ** w over the codes that the items left have."""
    made = counted()
    p, u = made.truth(HISTORY), anyone(made)
    want = torch.full((made.n_items,), -torch.inf, dtype=torch.float64)
    for row in range(made.n_items):
        if row in HISTORY:
            continue
        left, score = p > 0, 0.0
        for level in range(3):
            codes = made.codes[:, level]
            shares = [
                (p[left & (codes == c)].sum() / p[left].sum()) ** (1 + weight)
                / (u[left & (codes == c)].sum() / u[left].sum()) ** weight
                for c in codes[left].unique()
            ]
            taken = codes[left].unique().tolist().index(int(codes[row]))
            score += float(torch.stack(shares)[taken].log() - torch.stack(shares).sum().log())
            left = left & (codes == codes[row])
        want[row] = score
    config = DecodeConfig(beam_size=100, order="left_to_right", guidance=weight, evidence="off")
    assert_close(answers(made, config)[0], want)


def test_where_one_level_names_the_item_guided_item_scores_are_the_closed_form():
    """The last level tells items apart by itself: the item posterior is exact, in one step and in many."""
    codes = torch.tensor([[n // 4, n] for n in range(16)])
    made = replace(counted(), codes=codes, sizes=(4, 16))
    want = made.truth(HISTORY).log() * 1.7 - 0.7 * anyone(made).log()
    want = torch.where(made.truth(HISTORY) > 0, want, -torch.inf).log_softmax(0)
    for settings in ({"steps": 1}, {"scoring": "item"}, {"steps": 1, "scoring": "item"}):
        config = DecodeConfig(beam_size=100, guidance=0.7, evidence="off", **settings)
        assert_close(answers(made, config)[0], want)


def test_without_guidance_nothing_changes_by_a_bit():
    """To know what anybody takes changes no answer, score or opinion by itself."""
    made = counted()
    bare, model = replace(made, popularity=None), made.compact()
    config = DecodeConfig(beam_size=8)
    # One after the other: two searches in turn would leave each other's inference mode on.
    known, unknown = (list(search(model, each.index, [HISTORY, [1]], config)) for each in (made, bare))
    for one, other in zip(known, unknown, strict=True):
        assert torch.equal(one.beams.score, other.beams.score)
        assert torch.equal(one.beams.codes, other.beams.codes)
        if one.scores is not None:
            assert torch.equal(one.scores.logp, other.scores.logp)
            assert one.scores.sides is None


def test_guidance_moves_away_from_what_is_taken_by_all():
    """Two items as likely for this history: the one that hardly anybody takes comes first."""
    made = replace(toy((2, 2), 4, 0), p=torch.tensor([0.3, 0.3, 0.2, 0.2]).double())
    made = replace(made, popularity=torch.tensor([1000, 10, 10, 10]))
    decoded = answers(made, DecodeConfig(guidance=0.5), [[3]])[0]
    assert decoded[1] > decoded[0]


def test_an_item_never_taken_gains_no_more_than_its_even_share_allows():
    """Its share in what anybody takes is a tenth of an even one, so guidance of 1 lifts it by a factor of 10 / N."""
    made = counted()
    u = anyone(made, ())
    assert float(u[1]) == pytest.approx(0.1 / 16)
    assert float(made.index.anyone_N[1]) == pytest.approx(0.1 / 16)
    assert all(
        value == value and value <= 0 for value in answers(made, DecodeConfig(guidance=2.0, beam_size=16))[0].values()
    )


def test_a_denoiser_of_whole_items_is_guided_item_by_item():
    """Evidence and denoiser each move away from what anybody takes, each by its own weight."""
    made = counted((16,))
    model = made.compact(item_softmax=True, token_encoder="codes")
    plain, guided = (list(search(model, made.index, [HISTORY], DecodeConfig(guidance=w)))[1].scores for w in (0, 0.6))
    weight = (model.evidence_weight()[0] + model.token_weight()[0]).item()
    code_u = torch.zeros(16, dtype=torch.float64).index_add_(0, made.codes[:, 0], anyone(made))
    want = (1.6 * plain.logp[0].double() - 0.6 * weight * code_u.log()).nan_to_num(-torch.inf).log_softmax(0)
    legal = plain.logp[0].isfinite()
    assert guided.logp[0, legal].tolist() == pytest.approx(want[legal].tolist(), abs=1e-4)
    assert guided.sides[0][0, legal].tolist() == pytest.approx(plain.logp[0, legal].tolist(), abs=1e-6)


def test_both_sides_are_kept_apart():
    """What the history makes likely is the decode without guidance; the other side sums to one at every position."""
    made, model = counted(), counted().compact()
    guided = list(search(model, made.index, [HISTORY], DecodeConfig(guidance=0.8)))[1].scores
    plain = list(search(model, made.index, [HISTORY], DecodeConfig()))[1].scores
    given, everyone = guided.sides
    assert torch.allclose(given, plain.logp)
    assert not torch.allclose(guided.logp, plain.logp)
    for level in made.index.levels.slices:
        assert float(everyone[0, level].exp().sum()) == pytest.approx(1)
    first = made.codes[:, 0] == 1
    assert float(everyone[0, 1].exp()) == pytest.approx(float(anyone(made)[first].sum()))


@pytest.mark.parametrize("settings", [{}, {"evidence": "only"}, {"evidence": "off"}, {"order": "confidence"},
                                      {"expansion": "joint", "merge": "logsumexp"}], ids=str)  # fmt: skip
def test_an_empty_history_is_answered_by_what_anybody_takes(settings):
    """Alone or beside others, whatever the model: the share itself, and no denoiser is called for nobody."""
    made = counted()
    for guidance in (0.0, 1.0):
        config = DecodeConfig(beam_size=100, guidance=guidance, **settings)
        want = anyone(made, ()).log()
        alone, *_ = answers(made, config, [[]], made.compact())
        beside, other = answers(made, config, [[], HISTORY], made.compact())
        assert_close(alone, want)
        assert beside == pytest.approx(alone, abs=1e-4)
        assert other == pytest.approx(answers(made, config, [HISTORY], made.compact())[0], abs=1e-4)
    assert int(final(search(made.compact(), made.index, [[]], DecodeConfig())).nfe[0]) == 0


def test_an_empty_history_is_not_thought_over_twice():
    made, config = counted(), DecodeConfig(rethink=True)
    assert rethink(made.compact(), made.index, [], config, [(0, -0.1)]) == ([(0, -0.1)], None)


@pytest.mark.parametrize(("history", "guidance"), [([], 0.0), (HISTORY, 0.5)])
def test_what_anybody_takes_must_be_known(history, guidance):
    made = toy((3, 4), 9)
    with pytest.raises(MindRecError, match="count-popularity"):
        final(search(made.compact(), made.index, [history], DecodeConfig(guidance=guidance)))


@pytest.mark.parametrize("value", [-0.1, 2.1, "much", None, float("nan")])
def test_guidance_out_of_range_is_refused(value):
    with pytest.raises(MindRecError, match=r"guidance=.* is outside 0\.\.2"):
        DecodeConfig(guidance=value)


@pytest.mark.parametrize("other", [{"algorithm": "published"}, {"constraint": "level"}], ids=str)
def test_searches_of_codes_that_no_item_has_know_no_guidance(other):
    """What anybody takes says nothing of such codes: moving away from it would make them the likeliest of all."""
    with pytest.raises(MindRecError, match=r"guidance=0\.5 needs"):
        DecodeConfig(guidance=0.5, **other)


@pytest.mark.parametrize(
    ("default", "changes", "left"),
    [
        ({"guidance": 0.5, "votes": 2, "rethink": True}, {"algorithm": "published"}, {"guidance": 0.0, "votes": 1}),
        ({"steps": 3}, {"resolve": 2}, {"steps": None, "resolve": 2}),
        ({"scoring": "item", "resolve": 2}, {"constraint": "level"}, {"scoring": "token", "resolve": None}),
        ({"guidance": 0.5}, {"constraint": "level"}, {"guidance": 0.0}),
        ({"guidance": 0.5}, {"beam_size": 5}, {"guidance": 0.5}),
    ],
    ids=str,
)
def test_settings_that_a_change_rules_out_go_back_to_their_default(default, changes, left):
    settings = DecodeConfig(**default).laid_over(changes).to_dict()
    assert settings | changes | left == settings


def test_a_contradiction_in_the_changes_themselves_is_refused():
    with pytest.raises(MindRecError, match="guidance"):
        DecodeConfig().laid_over({"algorithm": "published", "guidance": 1.0})


CARTS = {
    "tacos": ("taco shells", "taco seasoning", "refried beans"),
    "pasta": ("spaghetti", "pasta sauce", "ground beef"),
    "campfire": ("marshmallows", "graham crackers", "firewood"),
    "breakfast": ("bacon", "eggs", "pancake mix"),
    "barbecue": ("charcoal", "hamburger buns", "bbq sauce"),
    "baby": ("diapers", "baby food", "baby wipes"),
    "dog": ("dog food", "dog treats"),
    "cat": ("cat food", "cat litter"),
    "salad": ("lettuce", "tomatoes", "salad dressing"),
    "baking": ("flour", "sugar", "baking powder"),
}


def test_no_cart_is_answered_by_habit_at_the_shipped_default(root):
    """Milk and bananas are what most people take next; a cart that is about something is answered by it."""
    shop = Recommender.from_pretrained(root / "checkpoints" / "grocery", "cpu")
    carts = [[shop.catalog.items[shop.search(words, 1)[0]].item_id for words in cart] for cart in CARTS.values()]
    answers = shop.recommend_many(carts, {"evidence": "only"}, trace=False)
    first = {name: answer.items[0].item.title for name, answer in zip(CARTS, answers, strict=True)}
    assert not {name: title for name, title in first.items() if "milk" in title.lower() or "banana" in title.lower()}
    usual = shop.recommend([], {"guidance": 0.0}, trace=False).items[0].item.title.lower()
    assert "milk" in usual or "banana" in usual
