"""The Lab's law against an oracle, its distance at the two ends, and training on it."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from paths import ROOT

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.lab.dials import Dials
from mindrec.lab.live import Lab, exact_log_p
from mindrec.lab.world import distance, entropy, make_world
from mindrec.model.oracle import OracleDenoiser

SMALL = Dials(histories=100, epochs=2, views=1, width=16)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(SMALL)


@pytest.fixture(scope="module")
def trained(lab) -> list:
    return list(lab.epochs())


@pytest.mark.parametrize("sharpness", [0.0, 0.3, 0.6, 0.95, 1.0])
def test_the_law_is_a_distribution_and_the_walks_follow_it(sharpness):
    world = make_world(sharpness, 3)
    laws = np.stack([world.law([row]) for row in range(36)])
    assert np.allclose(laws.sum(1), 1, atol=1e-12)
    assert (laws >= 0).all()
    walks = world.walks(6000, 5, length=2)
    counted = np.zeros((36, 36))
    np.add.at(counted, (walks[:, 0], walks[:, 1]), 1)
    starts = counted.sum(1)
    # A count of n draws lies within five deviations of n p.
    expected = starts[:, None] * laws
    assert (np.abs(counted - expected) <= 5 * np.sqrt(expected * (1 - laws)) + 1e-9 + 1.0 * (expected > 0)).all()


def test_the_dial_goes_from_chance_to_certainty():
    entropies = [entropy(make_world(s, 0).law([4])) for s in (0, 0.2, 0.5, 0.8, 1)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] == pytest.approx(np.log(36))
    assert entropies[-1] == 0


def test_a_model_that_is_the_law_has_distance_0_and_an_even_one_the_entropy_gap(lab):
    """The measure goes by the project's exact search, so an oracle of the law must come out as the law itself."""
    tokens = torch.from_numpy(lab.tokenizer.tokens)

    def oracle(p_of) -> OracleDenoiser:
        return OracleDenoiser(tokens, lab.tokenizer.level_sizes, p_of)

    decode = DecodeConfig(evidence="off", exclude_seen=False)
    perfect = oracle(lambda history: torch.from_numpy(lab.world.law(history)))
    even = oracle(lambda history: torch.full((36,), 1 / 36, dtype=torch.float64))
    away, shares = lab.measure(perfect, decode)
    assert away == pytest.approx(0, abs=1e-5)
    assert np.allclose(shares, lab.world.law(lab.cart), atol=1e-6)
    assert lab.measure(even, decode)[0] == pytest.approx(lab.start().chance, abs=1e-5)


def test_training_yields_epochs_that_come_nearer_and_is_reproducible(lab, trained):
    assert [epoch.epoch for epoch in trained] == [0, 1, 2]
    assert trained[0].loss_token is None
    assert trained[2].loss_token < trained[1].loss_token
    assert trained[2].distance < trained[0].distance
    assert all(epoch.shares.sum() == pytest.approx(1, abs=1e-5) for epoch in trained)
    again = list(Lab(SMALL).epochs())
    assert [e.distance for e in again] == [e.distance for e in trained]


def test_shares_are_those_of_the_search_that_the_stage_shows(trained, lab):
    """With every beam kept, a decode gives the items the probabilities that the distance is measured with."""
    ids = [lab.world.catalog.items[row].item_id for row in lab.cart]
    last = trained[-1]
    wide = replace(last.model.default_config, beam_size=36)
    found = {item.row: item.probability for item in last.model.recommend(ids, wide, trace=False).items}
    assert len(found) == 36
    assert np.allclose([found[row] for row in range(36)], last.shares, atol=1e-5)


def test_both_models_learn_one_world_in_turn():
    both = Lab(replace(SMALL, objective="both", epochs=1, histories=20))
    seen = [(epoch.objective, epoch.epoch) for epoch in both.epochs()]
    assert seen == [("diffusion", 0), ("ar", 0), ("diffusion", 1), ("ar", 1)]


@pytest.mark.slow
def test_the_default_dials_come_within_5_hundredths_of_a_nat():
    assert list(Lab(Dials()).epochs())[-1].distance < 0.05


@pytest.mark.slow
def test_noise_stays_at_chance_and_few_histories_are_learned_by_heart():
    noise = Lab(Dials(sharpness=0.0, histories=600, epochs=8))
    assert noise.start().chance == pytest.approx(0, abs=1e-12)
    *_, last = noise.epochs()
    assert last.loss_token * len(noise.tokenizer.level_sizes) == pytest.approx(np.log(36), abs=0.4)
    assert last.distance < 0.05
    few = [epoch.distance for epoch in Lab(Dials(histories=60, epochs=30, width=64)).epochs()]
    assert few[-1] > 1.2 * min(few)


@pytest.mark.parametrize(
    ("raw", "words"),
    [({"epochs": 0}, "epochs=0"), ({"sharpness": 1.5}, "sharpness=1.5"), ({"width": 9}, "width=9"), ({"x": 1}, "'x'")],
)
def test_a_dial_out_of_range_is_named(raw, words):
    with pytest.raises(MindRecError, match=words):
        Dials.from_dict(raw)


def test_dials_go_through_json():
    assert Dials.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL


def test_an_infinite_law_is_measured_without_an_infinite_distance(lab):
    certain = np.eye(36)[3]
    assert distance(certain, np.log(np.full(36, 1 / 36))) == pytest.approx(np.log(36))
    none = exact_log_p(OracleDenoiser(*_one_item(lab)), lab.tokenizer, [(0,)], DecodeConfig(exclude_seen=False))
    assert np.isfinite(none).all()


def _one_item(lab):
    return (
        torch.from_numpy(lab.tokenizer.tokens),
        lab.tokenizer.level_sizes,
        lambda history: torch.nn.functional.one_hot(torch.tensor(0), 36).double(),
    )


def test_the_command_writes_events_and_names_what_is_wrong():
    """In one process: events in order, a checkpoint that opens, and a bad dial as an error object with status 2."""
    command = [sys.executable, "-m", "mindrec.lab", "--dials"]
    done = subprocess.run([*command, '{"epochs": 0}'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "epochs=0" in json.loads(done.stdout)["message"]


@pytest.mark.slow
def test_a_process_that_waits_runs_the_dials_it_reads_and_ends_without_any():
    """It imports before it reads; the same run as one that is told its dials at its start."""
    command = [sys.executable, "-m", "mindrec.lab", "--wait"]
    dials = '{"epochs": 1, "histories": 20, "views": 1, "width": 8}'
    done = subprocess.run(command, cwd=ROOT, input=dials + "\n", capture_output=True, text=True)
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "model", "end"]
    nobody = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True)
    assert (nobody.returncode, nobody.stdout) == (0, "")
