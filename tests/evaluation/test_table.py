"""An evaluation as a person reads it: the table's rows and the sentence of verdict."""

import numpy as np
import pytest

from mindrec.evaluation.bootstrap import bootstrap_ratio, ratios_of_ranks
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.evaluation.table import HEAD, rows, sentence

FIGURES = {"hit@1": 0.1, "hit@10": 0.3, "ndcg@10": 0.2}


def result(over, gain, **baselines):
    """An evaluation with the same interval for each measure."""
    return {
        "users": 1200,
        "split": "test",
        "checkpoint": {"name": "mine"},
        "metrics": FIGURES,
        "evidence_alone": FIGURES,
        "gain": {"ndcg@10": gain},
        "baselines": {name: FIGURES | {"ndcg@10": value} for name, value in baselines.items()},
        "model_over": {name: {"ndcg@10": over} for name in baselines},
    }


def interval(low, ratio, high):
    return {"low": low, "ratio": ratio, "high": high}


@pytest.mark.parametrize(
    ("over", "gain", "says"),
    [
        (interval(1.1, 1.2, 1.3), interval(1.01, 1.02, 1.03), "is ahead of co-visit (NDCG@10 0.2000 against 0.1500; "
         "+20.0 %, +10.0 % to +30.0 %), and is ahead of its item evidence alone (+2.0 %, +1.0 % to +3.0 %)."),
        (interval(0.7, 0.8, 0.9), interval(0.9, 1.0, 1.1), "is behind co-visit"),
        (interval(0.9, 1.1, 1.3), interval(0.9, 1.0, 1.1), "cannot be told apart from its item evidence alone (+0.0 %"),
        (None, None, "is ahead of co-visit (NDCG@10 0.2000 against 0.1500), and"),
    ],
)  # fmt: skip
def test_the_sentence_says_what_the_intervals_say(over, gain, says):
    """The best of what counts alone is named; a baseline of the same checkpoint is none."""
    said = sentence(result(over, gain, popularity=0.1, covisit=0.15, dense=0.9))
    assert said.startswith("On 1,200 test users the model ")
    assert says in said
    assert said.count(".\n") == 0
    assert said.endswith(".")


def test_without_baselines_the_figure_stands():
    assert "has NDCG@10 0.2000, and is ahead of" in sentence(result(None, interval(1.1, 1.2, 1.3)))


def test_the_table_has_a_row_each():
    table = rows(result(interval(1.1, 1.2, 1.3), interval(0.9, 1.0, 1.1), popularity=0.1, published=0.2))
    assert [row[0] for row in table] == ["model (mine)", "item evidence alone", "popularity", "published search"]
    assert {len(row) for row in table} == {len(HEAD)}
    assert table[2][1:] == ("0.1000", "0.3000", "0.1000", "+20.0 %, +10.0 % to +30.0 %")


def test_ratios_of_ranks_pair_users():
    ranks = np.array([0, 3, -1, 12, 1] * 40)
    same = ratios_of_ranks(ranks, ranks)
    assert same["hit@10"] == {"ratio": 1.0, "low": 1.0, "high": 1.0}
    assert ratios_of_ranks(ranks, np.full(200, -1)) == dict.fromkeys(("hit@1", "hit@10", "ndcg@10"))
    better = np.where(ranks == 12, 2, ranks)
    result = ratios_of_ranks(better, ranks)["hit@10"]
    assert result["ratio"] == pytest.approx(4 / 3)
    assert 1 < result["low"] < 4 / 3 < result["high"]
    hits = [(values >= 0) & (values < 10) for values in (better, ranks)]
    assert result == bootstrap_ratio(*(h[None].astype(float) for h in hits), resamples=1000)


def test_the_gain_is_the_decode_over_the_ranking_of_its_own_evidence(checkpoint, chain_data, recommender):
    """An oracle: the evidence's ranking is that of its logits, the decode's that of single answers."""
    result = evaluate_checkpoint(checkpoint, chain_data, Protocol(users=30, device="cpu"), baselines=None)
    assert list(result["baselines"]) == list(result["model_over"]) == ["popularity", "covisit", "dense"]
    model, alone = result["metrics"]["ndcg@10"], result["evidence_alone"]["ndcg@10"]
    assert result["gain"]["ndcg@10"]["ratio"] == pytest.approx(model / alone)
    dense = result["baselines"]["dense"]["ndcg@10"]
    assert result["model_over"]["dense"]["ndcg@10"]["ratio"] == pytest.approx(model / dense)
