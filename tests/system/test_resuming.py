"""A resumed run is the run: what decides its result is compared, by name, before anything is done."""

import json
from dataclasses import replace

import pytest
import torch
from commands import ours, refused

from mindrec.checkpoint import load_checkpoint
from mindrec.data.catalog import save_prepared
from mindrec.data.splits import Case
from mindrec.errors import MindRecError
from mindrec.model.diffusion import CodeTable
from mindrec.system.files import read_json
from mindrec.system.unfinished import Start, begin, differences
from mindrec.text.features import text_model_digest
from mindrec.training.calibrate import calibrate
from mindrec.training.run import train_checkpoint
from mindrec.training.running import Running
from mindrec.training.stages import Recipe

QUIET = Running("cpu", progress=False)
RUN = {"seed": 1, "preset": {"train": {"epochs": 3}, "levels": (4, 16)}, "data": "abc"}


def test_differences_are_named_with_both_values():
    assert differences(RUN, RUN) == []
    assert differences({**RUN, "preset": {"train": {"epochs": 3}, "levels": [4, 16]}}, RUN) == []
    changed = differences(RUN, {**RUN, "seed": 2, "preset": {"train": {"epochs": 5}, "levels": (4, 16)}, "more": "x"})
    assert changed == [
        "more None, this run has 'x'",
        "preset.train.epochs 3, this run has 5",
        "seed 1, this run has 2",
    ]


def test_how_a_run_begins(tmp_path):
    folder, said = tmp_path / "out.partial", []
    assert begin(folder, RUN, resume=False, say=said.append) is Start.AFRESH
    assert said == []
    assert begin(folder, RUN, resume=True, say=said.append) is Start.GOES_ON
    with pytest.raises(MindRecError, match="begun with seed 1, this run has 2"):
        begin(folder, RUN | {"seed": 2}, resume=True, say=said.append)
    many = RUN | {"preset": {f"size{n}": n for n in range(10)}}
    with pytest.raises(MindRecError, match=r"begun with preset\.levels") as refusal:
        begin(folder, many, resume=True, say=said.append)
    assert "; 6 more settings differ" in str(refusal.value)
    assert str(refusal.value).count("this run has") == 6
    (folder / "work").write_text("of an earlier run")
    assert begin(folder, RUN | {"seed": 2}, resume=False, say=said.append) is Start.AFRESH
    assert "moved to" in said.pop()
    assert (tmp_path / "out.partial.old-1" / "work").exists(), "a stale folder is kept"
    assert read_json(folder / "about.json", "test")["seed"] == 2


def test_a_run_without_a_start_and_a_finished_one_say_so(tmp_path):
    folder, said = tmp_path / "out.partial", []
    assert begin(folder, RUN, resume=True, finished=lambda: RUN, say=said.append) is Start.FINISHED
    assert "nothing is left to do" in said.pop()
    assert not folder.exists()
    with pytest.raises(MindRecError, match="seed"):
        begin(folder, RUN, resume=True, finished=lambda: RUN | {"seed": 3}, say=said.append)
    assert begin(folder, RUN, resume=True, say=said.append) is Start.AFRESH
    assert "nothing to resume" in said.pop()


def test_work_that_records_nothing_is_not_gone_on_with(tmp_path):
    """Releases before this record wrote such folders."""
    folder = tmp_path / "out.partial"
    folder.mkdir()
    (folder / "state.json").write_text("{}")
    for finished in (lambda: None, lambda: {}):
        with pytest.raises(MindRecError, match="without --resume") as refusal:
            begin(folder, RUN, resume=True, finished=finished)
        assert str(folder.with_suffix("")) in str(refusal.value)
        assert len(str(refusal.value)) < 200 + len(str(folder))
        if folder.exists():
            (folder / "state.json").unlink()
            folder.rmdir()


@pytest.fixture(scope="module")
def cut(chain_data, tiny_preset, tmp_path_factory):
    """A training that was killed after its first epoch, and how it was called."""
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=2, dense_epochs=1, batch_targets=600))
    call = {"data": chain_data, "preset": recipe, "out": tmp_path_factory.mktemp("cut") / "model"}

    def killed(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_checkpoint(**call, running=replace(QUIET, report=killed))
    return call


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("objective 'diffusion', this run has 'ar'", lambda call: {"recipe": Recipe("ar")}),
        ("semantic_ids 'residual', this run has 'product'", lambda call: {"recipe": Recipe(semantic_ids="product")}),
        ("sequences None, this run has 20", lambda call: {"recipe": Recipe(max_sequences=20)}),
        (
            "preset.sid_levels",
            lambda call: {"preset": replace(call["preset"], sid_levels=call["preset"].sid_levels + 1)},
        ),
        (
            "preset.train.seed 0, this run has 5",
            lambda call: {"preset": replace(call["preset"], train=replace(call["preset"].train, seed=5))},
        ),
        ("data '", lambda call: {"data": replace(call["data"], interactions=reversed_sequences(call["data"]))}),
    ],
)
def test_another_training_is_not_gone_on_with(cut, name, change):
    before = {path: path.read_bytes() for path in cut["out"].parent.rglob("*") if path.is_file()}
    with pytest.raises(MindRecError, match="begun with") as refusal:
        train_checkpoint(**cut | change(cut), running=replace(QUIET, resume=True))
    assert name in str(refusal.value)
    assert {path: path.read_bytes() for path in cut["out"].parent.rglob("*") if path.is_file()} == before


def test_a_text_model_is_known_by_what_it_holds(cut, tmp_path):
    """Another model under the same name is another run; the same one may lie elsewhere."""
    model, same = tmp_path / "model", tmp_path / "elsewhere"
    for folder in (model, same):
        (folder / "1_Pooling").mkdir(parents=True)
        (folder / "1_Pooling" / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    assert text_model_digest(model) == text_model_digest(same)
    partial = cut["out"].with_name("model.partial")
    before = (partial / "about.json").read_text()
    about = json.loads(before) | {"text_model": text_model_digest(model)}
    (partial / "about.json").write_text(json.dumps(about))
    (model / "model.safetensors").write_bytes(b"other weights")
    try:
        for folder, said in ((model, "text_model '"), (same, "no sentence-transformers model|not installed")):
            with pytest.raises(MindRecError, match=said):
                train_checkpoint(**cut, recipe=Recipe(text_model=folder), running=replace(QUIET, resume=True))
    finally:
        (partial / "about.json").write_text(before)


def reversed_sequences(data):
    """The same items, bought as often, in another order."""
    log = data.interactions
    return replace(log, sequences=tuple(rows[::-1].copy() for rows in log.sequences))


def test_a_finished_run_is_left_alone(checkpoint, chain_data, tiny_preset, capsys):
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=10, batch_targets=300))
    before = {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*")}
    made = train_checkpoint(chain_data, recipe, checkpoint, running=replace(QUIET, resume=True))
    assert made.training["objective"] == "diffusion"
    assert {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*")} == before
    assert "nothing is left to do" in capsys.readouterr().err
    with pytest.raises(MindRecError, match=r"preset\.train\.epochs 10, this run has 3"):
        train_checkpoint(
            chain_data,
            replace(recipe, train=replace(recipe.train, epochs=3)),
            checkpoint,
            running=replace(QUIET, resume=True),
        )


@pytest.mark.parametrize(("option", "value"), [("--epochs", 0), ("--dense-epochs", -1)])
def test_training_without_an_epoch_is_one_sentence(option, value, chain_data, tmp_path):
    save_prepared(chain_data, tmp_path / "data")
    line = refused(
        "train", "--data", tmp_path / "data", "--out", tmp_path / "model", "--preset", "tiny", option, value,
        "--device", "cpu",
    )  # fmt: skip
    assert line.startswith(f"error: {option} {value} ")
    assert not list(tmp_path.glob("model*"))


@pytest.mark.parametrize("records", [[{"epoch": 0}], []])
def test_what_was_saved_is_said_and_nothing_else(records, checkpoint, chain_data, tmp_path, monkeypatch):
    """A finished run that is resumed has no epoch to tell."""
    made = load_checkpoint(checkpoint, "cpu")

    def trained(*given):
        for record in records:
            given[-1].report(record)
        return made

    for name in ("training.run.train_checkpoint", "text_backbone.tuning_run.train_llada_checkpoint"):
        monkeypatch.setattr(f"mindrec.{name}", trained)
    save_prepared(chain_data, tmp_path / "data")
    for command in ("train", "train-llada"):
        words = ("--data", tmp_path / "data", "--out", tmp_path / "model", "--preset", "tiny", "--resume")
        code, out, err = ours(command, *words)
        assert code == 0, err
        assert out.startswith("saved ") == bool(records)
        assert f"{made.training['peak_memory_mb']:,} MB" in out


def test_training_that_diverges_at_once_leaves_nothing(chain_data, tiny_preset, tmp_path):
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=1, learning_rate=1e30))
    with pytest.raises(MindRecError, match="diverged in epoch 1"):
        train_checkpoint(chain_data, recipe, tmp_path / "model", running=QUIET)
    assert not list(tmp_path.iterdir())


def test_training_that_diverges_later_keeps_the_best(chain_data, tiny_preset, tmp_path, monkeypatch, capsys):
    from mindrec.training.loop import _Run

    real = _Run.epoch
    monkeypatch.setattr(_Run, "epoch", lambda self, epoch: None if epoch >= 2 else real(self, epoch))
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=5, dense_epochs=0))
    made = train_checkpoint(chain_data, recipe, tmp_path / "model", running=QUIET)
    assert [record["epoch"] for record in made.training["curve"]] == [0, 1]
    assert made.training["curve"][-1]["stopped"] == "epoch 3 diverged"
    assert "the best so far, epoch" in capsys.readouterr().err


def test_training_whose_validation_targets_are_all_known_ends_with_a_checkpoint(chain_data, tiny_preset, tmp_path):
    """Each customer's second-last item is one that they had before."""
    log = chain_data.interactions
    rows = tuple(_with_known_target(sequence) for sequence in log.sequences)
    data = replace(chain_data, interactions=replace(log, sequences=rows))
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=1))
    made = train_checkpoint(data, recipe, tmp_path / "model", running=QUIET)
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert made.decode.exclude_seen is False


def test_cases_whose_item_is_known_leave_the_weights_as_they_are(recommender):
    model = recommender.denoiser
    assert not model.config.repeats
    before = model.opinion.clone()
    table = CodeTable(torch.from_numpy(recommender.tokenizer.codes), model.level_sizes)
    assert calibrate(model, table, [Case("u", (1, 2, 3), 2)]) == {"evidence": [], "tokens": [], "both": []}
    assert torch.equal(model.opinion, before)


def _with_known_target(sequence):
    sequence = sequence.copy()
    sequence[-2] = sequence[0]
    return sequence


def test_a_dense_part_of_other_sizes_is_named(checkpoint, chain_data, tiny_preset, tmp_path):
    recipe = replace(tiny_preset, model=dict(tiny_preset.model) | {"hidden_size": 96})
    with pytest.raises(MindRecError, match=r"hidden_size \d+ there and 96 here"):
        train_checkpoint(
            chain_data,
            recipe,
            tmp_path / "model",
            Recipe(dense_from=checkpoint),
            running=QUIET,
        )
    assert not list(tmp_path.iterdir())


def test_peak_memory_is_recorded(checkpoint):
    assert read_json(checkpoint / "training.json", "training")["peak_memory_mb"] > 50
