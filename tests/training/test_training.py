"""Learning floors on data of known predictability, resuming, and the checkpoint on disk."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from curves import assert_same_curve, curve
from toys import toy

from mindrec.checkpoint import load_checkpoint
from mindrec.data.splits import cases
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.recommender import Recommender
from mindrec.sources.synthetic import load as synthetic
from mindrec.system.files import read_json
from mindrec.training import starting
from mindrec.training.batches import batches
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running
from mindrec.training.stages import Recipe

OWN_CODE = ("config.json", "model.safetensors", "tokenizer.json", "catalog.json")


def trained(data, preset, out, epochs: int, **settings):
    """`settings` are those of the run, the recipe and, as "train", the schedule."""
    preset = replace(preset, train=replace(preset.train, epochs=epochs, **settings.pop("train", {})))
    run = {name: settings.pop(name) for name in ("report", "resume") if name in settings}
    return train_checkpoint(data, preset, out, Recipe(**settings), Running("cpu", progress=False, **run))


# -- learning floors ---------------------------------------------------------------------------------------------------


def test_a_predictable_chain_is_learned(checkpoint, chain_data):
    """The last item decides the next: the test item is named first, and counting popularity cannot do it."""
    result = evaluate_checkpoint(checkpoint, chain_data, Protocol(device="cpu"), baselines=["popularity", "dense"])
    assert result["metrics"]["hit@1"] > 0.95
    assert result["baselines"]["dense"]["hit@1"] > 0.95
    assert result["baselines"]["popularity"]["hit@1"] < 0.2
    assert result["metrics"]["coverage@10"] > result["baselines"]["popularity"]["coverage@10"]
    assert {"tail_hit@10", "popular_share", "propensity_hit@10"} <= result["metrics"].keys()


@pytest.mark.parametrize("settings", [{"order": "confidence"}, {"steps": 1}, {"evidence": "only"}, {"scoring": "item"},
                                      {"expansion": "joint", "merge": "logsumexp"}], ids=str)  # fmt: skip
def test_every_way_of_decoding_finds_what_was_learned(checkpoint, chain_data, settings):
    result = evaluate_checkpoint(checkpoint, chain_data, Protocol(device="cpu", users=60, settings=settings))
    assert result["metrics"]["hit@1"] > 0.95


BEAUTY = {"distil": 0.9, "legal": True, "path_share": 0.75, "views": 2}


@pytest.mark.parametrize("objective", ["ar", "diffusion"])
@pytest.mark.parametrize("settings", [pytest.param({}, marks=pytest.mark.slow), BEAUTY], ids=["plain", "beauty"])
def test_tokens_learn_by_themselves(checkpoint, chain_data, tiny_preset, tmp_path, objective, settings):
    """Of both objectives, with and without a teacher: decoded with evidence off, which has no dense head to lean on."""
    loss = replace(tiny_preset.train.loss, **settings)
    recipe = replace(tiny_preset, decode=replace(tiny_preset.decode, evidence="off"))
    schedule = {"loss": loss, "patience": 30, "batch_targets": 200}
    trained(chain_data, recipe, tmp_path / "c", 12, objective=objective, train=schedule, dense_from=checkpoint)
    result = evaluate_checkpoint(tmp_path / "c", chain_data, Protocol(device="cpu"))
    assert result["metrics"]["hit@1"] > 0.9


def test_noise_stays_at_chance(tiny_preset, tmp_path):
    """Nothing can be learned, so ten guesses hit as often as ten draws from what is allowed: within 4 deviations."""
    data = synthetic(n_items=40, n_users=400, predictability=0.0, seed=3)
    trained(data, tiny_preset, tmp_path / "noise", 3)
    result = evaluate_checkpoint(tmp_path / "noise", data, Protocol(device="cpu"))
    chances = np.array(
        [0.0 if c.target in c.history else 10 / (40 - len(set(c.history))) for c in cases(data.interactions, "test")]
    )
    deviation = math.sqrt((chances * (1 - chances)).sum()) / len(chances)
    assert abs(result["metrics"]["hit@10"] - chances.mean()) < 4 * deviation
    assert result["metrics"]["excluded_targets"] == int((chances == 0).sum())


# -- resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["dense", "block"])
def test_resuming_after_a_stop_is_the_uninterrupted_run(chain_data, tiny_preset, tmp_path, monkeypatch, stage):
    """Also where semantic IDs would come out otherwise the second time, as they do with another number of threads."""

    class PulledPlug(Exception):
        pass

    def stop(record):
        stages.append(record["stage"])
        if stages.count(stage) == 2:
            raise PulledPlug

    stages = []
    whole = trained(chain_data, tiny_preset, tmp_path / "whole", 4)
    with pytest.raises(PulledPlug):
        trained(chain_data, tiny_preset, tmp_path / "cut", 4, report=stop)
    assert not (tmp_path / "cut").exists()
    assert (tmp_path / "cut.partial").exists()
    made = starting.semantic_codes
    monkeypatch.setattr(starting, "semantic_codes", lambda *args: made(*args)[::-1].copy())
    resumed = trained(chain_data, tiny_preset, tmp_path / "cut", 4, resume=True)
    assert_same_curve(curve(whole), curve(resumed))
    for (name, one), (_, other) in zip(
        whole.denoiser.named_parameters(), resumed.denoiser.named_parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-6), name
    assert not (tmp_path / "cut.partial").exists()


def test_resuming_with_other_settings_is_refused(chain_data, tiny_preset, tmp_path):
    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(chain_data, tiny_preset, tmp_path / "cut", 3, report=stop)
    with pytest.raises(MindRecError, match="learning_rate"):
        trained(chain_data, tiny_preset, tmp_path / "cut", 3, train={"learning_rate": 1e-4}, resume=True)


def test_the_best_epoch_is_kept(checkpoint):
    record = read_json(checkpoint / "training.json", "training")
    scores = {r["epoch"]: r["validation"]["score"] for r in record["curve"] if r["stage"] == "block"}
    assert scores[record["best_epoch"]] == max(scores.values())


def test_batches_hold_every_target_once_and_follow_the_seed():
    sequences = [np.arange(n, dtype=np.int32) + 100 * n for n in (2, 5, 5, 3, 9)]
    one, same, other = (list(batches(sequences, 11, 8, seed)) for seed in (1, 1, 2))
    rows = sorted(tuple(r[r >= 0].tolist()) for batch in one for r in batch)
    assert rows == sorted(tuple(s.tolist()) for s in sequences)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert len(one) != len(other) or any(
        a.shape != b.shape or not torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def test_unordered_sequences_are_shuffled_anew_each_epoch():
    sequences = [np.arange(8, dtype=np.int32)]
    epochs = [next(batches(sequences, 9, 100, seed, ordered=False))[0].tolist() for seed in range(4)]
    assert all(sorted(e) == list(range(8)) for e in epochs)
    assert len(set(map(tuple, epochs))) > 1
    assert next(batches(sequences, 9, 100, 0))[0].tolist() == list(range(8))


def test_long_sequences_lose_no_target():
    """Every item but the first is a target in some window."""
    sequence = np.arange(57, dtype=np.int32)
    for seed in range(5):
        targets = {int(v) for batch in batches([sequence], 11, 30, seed) for row in batch for v in row[1:] if v >= 0}
        assert targets >= set(range(2, 57)), sorted(set(range(1, 57)) - targets)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_saving_and_loading_gives_the_same_recommendations(checkpoint, recommender, tmp_path):
    recommender.save_pretrained(tmp_path / "copy")
    again = Recommender.from_pretrained(tmp_path / "copy", "cpu")
    histories = [["i1", "i2"], ["i30"], ["i5", "i6", "i7", "i8"]]
    one, other = (r.recommend_many(histories, trace=False) for r in (recommender, again))
    assert [[(i.item.item_id, i.score) for i in r.items] for r in one] == [
        [(i.item.item_id, i.score) for i in r.items] for r in other
    ]
    assert again.checkpoint.fingerprint == recommender.checkpoint.fingerprint
    assert again.catalog == recommender.catalog
    assert again.default_config == recommender.default_config
    for name in OWN_CODE[:1] + OWN_CODE[2:]:
        assert json.loads((tmp_path / "copy" / name).read_text())


def test_weights_are_safetensors_and_nothing_is_pickled(checkpoint):
    assert not [p.name for p in checkpoint.iterdir() if p.suffix in {".pt", ".pth", ".bin", ".pkl", ".ckpt"}]
    assert (checkpoint / "model.safetensors").stat().st_size > 10_000


@pytest.fixture
def copied(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


@pytest.fixture(scope="session")
def stranger(tiny_preset, tmp_path_factory):
    """A checkpoint of the very same shapes for another catalog and other codes: only contents tell them apart."""
    data = synthetic(n_items=40, n_users=150, seed=9, branching=(3, 4))
    items = tuple(replace(item, item_id=f"other-{item.item_id}") for item in data.catalog.items)
    data = replace(data, catalog=replace(data.catalog, items=items))
    folder = tmp_path_factory.mktemp("stranger") / "chain"
    trained(data, tiny_preset, folder, 1)
    return folder


def refuse(folder, *names: str) -> None:
    with pytest.raises(MindRecError) as caught:
        load_checkpoint(folder, "cpu")
    assert any(name in str(caught.value) for name in names), str(caught.value)


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    refuse(copied, name)


@pytest.mark.parametrize("name", [*OWN_CODE, "training.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "a list"])
def test_a_damaged_file_is_named(copied, name, damage):
    path = copied / name
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"\xff\xfe\x00garbage" * 9, "a list": b"[]"}[damage]
    )
    refuse(copied, name)


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_file_of_another_checkpoint_is_refused(copied, stranger, name):
    shutil.copy(stranger / name, copied / name)
    refuse(copied, *OWN_CODE)


@pytest.mark.parametrize("name", ["config.json", "catalog.json", "tokenizer.json"])
@pytest.mark.parametrize("value", ["absent", None, [], "text", -1])
def test_every_field_of_every_file_is_checked_or_not_needed(copied, recommender, name, value):
    """Whatever one field holds: the checkpoint is refused by name, or it recommends what it did."""
    want = [i.item.item_id for i in recommender.recommend(["i1"], trace=False).items]
    whole = json.loads((copied / name).read_text(encoding="utf-8"))
    for key in whole:
        broken = dict(whole)
        if value == "absent":
            del broken[key]
        else:
            broken[key] = value
        (copied / name).write_text(json.dumps(broken), encoding="utf-8")
        try:
            loaded = Recommender.from_pretrained(copied, "cpu")
        except MindRecError as error:
            assert name in str(error) or key in str(error), error  # noqa: PT017
            continue
        assert [i.item.item_id for i in loaded.recommend(["i1"], trace=False).items] == want, key


@pytest.mark.parametrize(
    ("key", "value"),
    [("heads", 0), ("hidden_size", 47), ("hidden_size", "48"), ("max_history", 0), ("objective", "gan"),
     ("level_sizes", [3, 4]), ("n_items", 41), ("encoder_layers", 2), ("dropout", "x"), ("surprise", 1)],
)  # fmt: skip
def test_bad_sizes_in_the_config_are_refused(copied, key, value):
    raw = json.loads((copied / "config.json").read_text())
    raw["model"][key] = value
    (copied / "config.json").write_text(json.dumps(raw))
    with pytest.raises(MindRecError):
        load_checkpoint(copied, "cpu")


def test_no_folder_and_no_device(tmp_path, checkpoint):
    with pytest.raises(MindRecError, match="train --out"):
        load_checkpoint(tmp_path / "nowhere", "cpu")
    with pytest.raises(MindRecError, match="auto, cpu, cuda or mps"):
        load_checkpoint(checkpoint, "abacus")


def test_data_of_another_catalog_is_refused(checkpoint):
    with pytest.raises(MindRecError, match="was trained on catalog"):
        evaluate_checkpoint(checkpoint, synthetic(n_items=41, n_users=20), Protocol(device="cpu"))


# -- the front door ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "says"),
    [("i1", "list of item ids"), (["i1", "nope"], "'nope'")],
)
def test_a_bad_history_is_refused(recommender, history, says):
    with pytest.raises(MindRecError, match=says):
        recommender.recommend(history)


def test_many_histories_are_the_same_as_one_by_one(recommender):
    histories = [["i1"], ["i2", "i3", "i4"], ["i9", "i8"]]
    together = recommender.recommend_many(histories, DecodeConfig(beam_size=5))
    for history, batch in zip(histories, together, strict=True):
        alone = recommender.recommend(history, DecodeConfig(beam_size=5))
        assert [i.row for i in alone.items] == [i.row for i in batch.items]
        # Scores near -20 are sums in float32, whose last digits depend on the number of threads.
        assert [i.score for i in alone.items] == pytest.approx([i.score for i in batch.items], rel=1e-6, abs=1e-5)
        assert alone.trace.labels == batch.trace.labels


def test_toys_have_no_two_items_alike():
    """The base of all tests with toys."""
    made = toy((3, 3, 3), 20)
    assert len(made.codes.unique(dim=0)) == 20
    assert float(made.p.sum()) == pytest.approx(1)
