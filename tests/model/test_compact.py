"""The compact denoiser: what its cache, its mask and its two passes promise."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy

from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser

MADE = toy((3, 4, 5), 25, seed=1)
LIMIT = 6
OBJECTIVES = pytest.mark.parametrize("objective", ["diffusion", "ar"])
histories = st.lists(st.integers(0, MADE.n_items - 1), min_size=1, max_size=9)
answers = st.lists(st.tuples(*(st.integers(-1, size - 1) for size in MADE.sizes)), min_size=1, max_size=4)


def logits_of(model, history, filled) -> torch.Tensor:
    """Of one history, decoded by itself from scratch: (K, T)."""
    return model.token_logits(model.encode([history]), torch.tensor(filled)[None])[0]


def close(one, other) -> bool:
    return torch.allclose(one, other, atol=1e-5, rtol=0)


def assert_same_cache(one, other) -> None:
    assert one.histories == other.histories
    assert torch.equal(one.state["lengths"], other.state["lengths"])
    assert close(one.state["last"], other.state["last"])
    for part in ("encoder", "decoder"):
        for (key, value), (key2, value2) in zip(one.state[part], other.state[part], strict=True):
            assert close(key, key2)
            assert close(value, value2)


@OBJECTIVES
@settings(max_examples=10)
@given(history=histories, filled=answers)
def test_a_cache_grown_item_by_item_is_the_cache_of_the_whole(objective, history, filled):
    """Below the limit it grows; at the limit the window slides, and the cache is that of the last items."""
    model = MADE.compact(0, objective=objective)
    cache = model.encode([history[:1]])
    for row in history[1:]:
        cache = model.extend(cache, row)
    fresh = model.encode([history[-LIMIT:]])
    assert_same_cache(cache, fresh)
    codes = torch.tensor(filled)[None]
    assert close(model.token_logits(cache, codes), model.token_logits(fresh, codes))
    assert close(model.item_logits(cache), model.item_logits(fresh))


def test_extending_leaves_the_old_cache_as_it_was():
    """The app keeps the old one for undo."""
    model = MADE.compact()
    cache, again = model.encode([[1, 2]]), model.encode([[1, 2]])
    model.extend(cache, 3)
    assert_same_cache(cache, again)


@OBJECTIVES
@settings(max_examples=10)
@given(many=st.lists(st.tuples(histories, answers), min_size=2, max_size=6))
def test_batch_mates_and_padding_change_nothing(objective, many):
    """Fault 8 of the published code: pads were attended to, so an answer depended on its neighbours."""
    model = MADE.compact(0, objective=objective)
    width = max(len(filled) for _, filled in many)
    padded = torch.full((len(many), width, len(MADE.sizes)), -1)
    for n, (_, filled) in enumerate(many):
        padded[n, : len(filled)] = torch.tensor(filled)
    cache = model.encode([history for history, _ in many])
    together, items = model.token_logits(cache, padded), model.item_logits(cache)
    for n, (history, filled) in enumerate(many):
        assert close(together[n, : len(filled)], logits_of(model, history, filled))
        assert close(items[n], model.item_logits(model.encode([history]))[0])


def test_selecting_users_of_a_cache_is_encoding_them():
    model = MADE.compact()
    cache = model.encode([[1, 2, 3], [4], [5, 6]])
    chosen = model.select(cache, torch.tensor([2, 0]))
    filled = torch.tensor([[[-1, 1, -1]], [[0, -1, -1]]])
    want = model.token_logits(model.encode([[5, 6], [1, 2, 3]]), filled)
    assert close(model.token_logits(chosen, filled), want)
    assert chosen.histories == ((5, 6), (1, 2, 3))


def test_beams_beside_each_other_do_not_see_each_other():
    model, history = MADE.compact(), [3, 1, 4]
    beams = [[-1, -1, -1], [1, -1, 2], [-1, 3, -1]]
    together = logits_of(model, history, beams)
    for n, beam in enumerate(beams):
        assert close(together[n], logits_of(model, history, [beam])[0])


@OBJECTIVES
def test_what_was_made_of_weights_goes_with_them(objective):
    """Item vectors and the first layer's table are kept between decodes; they are of the weights of the moment."""
    model, other = MADE.compact(0, objective=objective), MADE.compact(1, objective=objective)
    history, beams = [3, 1, 4], [[-1, -1, -1], [1, -1, 2]]
    want, items = logits_of(other, history, beams), other.item_logits(other.encode([history]))
    assert not close(logits_of(model, history, beams), want)
    model.load_state_dict(other.state_dict())
    assert close(logits_of(model, history, beams), want)
    assert close(model.item_logits(model.encode([history])), items)
    in_double = logits_of(model.double(), history, beams)  # moved or cast, nothing of the old stays
    assert torch.allclose(in_double.float(), want, atol=1e-4)


def level(logits: torch.Tensor, position: int) -> torch.Tensor:
    return logits[..., sum(MADE.sizes[:position]) : sum(MADE.sizes[: position + 1])]


def test_the_target_block_is_bidirectional():
    """A later code changes what is thought of an earlier position: the point of masked diffusion."""
    one, other = logits_of(MADE.compact(), [3, 1], [[-1, -1, 0], [-1, -1, 4]])
    assert (level(one, 0) - level(other, 0)).abs().max() > 1e-3
    assert (level(one, 1) - level(other, 1)).abs().max() > 1e-3


def test_the_twin_is_causal():
    """An auto-regressive position depends on the codes before it and on nothing at or after it."""
    model = MADE.compact(objective="ar")
    for position, (here, there) in enumerate((([-1, 1, 0], [-1, 3, 4]), ([2, -1, 0], [2, -1, 4]))):
        one, other = logits_of(model, [3, 1], [here, there])
        assert close(level(one, position), level(other, position))
    one, other = logits_of(model, [3, 1], [[2, 1, -1], [2, 3, -1]])
    assert (level(one, 2) - level(other, 2)).abs().max() > 1e-3


@OBJECTIVES
def test_the_order_and_every_item_of_the_history_matter(objective):
    model = MADE.compact(objective=objective)
    base = logits_of(model, [3, 1, 7], [[-1, -1, -1]])
    for other in ([1, 3, 7], [4, 1, 7], [3, 1], [1, 7]):
        assert (logits_of(model, other, [[-1, -1, -1]]) - base).abs().max() > 1e-3


def test_only_the_last_items_of_a_long_history_count():
    model = MADE.compact()
    long = list(range(12))
    assert torch.equal(logits_of(model, long, [[-1, -1, -1]]), logits_of(model, long[-LIMIT:], [[-1, -1, -1]]))


@OBJECTIVES
@settings(max_examples=10)
@given(data=st.data())
def test_training_and_decoding_are_one_model(objective, data):
    """All next-item targets of a padded batch in one pass equal decoding each prefix by itself."""
    model = MADE.compact(2, objective=objective)
    windows = data.draw(st.lists(st.lists(st.integers(0, 24), min_size=1, max_size=LIMIT), min_size=1, max_size=3))
    width = max(map(len, windows))
    rows = torch.tensor([w + [0] * (width - len(w)) for w in windows])
    one = st.tuples(*(st.integers(-1, size - 1) for size in MADE.sizes))
    filled = torch.tensor([[data.draw(one) for _ in range(width)] for _ in windows])
    after = torch.arange(1, width + 1).expand(len(windows), width)
    with torch.no_grad():
        states, items_ND = model.encode_states(rows)
        logits = model._head(model.block_states(states, filled, after), states)
        dense = states @ items_ND.T + model.item_bias
    for b, window in enumerate(windows):
        for n in range(len(window)):
            cache = model.encode([window[: n + 1]])
            masked = filled[b, n].repeat_interleave(torch.tensor(MADE.sizes)) < 0
            assert close(logits[b, n][masked], model.token_logits(cache, filled[b, n][None, None])[0, 0][masked])
            assert close(dense[b, n], model.item_logits(cache)[0])


def test_a_change_of_weights_is_seen_after_training():
    """Item vectors are kept between decodes; training makes them stale."""
    model = MADE.compact()
    before = logits_of(model, [1], [[-1, -1, -1]])
    model.train()
    with torch.no_grad():
        model.item_embedding.weight.mul_(3.0)
    model.eval()
    assert (logits_of(model, [1], [[-1, -1, -1]]) - before).abs().max() > 1e-3


def test_gradients_reach_every_part():
    """A part without a gradient would never be trained; dense head and blocks each have their own path."""
    from mindrec.model.diffusion import CodeTable
    from mindrec.training.objectives import LossConfig, block_loss

    model = MADE.compact().train()
    rows = torch.tensor([[1, 5, 9, 3], [2, 7, -1, -1]])
    table = CodeTable(MADE.codes, MADE.sizes)
    generator = torch.Generator().manual_seed(0)
    block_loss(model, table, rows, LossConfig(), generator).loss.backward()
    untrained = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}  # Llama's own, one row, unused
    untrained |= {"evidence", "opinion"}  # fitted on validation
    for name, value in model.named_parameters():
        if name not in untrained:
            assert value.grad is not None, name
            assert value.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("change", "says"),
    [({"objective": "gan"}, "diffusion, ar"), ({"hidden_size": 30}, "multiple of heads")],
)
def test_bad_sizes_are_refused(change, says):
    with pytest.raises(MindRecError, match=says):
        replace(CompactConfig(MADE.sizes, MADE.n_items, hidden_size=32), **change)


def test_codes_of_another_catalog_are_refused():
    config = CompactConfig(MADE.sizes, MADE.n_items + 1, hidden_size=32)
    with pytest.raises(MindRecError, match=r"\(26, 3\)"):
        CompactDenoiser(config, MADE.codes)


def test_an_empty_history_is_refused():
    with pytest.raises(MindRecError, match="at least one item"):
        MADE.compact().encode([[1], []])


@pytest.mark.parametrize(("of_encoder", "of_block"), [(0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_dropout_of_the_block_is_its_own(of_encoder, of_block):
    """In training, what the encoder makes varies with its dropout alone; what the block makes of it with its own."""
    model = MADE.compact(dropout=of_encoder, block_dropout=of_block).train()
    rows, filled = torch.tensor([[1, 2, 3]]), torch.full((1, 1, 3), -1)
    encoded = [model.encode_states(rows)[0] for _ in range(2)]
    read = [model.block_states(encoded[0], filled, torch.tensor([[3]])) for _ in range(2)]
    assert torch.equal(*encoded) == (of_encoder == 0)
    assert torch.equal(*read) == (of_block == 0)


def test_dropout_of_the_block_is_the_encoder_s_unless_given():
    assert CompactConfig((2,), 2, dropout=0.3).block_dropout == 0.3
    assert CompactConfig((2,), 2, dropout=0.3, block_dropout=0.0).block_dropout == 0.0
    with pytest.raises(MindRecError, match=r"block_dropout 1\.5 is outside"):
        CompactConfig((2,), 2, block_dropout=1.5)
