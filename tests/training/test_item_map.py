"""The map of a catalog: drawn in training, kept in the checkpoint, drawn again where it is missing or damaged."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import ours

from mindrec.checkpoint import Checkpoint, add_map, load_checkpoint
from mindrec.cold.add_items import add_items
from mindrec.data.catalog import Item
from mindrec.errors import MindRecError
from mindrec.item_map import EXTENT, MAX_ITEMS, ItemMap, draw


def test_alike_items_are_neighbours_and_sections_are_continents():
    rng = np.random.default_rng(0)
    section = np.repeat([0, 1, 2], 30)
    vectors = rng.normal(size=(90, 8))
    twins = np.arange(0, 90, 2)  # of each pair the second is nearly the first
    vectors[twins + 1] = vectors[twins] + 0.01
    made = draw(vectors, section[:, None])
    assert made == draw(vectors, section[:, None])
    plane = np.array([made.x, made.y]).T
    assert np.abs(plane).max() == EXTENT
    far = np.linalg.norm(plane[:, None] - plane, axis=2) + 1e9 * np.eye(90)
    assert (section[far.argmin(1)] == section).all()
    assert (far.argmin(1)[twins] == twins + 1).mean() > 0.8


@pytest.mark.parametrize("n_items", [1, 3, 6])
def test_the_smallest_catalogs_have_a_map(n_items):
    made = draw(np.eye(n_items), np.zeros((n_items, 0), dtype=int))
    assert len(made) == n_items
    assert len(set(zip(made.x, made.y, strict=True))) == n_items


def test_a_catalog_may_be_too_large_for_a_map():
    assert draw(np.zeros((MAX_ITEMS + 1, 1)), np.zeros((MAX_ITEMS + 1, 0), dtype=int)) is None


def test_training_draws_the_map_and_the_command_draws_the_same_one_again(checkpoint, recommender, tmp_path):
    drawn = recommender.checkpoint.item_map
    assert len(drawn) == len(recommender.catalog)
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    for damage in ("remove", '{"format": 1}', '{"format": 1, "x": [0], "y": [0]}', '{"format": 1, "x": 3, "y": null}'):
        (copy / "map.json").unlink()
        if damage == "remove":
            assert load_checkpoint(copy, "cpu").item_map is None
        else:
            (copy / "map.json").write_text(damage)
            with pytest.raises(MindRecError, match="draw-map"):
                load_checkpoint(copy, "cpu")
        assert add_map(copy).item_map == drawn
    assert load_checkpoint(copy, "cpu").item_map == drawn
    (copy / "map.json").unlink()
    code, out, _ = ours("draw-map", "--checkpoint", copy)
    assert code == 0
    assert "40 items" in out
    assert json.loads((copy / "map.json").read_text()) == json.loads((checkpoint / "map.json").read_text())
    assert load_checkpoint(copy, "cpu").fingerprint == recommender.checkpoint.fingerprint


def test_a_checkpoint_that_is_saved_keeps_its_map_and_added_items_stand_on_it(recommender, tmp_path):
    kept: Checkpoint = recommender.checkpoint
    path = kept.catalog.items[0].categories
    grown = add_items(kept, [Item("new", "A new thing", path)]).checkpoint
    grown.save(tmp_path / "grown")
    assert len(load_checkpoint(tmp_path / "grown", "cpu").item_map) == len(kept.catalog) + 1
    replace(kept, item_map=None).save(tmp_path / "without")
    assert not (tmp_path / "without" / "map.json").exists()
    other = replace(kept, item_map=ItemMap((1,) * 40, (2,) * 40))
    other.save(tmp_path / "without")
    assert load_checkpoint(tmp_path / "without", "cpu").item_map == other.item_map
