"""The Lab's law against an oracle, its distance at the two ends, and training on it."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from paths import ROOT

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, save_prepared
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.lab.dials import Dials
from mindrec.lab.live import Lab, exact_log_p
from mindrec.lab.problem import pantry
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
    law = make_world(SMALL.sharpness, SMALL.seed).law
    perfect = oracle(lambda history: torch.from_numpy(law(history)))
    even = oracle(lambda history: torch.full((36,), 1 / 36, dtype=torch.float64))
    away, shares = lab.measure(perfect, decode)
    assert away == pytest.approx(0, abs=1e-5)
    assert np.allclose(shares, lab.problem.law, atol=1e-6)
    assert lab.measure(even, decode)[0] == pytest.approx(lab.problem.chance, abs=1e-5)


def test_training_yields_epochs_that_come_nearer_and_is_reproducible(lab, trained):
    assert [epoch.epoch for epoch in trained] == [0, 1, 2]
    assert trained[0].loss_token is None
    assert trained[2].loss_token < trained[1].loss_token
    assert trained[2].measured < trained[0].measured
    assert all(epoch.shares.sum() == pytest.approx(1, abs=1e-5) for epoch in trained)
    again = list(Lab(SMALL).epochs())
    assert [e.measured for e in again] == [e.measured for e in trained]


def test_shares_are_those_of_the_search_that_the_stage_shows(trained, lab):
    """With every beam kept, a decode gives the items the probabilities that the distance is measured with."""
    ids = [lab.catalog.items[row].item_id for row in lab.problem.cart]
    last = trained[-1]
    wide = replace(last.model.default_config, beam_size=36)
    answer = {item.row: item.probability for item in last.model.recommend(ids, wide, trace=False).items}
    assert len(answer) == 36
    assert np.allclose([answer[row] for row in range(36)], last.shares, atol=1e-5)


def test_both_models_learn_one_world_in_turn():
    both = Lab(replace(SMALL, objective="both", epochs=1, histories=20))
    seen = [(epoch.objective, epoch.epoch) for epoch in both.epochs()]
    assert seen == [("diffusion", 0), ("ar", 0), ("diffusion", 1), ("ar", 1)]


CARTS = Dials(world="pantry", histories=40, epochs=1, views=1, width=16)


@pytest.fixture
def grocery(tmp_path, monkeypatch):
    """Data of the grocery's form: the pantry's items follow each other in pairs, others lie between."""
    monkeypatch.setenv("MINDREC_CACHE", str(tmp_path))
    items = [Item(f"p{n}", f"Can {n}", ("Pantry", f"aisle {n % 3}", f"kind {n % 6}")) for n in range(24)]
    items.append(Item("soap", "Soap", ("Household", "aisle 0", "kind 0")))
    draw = np.random.default_rng(0)

    def trip():
        pairs = [(2 * n, 2 * n + 1) for n in draw.permutation(12)[:3]]
        return np.array([24, *sum(pairs, ())], dtype=np.int32)

    split = ("train",) * 60 + ("validation",) * 20 + ("test",) * 4
    log = Interactions(tuple(f"t{n}" for n in range(84)), tuple(trip() for _ in split), 25, split, ordered=False)
    save_prepared(PreparedData(Catalog(tuple(items), name="grocery"), log), tmp_path / "grocery")


def test_carts_are_a_slice_of_the_grocery_trips_with_hit_at_10_as_the_measure(grocery):
    problem = pantry(CARTS)
    assert {item.item_id for item in problem.data.catalog.items} == {f"p{n}" for n in range(24)}
    assert problem.data.catalog.items[0].categories == ("aisle 0", "kind 0")
    assert len(problem.data.interactions) == 40
    assert problem.law is None
    assert len(problem.held_out) == 20
    assert all(len(rows) == 5 for rows in problem.held_out)
    right = np.array([[row == rows[-1] + 1 for row in range(24)] for rows in problem.held_out], dtype=float)
    assert problem.worth(right) == 1, "its pair follows each last item"
    assert 0 < problem.chance < 1
    assert problem.worth(-right) == 0


def test_a_model_of_the_carts_trains_and_never_names_what_is_in_the_cart(grocery):
    last = list(Lab(CARTS).epochs())[-1]
    assert 0 <= last.measured <= 1
    history = last.model.examples[0]["item_ids"]
    answers = {item.row for item in last.model.recommend(history, trace=False).items}
    assert answers
    assert not answers & set(last.model.catalog.rows(history))


def test_carts_without_the_grocery_data_are_refused_plainly(tmp_path, monkeypatch):
    monkeypatch.setenv("MINDREC_CACHE", str(tmp_path))
    monkeypatch.setattr("mindrec.sources.grocery.find_spec", lambda name: None)
    with pytest.raises(MindRecError, match="pip install"):
        Lab(CARTS)


@pytest.mark.slow
def test_the_default_dials_come_within_5_hundredths_of_a_nat():
    assert list(Lab(Dials()).epochs())[-1].measured < 0.05


@pytest.mark.slow
def test_noise_stays_at_chance_and_few_histories_are_learned_by_heart():
    noise = Lab(Dials(sharpness=0.0, histories=600, epochs=8))
    assert noise.problem.chance == pytest.approx(0, abs=1e-12)
    *_, last = noise.epochs()
    assert last.loss_token * len(noise.tokenizer.level_sizes) == pytest.approx(np.log(36), abs=0.4)
    assert last.measured < 0.05
    few = [epoch.measured for epoch in Lab(Dials(histories=60, epochs=30, width=64)).epochs()]
    assert few[-1] > 1.2 * min(few)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"world": "pantry", "sharpness": 0.3}, "world='toy'"),
        ({"epochs": 0}, "epochs=0"),
        ({"sharpness": 1.5}, "sharpness=1.5"),
        ({"width": 9}, "width=9"),
        ({"x": 1}, "'x'"),
    ],
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
