"""The second history encoder and the softmax over whole items: exact caches, and likelihoods that are likelihoods."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy, toys

from mindrec.checkpoint import load_checkpoint
from mindrec.decoding.exact import enumerate_all_orders
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.model.architecture import CompactConfig
from mindrec.model.diffusion import MASKED, CodeTable
from mindrec.model.item_softmax import code_log_probability, item_cross_entropy, item_scores
from mindrec.training.objectives import LossConfig, block_loss, reader_loss
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running
from mindrec.training.stages import Recipe

MADE = toy((3, 4, 5), 25, seed=1)
LIMIT = 6
CODES = {"token_encoder": "codes", "item_softmax": True}
histories = st.lists(st.integers(0, MADE.n_items - 1), min_size=1, max_size=9)
answers = st.lists(st.tuples(*(st.integers(-1, size - 1) for size in MADE.sizes)), min_size=1, max_size=4)


@settings(max_examples=10)
@given(history=histories, filled=answers)
def test_a_cache_grown_item_by_item_is_the_cache_of_the_whole(history, filled):
    """Of the second encoder too, below the history limit and at it."""
    model = MADE.compact(0, **CODES)
    cache = model.encode([history[:1]])
    for row in history[1:]:
        cache = model.extend(cache, row)
    fresh, codes = model.encode([history[-LIMIT:]]), torch.tensor(filled)[None]
    assert torch.allclose(cache.state["asked"], fresh.state["asked"], atol=1e-5)
    assert torch.allclose(model.token_logits(cache, codes), model.token_logits(fresh, codes), atol=1e-4)
    assert torch.allclose(model.item_logits(cache), model.item_logits(fresh), atol=1e-5)


@settings(max_examples=10)
@given(
    windows=st.lists(st.lists(st.integers(0, 24), min_size=1, max_size=LIMIT), min_size=1, max_size=3), data=st.data()
)
def test_training_and_decoding_are_one_model(windows, data):
    """Scores of all next-item targets of a padded batch in one pass equal decoding each prefix by itself."""
    model = MADE.compact(2, token_encoder="codes")
    width = max(map(len, windows))
    rows = torch.tensor([w + [0] * (width - len(w)) for w in windows])
    one = st.tuples(*(st.integers(-1, size - 1) for size in MADE.sizes))
    filled = torch.tensor([[data.draw(one) for _ in range(width)] for _ in windows])
    after = torch.arange(1, width + 1).expand(len(windows), width)
    with torch.no_grad():
        states = model.reader.states(rows, model.tokens_NL)
        logits = model._head(model.block_states(states, filled, after), states)
    for b, window in enumerate(windows):
        for n in range(len(window)):
            alone = model.token_logits(model.encode([window[: n + 1]]), filled[b, n][None, None])[0, 0]
            masked = filled[b, n].repeat_interleave(torch.tensor(MADE.sizes)) < 0
            assert torch.allclose(alone[masked], logits[b, n][masked], atol=1e-4)


@pytest.mark.parametrize(
    "part", ["item_embedding.weight", "token_embedding.weight", "encoder.norm.weight", "item_bias"]
)
def test_the_tokens_know_nothing_of_the_dense_part(part):
    """Independence is what makes the second opinion worth asking: no weight of the dense part reaches it."""
    model, filled = MADE.compact(**CODES), torch.full((1, 1, 3), MASKED)
    before = model.token_logits(model.encode([[3, 1]]), filled).clone()
    dense = model.dense_logits(model.encode([[3, 1]])).clone()
    with torch.no_grad():
        weight = dict(model.named_parameters())[part]
        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    model.train().eval()  # forgets the item vectors it kept
    assert torch.equal(model.token_logits(model.encode([[3, 1]]), filled), before)
    assert not torch.allclose(model.dense_logits(model.encode([[3, 1]])), dense)


@given(case=toys(), seed=st.integers(0, 1000), data=st.data())
def test_item_scores_and_code_probabilities_by_brute_force(case, seed, data):
    made, _ = case
    filled = torch.tensor([[data.draw(st.integers(-1, size - 1)) for size in made.sizes] for _ in range(3)])
    logits = torch.randn(3, sum(made.sizes), generator=torch.Generator().manual_seed(seed))
    level_of = torch.repeat_interleave(torch.arange(len(made.sizes)), torch.tensor(made.sizes))
    scores = item_scores(logits, filled, made.tokens, level_of)
    for s in range(3):
        for row in range(made.n_items):
            known = filled[s] != MASKED
            if (made.codes[row][known] != filled[s][known]).any():
                assert scores[s, row] == -torch.inf
            else:
                assert scores[s, row] == pytest.approx(float(logits[s, made.tokens[row][~known]].sum()), abs=1e-5)
    for level in code_log_probability(scores, made.tokens, len(level_of)).exp().split(made.sizes, 1):
        assert torch.allclose(level.sum(1), torch.ones(3), atol=1e-5)


@settings(max_examples=10)
@given(case=toys(), seed=st.integers(0, 1000))
def test_the_likelihood_of_all_allowed_items_is_one_in_every_order(case, seed):
    """The chain of code probabilities is a distribution over the items that may be recommended, whatever the order."""
    made, (history, _) = case
    model, allowed = made.compact(seed, **CODES), torch.ones(made.n_items, dtype=torch.bool)
    if made.exclude_seen:
        allowed[list(history)] = False
    for logp in enumerate_all_orders(model, made.index, history[-6:], allowed).values():
        assert float(logp.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_the_first_position_is_the_marginal_of_the_item_softmax_that_training_teaches():
    model, history = MADE.compact(3, **CODES), [3, 1, 4]
    raw = MADE.compact(3, token_encoder="codes")
    filled = torch.full((1, 1, 3), MASKED)
    logits = raw.token_logits(raw.encode([history]), filled)[0, 0]
    scores = logits[MADE.tokens].sum(1)
    scores[history] = -torch.inf
    p, first = scores.softmax(0), model.token_logits(model.encode([history]), filled)[0, 0, :3].exp()
    want = torch.stack([p[MADE.codes[:, 0] == code].sum() for code in range(3)])
    assert torch.allclose(first, want, atol=1e-5)
    allowed = torch.ones(1, 25, dtype=torch.bool)
    allowed[0, history] = False
    target = torch.tensor([7])
    taught = item_cross_entropy(logits[MADE.tokens].sum(1)[None], allowed, target)
    assert float(taught) == pytest.approx(-float(p[7].log()), abs=1e-5)


def test_the_block_learns_without_moving_or_reading_the_dense_part():
    model = MADE.compact(0, **CODES).train()
    for name, value in model.named_parameters():
        value.requires_grad_(not model.is_dense(name))
    table = CodeTable(MADE.codes, MADE.sizes)
    rows, generator = torch.tensor([[1, 2, 3, 4], [5, 6, -1, -1]]), torch.Generator().manual_seed(0)
    out = block_loss(model, table, rows, LossConfig(views=2, block_targets=1), generator, dense=False)
    assert out.targets == 2  # one of each window
    out.loss.backward()
    moved = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert any(name.startswith("reader.") for name in moved)
    assert any(name.startswith("decoder.") for name in moved)
    assert not any(model.is_dense(name) for name in moved)


def test_the_reader_s_loss_is_cross_entropy_over_sums_of_code_scores():
    model = MADE.compact(1, **CODES)
    rows = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        out = reader_loss(model, rows, LossConfig(), torch.Generator())
        states = model.reader.states(rows[:, :-1], model.tokens_NL)[0]
        scores = (states @ model.output_embedding.weight.T + model.token_bias)[:, MADE.tokens].sum(2)
    assert float(out.loss) == pytest.approx(float(F.cross_entropy(scores, rows[0, 1:])), abs=1e-5)


@pytest.fixture(scope="module")
def trained(checkpoint, chain_data, tiny_preset, tmp_path_factory):
    """A code reader beside the dense part of the session's checkpoint."""
    loss = LossConfig(mask_floor=0.2, path_share=0.5, views=2, block_targets=4)
    train = replace(tiny_preset.train, dense_rate=0.0, reader_epochs=12, epochs=4, batch_targets=200, loss=loss)
    recipe = replace(tiny_preset, model=tiny_preset.model | CODES, train=train)
    folder = tmp_path_factory.mktemp("codes") / "chain-codes"
    return train_checkpoint(
        chain_data, recipe, folder, Recipe(dense_from=checkpoint), running=Running("cpu", progress=False)
    ), folder


def test_a_chain_is_learned_by_the_codes_alone(trained, chain_data):
    result = evaluate_checkpoint(trained[1], chain_data, Protocol(device="cpu", settings={"evidence": "off"}))
    assert result["metrics"]["hit@1"] > 0.9
    assert {r["stage"] for r in trained[0].training["curve"]} == {"reader", "block"}


def test_saving_and_loading_gives_the_same_model(trained):
    made, loaded = trained[0].denoiser, load_checkpoint(trained[1], "cpu").denoiser
    assert loaded.config == made.config
    filled = torch.full((1, 1, len(made.level_sizes)), MASKED)
    one, other = (model.token_logits(model.encode([[1, 2]]), filled) for model in (made, loaded))
    assert torch.equal(one, other)


def test_older_models_are_described_as_they_were():
    assert "token_encoder" not in CompactConfig((2, 2), 4).to_dict()
    assert "item_softmax" not in CompactConfig((2, 2), 4).to_dict()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"token_encoder": "text"}, "shared, codes"),
        ({"item_softmax": True, "objective": "ar"}, "diffusion"),
        ({"item_softmax": 1}, "true or false"),
    ],
)
def test_what_cannot_be_is_refused(settings, says):
    with pytest.raises(MindRecError, match=says):
        CompactConfig((2, 2), 4, **settings)
