"""The recommender as a library: histories as people hold them, settings as a dict, copies and pickles."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

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
    taken = [counts[found.row] for found in answer.items]
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
    for place, sides, was in zip(first.open, first.sides, root.open, strict=True):
        given = dict(zip((a.code for a in place.alternatives), sides.given, strict=True))
        assert len(sides.anyone) == len(place.alternatives)
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
