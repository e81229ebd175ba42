"""Semantic-ID codes in words: the items that they leave."""

from dataclasses import replace

import numpy as np
import pytest

from app.tabs.bundles import rows_with, speaks, token_names
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig


@pytest.fixture(scope="module")
def trace(recommender):
    return recommender.recommend(["i0", "i5", "i9"], target="i20").trace


def test_tokens_of_another_checkpoint_are_not_spoken_for(recommender, trace):
    codes = recommender.tokenizer.codes
    assert speaks(trace, codes)
    assert not speaks(trace, codes[:, :-1])
    assert not speaks(trace, np.roll(codes, 1, axis=0))
    assert not speaks(trace, codes[: max(item.row for item in trace.items)])


@pytest.mark.parametrize("settings", [{}, {"order": "confidence"}, {"evidence": "off"}], ids=str)
def test_a_caption_names_the_items_that_a_code_leaves(recommender, settings):
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | settings)
    trace = recommender.recommend(["i0", "i5", "i9"], config, target="i20").trace
    bare = replace(trace, steps=tuple(replace(step, possible=None) for step in trace.steps))
    plain, named = text.captions(bare), text.captions(trace)
    titles = trace.titles | {str(item.row): item.title for item in trace.items}
    depth = sum(level.kind == "category" for level in trace.levels)
    changed = [n for n, (a, b) in enumerate(zip(plain, named, strict=True)) if a != b]
    for n in changed:
        assert any(r.position >= depth for r in trace.steps[n].beams[0].revealed)
        assert f"“{titles[str(trace.steps[n].possible.beams[0][0])]}”" in named[n]
    own = [r for step in trace.steps for beam in step.beams[:1] for r in beam.revealed if not r.forced]
    assert changed or not any(r.position >= depth and (r.p is None or r.p < 0.99999) for r in own)


@pytest.mark.parametrize(
    ("titles", "count", "words"),
    [
        (["A"], 1, "“A”"),
        (["A", "B"], 2, "“A” or “B”"),
        (["A", "B", "C"], 3, "“A”, “B” or “C”"),
        (["A", "B", "C"], 4, "“A”, “B” or 2 others"),
        (["A", "B", "C"], 1234, "“A”, “B” or 1,232 others"),
        (["A"], 2, "“A” or 1 other"),
    ],
)
def test_items_are_listed_as_a_person_would(titles, count, words):
    assert text.or_list(titles, count) == words


def test_a_pinned_code_is_named_by_its_items_the_most_taken_first(recommender, trace):
    codes, popularity = recommender.tokenizer.codes, np.array(recommender.checkpoint.popularity)
    position = len(trace.levels) - 1
    pins = [[0, int(codes[7, 0])], [position, int(codes[7, position])]]
    pinned = replace(trace, config=trace.config | {"pins": pins})
    rows = rows_with(pinned, recommender, *pins[1])
    same = (codes[:, 0] == codes[7, 0]) & (codes[:, position] == codes[7, position])
    same[list(trace.history)] = False
    assert set(rows) == set(same.nonzero()[0].tolist())
    assert (np.diff(popularity[rows]) <= 0).all()
    named = token_names(pinned, recommender)[f"{position}.{pins[1][1]}"]
    assert recommender.catalog.items[rows[0]].title in named
