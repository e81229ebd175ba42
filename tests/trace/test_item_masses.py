"""The masses of items at each step: they sum to the search mass kept, and are an oracle's own probabilities."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from toys import toy

from mindrec.decoding.beam_search import search
from mindrec.decoding.config import DecodeConfig
from mindrec.recording.recorder import Recorder
from mindrec.trace.item_masses import item_masses


def traced(made, config: DecodeConfig, history=()) -> SimpleNamespace:
    """What of a trace the masses are read from."""
    steps = search(made.oracle(), made.index, [list(history)], config)
    recorded = tuple(Recorder(made.index).record(steps))
    return SimpleNamespace(config=config.to_dict(), history=history, steps=recorded)


@pytest.mark.parametrize("order", ["coarse_to_fine", "confidence", "random"])
def test_enough_beams_give_every_item_an_oracle_probability_at_every_step(order):
    made = toy((3, 4, 4), 20, seed=3, n_categories=1)
    masses = item_masses(traced(made, DecodeConfig(beam_size=100, order=order), (1, 6)), made.codes.numpy())
    assert masses == pytest.approx(np.tile(made.truth((1, 6)).numpy(), (len(masses), 1)), abs=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
def test_an_item_keeps_its_mass_until_no_beam_can_become_it_and_answers_keep_their_probability(beams):
    made = toy((3, 4, 4), 30, seed=5, n_categories=1)
    trace = traced(made, DecodeConfig(beam_size=beams), (1, 6))
    masses, truth = item_masses(trace, made.codes.numpy()), made.truth((1, 6)).numpy()
    for before, after in pairwise(masses):
        assert after[after > 0] == pytest.approx(before[after > 0])
    for beam in trace.steps[-1].beams:
        assert masses[:, beam.item] == pytest.approx(truth[beam.item], abs=1e-5)
    # With codes listed in full, also the sections and groups that were lost have what is theirs.
    sections = [[row[made.codes[:, 0].numpy() == code].sum() for code in range(3)] for row in (masses[0], truth)]
    assert sections[0] == pytest.approx(sections[1], abs=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beam_size": 2},
        {"evidence": "off", "order": "confidence"},
        {"steps": 2},
        {"scoring": "item", "guidance": 1.0},
        {"exclude_seen": False, "forbid_items": [3, 5]},
        {"pins": [[0, 1]]},
        {"expansion": "joint", "merge": "logsumexp"},
        {"votes": 3},
    ],
)
def test_the_masses_of_a_step_sum_to_the_search_mass_kept(recommender, settings):
    trace = recommender.recommend(["i1", "i2"], settings).trace
    masses = item_masses(trace, recommender.tokenizer.codes)
    assert masses.shape == (len(trace.steps), len(recommender.catalog))
    assert masses.min() >= 0
    assert masses.sum(1) == pytest.approx([step.coverage for step in trace.steps], rel=1e-4)


def test_a_search_without_a_coverage_has_the_mass_of_its_beams(recommender):
    for settings in ({"algorithm": "published"}, {"constraint": "level"}, {"temperature": 1.0}):
        trace = recommender.recommend(["i1", "i2"], settings).trace
        masses = item_masses(trace, recommender.tokenizer.codes)
        assert (masses.sum(1) <= [sum(np.exp(b.score) for b in s.beams) + 1e-6 for s in trace.steps]).all()
