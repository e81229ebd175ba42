"""The command line: the journey of `prepare`, `train`, `evaluate`, `recommend`; and one clear line for bad input."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from commands import done, mindrec, ours, refused

from mindrec.trace.records import DecodeTrace


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """Data and a checkpoint made by the commands alone."""
    folder = tmp_path_factory.mktemp("journey")
    done("prepare", "synthetic", "--items", 24, "--users", 60, "--out", folder / "data")
    done(
        "train",
        "--data",
        folder / "data",
        "--out",
        folder / "model",
        "--preset",
        "tiny",
        "--epochs",
        2,
        "--device",
        "cpu",
    )
    return folder


def test_evaluate(journey):
    out = journey / "result.json"
    code, text, _ = ours(
        "evaluate", "--checkpoint", journey / "model", "--data", journey / "data", "--users", 20,
        "--decoder", "beam_size=5", "--baseline", "popularity,covisit,dense", "--json", out, "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    result = json.loads(out.read_text())
    assert_reads_as_an_answer(text, result)
    assert {"dataset", "split", "users", "seed", "decoder", "nfe", "metrics", "seconds"} <= result.keys()
    assert result["users"] == 20
    assert result["split"] == "test"
    assert result["decoder"]["beam_size"] == 5
    for measured in (result["metrics"], *(result["baselines"][b] for b in ("popularity", "covisit", "dense"))):
        assert {"hit@1", "hit@5", "hit@10", "ndcg@5", "ndcg@10", "cc", "entropy", "ttr"} <= measured.keys()
        assert 0 <= measured["hit@1"] <= measured["hit@5"] <= measured["hit@10"] <= 1
    assert result["metrics"]["cc"] == 0


def assert_reads_as_an_answer(text, result):
    """One table with a row each and one sentence, no JSON; its figures are those of the file."""
    *table, verdict = text.splitlines()
    for title in ("model (model)", "item evidence alone", "popularity", "co-visit", "dense head alone"):
        assert sum(title in line for line in table) == 1, text
    assert "{" not in text
    assert f"{result['metrics']['ndcg@10']:.4f}" in text
    assert f"{result['baselines']['covisit']['hit@10']:.4f}" in text
    assert verdict.startswith("On 20 test users the model ")
    over = {**result["model_over"], "alone": result["gain"]}
    assert all(v["ndcg@10"]["low"] <= v["ndcg@10"]["ratio"] <= v["ndcg@10"]["high"] for v in over.values())


def test_json_alone_where_it_is_asked_for(journey):
    common = ("evaluate", "--checkpoint", journey / "model", "--data", journey / "data", "--users", 10, "--json", "-")
    code, out, _ = ours(*common, "--device", "cpu")
    assert code == 0
    assert set(json.loads(out)["baselines"]) == {"popularity", "covisit", "dense"}
    code, out, _ = ours(
        "recommend", "--checkpoint", journey / "model", "--item", "i3", "--json", "-", "--device", "cpu"
    )
    answer = json.loads(out)
    assert code == 0
    assert answer["history"] == ["i3"]
    assert [item["rank"] for item in answer["items"]] == list(range(1, 11))
    assert {"item_id", "title", "categories", "score", "probability"} <= answer["items"][0].keys()
    assert not list(journey.glob("-"))


def test_recommend_by_id_and_by_title_with_a_trace(journey):
    text = done(
        "recommend", "--checkpoint", journey / "model", "--item", "i3", "--item", "item 4",
        "--trace", journey / "t.json", "--decoder", "order=confidence", "--device", "cpu",
    )  # fmt: skip
    trace = DecodeTrace.from_json((journey / "t.json").read_text())
    assert trace.history == (3, 4)
    assert trace.config["order"] == "confidence"
    assert len(trace.results) == 10
    names = {item.row: (item.item_id, item.title) for item in trace.items}
    lines = [re.sub(r"[^\w.]+", " ", line).strip() for line in text.splitlines()]
    starts = [" ".join((str(n), *names[r.row])) for n, r in enumerate(trace.results, 1)]
    places = [next(k for k, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert places == sorted(places), "the table lists the items best first"


def test_the_training_record_names_its_command(journey):
    record = json.loads((journey / "model" / "training.json").read_text())
    assert record["command"].startswith("python -m mindrec train --data")
    assert "--preset tiny" in record["command"]
    assert record["seed"] == 0
    assert [epoch["stage"] for epoch in record["curve"]].count("block") == 2, "--epochs counts those of the block"
    assert not (journey / "model.partial").exists()


def test_a_sweep_gives_a_row_a_setting(journey):
    (journey / "sweep.json").write_text(json.dumps([{"beam_size": 2}, {"order": "confidence"}]))
    code, out, _ = ours(
        "evaluate", "--checkpoint", journey / "model", "--data", journey / "data", "--users", 10,
        "--sweep", journey / "sweep.json", "--json", journey / "rows.json", "--device", "cpu",
    )  # fmt: skip
    rows = json.loads((journey / "rows.json").read_text())["rows"]
    assert code == 0
    assert out.index("beam_size=2 order=coarse_to_fine") < out.index("beam_size=10 order=confidence")
    assert [r["decoder"]["beam_size"] for r in rows] == [2, 10]
    assert rows[1]["decoder"]["order"] == "confidence"


# -- bad input: exit status 2 and one line -----------------------------------------------------------------------------


def test_a_fresh_process_exits_with_status_2_and_one_line(tmp_path):
    process = mindrec("recommend", "--checkpoint", tmp_path / "nowhere", "--item", "i1")
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.count("\n") == 1
    assert "nowhere" in process.stderr
    assert "train --out" in process.stderr


@pytest.fixture(scope="module")
def twins(recommender, tmp_path_factory):
    """The trained checkpoint, with two items of one title."""
    checkpoint = recommender.checkpoint
    items = list(checkpoint.catalog.items)
    items[4], items[7] = (replace(items[n], title="Twin") for n in (4, 7))
    catalog = replace(checkpoint.catalog, items=tuple(items))
    tokenizer = replace(checkpoint.tokenizer, catalog_fingerprint=catalog.fingerprint)
    folder = tmp_path_factory.mktemp("twins") / "c"
    replace(checkpoint, catalog=catalog, tokenizer=tokenizer).save(folder)
    return folder


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["nothing like it %"], ["unknown item"]),
        (["twin"], ["2 items", "i4, i7"]),
    ],
    ids=["unknown", "ambiguous"],
)
def test_a_bad_history(twins, items, says):
    line = refused("recommend", "--checkpoint", twins, *(part for i in items for part in ("--item", i)))
    assert all(words in line for words in says), line


def test_no_item_asks_what_anybody_takes(twins):
    code, out, err = ours("recommend", "--checkpoint", twins, "--device", "cpu", "--decoder", "guidance=0.5")
    assert code == 0, err
    assert "The history is empty" in out


def test_a_misspelt_title_is_read_as_the_nearest_and_said_so(twins):
    code, out, err = ours("recommend", "--checkpoint", twins, "--item", "Itm 11", "--device", "cpu")
    assert code == 0
    assert "'Itm 11' is read as Item 11 (i11)" in out + err


@pytest.mark.parametrize(
    ("pair", "says"),
    [("beam_size=0", "1..100"), ("beam", "name=value"), ("beams=3", "beam_size"), ("order=upwards", "coarse_to_fine")],
)
def test_a_bad_decoder_setting(twins, pair, says):
    assert says in refused("recommend", "--checkpoint", twins, "--item", "i1", "--decoder", pair)


def test_a_damaged_checkpoint_names_the_file(twins, tmp_path):
    import shutil

    for name in ("model.safetensors", "tokenizer.json", "catalog.json", "config.json"):
        folder = shutil.copytree(twins, tmp_path / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
        assert name in refused("recommend", "--checkpoint", folder, "--item", "i1")
        assert name in refused("evaluate", "--checkpoint", folder) or name != "catalog.json"


def test_data_of_another_catalog(twins, journey):
    assert "was trained on catalog" in refused("evaluate", "--checkpoint", twins, "--data", journey / "data")


@pytest.mark.parametrize("text", [None, "{", '{"beam_size": 3}', "[1]", '[{"beams": 2}]'])
def test_a_bad_sweep_file(journey, tmp_path, text):
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    common = ("evaluate", "--checkpoint", journey / "model", "--data", journey / "data", "--device", "cpu")
    assert "sweep" in refused(*common, "--sweep", tmp_path / "sweep.json") or text == '[{"beams": 2}]'


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("prepare", "nope", "--out", "x"), "synthetic"),
        (("prepare", "synthetic", "--items", "1", "--out", "x"), "n_items"),
        (("prepare", "synthetic", "--predictability", "7", "--out", "x"), "0..1"),
        (("train", "--data", "nowhere", "--out", "x"), "prepare"),
        (("evaluate", "--checkpoint", "nowhere", "--data", "nowhere"), "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_other_bad_input(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in refused(*arguments)
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize(
    ("extra", "says"),
    [(("--preset", "huge"), "tiny"), (("--objective", "gan"), "diffusion, ar"), (("--device", "abacus"), "abacus")],
)
def test_bad_training_settings(journey, tmp_path, extra, says):
    line = refused("train", "--data", journey / "data", "--out", tmp_path / "m", "--preset", "tiny", *extra)
    assert says in line


def test_every_command_has_help():
    code, out, _ = ours("--help")
    assert code == 0
    for command in ("prepare", "train", "evaluate", "recommend"):
        assert command in out
        assert ours(command, "--help")[0] == 0


def test_no_seed_is_left_to_chance(journey, tmp_path):
    """Two trainings by the same command give the same weights."""
    common = ("--preset", "tiny", "--epochs", 1, "--device", "cpu")
    for name in ("a", "b"):
        assert ours("train", "--data", journey / "data", "--out", tmp_path / name, *common)[0] == 0
    from safetensors.numpy import load_file

    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("a", "b"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[k], other[k]) for k in one)


def test_a_slate_is_printed_and_its_traces_are_kept(journey):
    out = journey / "slate.json"
    code, text, _ = ours(
        "slate", "--checkpoint", journey / "model", "--item", "i1", "--n", 3, "--max-per-category", 2,
        "--trace", out, "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    assert "id" in text
    assert "the slate in this order" in text
    traces = [DecodeTrace.from_dict(one) for one in json.loads(out.read_text())]
    assert [len(one.history) for one in traces] == [1, 2, 3]
    code, text, _ = ours(
        "evaluate-slates", "--checkpoint", journey / "model", "--data", journey / "data", "--n", 2, "--users", 5,
        "--device", "cpu", "--json", out,
    )  # fmt: skip
    assert code == 0
    assert set(json.loads(out.read_text())["ways"]) >= {"top", "slate"}
    assert "first answers, guided" in text
    assert "Of 5 test histories the last 2 items were hidden" in text


def test_gaps_and_odd_ones_are_measured(journey):
    paths = ("--checkpoint", journey / "model", "--data", journey / "data", "--users", 5, "--device", "cpu")
    for command, said in (("evaluate-gaps", "In 5 test histories an item was taken out"), ("evaluate-odd", "chance")):
        code, text, err = ours(command, *paths)
        assert code == 0, err
        assert said in text
        code, text, _ = ours(command, *paths, "--json", "-")
        assert json.loads(text)["checkpoint"]
