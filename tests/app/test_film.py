"""A running decode, asked for again and again: every step is drawn once, and the parts make up the whole."""

import json

import pytest

from app.server.guard import to_json
from app.tabs.film import Film
from app.views.tree import TreeBuilder, tree_view
from app.words import sentences as text

HISTORY, GOLD = ["i0", "i1"], 9


@pytest.fixture(scope="module")
def trace(recommender):
    return recommender.recommend(HISTORY, target=f"i{GOLD}").trace


@pytest.fixture
def film(recommender) -> Film:
    return Film(recommender, recommender.default_config, recommender.history_rows(HISTORY), GOLD)


def test_each_step_is_drawn_once_however_often_it_is_asked_for(film, trace, monkeypatch):
    drawn = []
    add = TreeBuilder.add
    monkeypatch.setattr(TreeBuilder, "add", lambda self, step: (drawn.append(step.index), add(self, step))[1])
    caption = text._caption
    monkeypatch.setattr(
        text,
        "_caption",
        lambda trace, step, titles, later: (drawn.append(step.index), caption(trace, step, titles, later))[1],
    )
    for count in range(1, len(trace.steps) + 1):
        for _ in range(3):
            film.part(trace.steps[:count], 0)
    later = list(range(1, len(trace.steps)))
    assert sorted(drawn) == sorted([0, *later, *later]), "the first step has no caption of this kind"


def test_the_parts_make_up_the_whole(film, trace, recommender):
    seen = 0
    while seen < len(trace.steps):
        part = json.loads(to_json(film.part(trace.steps[: seen + 2], seen)))
        assert [step["index"] for step in part["trace"]["steps"]] == list(range(seen, min(seen + 2, len(trace.steps))))
        assert len(part["captions"]) == len(part["trace"]["steps"])
        seen += len(part["trace"]["steps"])
    partial = recommender.build_trace(recommender.default_config, trace.history, trace.steps, (), GOLD, None)
    assert part["trace"]["labels"] == partial.to_dict()["labels"]
    assert part["trace"]["items"] == partial.to_dict()["items"]
    titles = part["trace"]["titles"] | {str(i["row"]): i["title"] for i in part["trace"]["items"]}
    assert titles == partial.titles | {str(item.row): item.title for item in partial.items}
    assert part["tree"] == json.loads(json.dumps(tree_view(partial, recommender.tokenizer.category_parents)))


def test_a_question_about_fewer_steps_than_were_drawn_is_answered(film, trace):
    film.part(trace.steps, 0)
    part = film.part(trace.steps[:2], 1)
    assert [step.index for step in part["trace"].steps] == [1]
    assert len(part["captions"]) == 1
