"""Alignment: log-probabilities of items are those of the decode, and a phase keeps what moves its own reward."""

from dataclasses import replace

import pytest
import torch
from commands import ours, refused

from mindrec.checkpoint import load_checkpoint
from mindrec.data.catalog import save_prepared
from mindrec.data.splits import cases
from mindrec.errors import MindRecError
from mindrec.training.align import AlignConfig, _Phase, align_checkpoint, item_log_p
from mindrec.training.calibrate import token_likelihood
from mindrec.training.running import Running
from mindrec.training.weigh import code_table


@pytest.fixture(scope="module")
def opened(checkpoint):
    return load_checkpoint(checkpoint, "cpu")


def test_the_probabilities_of_all_items_that_a_history_leaves_sum_to_one(opened):
    model = opened.denoiser
    histories = [(0, 5), (7,), tuple(range(12))]
    rows = torch.arange(model.n_items).expand(3, -1)
    with torch.no_grad():
        log_p = item_log_p(model, code_table(model), histories, rows)
    for history, of_items in zip(histories, log_p, strict=True):
        left = [row for row in range(model.n_items) if row not in history]
        assert of_items[left].exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_they_are_the_likelihood_that_epochs_are_chosen_by(opened, chain_data):
    model, table = opened.denoiser, code_table(opened.denoiser)
    sample = [case for case in cases(chain_data.interactions, "validation", 30, 0) if case.target not in case.history]
    with torch.no_grad():
        mine = item_log_p(model, table, [case.history for case in sample], torch.tensor([[c.target] for c in sample]))
    assert mine.mean().item() == pytest.approx(token_likelihood(model, table, sample), abs=1e-4)


@pytest.mark.parametrize("loss", ["rank", "dpo"])
def test_a_round_puts_better_answers_above_worse_ones_and_leaves_the_dense_part(checkpoint, chain_data, loss):
    opened = load_checkpoint(checkpoint, "cpu")
    phase = _Phase(opened, chain_data, AlignConfig(loss, prefixes=100))
    model = opened.denoiser
    pairs = phase.mine(0)
    everyone = torch.arange(len(pairs.histories))

    def ahead() -> float:
        with torch.no_grad():
            log_p = phase.log_p(pairs, everyone)
        return float((log_p[:, 0] - log_p[:, 1]).mean())

    before, dense = ahead(), {n: p.clone() for n, p in model.named_parameters() if model.is_dense(n)}
    free = [p.requires_grad_(not model.is_dense(n)) for n, p in model.named_parameters()]
    optimizer = torch.optim.AdamW([p for p in free if p.requires_grad], lr=1e-3)
    phase.round(0, optimizer, progress=False)
    assert ahead() > before
    assert all(torch.equal(p, dense[n]) for n, p in model.named_parameters() if model.is_dense(n))


def test_the_command_keeps_a_round_that_pays_or_writes_nothing(checkpoint, chain_data, tmp_path):
    save_prepared(chain_data, tmp_path / "data")
    weak = load_checkpoint(checkpoint, "cpu")
    with torch.no_grad():  # a block that has to learn its head again
        noise = torch.randn(weak.denoiser.output_embedding.weight.shape, generator=torch.Generator().manual_seed(0))
        weak.denoiser.output_embedding.weight.add_(0.7 * noise)
    replace(weak, name="weak").save(tmp_path / "weak")
    common = ("train", "--data", tmp_path / "data", "--device", "cpu", "--align")
    code, out, err = ours(*common, "rank", "--from", tmp_path / "weak", "--out", tmp_path / "new", "--rounds", 2)
    assert code == 0, err
    assert "tokens alone on validation: hit@10" in out
    about = load_checkpoint(tmp_path / "new", "cpu").training["aligned"]
    assert about["kept"]["hit@10"] > about["rounds"][0]["hit@10"]
    assert about["kept"]["ndcg@10"] >= about["rounds"][0]["ndcg@10"]
    assert "rank, dpo" in refused(*common, "best", "--from", tmp_path / "weak", "--out", tmp_path / "x")
    assert "go together" in refused(*common, "rank", "--out", tmp_path / "x")
    still = AlignConfig(rounds=1, prefixes=20, learning_rate=0.0)
    with pytest.raises(MindRecError, match="nothing is written"):
        align_checkpoint(tmp_path / "weak", chain_data, tmp_path / "x", still, Running("cpu", progress=False))
    assert not (tmp_path / "x").exists()
