"""`train` without a preset: sizes by the data, and a plain sentence about what came of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import ours

from mindrec.data.catalog import Catalog, save_prepared
from mindrec.data.splits import cases
from mindrec.sources.synthetic import load
from mindrec.training.auto_preset import choose_preset, estimate_seconds
from mindrec.training.presets import PRESETS
from mindrec.training.verdict import verdict


def test_sparse_items_get_more_dropout_and_a_catalog_without_tree_larger_codebooks():
    dense, sparse = load(n_items=30, n_users=600), load(n_items=100, n_users=30)
    assert choose_preset(dense).preset.model["dropout"] < choose_preset(sparse).preset.model["dropout"]
    bare = replace(sparse, catalog=Catalog(tuple(replace(i, categories=()) for i in sparse.catalog.items), name="bare"))
    with_tree, without = choose_preset(sparse).preset, choose_preset(bare).preset
    assert without.codebook_size > with_tree.codebook_size
    # Every item must find a code of its own below its category.
    for data, preset in ((sparse, with_tree), (bare, without)):
        assert preset.codebook_size**preset.sid_levels >= data.catalog.tree.items_per_leaf().max()


def test_many_ordered_histories_over_sparse_items_get_the_tuned_recipe_of_texts():
    sparse = load(n_items=3000, n_users=7500)
    tuned = PRESETS["beauty-codes"]
    chosen = choose_preset(sparse).preset
    assert chosen.model == tuned.model | {"max_history": 10}
    assert chosen.codebook_size == 128
    assert replace(chosen.train, batch_targets=tuned.train.batch_targets) == tuned.train
    unordered = replace(sparse, interactions=replace(sparse.interactions, ordered=False))
    ids = tuple(replace(i, title=f"item {i.item_id}", categories=()) for i in sparse.catalog.items)
    silent = replace(sparse, catalog=Catalog(ids, name="ids"))
    dense, few = load(n_items=300, n_users=7500), load(n_items=3000, n_users=700)
    assert not any("token_encoder" in choose_preset(data).preset.model for data in (unordered, silent, dense, few))


def test_the_estimate_counts_the_reader_of_codes(chain_data):
    preset = PRESETS["beauty-codes"]
    silent = replace(preset.train, dense_epochs=0, epochs=0, reader_epochs=0)
    none, reader = (replace(preset, train=replace(silent, reader_epochs=epochs)) for epochs in (0, 8))
    assert estimate_seconds(chain_data, none, torch.device("cpu")) == 0
    assert estimate_seconds(chain_data, reader, torch.device("cpu")) > 0


def test_the_history_that_is_read_covers_nearly_all_sequences(chain_data):
    longest = choose_preset(chain_data).preset.model["max_history"]
    lengths = np.array([len(s) - 2 for s in chain_data.interactions.sequences])
    assert (lengths <= longest).mean() >= 0.95


def test_the_estimate_grows_with_the_epochs(chain_data):
    preset = choose_preset(chain_data).preset
    none = replace(preset, train=replace(preset.train, dense_epochs=0, epochs=0))
    assert estimate_seconds(chain_data, none, torch.device("cpu")) == 0
    assert estimate_seconds(chain_data, preset, torch.device("cpu")) > 0


@pytest.mark.parametrize(
    ("ndcg", "words", "ahead"),
    [(0.9, "ahead of popularity and co-visit", True), (0.0, "behind", False)],
)
def test_the_verdict_compares_with_counting_on_the_same_cases(ndcg, words, ahead):
    data = load(n_items=40, n_users=200, predictability=0.3)
    sample = cases(data.interactions, "validation", 100)
    sentence, clear = verdict(data.interactions, sample, ndcg)
    assert words in sentence
    assert clear is ahead
    assert "100 validation cases" in sentence


def test_train_without_a_preset_prints_its_choice_and_a_verdict(chain_data, tmp_path):
    save_prepared(chain_data, tmp_path / "data")
    code, out, err = ours(
        "train", "--data", tmp_path / "data", "--out", tmp_path / "model", "--device", "cpu", "--epochs", 1,
        "--dense-epochs", 1,
    )  # fmt: skip
    assert code == 0, err
    assert "items in a finest category" in err
    assert "training takes about" in err
    assert "validation cases" in out
