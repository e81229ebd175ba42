"""A checkpoint's default guidance: the largest that costs no accuracy on validation, by a paired interval."""

import json
import shutil

import numpy as np
import pytest
from commands import ours

from mindrec.checkpoint import load_checkpoint
from mindrec.data.catalog import save_prepared
from mindrec.data.splits import cases
from mindrec.decoding.config import DecodeConfig
from mindrec.evaluation.bootstrap import bootstrap_ratio
from mindrec.evaluation.guidance_choice import WEIGHTS, largest_free
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.recommender import Recommender


def row(guidance: float, high: float | None) -> dict:
    row = {"decoder": {"guidance": guidance}}
    return row if high is None else row | {"ndcg@10_to_first": {"ratio": 0.9, "low": 0.8, "high": high}}


@pytest.mark.parametrize(
    ("highs", "chosen"),
    [([1.1, 1.0, 0.99], 0.5), ([0.99, 1.2, 0.9], 0.5), ([0.9, 0.9, 0.9], 0.0), ([1.0, 1.0, 1.3], 1.0)],
)
def test_the_largest_that_is_not_behind(highs, chosen):
    assert largest_free([row(0.0, None), *map(row, (0.25, 0.5, 1.0), highs)]) == chosen


def test_a_row_of_a_sweep_that_rules_guidance_out_is_decoded_without_it(checkpoint, chain_data):
    result = evaluate_checkpoint(
        checkpoint,
        chain_data,
        Protocol(users=20, settings={"guidance": 0.5}, device="cpu"),
        sweep=[{}, {"algorithm": "published"}],
    )
    assert [row["decoder"]["guidance"] for row in result["rows"]] == [0.5, 0.0]


def test_a_sweep_pairs_each_row_with_the_first(checkpoint, chain_data):
    """By the ranks of single answers."""
    settings = [{"beam_size": 10}, {"beam_size": 1}]
    rows = evaluate_checkpoint(checkpoint, chain_data, Protocol(users=40, device="cpu"), sweep=settings)["rows"]
    recommender, sample = Recommender.from_pretrained(checkpoint, "cpu"), cases(chain_data.interactions, "test", 40)
    ids, gains = [item.item_id for item in recommender.catalog.items], []
    for setting in settings:
        answers = recommender.recommend_many([[ids[row] for row in case.history] for case in sample], setting)
        named = [[item.row for item in answer.items[:10]] for answer in answers]
        pairs = zip(named, (case.target for case in sample), strict=True)
        gains.append([1 / np.log2(rows.index(row) + 2) if row in rows else 0 for rows, row in pairs])
    one, other = (np.array([gain]) for gain in gains)
    assert "ndcg@10_to_first" not in rows[0]
    assert rows[1]["ndcg@10_to_first"] == pytest.approx(bootstrap_ratio(other, one))


def test_the_choice_becomes_the_default_and_nothing_else_changes(checkpoint, chain_data, tmp_path):
    folder = tmp_path / "c"
    shutil.copytree(checkpoint, folder)
    save_prepared(chain_data, tmp_path / "data")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, err = ours("choose-guidance", "--checkpoint", folder, "--data", tmp_path / "data", "--users", 30,
                          "--device", "cpu", "--json", tmp_path / "sweep.json")  # fmt: skip
    assert code == 0, err
    sweep = json.loads((tmp_path / "sweep.json").read_text())
    assert [r["decoder"]["guidance"] for r in sweep["rows"]] == list(WEIGHTS)
    assert {r["split"] for r in sweep["rows"]} == {"validation"}
    made, old = (load_checkpoint(path, "cpu") for path in (folder, checkpoint))
    assert made.decode == DecodeConfig.from_dict(old.decode.to_dict() | {"guidance": sweep["chosen"]})
    assert made.fingerprint == old.fingerprint
    assert f"default guidance of {folder}: {sweep['chosen']}" in out
    kept = made.training["guidance"]
    assert [(r["guidance"], r["ndcg@10"]) for r in kept] == [
        (r["decoder"]["guidance"], r["metrics"]["ndcg@10"]) for r in sweep["rows"]
    ]
    assert [r["ratio"] for r in kept[:1]] == [1.0]
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["config.json", "training.json"]
