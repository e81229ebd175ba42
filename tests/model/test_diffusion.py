"""Masking, the weighted loss and item evidence; and that training and decoding compute one evidence."""

import copy
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import toy, toys

from mindrec.decoding.exact import enumerate_order
from mindrec.decoding.item_index import Members
from mindrec.decoding.scoring import evidence_by_token, segment_logsumexp
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import (
    EVIDENCE_FLOOR,
    MASKED,
    CodeTable,
    add_evidence,
    item_evidence,
    mask_path,
    mask_probability,
    mask_targets,
    masked_cross_entropy,
)
from mindrec.training.objectives import (
    LEAST_MASS,
    LossConfig,
    _history_mask,
    _masked,
    _read,
    _States,
    _teacher,
    block_loss,
    dense_loss,
)


@pytest.mark.parametrize("floor", [0.0, 0.2, 0.4, 1.0])
def test_mask_probability_end_points(floor):
    ends = mask_probability(torch.tensor([0.0, 0.5, 1.0]), floor)
    assert ends.tolist() == pytest.approx([floor, (1 + floor) / 2, 1.0])


@pytest.mark.parametrize("floor", [0.2, 0.4, 0.7])
def test_expected_masked_share(floor):
    """E p = (1 + floor) / 2, plus the chance (1 - p)^L that nothing was masked, which masks one of L positions."""
    L, M = 5, 40_000
    codes = torch.zeros(M, L, dtype=torch.long)
    filled, _ = mask_targets(codes, floor, torch.Generator().manual_seed(0))
    rescued = (1 - floor) ** L / (L + 1)  # the mean of (1 - p)^L over uniform p in floor..1
    want = (1 + floor) / 2 + rescued / L
    assert float((filled == MASKED).float().mean()) == pytest.approx(want, abs=0.005)


@given(L=st.integers(1, 6), floor=st.floats(0, 1), seed=st.integers(0, 999))
def test_masking_hides_at_least_one_and_changes_no_code(L, floor, seed):
    codes = torch.randint(7, (50, L), generator=torch.Generator().manual_seed(seed))
    filled, weight = mask_targets(codes, floor, torch.Generator().manual_seed(seed))
    masked = filled == MASKED
    assert masked.any(1).all()
    assert torch.equal(filled[~masked], codes[~masked])
    assert (weight >= 1 - 1e-6).all()
    assert (weight <= 1 / max(floor, 1e-9) + 1e-3).all()
    again, _ = mask_targets(codes, floor, torch.Generator().manual_seed(seed))
    assert torch.equal(filled, again)


def test_a_path_mask_knows_a_prefix_and_teaches_what_comes_next():
    L, M = 4, 40_000
    codes = torch.randint(7, (M, L), generator=torch.Generator().manual_seed(0))
    filled, weight = mask_path(codes, torch.Generator().manual_seed(1))
    masked = filled == MASKED
    known = (~masked).sum(1)
    assert torch.equal(masked, torch.arange(L) >= known[:, None])
    assert torch.equal(filled[~masked], codes[~masked])
    assert torch.equal(weight, L * (torch.arange(L) == known[:, None]).float())
    assert torch.bincount(known, minlength=L + 1).div(M).tolist() == pytest.approx([1 / L] * L + [0], abs=0.01)


@pytest.mark.parametrize("views", [2, 4])
def test_views_of_a_target_spread_over_the_path(views):
    """Of as many views as levels one has each prefix; of fewer, no two are nearer than an even spread leaves them."""
    L = 4
    codes = torch.arange(50 * L).view(50, L).repeat_interleave(views, 0)
    filled, _ = mask_path(codes, torch.Generator().manual_seed(1), views)
    known = (filled != MASKED).sum(1).view(50, views)
    apart = known.sort(1).values.diff(dim=1)
    assert (apart == L // views).all()
    assert known.unique().tolist() == list(range(L))


def test_masked_loss_is_unbiased():
    """With no floor, 1/p times the masked sum has the expectation of the whole sum, whatever each position costs.

    Without the rescue of unmasked targets: those are rare here, since p is drawn from .3 up.
    """
    sizes, M = (2, 3), 60_000
    codes = torch.zeros(M, 2, dtype=torch.long)
    filled, weight = mask_targets(codes, 0.3, torch.Generator().manual_seed(1))
    logits = torch.tensor([[0.0, 1.0, 2.0, 0.0, 0.0]]).expand(M, -1)
    legal = torch.ones_like(logits, dtype=torch.bool)
    loss, _ = masked_cross_entropy(logits, legal, codes, filled, weight, sizes)
    whole = (math.log(1 + math.e) + math.log(1 + 2 * math.exp(-2))) / 2
    masked = (filled == MASKED).float()
    rescued = whole * 0.7**2 / 3 * 1.7  # at most: the rescued share, one position each, at the weight 1 / p
    assert whole - 0.01 < float(loss.mean()) < whole + rescued
    assert masked.mean() > 0.6


def test_weighted_loss_by_hand():
    """Two levels of 2 and 3 codes. Position 0 is masked with p(code 1) = 3/4, position 1 is filled and free."""
    logits = torch.tensor([[0.0, math.log(3), 5.0, -5.0, 1.0]])
    legal = torch.ones_like(logits, dtype=torch.bool)
    codes, filled = torch.tensor([[1, 2]]), torch.tensor([[MASKED, 2]])
    loss, nll = masked_cross_entropy(logits, legal, codes, filled, torch.tensor([2.5]), (2, 3))
    assert nll[0].tolist() == pytest.approx([math.log(4 / 3), 0.0])
    assert float(loss[0]) == pytest.approx(2.5 * math.log(4 / 3) / 2)


def test_loss_normalises_over_legal_codes_only():
    """Three codes alike, one illegal: the right one costs log 2."""
    legal = torch.tensor([[True, True, False]])
    loss, _ = masked_cross_entropy(
        torch.zeros(1, 3), legal, torch.tensor([[0]]), torch.tensor([[MASKED]]), torch.ones(1), (3,)
    )
    assert float(loss) == pytest.approx(math.log(2))


def test_add_evidence_by_hand():
    logits = add_evidence(
        torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.0]), torch.tensor([2.0, 1.0]), torch.tensor([0.5, 3.0])
    )
    want = [1.0 + 2 * math.log(0.5 + EVIDENCE_FLOOR), -3.0 + math.log(EVIDENCE_FLOOR)]
    assert logits.tolist() == pytest.approx(want, abs=1e-4)


# -- evidence: training = decoding = brute force -----------------------------------------------------------------------


@st.composite
def filled_answers(draw):
    """A catalog, and partial answers of random items, so that at least one item is consistent."""
    made, _ = draw(toys(max_items=30))
    rows = draw(st.lists(st.integers(0, made.n_items - 1), min_size=1, max_size=5))
    hidden = [[draw(st.booleans()) for _ in made.sizes] for _ in rows]
    return made, made.codes[rows].masked_fill(torch.tensor(hidden), MASKED)


@given(case=filled_answers())
def test_consistent_items_and_legal_codes_equal_brute_force(case):
    made, filled = case
    table = CodeTable(made.codes, made.sizes)
    want = torch.stack([((f < 0) | (made.codes == f)).all(1) for f in filled])
    assert torch.equal(table.consistent(filled), want)
    counts = torch.zeros(len(filled), sum(made.sizes))
    for m, n in want.nonzero().tolist():
        counts[m, made.tokens[n]] += 1
    assert torch.equal(table.sum_by_code(want.float()), counts)
    levels = [table.sum_by_code(want.float(), level) for level in range(len(made.sizes))]
    assert torch.equal(torch.cat(levels, 1), counts)


@given(drawn=toys(max_items=30), data=st.data())
def test_the_next_codes_of_a_prefix_are_those_of_the_items_that_agree_with_it(drawn, data):
    """Differences of running sums, down to a mass of 1e-12 beside one of 1, against going over all items."""
    made, _ = drawn
    table, L = CodeTable(made.codes, made.sizes), len(made.sizes)
    item = torch.tensor(data.draw(st.lists(st.integers(0, made.n_items - 1), max_size=5)), dtype=torch.long)
    powers = st.sampled_from([0.0, 1e-12, 1e-6, 0.3, 1.0])
    mass = torch.tensor(data.draw(st.lists(powers, min_size=2 * made.n_items, max_size=2 * made.n_items)))
    mass, row = mass.view(2, -1), torch.arange(len(item)) % 2
    for level in range(L):
        prefix = made.codes[item].masked_fill(torch.arange(L) >= level, MASKED)
        want = table.sum_by_code(mass[row] * table.consistent(prefix), level)
        codes = table.next_codes(table.running_sums(mass), row, item, level)
        assert torch.equal(codes > 0, want > 0)
        assert torch.allclose(codes, want, rtol=1e-3, atol=0)


@given(drawn=toys(max_items=30), seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.5, 1.0]))
def test_what_the_dense_head_teaches_is_item_evidence(drawn, seed, share):
    """Whether the coarsest levels are known or any others, and to the twin, which is asked for every level at once."""
    made, _ = drawn
    assume(made.n_items >= 5)
    table, L, rows = CodeTable(made.codes, made.sizes), len(made.sizes), torch.tensor([[0, 1, 2, 3], [2, 4, -1, -1]])
    for objective in ("diffusion", "ar"):
        model = made.compact(objective=objective)
        config, generator = LossConfig(path_share=share, views=3), torch.Generator().manual_seed(seed)
        read = _read(model, rows, config, generator)
        allowed = ~_history_mask(rows, read.after_BR, read.valid_BR, made.n_items)
        codes = made.codes[read.target_M]
        states = _States(codes, codes, torch.ones(codes.shape), 1)
        if objective == "diffusion":
            states = _masked(codes.repeat_interleave(3, 0), config, generator)
        teacher = _teacher(model, table, read, allowed, states)
        logits = read.last_MD @ model.item_vectors().T + model.item_bias
        mass = logits.masked_fill(~allowed, -torch.inf).softmax(1).clamp(min=LEAST_MASS) * allowed
        for level in range(L):
            scored = states.weight_SL[:, level].nonzero()[:, 0]
            seen = states.seen_SL[scored]
            if objective == "ar":
                seen = seen.masked_fill(torch.arange(L) >= level, MASKED)
            want = item_evidence(mass[scored // states.views], table.consistent(seen), table, level)
            assert torch.allclose(teacher[level], want, rtol=1e-4, atol=1e-7)


@settings(max_examples=40)
@given(case=filled_answers(), seed=st.integers(0, 99))
def test_training_and_decoding_compute_one_evidence(case, seed):
    """Decoding sums over members, training by a sparse product of float32."""
    made, filled = case
    mass = (
        torch.rand(len(filled), made.n_items, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 4
    )
    mass = mass / mass.sum(1, keepdim=True)
    table = CodeTable(made.codes, made.sizes)
    consistent = table.consistent(filled)
    trained = item_evidence(mass.float(), consistent, table)
    state, item = consistent.nonzero(as_tuple=True)
    members = Members(state, item, len(filled))
    decoded = evidence_by_token(made.index, mass, torch.arange(len(filled)), members)
    assert torch.allclose(trained.double(), decoded, rtol=1e-5, atol=1e-7)
    for m in range(len(filled)):
        whole = mass[m][consistent[m]].sum()
        for token in range(sum(made.sizes)):
            holders = consistent[m] & (made.tokens == token).any(1)
            assert float(decoded[m, token]) == pytest.approx(float(mass[m][holders].sum() / whole), abs=1e-9)


def test_evidence_at_the_root_is_the_restricted_one_with_nothing_filled():
    made = toy((3, 4), 10)
    mass = made.truth([2, 3])[None]
    everything = Members(torch.zeros(10, dtype=torch.int64), torch.arange(10), 1)
    from mindrec.decoding.item_index import Postings

    user = torch.zeros(1, dtype=torch.int64)
    root = evidence_by_token(made.index, mass, user, Postings(torch.tensor([-1])))
    assert torch.allclose(root, evidence_by_token(made.index, mass, user, everything), atol=1e-12)


@given(case=filled_answers(), seed=st.integers(0, 99))
def test_normalise_is_a_distribution_over_the_legal(case, seed):
    made, _ = case
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, sum(made.sizes), generator=generator) * 5
    legal = torch.rand(4, sum(made.sizes), generator=generator) < 0.6
    logp = made.index.levels.legal_log_softmax(logits, legal)
    assert torch.equal(logp.isfinite(), legal)
    for part, allowed in zip(logp.split(made.sizes, 1), legal.split(made.sizes, 1), strict=True):
        assert torch.allclose(part.exp().sum(1), allowed.any(1).float(), atol=1e-5)


@given(values=st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 3)), min_size=1, max_size=20))
def test_segment_logsumexp_equals_logsumexp_of_each(values):
    x = torch.tensor([v for v, _ in values], dtype=torch.float64)
    group = torch.tensor([g for _, g in values])
    sums = segment_logsumexp(x, group, 4)
    for g in range(4):
        want = x[group == g].logsumexp(0) if (group == g).any() else torch.tensor(-math.inf)
        assert float(sums[g]) == pytest.approx(float(want), abs=1e-9)


# -- the loss of a batch -----------------------------------------------------------------------------------------------


def test_padding_adds_nothing_to_the_dense_loss():
    """The dense loss is the mean over real targets: of a sequence alone, and padded beside a longer one."""
    made = toy((3, 4), 10)
    model, table = made.compact(), CodeTable(made.codes, made.sizes)

    def dense(rows):
        out = block_loss(model, table, torch.tensor(rows), LossConfig(), torch.Generator().manual_seed(0))
        return out.dense, out.targets

    one, n_one = dense([[1, 2, 3]])
    two, n_two = dense([[4, 5, 6, 7, 8]])
    both, n_both = dense([[1, 2, 3, -1, -1], [4, 5, 6, 7, 8]])
    assert n_both == n_one + n_two == 6
    assert both == pytest.approx((one * n_one + two * n_two) / n_both, rel=1e-5)


def test_dense_loss_equals_what_decoding_says():
    made = toy((3, 4), 10)
    model, table = made.compact(), CodeTable(made.codes, made.sizes)
    out = block_loss(model, table, torch.tensor([[1, 2, 3]]), LossConfig(), torch.Generator().manual_seed(0))
    logp = model.item_logits(model.encode([[1], [1, 2]])).log_softmax(1)
    assert out.dense == pytest.approx(-float(logp[0, 2] + logp[1, 3]) / 2, rel=1e-5)


@pytest.mark.parametrize("stage", ["dense", "block"])
def test_item_dropout_takes_an_item_s_own_embedding_away(stage):
    """With all of them dropped, both stages see a model that has none; with none dropped, they see the difference."""
    made = toy((3, 4), 10)
    own, table = made.compact(), CodeTable(made.codes, made.sizes)
    without = copy.deepcopy(own)
    torch.nn.init.zeros_(without.item_embedding.weight)
    rows = torch.tensor([[1, 2, 3, 4], [5, 6, 7, -1]])

    def loss(model, share):
        config, generator = LossConfig(item_dropout=share), torch.Generator().manual_seed(0)
        if stage == "dense":
            return dense_loss(model, rows, config, generator).loss.item()
        return block_loss(model, table, rows, config, generator).token

    assert loss(own, 1.0) == loss(without, 1.0)
    assert loss(own, 1e-9) != loss(without, 1e-9)
    assert loss(own, 1.0) == pytest.approx(loss(without, 1e-9), rel=1e-6)


def test_a_target_that_its_history_holds_teaches_the_tokens_nothing():
    made = toy((3, 4), 10)
    model, table = made.compact(), CodeTable(made.codes, made.sizes)
    out = block_loss(model, table, torch.tensor([[1, 1]]), LossConfig(), torch.Generator().manual_seed(0))
    assert out.token == 0
    assert out.dense > 0


@pytest.mark.parametrize(
    ("objective", "sizes"), [("ar", (3, 4)), ("ar", (2, 3, 3)), ("diffusion", (12,)), ("diffusion", (2, 3, 3))]
)
def test_the_legal_loss_is_the_likelihood_that_exact_decoding_gives_the_target(objective, sizes):
    """With a view for each level there is no chance in the loss of diffusion either: it reads the whole path."""
    made = toy(sizes, 10)
    model, table, L = made.compact(objective=objective), CodeTable(made.codes, sizes), len(sizes)
    config = LossConfig(legal=True, path_share=1.0, views=L)
    out = block_loss(model, table, torch.tensor([[1, 2, 3]]), config, torch.Generator().manual_seed(0))
    want = 0.0
    for history, target in (([1], 2), ([1, 2], 3)):
        allowed = torch.ones(10, dtype=torch.bool)
        allowed[history] = False
        want -= float(enumerate_order(model, made.index, history, allowed, tuple(range(L)))[target]) / L / 2
    assert out.token == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({}, LossConfig(views=4, path_share=0.5, legal=True, distil=0.5)),
        ({"objective": "ar"}, LossConfig(distil=0.5)),
        ({"token_encoder": "codes"}, LossConfig(views=2, block_targets=3)),
        ({"item_softmax": True, "repeats": True}, LossConfig(views=2)),
    ],
)
def test_a_step_in_slices_has_the_gradient_of_the_whole(monkeypatch, dense, settings, loss):
    """However few sequences the block works on at a time, loss and gradients are the same, and so are absent ones."""
    codes = torch.stack([torch.arange(60) // 10, torch.arange(60) % 10], 1)
    sizes = {"hidden_size": 16, "heads": 2, "intermediate_size": 24, "encoder_layers": 1, "decoder_layers": 1}
    torch.manual_seed(0)
    config = CompactConfig((6, 10), 60, max_history=8, dropout=0.0, block_dropout=0.0, **sizes, **settings)
    model, table = CompactDenoiser(config, codes), CodeTable(codes, (6, 10))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    rows = torch.randint(60, (7, 9))
    rows[2, 5:] = rows[4, 2:] = -1
    rows[5, 4] = rows[5, 1]  # a repeat
    by_size = {}
    for size in (10**9, 200, 1):
        monkeypatch.setattr("mindrec.training.objectives.SLICE", size)
        model.zero_grad(set_to_none=True)
        out = block_loss(model, table, rows, loss, torch.Generator().manual_seed(1), dense=dense)
        out.loss.backward()
        by_size[size] = out.loss, {n: w.grad for n, w in model.named_parameters() if w.grad is not None}
    whole, grads = by_size.pop(10**9)
    for total, own in by_size.values():
        assert total.item() == pytest.approx(whole.item(), abs=1e-5)
        assert own.keys() == grads.keys()
        assert all(torch.allclose(own[name], grads[name], atol=1e-5) for name in grads)


def test_a_step_in_slices_never_holds_the_whole_batch(monkeypatch):
    """What the block is asked at a time is bounded: no more states than fit, but for one sequence."""
    from mindrec.training import objectives

    seen, run = [], CompactDenoiser.block_states
    codes = torch.arange(12)[:, None]
    config = CompactConfig(
        (12,), 12, hidden_size=16, heads=2, intermediate_size=24, encoder_layers=1, decoder_layers=1, max_history=8
    )

    def counted(self, states_BHD, filled_BRL, *rest):
        seen.append(filled_BRL.numel())
        return run(self, states_BHD, filled_BRL, *rest)

    monkeypatch.setattr(CompactDenoiser, "block_states", counted)
    monkeypatch.setattr(objectives, "SLICE", 40)
    rows = torch.randint(12, (9, 6))
    model, table = CompactDenoiser(config, codes), CodeTable(codes, (12,))
    block_loss(model, table, rows, LossConfig(views=4), torch.Generator().manual_seed(0))
    assert seen == [40] * 4 + [20]
