"""Semantic-ID codes in words: the items that they leave."""

from dataclasses import replace

import numpy as np
import pytest

from app.bundles import rows_with, speaks, token_names
from app.words import sentences as text
from app.words.code_names import alternative_name, beam_names, gold_names
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


def test_a_code_is_named_by_the_likeliest_item_that_it_leaves_where_it_is_revealed(trace):
    depth = sum(level.kind == "category" for level in trace.levels)
    titles = trace.titles | {str(item.row): item.title for item in trace.items}
    last = len(trace.steps) - 1
    seen = 0
    for number, step in enumerate(trace.steps[1:], 1):
        for rank, beam in enumerate(step.beams):
            names = beam_names(trace, number, rank)
            before = beam_names(trace, number - 1, beam.parent)
            fresh = {reveal.position for reveal in beam.revealed}
            assert [name is None for name in names] == [code is None for code in beam.codes]
            for position, name in enumerate(names):
                if position not in fresh:
                    assert name == before[position], "it keeps its name"
                elif position < depth:
                    assert name == text.label(trace, position, beam.codes[position])
                else:
                    seen += 1
                    assert name == titles[str(step.possible.beams[rank][0])]
    assert seen
    best = trace.steps[last].beams[0]
    assert beam_names(trace, last, 0)[-1] == titles[str(best.item)]


def test_the_true_item_s_codes_and_alternatives_have_the_same_names(trace, recommender):
    gold = trace.gold
    names = gold_names(trace)
    assert all(names)
    alive = [n for n, step in enumerate(trace.steps) if step.gold is not None and step.gold.rank is not None]
    borne = beam_names(trace, alive[-1], trace.steps[alive[-1]].gold.rank)
    title = recommender.catalog.items[gold.row].title
    for position, (name, own) in enumerate(zip(names, borne, strict=True)):
        code = gold.codes[position]
        if trace.levels[position].kind == "category":
            assert name == text.label(trace, position, code)
        else:
            assert name == (f"code {code}" if (own or title) in names[:position] else own or title)
    assert len(set(names)) == len(names), "no two say the same"
    for number, step in enumerate(trace.steps[1:], 1):
        for rank, beam in enumerate(step.beams):
            opinion = next((o for o in step.opinions if o.beam == beam.parent), None)
            own = [r for r in beam.revealed if not r.forced]
            places = [p for p in opinion.open if p.position == own[0].position] if opinion and len(own) == 1 else []
            for taken in (a for p in places for a in p.alternatives if a.code == own[0].code):
                position = own[0].position
                assert alternative_name(trace, number, position, taken) == beam_names(trace, number, rank)[position]


def test_a_trace_without_possible_items_names_codes_by_their_keywords(trace):
    bare = replace(trace, steps=tuple(replace(step, possible=None) for step in trace.steps))
    last = len(bare.steps) - 1
    codes = bare.steps[last].beams[0].codes
    assert beam_names(bare, last, 0) == [text.label(bare, n, code) for n, code in enumerate(codes)]
