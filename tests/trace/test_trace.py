"""The trace: complete, true to the search, the same after JSON, and safe to read from a stranger.

`python tests/test_trace.py` writes the golden trace anew; look at the difference before you keep it.
"""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from code_makers import residual_kmeans
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toy, toy

from mindrec.checkpoint import Checkpoint
from mindrec.data.catalog import Catalog, Item
from mindrec.decoding.beam_search import search
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.recommender import Recommender
from mindrec.recording.recorder import Recorder, records
from mindrec.tokens.tokenizer import build_tokenizer
from mindrec.trace.reading import MAX_BYTES
from mindrec.trace.records import DecodeTrace, ItemName, LevelName, Result

GOLDEN = Path(__file__).parent / "golden" / "oracle_trace.json"
GOLDEN_1 = Path(__file__).parent / "golden" / "oracle_trace_version_1.json"
"""The same decode as a release wrote it that had no possible items; never written anew."""


def record(made: Toy, config: DecodeConfig, gold: int | None = None, history=()) -> list:
    steps = search(made.oracle(), made.index, [list(history)], config)
    return list(Recorder(made.index, 0, gold).record(steps))


@pytest.mark.parametrize(
    "config", [DecodeConfig(), DecodeConfig(expansion="joint"), DecodeConfig(steps=2), DecodeConfig(constraint="level")]
)
def test_steps_recorded_together_are_those_recorded_one_by_one(config):
    made = toy((2, 3, 3), 9, seed=7, n_categories=1)
    steps = list(search(made.oracle(), made.index, [[1, 6], [4]], config))
    golds, together = [4, None], [[], []]
    for part in (steps[:1], steps[1:]):
        for user, step in records(made.index, part, golds, {0, 1}):
            together[user].append(step)
    for user, gold in enumerate(golds):
        alone = list(Recorder(made.index, user, gold).record(iter(steps)))
        assert together[user] == alone[: len(together[user])]
        assert all(not step.opinions for step in alone[len(together[user]) :]), "only who is done is left out"
    assert len(max(together, key=len)) == len(steps)


def oracle_trace() -> DecodeTrace:
    """The default decode of a tiny catalog with known probabilities; the true next item is row 4."""
    made = toy((2, 3, 3), 9, seed=7, n_categories=1)
    config, history = DecodeConfig(), (1, 6)
    steps = record(made, config, 4, history)
    last = steps[-1].beams
    return DecodeTrace(
        config=config.to_dict(),
        levels=tuple(LevelName("category" if n < 1 else "semantic", f"level {n}", s) for n, s in enumerate(made.sizes)),
        history=history,
        steps=tuple(steps),
        results=tuple(Result(n, b.item, b.score, math.exp(b.score)) for n, b in enumerate(last)),
        model={"name": "oracle"},
        catalog={"name": "toy", "items": made.n_items},
        labels=tuple({str(c): f"code {c}" for c in range(size)} for size in made.sizes),
        items=tuple(ItemName(row, f"i{row}", f"Item {row}", ("here",)) for row in range(made.n_items)),
    )


# -- golden ------------------------------------------------------------------------------------------------------------


def assert_same_values(found, want, where="trace") -> None:
    if isinstance(want, dict):
        assert set(found) == set(want), where
        for key in want:
            assert_same_values(found[key], want[key], f"{where}.{key}")
    elif isinstance(want, list):
        assert len(found) == len(want), where
        for n, (one, other) in enumerate(zip(found, want, strict=True)):
            assert_same_values(one, other, f"{where}[{n}]")
    elif isinstance(want, float) and not isinstance(found, bool):
        assert found == pytest.approx(want, rel=1e-4, abs=1e-9), where
    else:
        assert type(found) is type(want), where
        assert found == want, where


def test_golden_trace():
    assert_same_values(json.loads(oracle_trace().to_json()), json.loads(GOLDEN.read_text(encoding="utf-8")))


def test_a_trace_of_version_1_is_read_and_holds_all_but_the_possible_items():
    old, new = DecodeTrace.from_json(GOLDEN_1.read_text(encoding="utf-8")), oracle_trace()
    assert json.loads(GOLDEN_1.read_text(encoding="utf-8"))["version"] == 1
    bare = replace(new, steps=tuple(replace(step, possible=None) for step in new.steps))
    assert_same_values(json.loads(old.to_json()), json.loads(bare.to_json()))
    assert DecodeTrace.from_json(old.to_json()) == old
    old.to_frame()


def test_golden_trace_is_right_in_itself():
    """The stored file, against the catalog's true probabilities and not against the code that wrote it."""
    trace, made = DecodeTrace.from_json(GOLDEN.read_text(encoding="utf-8")), toy((2, 3, 3), 9, seed=7)
    truth = made.truth(trace.history)
    assert sorted(r.row for r in trace.results) == truth.nonzero()[:, 0].tolist()
    for result in trace.results:
        assert result.probability == pytest.approx(float(truth[result.row]), rel=1e-5)
    first = {b.codes[0]: math.exp(b.score) for b in trace.steps[1].beams}
    for code, p in first.items():
        assert p == pytest.approx(float(truth[made.codes[:, 0] == code].sum()), rel=1e-5)


# -- round trip and size -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seven_levels() -> Recommender:
    """A synthetic catalog of three category and four semantic-ID levels under an untrained model: the widest traces."""
    rng = np.random.default_rng(0)
    items = [Item(f"i{n}", f"Item {n}", (f"a{n % 5}", f"b{n % 7}", f"c{n % 9}")) for n in range(1500)]
    catalog = Catalog(tuple(items), name="synthetic")
    vectors = rng.normal(size=(len(items), 8)).astype(np.float32)
    codes = residual_kmeans(vectors, catalog.tree.codes[:, -1], 4, 16)
    tokenizer = build_tokenizer(catalog, codes)
    torch.manual_seed(0)
    config = CompactConfig(tokenizer.level_sizes, len(items), hidden_size=32, intermediate_size=48)
    model = CompactDenoiser(config, torch.from_numpy(tokenizer.codes)).eval()
    return Recommender(Checkpoint("wide", model, tokenizer, catalog, DecodeConfig()))


def test_ten_beams_of_seven_positions_stay_under_400_kb(seven_levels):
    history = [f"i{n}" for n in range(0, 200, 10)]
    trace = seven_levels.recommend(history, DecodeConfig(beam_size=10, evidence="on"), target="i777").trace
    assert len(trace.levels) == 7
    assert max(len(s.beams) for s in trace.steps) == 10
    assert max(len(p.alternatives) for s in trace.steps for o in s.opinions for p in o.open) >= 8
    assert len(trace.to_json().encode()) < 400_000


CONFIGS = [
    {},
    {"order": "confidence", "evidence": "off"},
    {"expansion": "joint", "merge": "logsumexp"},
    {"expansion": "joint", "diversity": 0.5},
    {"steps": 2},
    {"scoring": "item"},
    {"temperature": 1.0},
    {"constraint": "level"},
    {"evidence": "only"},
    {"pins": ((0, 1),), "forbid_items": (3,)},
]


@pytest.mark.parametrize("settings", CONFIGS, ids=str)
def test_round_trip(recommender, settings):
    trace = recommender.recommend(["i1", "i2"], DecodeConfig(**settings), target="i5").trace
    again = DecodeTrace.from_json(trace.to_json())
    assert again.to_json() == trace.to_json()
    assert again == DecodeTrace.from_dict(trace.to_dict())
    assert again.steps[-1].beams[0].codes == trace.steps[-1].beams[0].codes


# -- true to the search ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"order": "confidence"}, {"scoring": "item"}, {"evidence": "off"}], ids=str)
def test_every_score_follows_from_what_was_revealed(recommender, settings):
    """Score = parent's score + log p of the one position that was chosen; forced positions are free."""
    config = DecodeConfig(beam_size=6, **settings)
    trace = recommender.recommend(["i3", "i9", "i4"], config).trace
    for before, step in zip(trace.steps, trace.steps[1:], strict=False):
        for beam in step.beams:
            parent = before.beams[beam.parent]
            gain = sum(math.log(r.p) for r in beam.revealed)
            assert beam.score == pytest.approx(parent.score + gain, abs=1e-4)
            assert sum(not r.forced for r in beam.revealed) <= 1
            filled = dict(enumerate(parent.codes)) | {r.position: r.code for r in beam.revealed}
            assert tuple(filled.values()) == beam.codes
        assert step.coverage == pytest.approx(sum(math.exp(b.score) for b in step.beams), abs=1e-5)
        scores = [b.score for b in step.beams]
        assert scores == sorted(scores, reverse=True)
        assert all(d.behind >= 0 and d.score <= scores[-1] for d in step.dropped if d.why == "cut")


def test_alternatives_keep_evidence_and_denoiser_apart(recommender):
    trace = recommender.recommend(["i3", "i9"], DecodeConfig(beam_size=4)).trace
    seen_illegal = False
    for step in trace.steps[1:]:
        for opened in (p for o in step.opinions for p in o.open):
            legal = [a for a in opened.alternatives if a.why is None]
            assert legal
            assert all(a.items > 0 and a.p > 0 and a.evidence is not None for a in legal)
            assert [a.p for a in legal] == sorted((a.p for a in legal), reverse=True)
            assert sum(a.p for a in legal) <= 1 + 1e-5
            assert sum(a.token for a in legal) <= 1 + 1e-5
            assert sum(a.raw for a in opened.alternatives) <= 1 + 1e-5
            for a in opened.alternatives:
                if a.why is not None:
                    seen_illegal = True
                    assert a.items == 0
                    assert a.p == 0
    assert seen_illegal


def test_everything_mentioned_is_named(recommender):
    trace = recommender.recommend(["i3", "i9"], DecodeConfig(beam_size=4), target="i7").trace
    named = {item.row for item in trace.items}
    assert {7, *trace.history, *(r.row for r in trace.results)} <= named
    for step in trace.steps:
        for codes in [b.codes for b in step.beams] + [d.codes for d in step.dropped]:
            for position, code in enumerate(codes):
                assert code is None or str(code) in trace.labels[position]
        for opened in (p for o in step.opinions for p in o.open):
            assert all(str(a.code) in trace.labels[opened.position] for a in opened.alternatives)


# -- the fate of the true next item ------------------------------------------------------------------------------------


GREEDY = Toy(
    torch.tensor([[0, 0], [0, 1], [1, 0]]), (2, 2), torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64), 1, False
)
"""The likeliest item lies in the less likely category: greedy decoding loses it, two beams save it."""


def test_gold_dies_where_it_must_and_by_how_much():
    steps = record(GREEDY, DecodeConfig(beam_size=1, evidence="off"), gold=2)
    assert [s.gold.beams for s in steps] == [1, 0, 0]
    assert steps[1].gold.margin == pytest.approx(math.log(0.6) - math.log(0.4))
    assert steps[1].gold.rank is None
    lost = steps[1].dropped[0]
    assert (lost.position, lost.code, lost.why) == (0, 1, "cut")
    assert lost.behind == pytest.approx(steps[1].gold.margin)


def test_gold_is_saved_by_a_second_beam():
    steps = record(GREEDY, DecodeConfig(beam_size=2, evidence="off"), gold=2)
    assert [s.gold.rank for s in steps] == [0, 1, 0]
    assert steps[-1].beams[0].item == 2
    assert steps[1].gold.margin == pytest.approx(0)
    assert steps[2].gold.margin < 0


def test_gold_of_a_recommendation_agrees_with_its_steps(recommender):
    for target in ("i5", "i11", "i20", "i33"):
        answer = recommender.recommend(["i1", "i2"], DecodeConfig(beam_size=3), target=target)
        gold, steps = answer.trace.gold, answer.trace.steps
        found = [r.item.item_id for r in answer.items]
        assert gold.rank == (found.index(target) if target in found else None)
        died = [s.index for s in steps if s.gold.beams == 0]
        assert gold.died_at == (died[0] if died else None)
        assert (gold.died_at is None) == (gold.rank is not None)
        assert gold.margin is None or gold.margin > 0
        assert not gold.excluded
    assert recommender.recommend(["i1", "i2"], target="i2").trace.gold.excluded


@pytest.mark.parametrize("kind", ["pin", "token", "item", "seen"])
@pytest.mark.parametrize("constraint", ["exact", "level", "published"])
def test_gold_is_said_to_be_excluded_where_the_search_rules_it_out(recommender, kind, constraint):
    """By pins and forbidden tokens in every search that knows them, by items and history where the catalog rules."""
    history, gold = ["i1", "i2"], recommender.catalog.rows(["i2" if kind == "seen" else "i3"])[0]
    codes = recommender.tokenizer.codes
    last = codes.shape[1] - 1
    settings = {
        "pin": {"pins": ((last, next(int(c) for c in codes[:, last] if c != codes[gold, last])),)},
        "token": {"forbid_tokens": ((last, int(codes[gold, last])),)},
        "item": {"forbid_items": (gold,)},
        "seen": {},
    }[kind]
    if constraint == "published":
        if settings:
            return  # refused: the published search has no pins or bans
        settings = {"algorithm": "published"}
    else:
        settings["constraint"] = constraint
    config = DecodeConfig(beam_size=40, evidence="off", **settings)
    trace = recommender.recommend(history, config, target=recommender.catalog.items[gold].item_id).trace
    assert trace.gold.excluded == (constraint == "exact" or kind in ("pin", "token"))
    if trace.gold.excluded:
        assert (trace.gold.rank, trace.gold.died_at, trace.gold.margin) == (None, None, None)
        assert all((s.gold.beams, s.gold.rank, s.gold.margin) == (0, None, None) for s in trace.steps)
    elif kind == "item":
        assert trace.gold.rank is not None, "what is not ruled out has to be named"


# -- a trace from a stranger -------------------------------------------------------------------------------------------


def edited(change) -> str:
    raw = json.loads(GOLDEN.read_text(encoding="utf-8"))
    change(raw)
    return json.dumps(raw)


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(raw):
        for key in path:
            raw = raw[key]
        raw[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("version", 99), "version 99"),
        (put("version", None), "version None"),
        (put("surprise", 1), "unknown field 'surprise'"),
        (put("steps", 0, "beams", 0, "surprise", 1), r"steps\[0\].beams\[0\] has an unknown field"),
        (put("history", "abc"), "a list is needed"),
        (put("history", [999]), "999"),
        (put("steps", 1, "beams", 0, "score", "high"), "float is needed"),
        (put("steps", 1, "beams", 0, "score", None), "float is needed"),
        (put("steps", 1, "beams", 0, "score", True), "float is needed"),
        (put("steps", 1, "beams", 0, "score", 10**400), "infinity"),
        (put("steps", 1, "beams", 0, "codes", [0]), "3 positions"),
        (put("steps", 1, "beams", 0, "parent", 7), "parent 7"),
        (put("steps", 1, "beams", 0, "parent", -1), "parent -1"),
        (put("steps", 1, "beams", 0, "parent", None), "parent None"),
        (put("steps", 1, "beams", 0, "revealed", 0, "position", 8), "3 positions"),
        (put("steps", 1, "opinions", 0, "beam", 5), "beam 5"),
        (put("steps", 1, "opinions", 0, "open", 0, "position", 9), "position"),
        (put("steps", 1, "index", 4), "index 4"),
        (put("steps", []), "no steps"),
        (put("labels", []), "labels"),
        (put("model", []), "an object is needed"),
        (put("steps", 1, "possible", "beams", []), "step 1: its possible items are not one list"),
        (put("steps", 1, "possible", "alternatives", 0, []), "step 1: its possible items are not one list"),
        (put("steps", 1, "possible", "dropped", [[0]] * 9), "step 1: its possible items are not one list"),
        (put("steps", 1, "possible", "beams", 0, [999]), "item row 999 is possible but not named"),
        (put("titles", "x", "y"), "'x'"),
    ],
)
def test_a_broken_trace_is_refused(change, says):
    with pytest.raises(MindRecError, match=says):
        DecodeTrace.from_json(edited(change))


def test_a_trace_without_a_version_is_refused():
    with pytest.raises(MindRecError, match="lacks the field 'version'"):
        DecodeTrace.from_json(edited(lambda raw: raw.pop("version")))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("history", ["x"] * 500_000), r"trace.history\[0\] is 'x'; an int is needed"),
        (put("labels", 0, {str(n): n for n in range(50_000)}), "50,000 wrong or unknown fields"),
        (put("steps", 1, "beams", 0, "score", "x" * 5000), r"score is 'x{50,60}\.\.\.; a float is needed"),
        (put("x" * 5000, 1), r"unknown field 'x{50,60}\.\.\."),
        (put("levels", 0, "size", 2**53), r"levels\[0\].size is 9007199254740992"),
        (put("steps", 1, "beams", 0, "items", 1.0), r"beams\[0\].items is 1.0; an int is needed"),
        (lambda raw: raw["steps"][1]["beams"][0].pop("items"), r"beams\[0\] lacks the field 'items'"),
        (put("config", "a", {"b": [2**80]}), "trace.config is larger than"),
    ],
    ids=["list", "labels", "value", "name", "whole", "float", "missing", "free"],
)
def test_a_refusal_names_the_first_fault_and_stays_short(change, says):
    """However many faults there are: a stranger's file must not cost memory for each of them."""
    with pytest.raises(MindRecError, match=says) as caught:
        DecodeTrace.from_json(edited(change))
    assert len(str(caught.value)) < 200


def test_values_that_json_does_not_have_are_refused():
    raw = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for value in (math.nan, math.inf, {1, 2}, object()):
        raw["elapsed_ms"] = value
        with pytest.raises(MindRecError, match="JSON"):
            DecodeTrace.from_dict(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"trace"',
        "[" * 100_000,
        '{"version":1,"config":' + '{"a":' * 900 + "1" + "}" * 901,
        "9" * 10_000,
        " " * (MAX_BYTES + 1),
    ],
    ids=lambda text: text[:20],
)
def test_text_that_is_no_trace_is_refused(text):
    with pytest.raises(MindRecError):
        DecodeTrace.from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_does_not_have_are_refused(number):
    """1e999 is valid JSON text that Python reads as infinity."""
    text = edited(put("steps", 1, "beams", 0, "score", -123.456))
    assert "-123.456" in text
    with pytest.raises(MindRecError):
        DecodeTrace.from_json(text.replace("-123.456", number))


@pytest.mark.parametrize("value", ["1e999", '{"a":' * 500 + "1" + "}" * 500])
def test_free_fields_are_bounded_too(value):
    """config, model and catalog hold any JSON, but what is read must be possible to write again."""
    text = edited(put("model", "odd", "PLACE")).replace('"PLACE"', value)
    with pytest.raises(MindRecError):
        DecodeTrace.from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutations(draw) -> str:
    """The golden trace with one to three places replaced, deleted, doubled or added, as text."""
    raw = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for _ in range(draw(st.integers(1, 3))):
        where = raw
        while True:
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            key = draw(st.sampled_from(keys))
            if isinstance(where[key], (dict, list)) and where[key] and draw(st.integers(0, 5)):
                where = where[key]
                continue
            break
        act = draw(st.sampled_from(["replace", "replace", "swap type", "delete", "double", "add"]))
        if act == "replace":
            where[key] = draw(json_values)
        elif act == "swap type":
            where[key] = [where[key]]
        elif act == "delete":
            del where[key]
        elif act == "double" and isinstance(where, list):
            where.append(copy.deepcopy(where[key]))
        elif isinstance(where, dict):
            where[draw(st.text(max_size=4))] = draw(json_values)
        if not raw or not where:
            break
    text = json.dumps(raw)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@settings(max_examples=200)
@given(text=mutations())
def test_a_mutated_trace_is_read_or_refused_and_never_crashes(text):
    try:
        trace = DecodeTrace.from_json(text)
    except MindRecError:
        return
    assert DecodeTrace.from_json(trace.to_json()).to_json() == trace.to_json()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(oracle_trace().to_dict(), indent=1) + "\n", encoding="utf-8")
