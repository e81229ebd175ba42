"""The recommender as a library: histories as people hold them, settings as a dict, copies and pickles."""

import copy
import pickle
from collections import deque
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from mindrec.data.histories import id_text, item_texts
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender


def test_ids_of_any_type_are_one_text():
    assert [id_text(v) for v in ("1001", 1001, 1001.0, np.int64(1001), np.float32(1001))] == ["1001"] * 5
    assert id_text("007") == "007"
    for missing in (None, float("nan"), pd.NaT):
        with pytest.raises(MindRecError, match="missing"):
            id_text(missing)


def test_every_kind_of_sequence_is_a_history():
    for given in ([1, 2], (1, 2), np.array([1.0, 2.0]), pd.Series([1, 2], index=[7, 8]), (n for n in (1, 2))):
        assert item_texts(given) == ["1", "2"]
    for given in ("12", b"12", {"a": 1}, 12, None, np.ones((2, 2))):
        with pytest.raises(MindRecError, match="history"):
            item_texts(given)


KINDS = {
    "tuple": tuple,
    "array of text": np.array,
    "array of objects": lambda ids: np.array(ids, dtype=object),
    "Series": pd.Series,
    "strings of pandas": lambda ids: pd.Series(ids, dtype="string"),
    "categories": lambda ids: pd.Series(ids, dtype="category"),
    "Arrow": pa.array,
    "bytes": lambda ids: [text.encode() for text in ids],
    "generator": iter,
    "deque": deque,
    "blanks around": lambda ids: [f" {text} " for text in ids],
}
NUMBERS = {
    "ints": list,
    "floats": lambda ids: np.array(ids, dtype=float),
    "32-bit floats": lambda ids: np.array(ids, dtype=np.float32),
    "Int64 of pandas": lambda ids: pd.Series(ids, dtype="Int64"),
    "tensor": torch.tensor,
    "float tensor": lambda ids: torch.tensor(ids, dtype=torch.float32),
    "decimals": lambda ids: [Decimal(f"{n}.0") for n in ids],
    "range": lambda ids: range(ids[0], ids[-1] + 1),
    "text of floats": lambda ids: [f"{n}.00" for n in ids],
}


@pytest.fixture(scope="module")
def numbered(recommender):
    """The trained checkpoint with the ids 1000, 1001 ..., as shops number what they sell."""
    checkpoint = recommender.checkpoint
    items = tuple(replace(item, item_id=str(1000 + n)) for n, item in enumerate(checkpoint.catalog.items))
    return Recommender(replace(checkpoint, catalog=replace(checkpoint.catalog, items=items)))


@pytest.mark.parametrize("kind", [*KINDS, *NUMBERS])
def test_a_history_of_any_kind_is_the_same_history(numbered, kind):
    ids = [1003, 1004, 1005]
    given = NUMBERS[kind](ids) if kind in NUMBERS else KINDS[kind]([str(n) for n in ids])
    assert numbered.history_rows(given) == [3, 4, 5]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ("1001", "give a list of item ids"),
        ({"a": 1}, "give a list of item ids"),
        (7, "give a list of item ids"),
        (None, "give a list of item ids"),
        ([1001, None], "item id is missing"),
        (pd.Series([1001, None], dtype="Int64"), "item id is missing"),
        ([["1001"], ["1002"]], "recommend_many"),
        (pd.DataFrame({"a": [1001]}), "2 dimensions"),
        ([1999], "unknown item '1999'"),
        (["01001"], "did you mean '1001'"),
    ],
)
def test_what_is_no_history_is_refused_and_a_batch_names_it(numbered, history, says):
    with pytest.raises(MindRecError, match=says):
        numbered.recommend(history)
    with pytest.raises(MindRecError, match=r"^history 1: .*" + says):
        numbered.recommend_many([[1001], history])


def test_ids_titles_and_settings_as_they_come(recommender):
    items = recommender.catalog.items[:3]
    plain = recommender.recommend([i.item_id for i in items])
    assert recommender.recommend(pd.Series([i.title.upper() for i in items])).trace.history == plain.trace.history
    assert [f.rank for f in plain.items] == list(range(1, len(plain.items) + 1))
    assert len(recommender.recommend((i.item_id for i in items), {"beam_size": 4}).items) == 4
    assert recommender.recommend_many([]) == []
    assert recommender.recommend_many([[], ["i1"]])[1].notes == ()
    with pytest.raises(MindRecError, match=r"^history 1: .*nope"):
        recommender.recommend_many([["i1"], ["nope"]])


def test_an_empty_history_asks_what_anybody_takes(recommender):
    """Popularity ranks what the beams find, the answer says so, and a checkpoint that never counted refuses."""
    counts, answer = recommender.checkpoint.popularity, recommender.recommend([])
    taken = [counts[item.row] for item in answer.items]
    assert taken == sorted(taken, reverse=True)
    assert taken[:3] == sorted(counts, reverse=True)[:3]
    assert "how often each item was taken" in answer.notes[0]
    assert answer.trace.notes[0] == answer.notes[0]
    assert answer.trace.steps[-1].nfe == 0
    with pytest.raises(MindRecError, match="count-popularity"):
        Recommender(replace(recommender.checkpoint, popularity=None)).recommend([])


def test_guidance_in_the_trace_has_two_sides_that_add_up(recommender):
    """Of each code listed: for this history as without guidance, and for anybody; both before guidance joins them."""
    plain, guided = (recommender.recommend(["i1", "i2"], {"guidance": w}).trace for w in (0, 0.7))
    assert all(not opinion.sides for step in plain.steps for opinion in step.opinions)
    first, root = guided.steps[1].opinions[0], plain.steps[1].opinions[0]
    assert len(first.sides) == len(first.open)
    for opened, sides, was in zip(first.open, first.sides, root.open, strict=True):
        given = dict(zip((a.code for a in opened.alternatives), sides.given, strict=True))
        assert len(sides.anyone) == len(opened.alternatives)
        for other in was.alternatives:
            if other.code in given:
                assert given[other.code] == pytest.approx(other.p, rel=1e-4, abs=1e-9)


def test_a_title_of_two_items_names_their_ids(recommender):
    checkpoint = recommender.checkpoint
    items = tuple(replace(i, title="Twin") if n in (4, 7) else i for n, i in enumerate(checkpoint.catalog.items))
    twins = Recommender(replace(checkpoint, catalog=replace(checkpoint.catalog, items=items)))
    with pytest.raises(MindRecError, match="i4, i7"):
        twins.recommend(["twin"])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))], ids=["deepcopy", "pickle"])
def test_a_copy_answers_the_same(recommender, copied):
    one, other = (r.recommend(["i1", "i2"]) for r in (recommender, copied(recommender)))
    assert other.items == one.items
    assert other.trace.model == one.trace.model
