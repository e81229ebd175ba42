"""Which items are still possible, as the recorder tells it: against the catalog's codes, by brute force."""

import numpy as np
import pytest
import torch
from toys import toy

from mindrec.decoding.beam_search import search
from mindrec.decoding.config import DecodeConfig
from mindrec.recording.possible_items import LISTED
from mindrec.recording.recorder import Recorder

SETTINGS = [
    {},
    {"expansion": "joint"},
    {"order": "confidence"},
    {"steps": 3},
    {"exclude_seen": False},
    {"pins": [[0, 1]]},
    {"forbid_tokens": [[0, 1]], "forbid_items": [3, 4]},
    {"constraint": "level"},
    {"algorithm": "published"},
    {"guidance": 0.5},
]


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda s: next(iter(s), "default"))
def trace(recommender, request):
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | request.param)
    return recommender.recommend(["i0", "i5", "i9"], config, target="i20").trace


def fitting(trace, codes, answer) -> set[int]:
    """The rows that a partial answer of this trace may become."""
    fits, config = np.ones(len(codes), dtype=bool), trace.config
    if config["constraint"] == "exact" and config["algorithm"] == "mindrec":
        if config["exclude_seen"]:
            fits[list(trace.history)] = False
        fits[list(config["forbid_items"])] = False
    for position, code in config["forbid_tokens"]:
        fits &= codes[:, position] != code
    for position, code in enumerate(answer):
        if code is not None:
            fits &= codes[:, position] == code
    return set(fits.nonzero()[0].tolist())


def test_each_partial_answer_lists_items_that_fit_all_its_tokens(recommender, trace):
    codes, checked = recommender.tokenizer.codes, 0
    for before, step in zip((None, *trace.steps), trace.steps, strict=False):
        pairs = list(zip([beam.codes for beam in step.beams], step.possible.beams, strict=True))
        for lost, rows in zip(step.dropped, step.possible.dropped, strict=True):
            if lost.position < 0 or trace.levels[lost.position].kind == "semantic":
                pairs.append((lost.codes, rows))
            else:
                assert rows == ()
        for opinion, places in zip(step.opinions, step.possible.alternatives, strict=True):
            above = list(before.beams[opinion.beam].codes)
            for opened, behind in zip(opinion.open, places, strict=True):
                if trace.levels[opened.position].kind == "category":
                    assert behind == ()
                    continue
                answers = [
                    [*above[: opened.position], a.code, *above[opened.position + 1 :]] for a in opened.alternatives
                ]
                pairs += zip(answers, behind, strict=True)
                checked += len(behind)
        for answer, rows in pairs:
            fits = fitting(trace, codes, answer)
            assert set(rows) <= fits
            assert len(set(rows)) == len(rows) == min(LISTED, len(fits))
    assert checked


def test_every_item_that_is_listed_has_a_title_and_none_has_two(recommender, trace):
    rows = set().union(*(step.possible.rows() for step in trace.steps))
    named = {item.row for item in trace.items}
    assert {int(row) for row in trace.titles} == rows - named
    assert all(recommender.catalog.items[int(row)].title == title for row, title in trace.titles.items())


def test_the_likeliest_by_item_evidence_come_first(recommender):
    rows = recommender.history_rows(["i0", "i5"])
    steps = list(recommender.steps([rows], recommender.default_config, None, full_trace=True))
    mass = steps[0].item_mass[0]
    best = mass.argsort(descending=True, stable=True).tolist()
    for step in steps:
        recorded = Recorder(recommender.index).step(step)
        for beam, listed in zip(recorded.beams, recorded.possible.beams, strict=True):
            fits = [row for row in best if _agrees(recommender.tokenizer.codes[row], beam.codes) and row not in rows]
            assert list(listed) == fits[:LISTED]


def _agrees(codes, answer) -> bool:
    return all(code is None or code == own for own, code in zip(codes, answer, strict=True))


def test_without_evidence_the_most_taken_come_first_and_without_counts_the_first_rows():
    made = toy((2, 3, 3), 9, seed=7, n_categories=1)
    index = made.index
    start = next(iter(search(made.oracle(), index, [[1]], DecodeConfig(evidence="off"))))
    assert Recorder(index).step(start).possible.beams == ((0, 2, 3),)
    index.popularity_N = torch.tensor([0, 9, 1, 0, 0, 5, 0, 7, 0])
    assert Recorder(index).step(start).possible.beams == ((7, 5, 2),)


def test_several_users_of_one_batch_have_the_items_of_each_alone(recommender):
    histories = [["i0", "i5", "i9"], ["i3"], ["i7", "i8"]]
    together = recommender.recommend_many(histories)
    for history, answer in zip(histories, together, strict=True):
        alone = recommender.recommend(history).trace
        for a, b in zip(alone.steps, answer.trace.steps, strict=True):
            listed = ({beam.codes: rows for beam, rows in zip(s.beams, s.possible.beams, strict=True)} for s in (a, b))
            one, other = listed
            assert all(one[codes] == other[codes] for codes in one.keys() & other.keys())
            assert one.keys() & other.keys()
