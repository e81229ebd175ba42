"""Fitted methods as files: what is written opens to the same answers, and another catalog's file is refused."""

import pytest
import torch

from mindrec.arena.contest import Plan, hold_contest
from mindrec.arena.fitted import KEPT, fitted_files, open_method, save_method
from mindrec.arena.method import Budget, Task
from mindrec.arena.methods import method_type
from mindrec.errors import MindRecError
from mindrec.sources.synthetic import load


@pytest.fixture(scope="module")
def data():
    return load(n_items=20, n_users=40, length=6)


@pytest.mark.parametrize("name", KEPT)
def test_a_method_opens_without_its_training_data(name, data, tmp_path):
    method = method_type(name)(Task(data, tmp_path, seed=3, exclude_seen=False, max_history=5)).eval()
    save_method(method, name, tmp_path / f"{name}-3.safetensors", {"data": "walks"})
    found, opened, about = open_method(tmp_path / f"{name}-3.safetensors", data.catalog)
    assert (found, about) == (name, {"data": "walks"})
    assert torch.equal(opened.scores([[1, 2], [3]]), method.scores([[1, 2], [3]]))
    with pytest.raises(MindRecError, match="was trained on catalog"):
        open_method(tmp_path / f"{name}-3.safetensors", load(n_items=21, n_users=40, length=6).catalog)


def test_what_is_no_fitted_method_is_refused(data, tmp_path):
    (tmp_path / "fmrec-0.safetensors").write_bytes(b"nothing")
    with pytest.raises(MindRecError, match="no fitted method"):
        open_method(tmp_path / "fmrec-0.safetensors", data.catalog)


def test_a_contest_leaves_its_fitted_methods_once_each(data, tmp_path):
    plan = Plan(("popularity", "sasrec"), Budget(minutes=1, epochs=1), seeds=2, users=10, exclude_seen=False)
    hold_contest(data, plan, tmp_path, lambda line: None)
    assert [path.name for path in fitted_files(tmp_path)] == ["sasrec-0.safetensors"]
    _, _, about = open_method(fitted_files(tmp_path)[0], data.catalog)
    assert about["data"] == "synthetic"
