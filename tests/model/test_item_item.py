"""A linear item-item model: its weights solve the least squares that they claim to, then a part of item evidence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import toy

from mindrec.checkpoint import load_checkpoint
from mindrec.data.splits import Case
from mindrec.errors import MindRecError
from mindrec.evaluation.metrics import gold_ranks, ndcg_at_k
from mindrec.model import item_item as rule
from mindrec.model.item_item import ItemItem
from mindrec.training.calibrate import fit_powers
from mindrec.training.running import Running

MADE = toy((3, 4, 5), 26, seed=2, n_categories=2)


def baskets(n: int = 400, seed: int = 0) -> list[np.ndarray]:
    """Sets of items in which an even row is mostly taken with the row after it."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        pairs = rng.choice(MADE.n_items // 2, 3, replace=False)
        out.append(np.concatenate([[2 * p, 2 * p + 1] if rng.random() < 0.9 else [2 * p] for p in pairs]))
    return out


def test_the_weights_are_those_of_ridge_regression_without_the_item_itself():
    """Column by column, solved by another way: least squares in which the residuals of a sequence count 1 / length,
    with a penalty of RIDGE sequences of the mean weight."""
    sequences = baskets(60)
    held, weight = np.zeros((len(sequences), MADE.n_items)), np.array([[1 / len(rows)] for rows in sequences])
    assert len({len(rows) for rows in sequences}) > 1
    for user, rows in enumerate(sequences):
        held[user, rows] = 1
    want = np.zeros((MADE.n_items, MADE.n_items))
    for item in range(MADE.n_items):
        others = [n for n in range(MADE.n_items) if n != item]
        penalty = np.sqrt(rule.RIDGE * weight.mean()) * np.eye(len(others))
        stacked = np.vstack([np.sqrt(weight) * held[:, others], penalty])
        aim = np.concatenate([np.sqrt(weight[:, 0]) * held[:, item], np.zeros(len(others))])
        want[others, item] = np.linalg.lstsq(stacked, aim, rcond=None)[0]
    votes = ItemItem.counted(sequences, MADE.n_items)
    for history in ([0, 5, 9], [25]):
        shares = want[history].sum(0).clip(min=0)
        shares[history] = 0
        assert votes.shares([history])[0].tolist() == pytest.approx(shares.tolist(), abs=1e-5)


def test_the_order_of_a_history_changes_nothing_and_its_length_does():
    votes = ItemItem.counted(baskets(), MADE.n_items)
    one, other, shorter = votes.shares([[0, 4, 7, 12], [12, 7, 4, 0], [12, 7]])
    assert torch.allclose(one, other, atol=1e-6)
    assert not torch.allclose(one, shorter, atol=1e-3)


def test_what_is_taken_together_is_found_where_a_blind_head_knows_nothing():
    model, votes = MADE.compact(seed=3), ItemItem.counted(baskets(), MADE.n_items)
    cases = [Case(str(n), (2 * (n % 13),), 2 * (n % 13) + 1) for n in range(200)]
    fitted = fit_powers(model, votes, cases)
    model.set_votes(votes)
    assert fitted["with votes"] < 0.5 < fitted["dense"]
    assert model.config.item_item == len(votes.item_P)
    logits = model.item_logits(model.encode([[4], [10]])).clone()
    logits[0, 4] = logits[1, 10] = -torch.inf
    assert logits.argmax(1).tolist() == [5, 11]


def test_powers_rank_best_and_their_scale_is_the_likeliest():
    """Every ratio of the grid, each at every scale, by the metrics' own ranks."""
    model, votes = MADE.compact(seed=3), ItemItem.counted(baskets(), MADE.n_items)
    rng = np.random.default_rng(0)
    sample = [Case(str(n), tuple(map(int, b[:-1])), int(b[-1])) for n, b in enumerate(baskets(80, seed=1))]
    sample += [Case("any", (1,), int(row)) for row in rng.integers(2, 26, 20)]
    fitted = fit_powers(model, votes, sample)
    cache = model.encode([case.history for case in sample])
    dense, log_votes = model.dense_logits(cache).clone(), votes.log_shares(cache.histories)
    for user, case in enumerate(sample):
        dense[user, list(case.history)] = -1e4
    target = np.array([case.target for case in sample])

    def ndcg(powers) -> float:
        ranked = (powers[0] * dense + powers[1] * log_votes).topk(10, 1).indices.numpy()
        return float(ndcg_at_k(gold_ranks(ranked, target), 10).mean())

    def nll(powers) -> float:
        return float(F.cross_entropy(powers[0] * dense + powers[1] * log_votes, torch.from_numpy(target)))

    powers = votes.powers.tolist()
    assert ndcg(powers) == pytest.approx(max(ndcg((1 - s, s)) for s in np.linspace(0, 0.95, 20)))
    assert ndcg(powers) > ndcg((1, 0))
    assert fitted["with votes"] == pytest.approx(nll(powers), abs=1e-3)
    assert nll(powers) <= min(nll((scale * powers[0], scale * powers[1])) for scale in (0.8, 0.95, 1.05, 1.25))


def test_an_item_keeps_its_largest_weights(monkeypatch):
    monkeypatch.setattr(rule, "MAX_WEIGHTS", 1)
    votes = ItemItem.counted(baskets(), MADE.n_items)
    assert votes.shares([[6]])[0].argmax() == 7
    assert len(votes.item_P) == MADE.n_items


@pytest.fixture(scope="module")
def unordered(chain_data, tiny_preset, tmp_path_factory):
    from mindrec.training.run import train_checkpoint

    data = replace(chain_data, interactions=replace(chain_data.interactions, ordered=False))
    short = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=1, epochs=1))
    folder = tmp_path_factory.mktemp("unordered") / "c"
    return data, train_checkpoint(data, short, folder, running=Running(device="cpu", progress=False)), folder


def test_data_without_an_order_gets_it_and_a_checkpoint_keeps_it(unordered, tmp_path):
    _, made, folder = unordered
    model, histories = load_checkpoint(folder, "cpu").denoiser, [[1, 2, 3], [7]]
    assert model.transitions is None
    assert model.config.item_item == len(model.item_item.item_P) > 0
    assert made.training["item_item_nll"]["with votes"] <= made.training["item_item_nll"]["dense"]
    codes = model.levels.codes(torch.cat([model.tokens_NL, model.tokens_NL[:2]]))
    votes = [m.item_item.shares(histories) for m in (model, model.grown(codes))]
    assert torch.equal(votes[0], votes[1][:, :-2])
    assert not votes[1][:, -2:].any()


def test_a_damaged_pair_is_refused_when_it_is_read(unordered, tmp_path):
    damaged = load_checkpoint(unordered[2], "cpu")
    damaged.denoiser.item_item.item_P[0] = -1
    damaged.save(tmp_path / "c")
    with pytest.raises(MindRecError, match="item_item"):
        load_checkpoint(tmp_path / "c", "cpu")


def test_a_catalog_that_is_too_large_goes_without(unordered, monkeypatch):
    from mindrec.training import weigh

    data, made, _ = unordered
    monkeypatch.setattr(weigh, "MAX_ITEMS", 10)
    record = weigh.count_votes(made.denoiser, data, [], [])
    assert "10 at most" in record["item_item"]
    assert made.denoiser.votes() is None


# -- fitted again ------------------------------------------------------------------------------------------------------


def test_a_refit_gives_a_checkpoint_of_before_what_a_training_would(unordered, tmp_path):
    from mindrec.training.refit import refit_checkpoint

    data, _, folder = unordered
    old = load_checkpoint(folder, "cpu")
    old.denoiser.set_votes(None)
    old.save(tmp_path / "old")
    made = refit_checkpoint(tmp_path / "old", data, tmp_path / "new", device="cpu", command="refit it")
    trained = load_checkpoint(folder, "cpu")
    histories = [[1, 2, 3], [7]]
    again = load_checkpoint(tmp_path / "new", "cpu")
    assert torch.equal(*(c.denoiser.item_logits(c.denoiser.encode(histories)) for c in (trained, again)))
    assert made.training["calibration_nll"] == trained.training["calibration_nll"]
    assert "`refit it`" in again.card
    other = replace(data, catalog=replace(data.catalog, items=data.catalog.items[::-1]))
    with pytest.raises(MindRecError, match="give the data"):
        refit_checkpoint(tmp_path / "old", other, tmp_path / "x", device="cpu")
