"""The map as the page and a notebook get it: the masses of the trace, points of the checkpoint, titles as text."""

from dataclasses import replace

import numpy as np
import pytest

from app.bundles import whole_map
from app.views.map import brightness, map_figure, masses_view
from mindrec.trace.item_masses import item_masses


def test_the_changes_of_a_step_add_up_to_its_masses(recommender):
    codes = recommender.tokenizer.codes
    trace = recommender.recommend(["i1", "i2"], {"beam_size": 3}).trace
    masses, now = item_masses(trace, codes), np.zeros(len(codes))
    for step, changes in enumerate(masses_view(trace, codes)):
        now[changes["rows"]] = changes["masses"]
        assert now == pytest.approx(masses[step], rel=6e-3)
    assert brightness(masses[-1]).max() == 1


def test_the_figure_of_a_step_has_every_item_the_cart_and_the_true_item(recommender):
    checkpoint = recommender.checkpoint
    items = tuple(replace(item, title=f"<b>{item.title}") for item in checkpoint.catalog.items)
    trace = recommender.recommend(["i1", "i2"], target="i7").trace
    catalog = replace(checkpoint.catalog, items=items)
    figure = map_figure(trace, 2, checkpoint.item_map, catalog, recommender.tokenizer.codes)
    lit, cart, true = figure.data
    assert sorted(lit.x) == sorted(checkpoint.item_map.x)
    assert list(cart.x) == [checkpoint.item_map.x[row] for row in trace.history]
    assert list(true.y) == [checkpoint.item_map.y[trace.gold.row]]
    assert not any("<b>" in words for words in lit.text)


def test_a_checkpoint_without_a_map_and_a_trace_of_other_tokens_have_none(recommender):
    trace = recommender.recommend(["i1", "i2"]).trace
    assert len(whole_map(trace, recommender, "chain")["steps"]) == len(trace.steps)
    assert whole_map(trace, None, None) is None
    assert whole_map(replace(trace, levels=trace.levels[:-1]), recommender, "chain") is None
