"""compare, diagnose and evaluate --cold as a person reads them, and as JSON where it is asked for."""

import json

from commands import ours
from paths import ROOT

from mindrec.cli.summaries import cold_rows, cold_sentence, compare_rows, compare_sentence, diagnose_sentences
from mindrec.data.catalog import save_prepared


def test_a_checkpoint_compared_with_itself_cannot_be_told_apart(checkpoint, chain_data, tmp_path):
    save_prepared(chain_data, tmp_path / "data")
    words = ("compare", "--left", checkpoint, "--right", checkpoint, "--data", tmp_path / "data", "--users", "20")
    code, out, err = ours(*words, "--device", "cpu", "--json", tmp_path / "out.json")
    assert code == 0, err
    assert "On 20 test users the left side cannot be told apart from the right one" in out
    assert "+0.0 %, +0.0 % to +0.0 %" in out
    result = json.loads((tmp_path / "out.json").read_text())
    code, alone, err = ours(*words, "--device", "cpu", "--json", "-")
    assert code == 0, err
    assert json.loads(alone)["ratio"] == result["ratio"]


def test_several_seeds_have_a_mean_and_their_spread():
    result = json.loads((ROOT / "assets/results/grocery-twin.json").read_text())
    rows = compare_rows(result)
    assert len(rows) == 3 + 1 + 3 + 1 + 1
    mean = result["left_mean"]["ndcg@10"]
    assert rows[3][4] == f"{mean:.4f} ± {result['left_deviation']['ndcg@10']:.4f}"
    low = result["ratio"]["ndcg@10"]["low"]
    assert ("is ahead of" in compare_sentence(result)) == (low > 1)


def test_cold_items_are_judged_beside_likeness_of_texts():
    result = json.loads((ROOT / "assets/results/grocery-cold.json").read_text())
    assert len(cold_rows(result)) == 9
    assert "86 cold items beside 1,634 trained ones" in cold_sentence(result)
    assert "0.2021 is above that of likeness of texts (0.1691); lift 0." in cold_sentence(result)


def test_what_saves_misses_is_counted_in_words():
    found = {"users": 9, "hits": 5, "misses": 4, "k": 10, "nothing_left": 2, "rescues": {"beams": 3, "order": 0}}
    found["errors"] = {"search": 3, "model": 0, "none": 1}
    said = "\n".join(diagnose_sentences(found, "cases.parquet"))
    assert "3 by the search, 0 by the model, 1 not told apart" in said
    assert "beams 3." in said
    assert "2 users have every item already" in said
