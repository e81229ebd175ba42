"""Generative methods of the arena: the search, what training phases move, cold items, and tokens that change."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mindrec.arena.cadirec import CaDiRec, draw_masked, signal
from mindrec.arena.etegrec import EXTRA, ETEGRec, matched, symmetric_divergence, with_last_code
from mindrec.arena.fitting import fit
from mindrec.arena.generative import Generative, Prefixes, TokenWriter
from mindrec.arena.liger import LIGER
from mindrec.arena.method import Budget, Task, left_out, pulls
from mindrec.arena.methods import method_type
from mindrec.data.catalog import Ragged
from mindrec.model.alignment import log_ratio
from mindrec.sources.synthetic import load


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    data = load(n_items=30, n_users=60, length=8, predictability=1.0)
    return Task(data, tmp_path_factory.mktemp("arena"), exclude_seen=False, max_history=7, validation_users=40)


def test_a_wide_search_is_the_whole_ranking():
    """Every item of a lopsided tree, by its exact log-probability."""
    codes_NL = np.array([[0, 0, 1], [0, 0, 2], [0, 3, 0], [2, 1, 1], [2, 0, 0]])
    torch.manual_seed(0)
    writer, states_BD = TokenWriter((3, 4, 3)), torch.randn(4, 64)
    rows_BK, log_BK = writer.search(states_BD, Prefixes(codes_NL, (3, 4, 3)), 12)
    exact = [writer(states_BD, torch.tensor(codes_NL[n]).expand(4, 3)).sum(1) for n in range(5)]
    exact_BN, order_BN = torch.stack(exact, 1).detach().sort(descending=True)
    assert torch.equal(rows_BK[:, :5], order_BN)
    assert bool((rows_BK[:, 5:] == -1).all())
    torch.testing.assert_close(log_BK[:, :5], exact_BN)


def test_scores_are_log_probabilities_and_explained_by_level(task):
    method = Generative(task).eval()
    scores_1N = method.scores([[1, 2, 3]])
    assert bool(torch.isfinite(scores_1N).all())  # 70 beams hold all of 30 items
    explained = method.explain([1, 2, 3], 4)
    assert sum(explained["levels"]) == pytest.approx(float(scores_1N[0, 4]), abs=1e-4)
    without = float(method.scores([[1, 3]])[0, 4])
    assert explained["pulls"][1] == pytest.approx(sum(explained["levels"]) - without, abs=1e-4)
    assert (left_out([5]), pulls([2.0], 1)) == ([[5]], [0.0])


def test_preference_raises_the_log_ratio_of_its_pairs(task):
    """One round on an untrained model: its mined pairs move apart, the better answers up against the worse."""
    method = method_type("onerec")(task)
    method.aligning = True
    method.begin_epoch(0)
    histories, won_P, lost_P2 = mined = method.mined
    usable = lost_P2[:, 0] >= 0
    assert bool((won_P[usable] != lost_P2[usable, 0]).all())
    optimizer, generator = torch.optim.Adam(method.parameters(), lr=1e-3), torch.Generator().manual_seed(0)
    for _ in range(25):
        at_P = usable.nonzero()[:, 0][torch.randperm(int(usable.sum()), generator=generator)[:20]]
        loss = method.extra([histories[n] for n in at_P.tolist()], won_P[at_P], lost_P2[at_P], at_P)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved_P = log_ratio(*method.pair_log_p(*mined), *method.frozen)[usable]
    assert float(moved_P.mean()) > 1
    assert float((moved_P > 0).float().mean()) > 0.9


@pytest.mark.parametrize("name", ["ltrgr", "onerec"])
def test_a_phase_that_does_not_help_is_not_kept(name, task, monkeypatch):
    """With a loss that ruins the model in the second phase, the weights of the first one stay."""
    method = method_type(name)(task)
    kept = {key: value.clone() for key, value in method.state_dict().items()}
    monkeypatch.setattr("mindrec.arena.fitting.validation_ndcg", lambda module, task: -float(module.spoilt))
    method.aligning, method.spoilt = True, False
    real = method.begin_epoch
    monkeypatch.setattr(method, "begin_epoch", lambda epoch: (setattr(method, "spoilt", True), real(epoch)))
    seen = []
    fit(method, task, Budget(minutes=5, epochs=1), seen.append, learning_rate=1e-3, trained=True)
    assert len(seen) == 1
    assert all(torch.equal(kept[key], value) for key, value in method.state_dict().items())


def test_cold_items_join_the_beams_and_are_never_rivals_in_training(task):
    """Items 25 to 29 are out of all training sequences: each is ranked, by its text, whatever the beams hold."""
    rows = [np.asarray(s)[np.asarray(s) < 25] for s in task.data.interactions.sequences]
    kept = [s for s in rows if len(s) >= 4]
    ends = np.cumsum([0, *map(len, kept)])
    interactions = replace(
        task.data.interactions,
        user_ids=tuple(f"u{n}" for n in range(len(kept))),
        sequences=Ragged(np.concatenate(kept).astype(np.int32), ends.astype(np.int64)),
    )
    method = LIGER(replace(task, data=replace(task.data, interactions=interactions))).eval()
    assert method.cold_N.nonzero()[:, 0].tolist() == list(range(25, 30))
    method.writer.search = lambda states, prefixes, width: (torch.tensor([[3, 7, -1]]), torch.tensor([[-1.0, -2, -9]]))
    held = (method.scores([[1, 2]])[0] > -torch.inf).nonzero()[:, 0].tolist()
    assert held == [3, 7, 25, 26, 27, 28, 29]
    assert method.explain([1, 2], 26)["cold"] is True


def test_noise_takes_the_signals_part():
    """The square-root schedule: nearly all signal at 0, none at the end, a half of the variance at a quarter."""
    assert signal(torch.tensor([0.0, 250.0, 1000.0])).tolist() == pytest.approx([0.99, 0.5, 0.0], abs=1e-3)


def test_masked_positions_are_real_ones_within_the_share():
    lengths_B = torch.tensor([1, 5, 20, 20] * 50)
    masked_BW = draw_masked(lengths_B, 20, torch.Generator().manual_seed(0))
    assert not bool((masked_BW & (torch.arange(20) >= lengths_B[:, None])).any())
    assert set(masked_BW.sum(1)[lengths_B == 20].tolist()) == {2, 3, 4}
    assert set(masked_BW.sum(1)[lengths_B < 20].tolist()) == {1}


def test_a_gap_is_filled_from_both_sides(task):
    method = CaDiRec(task).eval()
    explained = method.explain([1, 2, 3], 4)
    assert [len(gap) for gap in explained["gaps"]] == [10, 10, 10]


def test_items_that_share_all_codes_are_told_apart():
    codes_NL = np.zeros((EXTRA + 40, 3), dtype=np.int64)
    codes = with_last_code(codes_NL, 8, np.random.default_rng(0))
    assert len(np.unique(codes, axis=0)) == len(codes)
    assert (codes[:EXTRA, :3] == 0).all()
    assert codes[:, 3].max() < EXTRA


def test_alignments_are_divergences():
    """Both are known in closed form: KL(p, q) + KL(q, p) of (.8, .2) and (.5, .5), and log 2 of two equal rows each."""
    p, q = (torch.tensor([[pair]]).log() for pair in ([0.8, 0.2], [0.5, 0.5]))
    assert float(symmetric_divergence(p, q)) == pytest.approx(0.3 * np.log(4))
    assert float(symmetric_divergence(p, p)) == 0
    rows = torch.ones(2, 3)
    assert float(matched(rows, rows, torch.tensor([1, 2]))) == pytest.approx(2 * np.log(2))
    assert float(matched(rows, rows, torch.tensor([1, 1]))) == pytest.approx(0)


def test_only_the_part_whose_turn_it_is_learns(task, monkeypatch):
    monkeypatch.setattr("mindrec.arena.etegrec.PRETRAINING", 5)
    method, generator = ETEGRec(task), torch.Generator().manual_seed(0)
    windows_BW, method.epoch = torch.tensor([[1, 2, 3], [4, 5, 6]]), 4
    for epoch in (4, 5):
        method.begin_epoch(epoch)
        method.zero_grad()
        method.loss(windows_BW, generator).backward()
        learning = {name.split(".")[0] for name, p in method.named_parameters() if p.grad is not None}
        assert (learning == {"quantiser"}) if epoch == 4 else ("writer" in learning and "quantiser" not in learning)
    assert len(method.changed) == 1
    assert sorted(method.prefixes.item.tolist()) == list(range(30))
