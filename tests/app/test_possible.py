"""What codes decide, told by items: the same items that the search counts."""

from dataclasses import replace

import numpy as np
import pytest

from app.views.possible import NAMED, possible_view, speaks, token_rows
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig

SETTINGS = [
    {},
    {"expansion": "joint"},
    {"order": "confidence"},
    {"steps": 3},
    {"exclude_seen": False},
    {"pins": [[0, 1]]},
    {"forbid_tokens": [[0, 1]], "forbid_items": [3, 4]},
]


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda s: next(iter(s), "default"))
def trace(recommender, request):
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | request.param)
    return recommender.recommend(["i0", "i5", "i9"], config, target="i20").trace


def allowed(trace, codes) -> np.ndarray:
    """Brute force: the rows that a partial answer of this trace may name at all."""
    free = np.ones(len(codes), dtype=bool)
    if trace.config["exclude_seen"]:
        free[list(trace.history)] = False
    free[list(trace.config["forbid_items"])] = False
    for position, code in trace.config["forbid_tokens"]:
        free &= codes[:, position] != code
    return free


def fitting(trace, codes, answer) -> set[int]:
    fits = allowed(trace, codes)
    for position, code in enumerate(answer):
        if code is not None:
            fits = fits & (codes[:, position] == code)
    return set(fits.nonzero()[0].tolist())


def test_every_beam_names_items_that_fit_all_its_tokens_as_many_as_the_search_counts(recommender, trace):
    codes = recommender.tokenizer.codes
    view = possible_view(trace, codes, recommender.catalog.items)
    for step, told in zip(trace.steps, view["beams"], strict=True):
        for beam, rows in zip(step.beams, told, strict=True):
            fits = fitting(trace, codes, beam.codes)
            assert len(fits) == beam.items
            assert set(rows) <= fits
            assert len(rows) == min(NAMED, len(fits))


def test_every_alternative_of_a_code_names_as_many_items_as_the_search_counts(recommender, trace):
    codes = recommender.tokenizer.codes
    view = possible_view(trace, codes, recommender.catalog.items)
    looked_at = 0
    for step, told in zip(trace.steps[1:], view["others"][1:], strict=True):
        for opinion, places in zip(step.opinions, told, strict=True):
            above = list(trace.steps[step.index - 1].beams[opinion.beam].codes)
            for place, rows in zip(opinion.open, places, strict=True):
                if trace.levels[place.position].kind == "category":
                    assert rows is None
                    continue
                for other, first in zip(place.alternatives, rows, strict=True):
                    fits = fitting(trace, codes, [*above[: place.position], other.code, *above[place.position + 1 :]])
                    assert set(first) <= fits
                    assert len(first) == min(NAMED, other.items) == min(NAMED, len(fits))
                    looked_at += 1
    assert looked_at


def test_dropped_candidates_and_titles_are_told_too(recommender, trace):
    codes, items = recommender.tokenizer.codes, recommender.catalog.items
    view = possible_view(trace, codes, items)
    for step, told in zip(trace.steps, view["dropped"], strict=True):
        for lost, rows in zip(step.dropped, told, strict=True):
            assert set(rows) <= fitting(trace, codes, lost.codes)
            assert rows
    assert all(items[int(row)].title == title for row, title in view["titles"].items())


def test_the_items_that_the_search_names_come_first(recommender, trace):
    view = possible_view(trace, recommender.tokenizer.codes, recommender.catalog.items)
    start = view["beams"][0][0]
    assert start == [result.row for result in trace.results][: len(start)]


def test_tokens_of_another_checkpoint_are_not_spoken_for(recommender, trace):
    codes = recommender.tokenizer.codes
    assert speaks(trace, codes)
    assert not speaks(trace, codes[:, :-1])
    assert not speaks(trace, np.roll(codes, 1, axis=0))
    assert not speaks(trace, codes[: max(item.row for item in trace.items)])


def test_a_caption_names_the_items_that_a_code_leaves(recommender, trace):
    view = possible_view(trace, recommender.tokenizer.codes, recommender.catalog.items)
    plain, told = text.captions(trace), text.captions(trace, view)
    depth = sum(level.kind == "category" for level in trace.levels)
    changed = [n for n, (a, b) in enumerate(zip(plain, told, strict=True)) if a != b]
    for n in changed:
        assert any(r.position >= depth for r in trace.steps[n].beams[0].revealed)
        assert f"“{view['titles'][str(view['beams'][n][0][0])]}”" in told[n]
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


def test_a_pinned_code_is_named_by_its_items(recommender, trace):
    codes = recommender.tokenizer.codes
    pinned = replace(trace, config=trace.config | {"pins": [[0, int(codes[7, 0])]], "forbid_items": []})
    position = len(trace.levels) - 1
    rows, count = token_rows(pinned, codes, position, int(codes[7, position]))
    same = (codes[:, 0] == codes[7, 0]) & (codes[:, position] == codes[7, position])
    if trace.config["exclude_seen"]:
        same[list(trace.history)] = False
    assert count == same.sum() >= len(rows) == min(NAMED, count)
