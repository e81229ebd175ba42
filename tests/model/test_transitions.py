"""What followed an item in training: counted as by hand, weighed by likelihood, then a part of item evidence."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from toys import toy

from mindrec.checkpoint import load_checkpoint
from mindrec.data.splits import Case
from mindrec.decoding.beam_search import final, search
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import dense_ranking
from mindrec.model import transitions as rule
from mindrec.model.transitions import Transitions
from mindrec.recommender import Recommender
from mindrec.training.calibrate import fit_powers
from mindrec.training.running import Running

MADE = toy((3, 4, 5), 26, seed=2, n_categories=2)
ROWS = st.lists(st.integers(0, 7), min_size=1, max_size=14)


def counted(n_sequences: int = 300, seed: int = 0) -> Transitions:
    """Of sequences in which every item is mostly followed by the next row."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, 2, 7], p=[0.7, 0.2, 0.1], size=(n_sequences, 8)).cumsum(1)
    return Transitions.counted(
        list((rng.integers(MADE.n_items, size=(n_sequences, 1)) + steps) % MADE.n_items), MADE.n_items
    )


def with_transitions(powers: tuple[float, float]):
    model, transitions = MADE.compact(seed=3), counted()
    transitions.powers.copy_(torch.tensor(powers))
    model.set_votes(transitions)
    return model


def shares_by_hand(sequences: list[list[int]], history: list[int], n_items: int) -> list[float]:
    follows = [[0.0] * n_items for _ in range(n_items)]
    for rows in sequences:
        for at, first in enumerate(rows):
            for gap, then in enumerate(rows[at + 1 : at + 6], 1):
                follows[first][then] += 1 / gap
                follows[then][first] += 0.25 / gap
    votes = [0.0] * n_items
    for distance, voter in enumerate(history[::-1][:10], 1):
        for item, count in enumerate(follows[voter]):
            votes[item] += count / max(sum(follows[voter]), 1) ** 0.5 / distance
    votes = [0.0 if item in history else vote for item, vote in enumerate(votes)]
    return [vote / sum(votes) if sum(votes) else 0.0 for vote in votes]


@given(st.lists(ROWS, min_size=1, max_size=6), ROWS, ROWS)
def test_votes_are_those_counted_by_hand(sequences, one, other):
    shares = Transitions.counted([np.array(rows) for rows in sequences], 8).shares([one, other])
    for found, history in zip(shares, (one, other), strict=True):
        assert found.tolist() == pytest.approx(shares_by_hand(sequences, history, 8), abs=1e-6)


def test_an_item_keeps_the_pairs_that_were_seen_most(monkeypatch):
    monkeypatch.setattr(rule, "MAX_PAIRS", 2)
    transitions = Transitions.counted([np.array([0, n]) for n in (1, 2, 2, 3, 3, 3, 4)], 5)
    assert transitions.shares([[0]])[0].nonzero()[:, 0].tolist() == [2, 3]


def test_the_dense_head_alone_has_the_powers_one_and_nothing():
    model, histories = with_transitions((1.0, 0.0)), [[1, 2], [20]]
    cache = model.encode(histories)
    assert torch.equal(model.item_logits(cache), model.dense_logits(cache))


# -- weighing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("powers", [(0.6, 0.5), (1.0, 0.0), (1.5, 0.2)])
def test_the_powers_that_made_the_targets_are_found(powers):
    made, rng, asked = with_transitions(powers), np.random.default_rng(1), []
    histories = [tuple(map(int, rng.choice(MADE.n_items, 3, replace=False))) for _ in range(4000)]
    p_UN = made.item_logits(made.encode(histories)).double()
    p_UN = p_UN.scatter(1, torch.tensor(histories), -torch.inf).softmax(1).numpy()
    for user, history in enumerate(histories):
        asked.append(Case(str(user), history, int(rng.choice(MADE.n_items, p=p_UN[user]))))
    fresh = counted()
    fitted = fit_powers(made, fresh, [*asked, Case("repeat", (1, 2), 2)])
    assert fresh.powers.tolist() == pytest.approx(powers, abs=0.12)
    assert fitted["with votes"] <= fitted["dense"] + 1e-4


class _Largest(TorchDispatchMode):
    """Remembers the most numbers that one tensor holds."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            self.numbers = max(self.numbers, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)
        return made


def test_powers_are_fitted_without_a_tensor_of_all_cases():
    """They take the memory of their logits, and not five times as much."""
    sample = [Case(str(n), (n % 20, n % 17), 20 + n % 6) for n in range(600)]
    with _Largest() as largest:
        fit_powers(with_transitions((1.0, 0.0)), counted(20), sample)
    assert largest.numbers < len(sample) * MADE.n_items / 2


def test_repeats_alone_teach_no_powers():
    fresh = counted()
    assert fit_powers(MADE.compact(), fresh, [Case("repeat", (1, 2), 2)]) == {}
    assert fresh.powers.tolist() == [1.0, 0.0]


# -- in a decode and in a checkpoint -----------------------------------------------------------------------------------


def test_evidence_only_is_their_ranking_and_the_dense_baseline_is_not():
    model, history = with_transitions((0.6, 0.5)), [3, 9]
    config = DecodeConfig(beam_size=100, evidence="only")
    beams = final(search(model, MADE.index, [history], config)).beams
    want = model.item_logits(model.encode([history]))[0].double().index_fill(0, torch.tensor(history), -torch.inf)
    rows = {tuple(codes): row for row, codes in enumerate(MADE.codes.tolist())}
    by_row = {
        rows[tuple(codes)]: score for codes, score in zip(beams.codes.tolist(), beams.score.tolist(), strict=True)
    }
    assert len(by_row) == MADE.n_items - 2
    for row, score in by_row.items():
        assert math.exp(score) == pytest.approx(float(want.softmax(0)[row]), abs=1e-6)
    best = dense_ranking(model, [Case("u", tuple(history), 0)], k=10)
    assert np.array_equal(best, dense_ranking(MADE.compact(seed=3), [Case("u", tuple(history), 0)], k=10))
    whole = dense_ranking(model, [Case("u", tuple(history), 0)], transitions=True, k=10)
    assert best[0].tolist() != whole[0].tolist() == want.topk(10).indices.tolist()


def test_a_checkpoint_of_ordered_data_keeps_them(checkpoint, tmp_path):
    """Saved, loaded and grown by new items, which nobody votes for."""
    loaded = load_checkpoint(checkpoint, "cpu")
    model, histories = loaded.denoiser, [[1, 2, 3], [7]]
    assert model.config.transitions == len(model.transitions.item_P) > 0
    assert set(loaded.training["transitions_nll"]) == {"dense", "with votes"}
    loaded.save(tmp_path / "again")
    again = load_checkpoint(tmp_path / "again", "cpu").denoiser
    assert torch.equal(*(m.item_logits(m.encode(histories)) for m in (model, again)))
    codes = model.levels.codes(torch.cat([model.tokens_NL, model.tokens_NL[:2]]))
    votes = [m.transitions.shares(histories) for m in (model, model.grown(codes))]
    assert torch.equal(votes[0], votes[1][:, :-2])
    assert not votes[1][:, -2:].any()


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("item_P", 0, 64),
        ("item_P", 0, -1),
        ("start_N", 1, 10**6),
        ("weight_P", 0, float("nan")),
        ("powers", 1, float("nan")),
    ],
)
def test_a_damaged_pair_is_refused_when_it_is_read(checkpoint, tmp_path, name, at, value):
    damaged = load_checkpoint(checkpoint, "cpu")
    getattr(damaged.denoiser.transitions, name)[at] = value
    damaged.save(tmp_path / "c")
    with pytest.raises(MindRecError, match="transitions"):
        load_checkpoint(tmp_path / "c", "cpu")


def test_order_that_means_nothing_teaches_none(chain_data, tiny_preset, tmp_path):
    from mindrec.training.run import train_checkpoint

    data = replace(chain_data, interactions=replace(chain_data.interactions, ordered=False))
    short = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=1, epochs=1))
    made = train_checkpoint(data, short, tmp_path / "c", running=Running(device="cpu", progress=False))
    assert made.denoiser.transitions is None
    assert Recommender.from_pretrained(tmp_path / "c", "cpu").denoiser.config.transitions == 0
