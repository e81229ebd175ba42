"""Other methods beside MindRec in Compare: votes, a walk, a flash; and the table of all methods."""

import numpy as np
import pytest
import torch
from page_answers import AsPage

from app.tabs.comparing import Comparing
from app.tabs.handlers import Handlers
from app.tabs.other_methods import OtherMethods, best, rank_of
from mindrec.arena.fitted import save_method
from mindrec.arena.fmrec import FMRec
from mindrec.arena.method import Task
from mindrec.arena.sasrec import SASRec
from mindrec.errors import MindRecError
from mindrec.sources.synthetic import load

IDS = ["i0", "i1", "i4"]


@pytest.fixture(scope="module")
def arena(chain_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arena")
    for name, kind in (("fmrec", FMRec), ("sasrec", SASRec)):
        method = kind(Task(chain_data, folder)).eval()
        save_method(method, name, folder / f"{name}-0.safetensors", {"data": "chain", "cpu_seconds": 0})
    return folder


@pytest.fixture(scope="module")
def handlers(checkpoint, arena) -> Handlers:
    return Handlers.load([checkpoint], arena=arena)


@pytest.fixture(scope="module")
def tab(handlers) -> AsPage:
    return AsPage(Comparing(handlers))


def names(tab) -> list[str]:
    return [method["name"] for method in next(iter(tab.opening()["methods"].values()))]


def test_a_checkpoint_is_compared_with_what_it_counted_and_what_was_fitted(tab):
    assert names(tab) == ["popularity", "votes", "fmrec", "sasrec"]


@pytest.mark.parametrize("name", ["popularity", "votes", "fmrec", "sasrec"])
def test_a_method_stands_beside_a_decode(tab, name):
    answer = tab.compare({"ids": IDS, "target": "i9", "left": {"way": "ours"}, "right": {"method": name}})
    assert "error" not in answer, answer
    side = answer["right"]
    last = answer["frames"][-1]
    assert last == [len(answer["left"]["trace"]["steps"]) - 1, len(side["steps"]) - 1]
    assert side["steps"][-1]["words"]
    assert [item["row"] for item in side["steps"][-1]["items"]] == side["rows"]
    assert not set(side["rows"]) & {0, 1, 4}  # what is in the history is no answer
    assert answer["gold"].startswith("★ True next item “Item 9” — left: ")
    shared = len(answer["results"]["shared"])
    assert answer["words"].startswith(f"{shared} of the first 10 ")
    assert side["about"]


def test_a_walk_begins_at_noise_and_ends_at_the_answer(tab, handlers):
    """The picture's plane lies along the walk: it starts at its origin and ends on its first axis."""
    side = tab.compare({"ids": IDS, "left": {"method": "fmrec"}, "right": {"method": "votes"}})["left"]
    points = [step["point"] for step in side["steps"]]
    assert len(points) == 31
    assert points[0] == [0, 0]
    assert points[-1][1] == pytest.approx(0, abs=1e-3)
    assert len(side["picture"]["x"]) == 40
    method = tab.others._of(next(iter(handlers.recommenders.values())))["fmrec"][0]
    scores = method.scores([[0, 1, 4]])[0]
    scores[[0, 1, 4]] = -torch.inf
    assert side["rows"] == scores.argsort(descending=True)[:10].tolist()


def test_votes_add_up_to_the_vote_of_all(tab, handlers):
    side = tab.compare({"ids": IDS, "left": {"method": "votes"}, "right": {"way": "ours"}})["left"]
    recommender = next(iter(handlers.recommenders.values()))
    votes = recommender.denoiser.votes()
    assert [step["voter"] for step in side["steps"][1:]] == [row for row, _ in votes.voters([0, 1, 4])]
    for row in side["rows"]:
        assert sum(votes.votes_for([0, 1, 4], row).values()) > 0
    strongest = max(set(range(40)) - {0, 1, 4}, key=lambda row: sum(votes.votes_for([0, 1, 4], row).values()))
    assert side["rows"][0] == strongest


def test_all_methods_are_laid_over_each_other(tab):
    answer = tab.agree({"ids": IDS, "target": "i9"})
    assert len(answer["titles"]) == 5
    shared = np.array(answer["shared"])
    assert (shared == shared.T).all()
    assert (shared.diagonal() >= shared.max(1)).all()
    assert all(rank is None or 1 <= rank <= 40 for rank in answer["ranks"])
    assert answer["gold"] == "Item 9"
    assert tab.agree({"ids": IDS})["ranks"] == [None] * 5


def test_ranks_count_ties_by_row():
    scores = np.array([1.0, 3.0, -np.inf, 3.0, 2.0], dtype=np.float32)
    assert best(scores, 9) == [1, 3, 4, 0]
    assert [rank_of(scores, row) for row in range(5)] == [4, 1, None, 2, 3]


@pytest.mark.parametrize(
    "ask",
    [
        {"ids": IDS, "left": {"method": "nothing"}, "right": {}},
        {"ids": IDS, "left": {"method": ["votes"]}, "right": {}},
        {"ids": [], "left": {"method": "votes"}, "right": {"method": "votes"}},
        {"ids": ["?"], "left": {"method": "votes"}, "right": {"method": "votes"}},
        {"ids": IDS, "left": {"method": "votes"}, "right": 3},
    ],
)
def test_what_is_no_method_is_told(tab, ask):
    assert tab.compare(ask)["error"]


def test_a_folder_without_a_method_that_fits_is_refused(handlers, tmp_path):
    with pytest.raises(MindRecError, match="holds no fitted method"):
        OtherMethods(handlers, tmp_path)
    other = load(n_items=12, n_users=20, length=5)
    save_method(FMRec(Task(other, tmp_path)), "fmrec", tmp_path / "fmrec-0.safetensors", {})
    with pytest.raises(MindRecError, match="train both on the same data"):
        OtherMethods(handlers, tmp_path)
