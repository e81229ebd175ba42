"""A checkpoint's counts of how often training took each item."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import ours, refused

from mindrec.checkpoint import load_checkpoint
from mindrec.cold.add_items import add_items
from mindrec.data.catalog import Item, save_prepared
from mindrec.data.splits import training_sequences
from mindrec.errors import MindRecError


def counted_by_hand(data) -> list[int]:
    counts = [0] * len(data.catalog)
    for rows in training_sequences(data.interactions):
        for row in set(rows.tolist()):
            counts[row] += 1
    return counts


@pytest.fixture
def without(checkpoint, tmp_path):
    """The trained checkpoint as an earlier release wrote it."""
    folder = tmp_path / "old"
    shutil.copytree(checkpoint, folder)
    about = json.loads((folder / "catalog.json").read_text())
    del about["popularity"]
    (folder / "catalog.json").write_text(json.dumps(about))
    return folder


def test_training_counts(checkpoint, chain_data):
    assert list(load_checkpoint(checkpoint, "cpu").popularity) == counted_by_hand(chain_data)


def test_counts_are_added_to_an_older_checkpoint_and_nothing_else_changes(without, chain_data, tmp_path):
    before = {path.name: path.read_bytes() for path in without.iterdir()}
    old = load_checkpoint(without, "cpu")
    assert old.popularity is None
    save_prepared(chain_data, tmp_path / "data")
    code, out, err = ours("count-popularity", "--checkpoint", without, "--data", tmp_path / "data")
    assert code == 0, err
    assert f"{len(chain_data.catalog)} items" in out
    new = load_checkpoint(without, "cpu")
    assert list(new.popularity) == counted_by_hand(chain_data)
    assert new.fingerprint == old.fingerprint
    after = {path.name: path.read_bytes() for path in without.iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["catalog.json"]


def test_other_data_is_refused(without, chain_data, tmp_path):
    catalog = chain_data.catalog
    other = replace(catalog, items=(replace(catalog.items[0], item_id="another"), *catalog.items[1:]))
    save_prepared(replace(chain_data, catalog=other), tmp_path / "data")
    line = refused("count-popularity", "--checkpoint", without, "--data", tmp_path / "data")
    assert "give the data it was trained on" in line


@pytest.mark.parametrize("damage", [[1, 2], "many", [-1], [1.5], [True]])
def test_damaged_counts_are_refused(without, damage):
    about = json.loads((without / "catalog.json").read_text())
    if isinstance(damage, list) and len(damage) == 1:
        damage = damage * len(about["items"])
    (without / "catalog.json").write_text(json.dumps(about | {"popularity": damage}))
    with pytest.raises(MindRecError, match="damaged"):
        load_checkpoint(without, "cpu")


def test_items_added_after_training_count_nothing(checkpoint, chain_data):
    known = load_checkpoint(checkpoint, "cpu")
    path = chain_data.catalog.items[0].categories
    grown = add_items(known, [Item("new", "New one", path)]).checkpoint
    assert grown.popularity == (*known.popularity, 0)
    assert np.sum(grown.popularity) > 0
