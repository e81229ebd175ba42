"""The dense encoder with a filter along time: what it reads, what it learns, and that nothing else changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy

from mindrec.checkpoint import load_checkpoint
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.model.architecture import CompactConfig
from mindrec.model.filtered_encoder import low_pass_kernel
from mindrec.model.softmax import catalog_cross_entropy, sampled_cross_entropy
from mindrec.training.objectives import LossConfig, dense_loss
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running

MADE = toy((3, 4, 5), 25, seed=1)
LIMIT = 6
FILTERED = {"dense_encoder": "filtered"}
histories = st.lists(st.integers(0, MADE.n_items - 1), min_size=1, max_size=9)


def test_the_kernel_is_what_a_fourier_transform_leaves_of_the_last_place():
    """The published filter: transform a padded history, keep the three lowest of its frequencies, transform back."""
    length = 50
    padded = torch.zeros(length)
    padded[-7:] = torch.randn(7, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(padded, norm="ortho")
    spectrum[3:] = 0
    slow = torch.fft.irfft(spectrum, n=length, norm="ortho")[-1]
    assert float((low_pass_kernel(length) * padded.flip(0)).sum()) == pytest.approx(float(slow), abs=1e-5)


@settings(max_examples=15)
@given(history=histories)
def test_a_cache_grown_item_by_item_is_the_cache_of_the_whole(history):
    """Below the history limit and at it; the block beside it reads the same states."""
    model = MADE.compact(0, **FILTERED)
    cache = model.encode([history[:1]])
    for row in history[1:]:
        cache = model.extend(cache, row)
    fresh, filled = model.encode([history[-LIMIT:]]), torch.full((1, 1, 3), -1)
    assert torch.allclose(model.item_logits(cache), model.item_logits(fresh), atol=1e-4)
    assert torch.allclose(model.token_logits(cache, filled), model.token_logits(fresh, filled), atol=1e-4)


def test_no_place_reads_what_comes_after_it():
    model, rows = MADE.compact(1, **FILTERED), torch.tensor([[1, 2, 3, 4, 5]])
    with torch.no_grad():
        before, _ = model.encode_states(rows)
        after, _ = model.encode_states(torch.tensor([[1, 2, 3, 9, 8]]))
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-3)


def test_neighbours_in_a_batch_change_nothing():
    """Padding comes after a history, where nothing reads it."""
    model = MADE.compact(2, **FILTERED)
    both = model.dense_logits(model.encode([[3, 1], [5, 6, 7, 8, 9]]))
    assert torch.allclose(both[0], model.dense_logits(model.encode([[3, 1]]))[0], atol=1e-5)


def test_order_matters():
    model = MADE.compact(3, **FILTERED)
    one, other = model.dense_logits(model.encode([[3, 1, 2], [2, 1, 3]]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_gradients_reach_every_part_of_it():
    model = MADE.compact(4, **FILTERED, dropout=0.1).train()
    rows = torch.tensor([[1, 2, 3, 4], [5, 6, 7, -1]])
    dense_loss(model, rows, LossConfig(), torch.Generator().manual_seed(0)).loss.backward()
    for name, value in model.encoder.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


# -- a part of the catalog for all of it -------------------------------------------------------------------------------


def test_all_items_as_rivals_are_the_whole_catalog():
    torch.manual_seed(0)
    states, items, bias = torch.randn(5, 8), torch.randn(30, 8), torch.randn(30)
    target = torch.tensor([3, 0, 29, 3, 7])
    whole = catalog_cross_entropy(states, items, bias, target)
    assert float(sampled_cross_entropy(states, items, bias, target, torch.arange(30))) == pytest.approx(float(whole))


def test_a_sample_estimates_the_sum_over_the_catalog():
    """The mean of exp(loss) over many samples nears that of the whole catalog: no side is favoured."""
    generator = torch.Generator().manual_seed(0)
    states, items, bias = (torch.randn(*shape, generator=generator) for shape in ((1, 8), (200, 8), (200,)))
    target = torch.tensor([11])
    found = [
        float(sampled_cross_entropy(states, items, bias, target, torch.randperm(200, generator=generator)[:100]))
        for _ in range(4000)
    ]
    whole = float(catalog_cross_entropy(states, items, bias, target))
    # The target is always in the sum, so the rivals alone are scaled: right up to one item in two hundred.
    assert np.log(np.mean(np.exp(found))) == pytest.approx(whole, abs=0.05)


# -- in training -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(chain_data, tiny_preset, tmp_path_factory):
    train = replace(tiny_preset.train, dense_epochs=14, epochs=1, loss=replace(tiny_preset.train.loss, rivals=15))
    recipe = replace(tiny_preset, model=tiny_preset.model | FILTERED, train=train)
    folder = tmp_path_factory.mktemp("filtered") / "chain"
    return train_checkpoint(chain_data, recipe, folder, running=Running(device="cpu", progress=False)), folder


def test_a_chain_is_learned(trained, chain_data):
    table = evaluate_checkpoint(trained[1], chain_data, Protocol(device="cpu", users=100), baselines=["dense"])
    assert table["baselines"]["dense"]["hit@1"] > 0.9


def test_saving_and_loading_gives_the_same_model(trained):
    made, loaded = trained[0].denoiser, load_checkpoint(trained[1], "cpu").denoiser
    assert loaded.config == made.config
    one, other = (model.dense_logits(model.encode([[1, 2], [4]])) for model in (made, loaded))
    assert torch.equal(one, other)


def test_older_models_are_described_as_they_were():
    assert "dense_encoder" not in CompactConfig((2, 2), 4).to_dict()
    assert CompactConfig((2, 2), 4, **FILTERED).to_dict()["dense_encoder"] == "filtered"


def test_an_unknown_encoder_is_refused():
    with pytest.raises(MindRecError, match="llama, filtered"):
        CompactConfig((2, 2), 4, dense_encoder="fourier")
