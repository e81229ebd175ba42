"""How far an answer moves: worlds in which it depends on the last item alone, or on the set, so that it is known."""

import json

import numpy as np
import pytest
import torch
from commands import ours
from toys import Toy

from mindrec.data.catalog import save_prepared
from mindrec.data.splits import Case
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis.behaviour import CHANGES, Kin, behaviour, read_behaviour
from mindrec.errors import MindRecError
from mindrec.model.oracle import OracleDenoiser

N = 24  # items: six categories of four
CODES = torch.tensor([(n // 4, n % 4) for n in range(N)])
TOY = Toy(CODES, (6, 4), torch.full((N,), 1 / N), n_categories=1)
CONFIG = DecodeConfig(beam_size=N, evidence="off", exclude_seen=False)
ASKED = [Case(f"u{n}", tuple((n + 5 * at) % N for at in range(4)), (n + 7) % N) for n in range(12)]
KIN = Kin.of(CODES[:, :1].numpy(), [None] * N)


def measured(truth, config: DecodeConfig = CONFIG, asked=ASKED, **more) -> dict[str, dict]:
    oracle = OracleDenoiser(TOY.tokens, TOY.sizes, truth)
    return {found["change"]: found for found in behaviour(oracle, TOY.index, asked, KIN, config, **more)}


def after(first: int) -> torch.Tensor:
    """Items follow `first` around a circle, each half as likely as the one before; the first is `first` + 1."""
    return 0.5 ** torch.tensor([float((n - first - 1) % N) for n in range(N)], dtype=torch.float64)


def last_alone(history) -> torch.Tensor:
    return after(history[-1])


def set_alone(history) -> torch.Tensor:
    return sum(after(row) for row in sorted(set(history))) / len(set(history))


def test_where_the_last_item_is_everything_only_what_changes_it_moves_the_answer():
    moves = measured(last_alone)
    assert list(moves) == list(CHANGES)
    for name in ("first_dropped", "repeated"):
        still = {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert (moves[name]["overlap@10"], moves[name]["first"]) == (still, still)
        assert moves[name]["places"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
        assert moves[name]["unmoved"] == moves[name]["cases"] == len(ASKED)
    # The last item lies 15 places on around the circle, the one before it 10: of ten answers five are shared.
    dropped = moves["last_dropped"]
    assert dropped["overlap@10"]["mean"] == 0.5
    assert dropped["first"]["mean"] == 0
    assert dropped["unmoved"] == 0
    # Reversed, 15 places lie between the two ends: of ten answers in 24 one is shared, 15 + 10 - 24.
    assert moves["reversed"]["overlap@10"]["mean"] == pytest.approx(0.1)
    expected = [abs((c.target - c.history[-1] - 1) % N - (c.target - c.history[0] - 1) % N) for c in ASKED]
    assert moves["reversed"]["places"]["mean"] == pytest.approx(np.mean(expected))
    assert moves["reversed"]["ranked"] == len(ASKED)


def test_where_only_the_set_counts_reversing_and_repeating_move_nothing_at_all():
    moves = measured(set_alone, ordered=False)
    for name in ("reversed", "repeated"):
        assert moves[name]["unmoved"] == moves[name]["cases"] == len(ASKED)
        assert moves[name]["places"]["mean"] == 0
    assert moves["reversed"]["expected"] == "nothing"
    assert measured(set_alone)["reversed"]["expected"] is None
    assert moves["last_dropped"]["overlap@10"]["mean"] < 1


def test_an_item_that_may_be_recommended_again_is_no_move():
    """What is not in the history stands in one order, whatever the history is: only what may be answered changes."""

    def truth(history) -> torch.Tensor:
        p = 0.8 ** torch.tensor([float(n * 5 % N) for n in range(N)], dtype=torch.float64)
        p[list(history)] = 0
        return p / p.sum()

    moves = measured(truth, DecodeConfig(beam_size=N, evidence="off"))
    for name in ("last_dropped", "first_dropped", "reversed", "repeated", "swapped"):
        assert moves[name]["unmoved"] == len(ASKED), name


def test_a_change_that_means_nothing_is_left_out():
    alone = [Case("a", (3,), 5)]
    moves = measured(last_alone, asked=alone)
    assert [moves[name]["cases"] for name in ("last_dropped", "first_dropped", "reversed")] == [0, 0, 0]
    assert moves["reversed"]["overlap@10"] is None
    assert moves["swapped"]["cases"] == moves["repeated"]["cases"] == 1


def test_an_item_gives_way_to_another_brand_of_its_own_category():
    codes = np.array([[0], [0], [0], [0], [1], [2], [2]])
    kin = Kin.of(codes, ["ours", "ours", "theirs", None, "ours", "x", "x"])
    assert kin.of_item(0).tolist() == [2]
    assert kin.of_item(3).tolist() == [0, 1, 2]  # its own brand is not known
    assert kin.of_item(4).tolist() == []
    assert kin.of_item(5).tolist() == [6]  # no other brand: another item
    assert Kin.of(np.zeros((3, 0), dtype=int), [None] * 3).of_item(1).tolist() == []
    rng = np.random.default_rng(0)
    case = Case("u", (0, 4), 3)
    assert CHANGES["swapped"](case.history, case, kin, rng) == (2, 4)
    none = Case("u", (4,), 3)
    assert CHANGES["swapped"](none.history, none, kin, rng) is None


def test_the_same_seed_makes_the_same_changes_in_any_batch():
    first, again = (measured(set_alone, seed=3, batch=batch) for batch in (2, 64))
    assert first == again
    assert measured(set_alone, seed=4)["swapped"] != first["swapped"]


def test_the_command_tells_a_table_and_its_file_is_read_for_its_own_checkpoint_alone(
    checkpoint, chain_data, recommender, tmp_path
):
    save_prepared(chain_data, tmp_path / "data")
    out = tmp_path / "behaviour.json"
    words = ("behaviour", "--checkpoint", checkpoint, "--data", tmp_path / "data", "--users", 30, "--device", "cpu")
    code, told, err = ours(*words, "--json", out)
    assert code == 0, err
    assert "order reversed" in told
    assert "stay with" in told
    assert [change["cases"] <= 30 for change in read_behaviour(out, recommender)["changes"]] == [True] * len(CHANGES)
    result = json.loads(out.read_text())
    # A chain is known by its last item: another one moves the answer more than a missing first one does.
    kept = {change["change"]: change["overlap@10"]["mean"] for change in result["changes"]}
    assert kept["first_dropped"] > kept["last_dropped"]
    for damage in (
        {"checkpoint": {"fingerprint": "another"}},
        {"checkpoint": {}},
        {"changes": result["changes"][:2]},
        {"changes": 3},
    ):
        out.write_text(json.dumps(result | damage))
        with pytest.raises(MindRecError, match="behaviour"):
            read_behaviour(out, recommender)
