"""What is drawn from a trace: the tree, the marks, the words and the colours. No model, no page."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from percents import PERCENTS

from app.tabs.case_table import FILTERS
from app.tabs.shelf import load_stories
from app.views import diagnosis_charts as charts
from app.views import theme
from app.views.events import events
from app.views.tree import MAX_NODES, tree_figure, tree_view
from app.views.versus import parting, results_of, timeline
from app.words import sentences as text
from app.words.hindsight import Hindsight
from mindrec.data import splits as protocol
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis import cases as tables
from mindrec.diagnosis import track_gold as track
from mindrec.diagnosis.case_pairs import transitions
from mindrec.diagnosis.diagnose import item_facts
from mindrec.trace.records import DecodeTrace


@pytest.fixture(scope="module")
def trace(recommender) -> DecodeTrace:
    ids = [item.item_id for item in recommender.catalog.items[:3]]
    return recommender.recommend(ids, target=recommender.catalog.items[20].item_id).trace


@pytest.fixture(scope="module")
def parents(recommender):
    return recommender.tokenizer.category_parents


def test_tree_mass_flows_from_the_root_and_is_never_lost_on_the_way(trace):
    nodes = tree_view(trace)["nodes"]
    assert nodes[0]["above"] is None
    for step in range(len(trace.steps)):
        assert nodes[0]["mass"][step] == pytest.approx(1.0)
        for at, node in enumerate(nodes):
            below = [other["mass"][step] for other in nodes if other["above"] == at]
            assert sum(below) <= node["mass"][step] + 1e-3


def test_tree_has_every_beams_path_once(trace):
    view = tree_view(trace)
    last = trace.steps[-1]
    for beam in last.beams:
        leaf = next(node for node in view["nodes"] if node["row"] == beam.item)
        names = []
        while leaf["above"] is not None:
            leaf = view["nodes"][leaf["above"]]
            names.insert(0, leaf["code"])
        assert names[1:] == list(beam.codes[: view["depth"]])
    assert len({(n["level"], n["code"], n["row"]) for n in view["nodes"]}) == len(view["nodes"]) <= MAX_NODES


def test_tree_nodes_never_share_a_place(trace, parents):
    view = tree_view(trace, parents)
    places = [(node["x"], node["y"]) for node in view["nodes"]]
    assert len(set(places)) == len(places)


def test_tree_counts_what_it_does_not_draw(trace, parents):
    view = tree_view(trace, parents)
    for rest in view["rests"]:
        above = view["nodes"][rest["above"]]
        drawn = sum(node["above"] == rest["above"] for node in view["nodes"])
        level = above["level"] + 1
        total = len(parents[0]) if level == 0 else sum(up == above["code"] for up in parents[level])
        assert rest["count"] == total - drawn > 0


@pytest.mark.parametrize("order", ["confidence", "left_to_right", "random"])
def test_tree_follows_any_unmask_order(recommender, parents, order):
    trace = recommender.recommend([recommender.catalog.items[0].item_id], DecodeConfig(order=order)).trace
    view = tree_view(trace, parents)
    assert all(node["mass"][-1] > 0 for node in view["nodes"] if node["row"] is not None and node["beams"][-1])
    assert view["nodes"][0]["beams"][-1] == len(trace.steps[-1].beams)


def test_a_trace_without_categories_draws_its_items_alone(trace):
    raw = trace.to_dict()
    for level in raw["levels"]:
        level["kind"] = "semantic"
    view = tree_view(DecodeTrace.from_dict(raw))
    assert view["depth"] == 0
    assert {node["level"] for node in view["nodes"]} == {-1, 0}


@pytest.mark.parametrize("dark", [False, True])
def test_tree_figure_is_one_that_plotly_accepts(trace, dark):
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figure = graph_objects.Figure(tree_figure(trace, len(trace.steps) - 1, dark=dark))
    assert len(figure.data) == len(tree_view(trace)["nodes"])


def test_marks_stand_in_order_and_tell_when_the_gold_is_lost(trace):
    marks = events(trace)
    assert all(a["step"] <= b["step"] for a, b in pairwise(marks))
    assert {m["step"] for m in marks if m["kind"] == "lost"} == {s for s in [trace.gold.died_at] if s is not None}
    assert [m["step"] for m in marks if m["kind"] == "first"] == [1]


def test_captions_are_one_for_each_step_and_name_the_answer(trace):
    lines = text.captions(trace)
    assert len(lines) == len(trace.steps)
    best = next(item.title for item in trace.items if item.row == trace.results[0].row)
    assert best in lines[-1]
    assert "masked" in lines[0]
    assert all(line.startswith(f"Step {number}:") for number, line in enumerate(lines) if number)
    assert all("{" not in line and "None" not in line for line in lines)


def test_captions_follow_the_eventual_answer(root):
    """A story whose answer comes from behind: by its tokens, the answer's beam is found without its parents."""
    for story in load_stories(root / "assets" / "stories"):
        trace, lines = story.trace, text.captions(story.trace)
        later = Hindsight.of(trace)
        final = next(beam for beam in trace.steps[-1].beams if beam.item == trace.results[0].row)
        for step in trace.steps:
            could = [
                rank
                for rank, beam in enumerate(step.beams)
                if all(code in (None, last) for code, last in zip(beam.codes, final.codes, strict=True))
            ]
            assert later.winner[step.index] in could
        for number in range(1, len(lines)):
            before, now = later.winner[number - 1 : number + 1]
            assert ("only beam" in lines[number]) == (now > 0)
            assert ("eventual answer takes the lead" in lines[number]) == (before > 0 and now == 0)
        assert sum("closest rival" in line for line in lines) == 1
        half = replace(trace, steps=trace.steps[:3], results=())
        assert not any("eventual" in line or "rival" in line for line in text.captions(half))


@pytest.mark.parametrize(("p", "words"), [(p, words) for p, words, _ in PERCENTS])
def test_percent_as_a_person_says_it(p, words):
    assert text.percent(p) == words


def test_a_sole_candidate_is_not_called_a_guess(recommender):
    item = recommender.catalog.items[7]
    code = recommender.tokenizer.encode(7)[0]
    trace = recommender.recommend([item.item_id], DecodeConfig(pins=((0, code),))).trace
    assert "fixed 1" in text.captions(trace)[0]


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("ink", "card"),
        ("ink", "ground"),
        ("ink", "raised"),
        ("muted", "card"),
        ("muted", "ground"),
        ("muted", "raised"),
        ("muted", "new-soft"),
        ("on-accent", "accent"),
        ("new-ink", "card"),
        ("gold-ink", "card"),
        ("gold-ink", "gold-soft"),
        ("bad", "card"),
        ("bad", "bad-soft"),
        ("ink", "accent-soft"),
        ("ink", "new-soft"),
        ("muted", "accent-soft"),
    ],
)
def test_text_has_aa_contrast(palette, ink, ground):
    assert theme.contrast(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
@pytest.mark.parametrize("mark", ["accent", "new", "bad", "strong-line"])
def test_marks_have_graphic_contrast(palette, mark):
    assert theme.contrast(palette[mark], palette["card"]) >= 3


def test_contrast_by_hand():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert math.isclose(theme.contrast("#777777", "#777777"), 1)


# -- two traces on one timeline ----------------------------------------------------------------------------------------


def test_a_timeline_starts_and_ends_together_and_never_goes_back(recommender, trace):
    one = recommender.recommend(["i0", "i1"], DecodeConfig(steps=1)).trace
    frames = timeline(trace, one)
    last = len(trace.steps) - 1
    assert frames[0] == (0, 0)
    assert frames[-1] == (last, 1)
    assert [a for a, _ in frames] == list(range(last + 1))
    assert [b for _, b in frames] == sorted(b for _, b in frames)
    assert timeline(one, one) == [(0, 0), (1, 1)]


def test_a_trace_never_parts_from_itself(trace):
    assert parting(trace, trace, timeline(trace, trace)).kind == "none"
    lists = results_of(trace, trace)
    assert not lists["only_left"]
    assert not lists["only_right"]
    assert [item["left"] for item in lists["shared"]] == list(range(1, len(trace.results) + 1))


def test_another_pinned_token_parts_two_searches_at_its_position(recommender, trace):
    ids = [item.item_id for item in recommender.catalog.items[:3]]
    best = trace.steps[-1].beams[0].codes[0]
    other = next(b.codes[0] for b in trace.steps[-1].beams if b.codes[0] != best)
    pinned = recommender.recommend(ids, DecodeConfig(pins=((0, other),))).trace
    branch = parting(trace, pinned, timeline(trace, pinned))
    assert (branch.kind, branch.left, branch.right) == ("token", 0, 0)
    assert "part at step" in text.parting_words(trace, pinned, branch, timeline(trace, pinned))


# -- charts of a diagnosis ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(recommender, chain_data):
    facts = item_facts(recommender, chain_data)
    sample = protocol.cases(chain_data.interactions, "test", 60)
    config = DecodeConfig(beam_size=3)
    return track.diagnose(recommender.denoiser, recommender.index, sample, config, facts, k=2)


def figures(cases, recommender, palette) -> dict[str, dict]:
    labels = recommender.tokenizer.levels[0].labels
    levels = [level.name for level in recommender.tokenizer.levels]
    about = {"catalog": {"fingerprint": "c"}, "split": "test"}
    went = transitions(*(tables.Diagnosis(cases, about),) * 2, k=2)
    words = text.CHARTS
    return {
        "survival": charts.survival_figure(tables.survival_by_step(cases), words, palette),
        "lost": charts.lost_figure(tables.lost_at(cases), levels, words, palette),
        "causes": charts.counts_figure(tables.causes(cases), text.CAUSE_NAMES, words, palette),
        "errors": charts.counts_figure(tables.errors(cases), {"search": "s", "model": "m"}, words, palette),
        "confusion": charts.confusion_figure(tables.confusion(cases, 0, labels), 0, words, palette),
        "cold": charts.slices_figure(tables.slices(cases, "cold_item", 2), "cold_item", words, palette),
        "length": charts.slices_figure(tables.slices(cases, "history_length", 2), "history_length", words, palette),
        "calibration": charts.calibration_figure(tables.calibration(cases), words, palette),
        "transitions": charts.transitions_figure(went, text.OUTCOMES, words, palette),
    }


@pytest.mark.parametrize("palette", [theme.LIGHT, theme.DARK])
def test_charts_are_figures_that_plotly_accepts_and_json_can_hold(cases, recommender, palette):
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for figure in figures(cases, recommender, palette).values():
        graph_objects.Figure(figure)
        json.loads(json.dumps(figure, allow_nan=False))


def test_charts_of_the_page_hold_names_of_colours_and_no_colour(cases, recommender):
    drawn = json.dumps(figures(cases, recommender, theme.PROPERTIES))
    assert "--mr-accent" in drawn
    assert "#" not in drawn


def test_a_chart_tells_what_a_click_filters(cases, recommender):
    drawn = figures(cases, recommender, theme.LIGHT)
    for name, figure in drawn.items():
        for data in figure["data"]:
            for given in data.get("customdata", []):
                for one in given if isinstance(given, list) else [given]:
                    assert set(one) <= set(FILTERS), name


def test_names_of_categories_stay_text():
    frame = pd.DataFrame(
        {
            "gold": [0],
            "recommended": [0],
            "cases": [3],
            "share": [1.0],
            "gold_label": ["<b>&"],
            "recommended_label": [""],
        }
    )
    assert "<b>" not in json.dumps(charts.confusion_figure(frame, 0, text.CHARTS)).replace("<br>", "")
