"""Diffusion Beam Search against brute force, and every definition of mindrec/README.md."""

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import Toy, toy, toys

from mindrec.decoding.beam_search import final, positions_per_step, ranked_items, search
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exact import enumerate_all_orders, enumerate_order
from mindrec.decoding.orders import ORDERS
from mindrec.errors import MindRecError

EXPANSIONS = {
    "partition": {"expansion": "partition"},
    "joint max": {"expansion": "joint", "merge": "max"},
    "joint logsumexp": {"expansion": "joint", "merge": "logsumexp"},
}
every_order = pytest.mark.parametrize("order", ORDERS)
every_expansion = pytest.mark.parametrize("expansion", EXPANSIONS)


def config_for(made: Toy, **settings) -> DecodeConfig:
    return DecodeConfig(**{"evidence": "off", "exclude_seen": made.exclude_seen} | settings)


def run(made: Toy, histories, config: DecodeConfig, denoiser=None, **how) -> list:
    denoiser = denoiser or made.oracle()
    return list(search(denoiser, made.index, histories, config, **how))


def answers(made: Toy, histories, config: DecodeConfig, denoiser=None) -> list[dict[int, float]]:
    """For each user, item row -> score in rank order; the same with and without opinions for a trace.

    Off-catalog answers are an error here.
    """
    last = run(made, histories, config, denoiser)[-1]
    rows, scores = ranked_items(made.index, last.beams, len(histories), config.beam_size)
    bare = run(made, histories, config, denoiser, full_trace=False)[-1]
    assert torch.equal(ranked_items(made.index, bare.beams, len(histories), config.beam_size)[0], rows)
    assert torch.allclose(bare.beams.score, last.beams.score, atol=1e-6), "a search without a trace differs"
    out = []
    for user in range(len(histories)):
        filled = int(scores[user].isfinite().sum())
        answered = rows[user, :filled].tolist()
        assert min(answered) >= 0, "an answer is off the catalog"
        assert len(set(answered)) == len(answered), "an item is named twice"
        if not config.temperature:
            assert (scores[user, :filled].diff() <= 0).all(), "answers are out of rank order"
        out.append(dict(zip(answered, scores[user, :filled].tolist(), strict=True)))
    return out


def assert_is_truth(by_row: dict[int, float], truth: torch.Tensor) -> None:
    """All possible items once each, with their exact probability, and nothing else."""
    assert set(by_row) == set(truth.nonzero()[:, 0].tolist())
    for row, score in by_row.items():
        assert math.exp(score) == pytest.approx(float(truth[row]), abs=1e-9)


# -- truth -------------------------------------------------------------------------------------------------------------


@every_order
@every_expansion
@given(case=toys())
def test_wide_beam_equals_brute_force(order, expansion, case):
    made, histories = case
    decoded = answers(made, histories, config_for(made, beam_size=100, order=order, **EXPANSIONS[expansion]))
    for history, one in zip(histories, decoded, strict=True):
        assert_is_truth(one, made.truth(history))


@given(case=toys(max_items=6))
def test_enumeration_over_any_order_equals_item_probability(case):
    """The reference itself: the chain rule gives the item's probability whatever the order."""
    made, (history, _) = case
    truth = made.truth(history)
    for order, logp in enumerate_all_orders(made.oracle(), made.index, history, truth > 0).items():
        assert torch.allclose(logp.exp(), truth, atol=1e-12, rtol=0), order


@settings(max_examples=8)
@given(case=toys(max_items=8), seed=st.integers(0, 99))
def test_fixed_orders_equal_enumeration_for_a_real_network(case, seed):
    """A network is no oracle: its conditionals disagree between orders, so a wrong order cannot hide."""
    made, (history, _) = case
    model, allowed = made.compact(seed), made.truth(history) > 0
    places = list(range(len(made.sizes)))
    drawn = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = sorted(places, key=lambda p: -drawn[p])
    for order, path in (("left_to_right", places), ("random", shuffled)):
        decoded = answers(made, [history], config_for(made, beam_size=100, order=order, seed=seed), model)[0]
        want = enumerate_order(model, made.index, history[-6:], allowed, tuple(path))
        assert set(decoded) == set(allowed.nonzero()[:, 0].tolist())
        for row, score in decoded.items():
            assert score == pytest.approx(float(want[row]), abs=1e-4)


@pytest.mark.parametrize("merge", ["max", "logsumexp"])
def test_joint_merges_all_orders_of_a_real_network(merge):
    """Max: the best of the L! orders. Log-sum-exp: their mean, since each order is walked with probability 1 / L!."""
    made = toy((3, 2, 3), 7, seed=5)
    model, history = made.compact(1), [2, 4]
    paths = torch.stack(list(enumerate_all_orders(model, made.index, history, made.truth(history) > 0).values()))
    want = paths.max(0).values if merge == "max" else paths.logsumexp(0) - math.log(math.factorial(3))
    config = config_for(made, beam_size=100, order="confidence", expansion="joint", merge=merge)
    decoded = answers(made, [history], config, model)[0]
    assert len(decoded) == 5
    for row, score in decoded.items():
        assert score == pytest.approx(float(want[row]), abs=1e-5)
    assert (paths.max(0).values - paths.min(0).values)[list(decoded)].max() > 0.01, "the orders must disagree"


def possible(made: Toy, codes: torch.Tensor, history) -> torch.Tensor:
    """Rows that agree with a partial answer and may be recommended."""
    known = codes >= 0
    agree = (made.codes[:, known] == codes[known]).all(1)
    return (agree & (made.truth(history) > 0)).nonzero()[:, 0]


@given(case=toys(), width=st.integers(1, 4))
def test_partition_beams_hold_disjoint_items_and_coverage_is_their_mass(case, width):
    """At every step and width, not only at the end: kept mass is the true probability of the items still possible."""
    made, histories = case
    for step in run(made, histories, config_for(made, beam_size=width)):
        for user, history in enumerate(histories):
            mine = (step.beams.user == user).nonzero()[:, 0]
            items = torch.cat([possible(made, step.beams.codes[s], history) for s in mine])
            assert len(items.unique()) == len(items) == int(step.beams.items[mine].sum())
            assert float(step.coverage[user]) == pytest.approx(float(made.truth(history)[items].sum()), abs=1e-9)


@pytest.mark.parametrize(("merge", "defined"), [("max", False), ("logsumexp", True)])
def test_coverage_of_joint(merge, defined):
    made = toy((3, 3, 3), 12)
    last = run(made, [[0]], config_for(made, beam_size=100, expansion="joint", merge=merge, order="confidence"))[-1]
    assert (last.coverage is not None) == defined
    if defined:
        assert float(last.coverage[0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("settings", [{"temperature": 1.0}, {"constraint": "level"},
                                      {"expansion": "joint", "merge": "logsumexp", "diversity": 0.1}])  # fmt: skip
def test_coverage_is_null_where_it_has_no_meaning(settings):
    made = toy((3, 3), 6)
    assert run(made, [[0]], config_for(made, **settings), made.compact())[-1].coverage is None


# -- several positions, item scoring, evidence -------------------------------------------------------------------------


def open_log_softmax(made: Toy, logits_T: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Softmax over allowed items of the sum of log p of their codes, each level over the codes allowed items have.

    A level counts where no other one tells it: where two items with the same code there, anywhere, differ at it.
    """
    legal = torch.zeros(sum(made.sizes), dtype=torch.bool)
    legal[made.tokens[allowed].flatten()] = True
    parts = logits_T.double().masked_fill(~legal, -torch.inf).split(made.sizes)
    logp = torch.cat([part.log_softmax(0) for part in parts])
    told_apart = [level for level in range(len(made.sizes)) if not told_by_another(made, level)]
    return logp[made.tokens[:, told_apart]].sum(1).masked_fill(~allowed, -torch.inf).log_softmax(0)


def told_by_another(made: Toy, level: int) -> bool:
    """Whether items that share a code at some other level share it here too; of two such levels, only the later."""

    def tells(of: int, by: int) -> bool:
        return all(
            len(set(made.codes[made.codes[:, by] == code, of].tolist())) == 1
            for code in set(made.codes[:, by].tolist())
        )

    others = [n for n in range(len(made.sizes)) if n != level]
    return any(tells(level, other) and not (tells(other, level) and level < other) for other in others)


@settings(max_examples=10)
@given(case=toys(), scoring=st.sampled_from(["token", "item"]))
def test_one_step_scores_the_catalog_in_one_pass(case, scoring):
    made, (history, _) = case
    model, allowed = made.compact(3), made.truth(history) > 0
    assume(allowed.sum() > 1)  # one item left is the answer before any step
    masked = torch.full((1, 1, len(made.sizes)), -1)
    want = open_log_softmax(made, model.token_logits(model.encode([history]), masked)[0, 0], allowed)
    steps = run(made, [history], config_for(made, beam_size=100, steps=1, scoring=scoring), model)
    assert len(steps) == 2
    assert int(steps[-1].nfe[0]) == 1
    decoded = answers(made, [history], config_for(made, beam_size=100, steps=1, scoring=scoring), model)[0]
    assert set(decoded) == set(allowed.nonzero()[:, 0].tolist())
    if scoring == "token" or len(made.sizes) == 1:
        for row, score in decoded.items():
            assert score == pytest.approx(float(want[row]), abs=1e-5)


@settings(max_examples=10)
@given(case=toys())
def test_item_scoring_branches_on_the_item_posterior(case):
    """First step of left_to_right: the mass of each code is that of its items under the one-pass posterior."""
    made, (history, _) = case
    model, allowed = made.compact(4), made.truth(history) > 0
    assume(allowed.sum() > 1)
    masked = torch.full((1, 1, len(made.sizes)), -1)
    want = open_log_softmax(made, model.token_logits(model.encode([history]), masked)[0, 0], allowed).exp()
    step = run(made, [history], config_for(made, beam_size=100, order="left_to_right", scoring="item"), model)[1]
    for codes, score in zip(step.beams.codes.tolist(), step.beams.score.tolist(), strict=True):
        assert math.exp(score) == pytest.approx(float(want[made.codes[:, 0] == codes[0]].sum()), abs=1e-5)


@every_order
@pytest.mark.parametrize("settings", [{"steps": 1}, {"steps": 2}, {"steps": 3}, {"resolve": 1}, {"resolve": 2},
                                      {"scoring": "item"}, {"scoring": "item", "steps": 2}])  # fmt: skip
@pytest.mark.parametrize("evidence", ["off", "on", "only"])
def test_every_partition_setting_keeps_all_mass_and_all_items(order, settings, evidence):
    made = toy((3, 4, 3, 2), 20, seed=2, n_categories=2)
    histories = [[1, 5], [0, 3, 9]]
    config = config_for(made, beam_size=100, order=order, evidence=evidence, **settings)
    last = run(made, histories, config, made.compact(2))[-1]
    assert torch.allclose(last.coverage, torch.ones(2, dtype=torch.float64), atol=1e-5)
    for history, decoded in zip(histories, answers(made, histories, config, made.compact(2)), strict=True):
        assert set(decoded) == set(range(20)) - set(history)


@pytest.mark.parametrize(
    ("n_open", "settings", "want"),
    [
        (7, {}, [1] * 7),
        (7, {"steps": 3}, [2, 2, 3]),
        (7, {"steps": 1}, [7]),
        (7, {"steps": 9}, [1] * 7),
        (7, {"resolve": 2}, [1, 1, 5]),
        (2, {"resolve": 2}, [1, 1]),
    ],
)
def test_positions_are_spread_evenly_larger_parts_last(n_open, settings, want):
    assert positions_per_step(n_open, DecodeConfig(**settings)) == want


@every_order
@settings(max_examples=8)
@given(case=toys())
def test_evidence_only_is_the_dense_ranking(order, case):
    made, histories = case
    model = made.compact(6)
    decoded = answers(made, histories, config_for(made, beam_size=100, evidence="only", order=order), model)
    logits = model.item_logits(model.encode(histories)).double()
    for user, history in enumerate(histories):
        want = logits[user].masked_fill(made.truth(history) == 0, -torch.inf).softmax(0)
        assert set(decoded[user]) == set(want.nonzero()[:, 0].tolist())
        for row, score in decoded[user].items():
            assert math.exp(score) == pytest.approx(float(want[row]), abs=1e-6)


def test_evidence_changes_the_scores():
    made = toy((3, 3, 3), 15)
    model = made.compact(2)
    on, off = (answers(made, [[1, 2]], config_for(made, evidence=e), model)[0] for e in ("on", "off"))
    assert max(abs(on[row] - off[row]) for row in on.keys() & off.keys()) > 0.01


# -- legality ----------------------------------------------------------------------------------------------------------


@every_order
@every_expansion
@settings(max_examples=10)
@given(case=toys(), width=st.integers(1, 12), data=st.data())
def test_nothing_ruled_out_is_ever_returned(order, expansion, case, width, data):
    made, histories = case
    allowed = torch.stack([made.truth(h) > 0 for h in histories])
    banned_items = data.draw(st.lists(st.integers(0, made.n_items - 1), max_size=2, unique=True))
    position = data.draw(st.integers(0, len(made.sizes) - 1))
    token = (position, data.draw(st.integers(0, made.sizes[position] - 1)))
    allowed[:, banned_items] = False
    allowed &= made.codes[:, position] != token[1]
    extra = {"forbid_items": tuple(banned_items), "forbid_tokens": (token,), **EXPANSIONS[expansion]}
    config = config_for(made, beam_size=width, order=order, **extra)
    if not allowed.any(1).all():
        with pytest.raises(MindRecError, match="no item is left"):
            answers(made, histories, config, made.compact())
        return
    for user, decoded in enumerate(answers(made, histories, config, made.compact())):
        assert 1 <= len(decoded) <= min(width, int(allowed[user].sum()))
        assert allowed[user, list(decoded)].all()


@every_expansion
def test_every_kept_beam_can_be_completed(expansion):
    """Fault 4 and 5 of the published search: a level with fewer codes than beams makes no fillers."""
    made = toy((2, 3, 3), 9, seed=3)
    for step in run(made, [[0]], config_for(made, **EXPANSIONS[expansion], order="confidence"), made.compact())[1:]:
        for s, codes in enumerate(step.beams.codes):
            known = codes >= 0
            rows = (made.codes[:, known] == codes[known]).all(1).nonzero()[:, 0].tolist()
            assert step.beams.items[s] == len(set(rows) - {0}) > 0
        assert step.beams.score.isfinite().all()


@given(case=toys(), width=st.integers(1, 12))
def test_a_complete_beam_costs_no_denoiser_row(case, width):
    made, histories = case
    steps = run(made, histories, config_for(made, beam_size=width))
    expanded = torch.zeros(len(histories), dtype=torch.int64)
    for step in steps[1:]:
        assert (step.before.codes[step.expanded] < 0).any(1).all()
        expanded += torch.bincount(step.before.user[step.expanded], minlength=len(histories))
        alone = step.beams.items == 1
        assert (step.beams.codes[alone] >= 0).all(), "a beam with one item left is complete"
    assert torch.equal(steps[-1].rows, expanded)


def test_level_constraint_leaves_the_catalog_and_exact_never_does():
    """The published constraint, kept so that its off-catalog rate can be shown."""
    made = toy((4, 4, 4), 12, seed=1)
    model = made.compact(1)
    loose = replace(config_for(made, beam_size=30, order="confidence"), constraint="level")
    for expansion in ("partition", "joint"):
        last = run(made, [[0], [3]], replace(loose, expansion=expansion), model)[-1]
        rows, scores = ranked_items(made.index, last.beams, 2, 30)
        assert scores.isfinite().all()
        assert (rows < 0).any()
        assert (rows >= 0).any()
        for codes, user, rank in zip(last.beams.codes, last.beams.user, last.beams.rank, strict=True):
            match = (made.codes == codes).all(1).nonzero()[:, 0].tolist()
            assert rows[user, rank] == (match[0] if match else -1)
    tight = run(made, [[0], [3]], replace(loose, constraint="exact"), model)[-1]
    rows, scores = ranked_items(made.index, tight.beams, 2, 30)
    assert (rows[scores.isfinite()] >= 0).all()


def test_level_constraint_obeys_forbidden_tokens():
    made = toy((3, 3), 6)
    config = config_for(made, beam_size=9, constraint="level", forbid_tokens=((1, 0),))
    codes = run(made, [[0]], config, made.compact())[-1].beams.codes
    assert len(codes) == 6
    assert (codes[:, 1] != 0).all()


# -- interventions -----------------------------------------------------------------------------------------------------


@every_order
@every_expansion
@given(case=toys(), data=st.data())
def test_pins_condition_the_answer(order, expansion, case, data):
    """A pin scores 0, and what follows is the probability of an item given the pinned code."""
    made, histories = case
    position = data.draw(st.integers(0, len(made.sizes) - 1))
    code = int(made.codes[data.draw(st.integers(0, made.n_items - 1)), position])
    fits = made.codes[:, position] == code
    truths = [made.truth(h) * fits for h in histories]
    config = config_for(made, beam_size=100, order=order, pins=((position, code),), **EXPANSIONS[expansion])
    if any(t.sum() == 0 for t in truths):
        with pytest.raises(MindRecError, match="no item is left"):
            run(made, histories, config)
        return
    first = run(made, histories, config)[0].beams
    assert (first.codes[:, position] == code).all()
    assert (first.score == 0).all()
    for decoded, truth in zip(answers(made, histories, config), truths, strict=True):
        assert_is_truth(decoded, truth / truth.sum())


@every_expansion
@given(case=toys(), data=st.data())
def test_bans_condition_the_answer(expansion, case, data):
    """An oracle told the allowed set: forbidden items and codes leave it before step 1."""
    made, histories = case
    keep = torch.ones(made.n_items, dtype=torch.bool)
    row = data.draw(st.integers(0, made.n_items - 1))
    position = data.draw(st.integers(0, len(made.sizes) - 1))
    code = data.draw(st.integers(0, made.sizes[position] - 1))
    keep[row] = False
    keep &= made.codes[:, position] != code
    told = replace(made, p=made.p * keep)
    if any(
        (told.p[[r for r in range(made.n_items) if r not in h or not made.exclude_seen]]).sum() == 0 for h in histories
    ):
        return
    extra = {"forbid_items": (row,), "forbid_tokens": ((position, code),), **EXPANSIONS[expansion]}
    config = config_for(made, beam_size=100, order="confidence", **extra)
    for decoded, history in zip(answers(told, histories, config), histories, strict=True):
        assert_is_truth(decoded, told.truth(history))


def test_pinning_a_whole_item_returns_it():
    made = toy((3, 3, 3), 10)
    pins = tuple((p, int(c)) for p, c in enumerate(made.codes[4]))
    assert answers(made, [[0]], config_for(made, pins=pins)) == [{4: 0.0}]


def test_a_user_whose_answer_is_forced_does_not_stop_the_batch():
    """With a pin that leaves the first user one item, the others are decoded as they would be alone."""
    codes = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 0]])
    made = Toy(codes, (2, 2, 2), torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64))
    config = config_for(made, pins=((0, 0),))
    histories = [[0, 1], [3], [0, 2]]
    together = answers(made, histories, config)
    assert together == [answers(made, [h], config)[0] for h in histories]
    assert [len(found) for found in together] == [1, 3, 1]


def test_exclude_seen_off_lets_the_history_return():
    made = toy((3, 3), 6, exclude_seen=False)
    assert set(answers(made, [[0, 1]], config_for(made, beam_size=50))[0]) == set(range(6))


# -- diversity and sampling --------------------------------------------------------------------------------------------


def joint_step(made: Toy, diversity: float, beam_size: int):
    config = config_for(made, expansion="joint", order="confidence", diversity=diversity, beam_size=beam_size)
    return run(made, [[0]], config)


def greedy_diverse(candidates: list[tuple[tuple, float]], strength: float, width: int) -> set[tuple]:
    """Design section 5 in plain words: score minus lambda times the largest share of codes equal to a kept beam's."""
    kept, left = [], list(candidates)
    while left and len(kept) < width:

        def penalised(entry):
            codes, score = entry
            filled = sum(c >= 0 for c in codes)
            share = max((sum(a == b >= 0 for a, b in zip(codes, k, strict=True)) / filled for k in kept), default=0)
            return (score - strength * share, tuple(-c for c in codes))

        best = max(left, key=penalised)
        kept.append(best[0])
        left.remove(best)
    return set(kept)


@pytest.mark.parametrize("beam_size", [2, 3, 8])
@pytest.mark.parametrize("strength", [1.0, 5.0])
def test_diversity_keeps_what_its_definition_says(beam_size, strength):
    """Also where many more candidates compete than beams are kept: nothing that may win is cut early."""
    made = toy((3, 4, 4, 3), 60, seed=4)
    changed = False
    for step in joint_step(made, strength, beam_size)[1:]:
        c = step.candidates
        pool = [n for n in range(len(c.parent)) if c.merged_into[n] < 0 and c.score[n].isfinite()]
        codes = [tuple(row) for row in c.codes(torch.tensor(pool)).tolist()]
        entries = list(zip(codes, c.score[pool].tolist(), strict=True))
        kept = {tuple(row) for row in c.codes(c.kept).tolist()}
        assert kept == greedy_diverse(entries, strength, beam_size)
        changed |= kept != greedy_diverse(entries, 0.0, beam_size)
    assert changed, "this case must show an effect"


def test_diversity_of_zero_changes_nothing_and_scores_stay_unpenalised():
    made = toy((4, 4, 4), 30, seed=4)
    plain, vanishing, strong = (
        answers(made, [[0]], config_for(made, expansion="joint", order="confidence", beam_size=5, diversity=d))[0]
        for d in (0.0, 1e-12, 3.0)
    )
    assert plain == vanishing
    assert set(strong) != set(plain)
    for row, score in strong.items():
        assert score == pytest.approx(float(made.truth([0])[row].log()), abs=1e-9)


def test_sampling_is_seeded_and_the_same_alone_or_in_a_batch():
    made = toy((3, 4, 3), 20, seed=8)
    config = config_for(made, temperature=1.0, beam_size=4, seed=11)
    histories = [[1], [2, 5], [7]]
    together = answers(made, histories, config)
    assert together == answers(made, histories, config)
    assert together == [answers(made, [h], config)[0] for h in histories]
    others = [answers(made, [[1]], replace(config, seed=seed))[0] for seed in range(5)]
    assert len({tuple(o) for o in others}) > 1


def test_sampled_scores_are_unperturbed():
    made = toy((3, 4, 3), 20, seed=8)
    last = run(made, [[1]], config_for(made, temperature=1.0, beam_size=6))[-1]
    rows, _ = ranked_items(made.index, last.beams, 1, 6)
    want = made.truth([1])[rows[0]].log()
    assert torch.allclose(last.beams.score, want, atol=1e-9)


def sampled_items(made: Toy, order: str, width: int, draws: int) -> torch.Tensor:
    """Item rows (draws, width) of many seeds, best perturbed first."""
    out = []
    for seed in range(draws):
        config = config_for(made, temperature=1.0, beam_size=width, order=order, seed=seed)
        last = run(made, [[]], config)[-1]
        rows, _ = ranked_items(made.index, last.beams, 1, width)
        out.append(rows[0])
    return torch.stack(out)


@pytest.mark.slow
def test_a_sampled_answer_follows_the_true_probabilities():
    """One beam is an exact sample (ancestral sampling by Gumbel top-1): chi-square with 5 degrees of freedom."""
    codes = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    p = torch.tensor([0.35, 0.05, 0.1, 0.2, 0.25, 0.05], dtype=torch.float64)
    made, draws = Toy(codes, (2, 3), p), 2000
    counts = torch.bincount(sampled_items(made, "left_to_right", 1, draws)[:, 0], minlength=6)
    chi = float(((counts - draws * p) ** 2 / (draws * p)).sum())
    assert chi < 20.5, (chi, counts)  # p = .001


@pytest.mark.slow
def test_sampling_several_beams_is_without_replacement():
    """The first two answers are i, then j, with probability p_i p_j / (1 - p_i): chi-square, 29 degrees of freedom.

    Two beams of three categories: what is cut early must be cut as the sample of whole items would cut it.
    """
    codes = torch.tensor([[a, b] for a in range(3) for b in range(2)])
    p = torch.tensor([0.3, 0.05, 0.15, 0.15, 0.25, 0.1], dtype=torch.float64)
    made, draws = Toy(codes, (3, 2), p), 2500
    rows = sampled_items(made, "left_to_right", 2, draws)
    assert (rows[:, 0] != rows[:, 1]).all()
    counts = torch.bincount(rows[:, 0] * 6 + rows[:, 1], minlength=36).view(6, 6)
    want = draws * p[:, None] * p / (1 - p[:, None])
    away = ~torch.eye(6, dtype=torch.bool)
    chi = float((((counts - want) ** 2) / want)[away].sum())
    assert chi < 58.3, (chi, counts, want)  # p = .001


# -- ties and repeatability --------------------------------------------------------------------------------------------


@every_order
@every_expansion
@pytest.mark.parametrize("width", [3, 8])
def test_ties_break_by_token_ids(order, expansion, width):
    """All eight items alike: the kept ones and their order are those of the lowest codes, coarse to fine."""
    codes = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])[
        torch.tensor([5, 2, 7, 0, 3, 6, 1, 4])
    ]
    made = Toy(codes, (2, 2, 2), torch.full((8,), 1 / 8, dtype=torch.float64), exclude_seen=False)
    config = config_for(made, beam_size=width, order=order, **EXPANSIONS[expansion])
    last = run(made, [[]], config)[-1]
    if width == 8 and expansion != "partition":
        width = len(last.beams.codes)  # more states than beams compete on the way
    if expansion == "partition":
        assert len(last.beams.codes) == width
    rows = [tuple(c) for c in last.beams.codes.tolist()]
    assert rows == sorted(rows)
    if expansion == "partition" and order in ("left_to_right", "coarse_to_fine", "confidence", "margin"):
        assert rows == sorted(map(tuple, codes.tolist()))[:width]


@every_expansion
def test_the_order_of_the_catalog_changes_nothing(expansion):
    """Renumbering the items renames rows and nothing else."""
    made = toy((3, 4, 3), 18, seed=3)
    shuffle = torch.randperm(18, generator=torch.Generator().manual_seed(0))
    renamed = replace(made, codes=made.codes[shuffle], p=made.p[shuffle])
    new_row = {int(old): new for new, old in enumerate(shuffle)}
    config = config_for(made, beam_size=6, order="confidence", **EXPANSIONS[expansion])
    one, two = answers(made, [[2, 7]], config)[0], answers(renamed, [[new_row[2], new_row[7]]], config)[0]
    assert [new_row[row] for row in one] == list(two)
    assert list(one.values()) == pytest.approx(list(two.values()), abs=1e-12)


# -- batches -----------------------------------------------------------------------------------------------------------


def structure(steps, user: int):
    """Codes, parents and scores of one user's beams at every step; and the narrowest gap between what was kept or cut.

    The gap is the smallest of all differences between adjacent ranks and between the last kept and the best dropped.
    """
    out, gap = [], math.inf
    for step in steps:
        mine = (step.beams.user == user).nonzero()[:, 0]
        parents = None if step.before is None else step.before.rank[step.beams.parent[mine]].tolist()
        scores = step.beams.score[mine]
        out.append((step.beams.codes[mine].tolist(), parents, scores))
        lost = scores[:0]
        if step.candidates is not None:
            dropped = step.before.user[step.candidates.parent] == user
            dropped[step.candidates.kept] = False
            lost = step.candidates.score[dropped].max().reshape(1) if dropped.any() else lost
        order = torch.cat([scores, lost])
        if len(order) > 1:
            gap = min(gap, float(-order.diff().max()))
    return out, gap


@pytest.mark.parametrize("settings", [{}, {"order": "confidence"}, {"scoring": "item"}])
def test_a_history_decodes_alike_alone_and_in_a_batch_of_64(recommender, settings):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 11, (64,), generator=generator).tolist()
    histories = [torch.randperm(40, generator=generator)[:n].tolist() for n in lengths]
    config = DecodeConfig(**{"beam_size": 5} | settings)
    together = list(recommender.steps(histories, config))
    qualified = 0
    for user, history in enumerate(histories):
        alone, gap = structure(list(recommender.steps([history], config)), 0)
        batch, _ = structure(together, user)
        if gap <= 1e-4:
            continue
        qualified += 1
        for one, other in zip(alone, batch, strict=False):
            assert one[0] == other[0]
            assert one[1] == other[1]
            assert torch.allclose(one[2], other[2], atol=1e-5, rtol=1e-5)
        assert len(alone) <= len(batch)
        assert batch[-1][0] == alone[-1][0]
    print(f"{qualified} of 64 histories had gaps above 1e-4")
    assert qualified >= 58, f"only {qualified} of 64 histories had gaps above 1e-4"


@given(case=toys(), width=st.integers(1, 12))
def test_a_given_cache_gives_the_same_answer(case, width):
    made, (history, _) = case
    model, config = made.compact(), config_for(made, beam_size=width)
    cache = model.encode([history[:1]])
    for row in history[1:]:
        cache = model.extend(cache, row)
    grown = final(search(model, made.index, [history], config, cache=cache))
    fresh = run(made, [history], config, model)[-1]
    assert torch.equal(grown.beams.codes, fresh.beams.codes)
    assert torch.allclose(grown.beams.score, fresh.beams.score, atol=1e-5)


# -- settings that contradict each other -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"beam_size": 0}, "beam_size=0"),
        ({"beam_size": 101}, "beam_size=101"),
        ({"beam_size": 2.0}, "whole number"),
        ({"beam_size": True}, "whole number"),
        ({"expansion": "both"}, "partition, joint"),
        ({"merge": "mean"}, "max, logsumexp"),
        ({"scoring": "beam"}, "token, item"),
        ({"evidence": "yes"}, "on, off, only"),
        ({"constraint": "none"}, "exact, level"),
        ({"algorithm": "greedy"}, "mindrec, published"),
        ({"steps": 2, "resolve": 2}, "give one"),
        ({"steps": 0}, "steps=0"),
        ({"diversity": 0.5}, "expansion='joint'"),
        ({"temperature": -1}, "temperature=-1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"pins": ((0, 1), (0, 2))}, "pinned twice"),
        ({"pins": ((0,),)}, "pair"),
        ({"forbid_tokens": ((0, -1),)}, "pair"),
        ({"pins": 0}, "pins=0 is not a list"),
        ({"forbid_items": 0.5}, "forbid_items=0.5 is not a list"),
        ({"forbid_items": ("i1",)}, "forbid_items holds 'i1'"),
        ({"order": ["confidence"]}, "not the name of an order"),
        ({"steps": 2, "expansion": "joint"}, "steps=2 needs expansion='partition'"),
        ({"resolve": 1, "constraint": "level"}, "resolve=1 needs constraint='exact'"),
        ({"scoring": "item", "constraint": "level"}, "scoring='item' needs constraint='exact'"),
        ({"rethink": "yes"}, "not true or false"),
    ],
)
def test_config_refuses(settings, says):
    with pytest.raises(MindRecError, match=says):
        DecodeConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"order": "upwards"}, ", ".join(ORDERS)),
        ({"steps": 2, "expansion": "joint"}, "partition"),
        ({"resolve": 1, "constraint": "level"}, "exact"),
        ({"scoring": "item", "constraint": "level"}, "exact"),
        ({"pins": ((9, 0),)}, "position 9"),
        ({"forbid_tokens": ((0, 99),)}, "code 99"),
        ({"forbid_items": (999,)}, "999"),
        ({"pins": ((0, 0), (1, 0), (2, 0)), "forbid_tokens": ((0, 0),)}, "no item is left"),
    ],
)
def test_search_refuses(settings, says):
    made = toy((2, 3, 3), 10)
    with pytest.raises(MindRecError, match=says):
        run(made, [[0]], config_for(made, **settings))


def test_a_twin_decodes_left_to_right_only():
    made = toy((3, 3), 8)
    twin = made.compact(objective="ar")
    assert answers(made, [[0]], config_for(made, beam_size=50, order="left_to_right"), twin)
    refused = [{"order": o} for o in ORDERS if o != "left_to_right"]
    refused += [{"order": "left_to_right", **s} for s in ({"steps": 1}, {"resolve": 1}, {"expansion": "joint"})]
    for settings_ in refused:
        with pytest.raises(MindRecError):
            run(made, [[0]], config_for(made, **settings_), twin)


def test_evidence_only_needs_a_dense_head():
    made = toy((3, 3), 8)
    oracle = made.oracle()
    oracle.item_logits = lambda cache: None
    with pytest.raises(MindRecError, match="evidence='off'"):
        run(made, [[0]], config_for(made, evidence="only"), oracle)


def test_config_round_trip_and_unknown_setting():
    config = DecodeConfig(beam_size=3, pins=((1, 2),), forbid_tokens=((0, 1),), forbid_items=(5, 2), steps=2)
    assert DecodeConfig.from_dict(config.to_dict()) == config
    with pytest.raises(MindRecError, match="beamsize"):
        DecodeConfig.from_dict({"beamsize": 3})


def test_orders_cover_each_position_once():
    """A new order is tested by being listed: every one of them fills all positions of all beams."""
    made = toy((3, 2, 3, 2), 14, seed=1, n_categories=2)
    for order in ORDERS:
        last = run(made, [[0]], config_for(made, beam_size=20, order=order))[-1]
        assert (last.beams.codes >= 0).all(), order


def test_coarse_to_fine_walks_the_categories_first():
    made = toy((3, 4, 4, 4), 40, seed=1, n_categories=2)
    for step, position in zip(run(made, [[0]], config_for(made), made.compact())[1:3], (0, 1), strict=True):
        assert (step.chosen.sum(1) == 1).all()
        assert step.chosen[:, position].all()


@pytest.mark.parametrize("order", ["confidence", "margin"])
def test_most_certain_position_first(order):
    """Position 1 is nearly decided, position 0 is open: the most certain one is revealed first."""
    codes = torch.tensor(list(permutations(range(3), 2)))
    p = torch.tensor([0.3, 0.02, 0.02, 0.02, 0.02, 0.62], dtype=torch.float64)  # (0,1) .3 and (2,1) .62
    made = Toy(codes, (3, 3), p / p.sum(), exclude_seen=False)
    step = run(made, [[]], config_for(made, order=order))[1]
    assert step.chosen.tolist() == [[False, True]]


@every_order
@pytest.mark.parametrize("postponed", [0, 1, 3])
def test_a_postponed_level_is_filled_last_and_costs_no_truth(order, postponed):
    made = toy((2, 3, 3, 4), 30, n_categories=2)
    config = config_for(made, order=order, postpone=postponed, beam_size=100)
    steps = run(made, [[0], [3]], config)
    for step in steps[1:]:
        others = [level for level in range(4) if level != postponed]
        still = (step.before.codes[step.expanded][:, others] < 0).any(1)
        assert not step.chosen[still, postponed].any()
    for history, one in zip([[0], [3]], answers(made, [[0], [3]], config), strict=True):
        assert_is_truth(one, made.truth(history))


def test_a_level_that_does_not_exist_cannot_be_postponed():
    made = toy((2, 3), 5)
    with pytest.raises(MindRecError, match=r"postpone=2: levels are 0\.\.1"):
        run(made, [[0]], config_for(made, postpone=2))
