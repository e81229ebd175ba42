"""What the page asks for, asked without a page; and app.py as a command."""

import base64
import json
import re
import runpy
import sys
import time
from math import log
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from page_answers import AsPage, replay_data
from paths import ROOT

from app.bundles import bundle_of
from app.page import assets
from app.page.replay import replay_page
from app.public import api
from app.tabs.behaving import kept_behaviour
from app.tabs.belonging import Belonging
from app.tabs.comparing import WAYS, Comparing
from app.tabs.diagnosing import Diagnosing
from app.tabs.dialing import STOPS, Dialing
from app.tabs.handlers import Handlers
from app.tabs.lesson_cards import CARDS, wrong_turn
from app.tabs.lessons import Lessons
from app.tabs.opening import examples, opening, setting_fields
from app.tabs.shelf import load_stories
from app.tabs.trips import Trips
from app.tabs.watching import Watching
from app.words import sentences as text
from mindrec.checkpoint import BEHAVIOUR_FILE, CASES_FILE
from mindrec.data.catalog import save_prepared
from mindrec.decoding.orders import ORDERS
from mindrec.diagnosis.behaviour import CHANGES, measure_behaviour
from mindrec.diagnosis.cases import read_cases, write_cases
from mindrec.diagnosis.diagnose import diagnose_checkpoint
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.system.files import write_json
from mindrec.trace.records import DecodeTrace


@pytest.fixture(scope="module")
def prepared_folder(chain_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "data"
    save_prepared(chain_data, folder)
    return folder


@pytest.fixture(scope="module")
def handlers(checkpoint, prepared_folder) -> Handlers:
    return Handlers.load([checkpoint], data=prepared_folder)


@pytest.fixture(scope="module")
def bundle(handlers) -> dict:
    return AsPage(Watching(handlers)).decode({"ids": ["i0", "i1"], "target": "i9"})


def test_opening_is_json_and_names_the_checkpoint(handlers):
    first = json.loads(json.dumps(opening(handlers)))
    assert first["checkpoints"][0]["items"] == 40
    assert {"beam_size", "order", "evidence"} <= {field["key"] for field in first["settings"]}
    assert all(field["help"] for field in first["settings"])


def test_the_menu_offers_every_registered_order_with_words():
    menu = setting_fields()
    assert menu[0]["key"] == "checkpoint"
    (order,) = (field for field in menu if field["key"] == "order")
    assert [value for value, _ in order["choices"]] == list(ORDERS)
    assert dict(order["choices"])["left_to_right"] == "left to right"


def test_search_gives_items_and_nothing_for_nothing(handlers):
    assert AsPage(Watching(handlers)).search({"query": "Item 7"})["items"][0]["id"] == "i7"
    assert AsPage(Watching(handlers)).search({"query": ""})["items"] == []


def test_a_decode_brings_all_the_player_needs(bundle):
    trace = DecodeTrace.from_dict(json.loads(json.dumps(bundle["trace"])))
    assert len(bundle["captions"]) == len(trace.steps)
    assert bundle["trace"]["gold"]["row"] == 9
    assert len(json.dumps(bundle)) < 400_000


def test_a_share_is_set_beside_what_is_usual(handlers, bundle, recommender):
    """By the counts of the checkpoint, worked out once more: nine tenths by count, a tenth evenly."""
    counts, items = recommender.checkpoint.popularity, len(recommender.catalog)
    usual = [0.9 * count / sum(counts) + 0.1 / items for count in counts]
    for result in bundle["trace"]["results"]:
        assert bundle["lift"][str(result["row"])] == pytest.approx(result["probability"] / usual[result["row"]])
    assert handlers.bundle(DecodeTrace.from_dict(bundle["trace"]))["lift"]
    assert bundle_of(DecodeTrace.from_dict(bundle["trace"]))["lift"] == {}, "no model, nothing to set beside it"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"ids": ["nothing-like-this"]}, "nothing-like-this"),
        ({"ids": "i0"}, "not understood"),
        ({"ids": ["i0"], "config": {"beam_size": 0}}, "beam_size"),
        ({"ids": ["i0"], "config": {"beams": 3}}, "beams"),
        ({"ids": ["i0"], "config": {"pins": [[0, 999]]}}, "999"),
        ({"ids": ["i0"], "config": {"pins": [[0, "x"]]}}, "pins"),
        ({"ids": ["i0"], "config": []}, "not understood"),
        ({"ids": ["i0"], "checkpoint": "other"}, "other"),
        ("no object", "not understood"),
    ],
)
def test_what_cannot_be_decoded_is_told_in_words(handlers, ask, words):
    assert words in AsPage(Watching(handlers)).decode(ask)["error"]


def test_a_pin_is_named_and_kept(handlers, bundle):
    code = bundle["trace"]["steps"][-1]["beams"][-1]["codes"][0]
    pinned = AsPage(Watching(handlers)).decode({"ids": ["i0", "i1"], "config": {"pins": [[0, code]]}})
    assert pinned["names"] == {f"0.{code}": handlers.recommenders["chain"].tokenizer.levels[0].labels[code]}
    assert all(beam["codes"][0] == code for beam in pinned["trace"]["steps"][-1]["beams"])


def test_a_trace_comes_back_and_a_damaged_one_does_not(handlers, bundle):
    again = AsPage(Watching(handlers)).open_trace({"text": json.dumps(bundle["trace"])})
    assert again["captions"] == bundle["captions"]
    assert again["checkpoint"] == "chain"
    assert "JSON" in AsPage(Watching(handlers)).open_trace({"text": "{"})["error"]
    assert "version" in AsPage(Watching(handlers)).open_trace({"text": "{}"})["error"]


def test_a_trace_of_another_catalog_is_watched_only(handlers, bundle):
    raw = json.loads(json.dumps(bundle["trace"]))
    raw["catalog"]["fingerprint"] = "elsewhere"
    assert AsPage(Watching(handlers)).open_trace({"text": json.dumps(raw)})["checkpoint"] is None


def test_trips_are_made_in_the_background_and_know_their_target(handlers):
    answer = AsPage(Watching(handlers)).trip({"number": 3})
    for _ in range(100):
        if "waiting" not in answer:
            break
        answer = AsPage(Watching(handlers)).trip({"number": 3})
    assert answer["target"]["title"] in answer["about"]
    assert answer["items"]
    assert answer == AsPage(Watching(handlers)).trip({"number": 3})


def test_only_trips_that_are_not_prepared_yet_are_said_to_take_long(recommender, tmp_path, monkeypatch):
    monkeypatch.setenv("MINDREC_CACHE", str(tmp_path))
    assert Trips(recommender, None).waiting() == text.PREPARING
    assert Trips(recommender, tmp_path).waiting() == text.READING
    (tmp_path / "grocery").mkdir()
    (tmp_path / "grocery" / "sequences.jsonl.gz").touch()
    assert Trips(recommender, None).waiting() == text.READING


def test_trips_of_other_data_are_refused(checkpoint, tmp_path):
    from mindrec.sources.synthetic import load

    save_prepared(load(n_items=30, n_users=20), tmp_path / "other")
    handlers = Handlers.load([checkpoint], data=tmp_path / "other")
    answer = AsPage(Watching(handlers)).trip({})
    while "waiting" in answer:
        answer = AsPage(Watching(handlers)).trip({})
    assert "another catalog" in answer["error"]


def test_stories_are_read_in_order_and_a_damaged_one_is_named(checkpoint, bundle, tmp_path):
    (tmp_path / "2-b.json").write_text(json.dumps({"title": "B", "about": "b", "trace": bundle["trace"]}))
    (tmp_path / "1-a.json").write_text(json.dumps({"title": "A", "about": "a", "trace": bundle["trace"]}))
    handlers = Handlers.load([checkpoint], stories=tmp_path)
    assert [s["title"] for s in opening(handlers)["stories"]] == ["A", "B"]
    assert AsPage(Watching(handlers)).story({"number": 1})["about"] == "b"
    assert "no story" in AsPage(Watching(handlers)).story({"number": 2})["error"]
    (tmp_path / "3-c.json").write_text("{}")
    with pytest.raises(MindRecError, match=r"3-c\.json"):
        Handlers.load([checkpoint], stories=tmp_path)


def test_examples_are_the_checkpoints_own(handlers, recommender, monkeypatch):
    assert examples(recommender) == []
    monkeypatch.setattr(text, "EXAMPLES", (("Two", ("Item 1", "Item 2")), ("None", ("Unknown",))))
    assert [(e["title"], len(e["items"])) for e in examples(recommender)] == [("Two", 2)]


def test_the_public_api_answers_and_raises_plainly(handlers):
    public = api(handlers)
    assert list(public) == ["recommend", "trace", "search", "explain", "slate", "fill_gap", "odd_one_out", "rewrite"]
    answer = public["recommend"](["i0", "i1"], {"beam_size": 4})
    assert [r["rank"] for r in answer] == [1, 2, 3, 4]
    assert DecodeTrace.from_dict(public["trace"](["i0"], None, "i5")).gold.row == 5
    assert public["search"]("Item 7", 2)[0]["item_id"] == "i7"
    explained = public["explain"](["i0", "i1"])
    assert explained.splitlines()[-2].startswith(f"The first answers: 1. {answer[0]['title']}")
    assert explained.splitlines()[-1].startswith(f"What pulls at {answer[0]['title']} (exact rank 1,")
    assert "Item 0 " in explained.splitlines()[-1]
    assert "What pulls at Item 7 (" in public["explain"](["i0", "i1"], None, "i7")
    assert len(explained.splitlines()) <= 13
    for limit in (0, -1, 51, True, "9"):
        with pytest.raises(MindRecError, match="1 to 50"):
            public["search"]("Item", limit)
    with pytest.raises(MindRecError, match="nope"):
        public["recommend"](["nope"])


def test_slates_gaps_and_odd_ones_are_answered_by_id(handlers, recommender):
    public = api(handlers)
    slate = public["slate"](["i0", "i1"], 3, 1)
    assert [chosen["slot"] for chosen in slate] == [1, 2, 3]
    assert [c["item_id"] for c in slate] == [
        i.item.item_id for i in recommender.slate(["i0", "i1"], 3, max_per_category=1).items
    ]
    gap = public["fill_gap"](["i0", "i2"], 1)
    assert gap[0]["rank"] == 1
    assert len(gap) == 10
    odd = public["odd_one_out"](["i0", "i1", "i20"])
    assert [item["item_id"] for item in odd] == ["i0", "i1", "i20"]
    assert sum(item["odd"] for item in odd) == 1
    again = public["rewrite"](["i0", "i1"], None, 1)
    assert again[0]["rank"] == 1
    with pytest.raises(MindRecError, match="one of them"):
        public["rewrite"](["i0"])
    for n in (0, 11, True, "3"):
        with pytest.raises(MindRecError, match="1 to 10"):
            public["slate"](["i0"], n)
    with pytest.raises(MindRecError, match="none of them twice"):
        public["odd_one_out"](["i0"])


def test_the_page_is_told_which_item_does_not_belong(handlers):
    asked = Belonging(handlers)
    answer = asked.odd_one_out({"ids": ["i0", "i1", "i20"]})
    odd = next(item for item in answer["items"] if item["odd"])
    assert odd["title"] in answer["words"]
    assert "ids" in asked.odd_one_out({"ids": "i0"})["error"]
    assert "nope" in asked.odd_one_out({"ids": ["nope", "i1"]})["error"]


def test_an_empty_cart_is_answered_by_what_anybody_takes(handlers, recommender):
    """And the page is told so, in the notes that the answer carries."""
    answer, plain = (
        json.loads(json.dumps(AsPage(Watching(handlers)).decode({"ids": ids})["trace"])) for ids in ([], ["i0"])
    )
    assert "history is empty" in answer["notes"][0]
    taken = [recommender.checkpoint.popularity[result["row"]] for result in answer["results"]]
    assert taken[0] == max(recommender.checkpoint.popularity)
    assert taken == sorted(taken, reverse=True)
    assert plain["notes"] == list(recommender.notes)


def test_only_the_public_api_is_listed(handlers):
    from app.ui import build

    page = build(handlers)
    listed = [f.api_name for f in page.fns.values() if f.api_visibility == "public"]
    assert sorted(listed) == ["explain", "fill_gap", "odd_one_out", "recommend", "rewrite", "search", "slate", "trace"]
    assert len(page.fns) == 8


def test_a_client_names_items_levels_and_categories(handlers, recommender):
    public = api(handlers)
    free = public["recommend"](["i0", "i1"])
    without = public["recommend"](["i0", "i1"], {"forbid_items": [free[0]["item_id"]]})
    assert free[0]["item_id"] not in [r["item_id"] for r in without]
    level = recommender.tokenizer.levels[0]
    label = next(label for label in level.labels if label != free[0]["path"][0])
    pinned = public["recommend"](["i0", "i1"], {"pins": {level.name: label}})
    assert {r["path"][0] for r in pinned} == {label}
    banned = public["recommend"](["i0", "i1"], {"forbid_tokens": {level.name: [label]}})
    assert label not in {r["path"][0] for r in banned}
    for settings, words in (
        ({"forbid_items": ["nothing"]}, "no item has the id"),
        ({"pins": {"Nowhere": label}}, "no level is called"),
        ({"pins": {level.name: "nothing"}}, "has nothing called"),
    ):
        with pytest.raises(MindRecError, match=words):
            public["recommend"](["i0"], settings)


def test_opening_the_page_copies_nothing_of_the_checkpoint(handlers, monkeypatch):
    from gradio.routes import App
    from starlette.testclient import TestClient

    from app.ui import build

    copied = []
    for part in (Handlers, torch.nn.Module):
        monkeypatch.setattr(part, "__deepcopy__", lambda self, memo: copied.append(self), raising=False)
    page = build(handlers)
    answer = TestClient(App.create_app(page)).get("/config")  # made as the page's own is
    assert answer.status_code == 200
    assert "mindrec-stage" in answer.text
    assert not copied


def test_a_new_session_does_not_search_the_script(handlers, monkeypatch):
    """Gradio did, for each attribute that a component lacks, while nobody else was answered."""
    import re

    from gradio.state_holder import SessionState

    from app.ui import build

    page, searched, search = build(handlers), [], re.search
    monkeypatch.setattr(re, "search", lambda *args, **kwargs: (searched.append(args[0]), search(*args, **kwargs))[1])
    SessionState(page)
    assert not searched


def test_the_replay_holds_no_address_of_another_host_in_its_own_parts(bundle):
    page = replay_page(bundle)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert len(page) < 500_000


def test_a_title_cannot_end_the_replays_script(bundle):
    raw = json.loads(json.dumps(bundle))
    raw["trace"]["items"][0]["title"] = "</script><script>alert(1)</script>"
    page = replay_page(raw)
    assert page.count("</script") == page.count("<script") == 1
    assert replay_data(page)["bundle"] == raw


def test_every_word_of_the_page_exists():
    for file in (assets.FOLDER / "js").glob("*.js"):
        script = file.read_text(encoding="utf-8")
        course = text.LAB if file.name.startswith("lab") else text.LEARN
        for letter, words in (
            ("T", text.STAGE),
            ("D", text.DIAGNOSE),
            ("C", text.COMPARE),
            ("L", course),
            ("G", text.GAME),
        ):
            used = set(re.findall(rf"\b{letter}\.(\w+)", script))
            assert used <= set(words), (file.name, letter)
        assert set(re.findall(r'"((?:col|help)_\w+)"', script)) <= set(text.STAGE)
    assert "%%" not in assets.page()
    assert "@@" not in assets.page()
    assert "`" not in assets.page()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checkpoint", "no/such/folder"], "no/such/folder"),
        (["--data", "no/such/data"], "no/such/data"),
        (["--cases", "no/such.parquet"], "no/such.parquet"),
    ],
)
def test_a_missing_folder_ends_with_status_2_and_a_remedy(checkpoint, arguments, words, monkeypatch, capsys):
    given = arguments if "--checkpoint" in arguments else ["--checkpoint", str(checkpoint), *arguments]
    monkeypatch.setattr(sys, "argv", ["app.py", *given])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in said
    assert "python -m mindrec" in said


# -- Diagnose ----------------------------------------------------------------------------------------------------------


LOSSY = {"beam_size": 1, "evidence": "off", "temperature": 5.0}
"""The small checkpoint is never wrong with more."""


@pytest.fixture(scope="module")
def case_file(checkpoint, chain_data, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "wide.parquet"
    diagnose_checkpoint(
        checkpoint, chain_data, path, Protocol(users=80, settings=LOSSY, device="cpu"), k=2, progress=False
    )
    return path


@pytest.fixture(scope="module")
def diagnosing(handlers, case_file) -> AsPage:
    return AsPage(Diagnosing(handlers, [case_file]))


def test_cases_are_filtered_sorted_and_paged_as_pandas_would(diagnosing, case_file):
    cases = read_cases(case_file).cases
    answer = diagnosing.cases({"table": "wide", "size": 7})
    assert (answer["found"], len(answer["lines"])) == (80, 7)
    assert json.loads(json.dumps(answer)) == answer
    missed = diagnosing.cases({"table": "wide", "filters": {"outcome": "miss"}, "size": 100})
    assert [line["n"] for line in missed["lines"]] == cases.index[~(cases["gold_rank"] < 2).fillna(False)].tolist()
    far = diagnosing.cases({"table": "wide", "sort": "margin", "down": True, "size": 100})
    margins = [line["margin"] for line in far["lines"]]
    known = [m for m in margins if m is not None]
    assert known == sorted(known, reverse=True)
    assert margins[: len(known)] == known
    assert diagnosing.cases({"table": "wide", "size": 7, "page": 999})["page"] == 11


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        ({"history_length": "2..3"}, lambda c: c["history_length"].between(2, 3)),
        ({"history_length": "..2"}, lambda c: c["history_length"] <= 2),
        ({"step": "1", "level": "0"}, lambda c: c["died_step"].eq(1) & c["died_level"].eq(0)),
        ({"cause": "cut"}, lambda c: c["cause"] == "cut"),
        ({"only": "3,17"}, lambda c: c.index.isin([3, 17])),
        ({"gold": "0.1"}, lambda c: c["gold_path"].map(lambda path: path[0] == 1)),
        ({"repeated_category": "1..1"}, lambda c: c["repeated_category"]),
        ({"q": ""}, lambda c: c.index >= 0),
    ],
)
def test_every_filter_keeps_what_it_says(diagnosing, case_file, filters, keep):
    cases = read_cases(case_file).cases
    wanted = cases.index[pd.Series(keep(cases)).astype("boolean").fillna(False)].tolist()
    answer = diagnosing.cases({"table": "wide", "filters": filters, "size": 100})
    assert [line["n"] for line in answer["lines"]] == wanted


def test_the_page_of_an_item_counts_what_pandas_does(diagnosing, handlers, case_file):
    cases = read_cases(case_file).cases
    hit = (cases["gold_rank"] < 2).fillna(False)
    gold = cases["gold"].value_counts().index[0]
    true, given = cases["gold"] == gold, cases["top_item"] == gold
    page = diagnosing.case_page({"table": "wide", "name": f"item:{gold}"})
    assert json.loads(json.dumps(page)) == page
    (recommender,) = handlers.recommenders.values()
    row = recommender.item_row(gold)
    words = " ".join(page["said"])
    assert f"In {recommender.checkpoint.popularity[row]} training trip" in words
    assert f"The truth in {true.sum()} case" in words
    assert f" {(true & hit).sum()} hit" in words
    assert page["title"] == recommender.catalog.items[row].title
    causes, instead, before = page["lists"]
    assert {line["filter"]["cause"]: line["count"] for line in causes["lines"]} == dict(
        cases["cause"][true & ~hit].value_counts()
    )
    for told, which, column in ((instead, true & ~hit, "top_item"), (before, given & ~true, "gold")):
        wanted = cases[column][which].value_counts()
        assert {line["page"].removeprefix("item:"): line["count"] for line in told["lines"]}.items() <= dict(
            wanted
        ).items()
        assert [line["count"] for line in told["lines"]] == sorted(wanted, reverse=True)[:8]
        assert told["rest"] == max(0, len(wanted) - 8)
    for (words, filters), which in zip(page["links"], [w for w in (true, given) if w.any()], strict=True):
        assert f"the {which.sum()} case" in words
        lines = diagnosing.cases({"table": "wide", "filters": filters, "size": 100})
        assert [line["n"] for line in lines["lines"]] == cases.index[which].tolist()
        assert gold not in lines["names"].values()


def test_the_page_of_a_category_is_reached_from_its_cases_and_from_its_items(diagnosing, handlers, case_file):
    cases = read_cases(case_file).cases
    hit = (cases["gold_rank"] < 2).fillna(False)
    line = next(line for line in diagnosing.cases({"table": "wide"})["lines"] if not line["hit"])
    level, code = map(int, line["pages"]["category"].removeprefix("category:").split("."))
    found = diagnosing.case_page({"table": "wide", "name": line["pages"]["category"]})
    true = cases["gold_path"].map(lambda path: path[level] == code)
    assert f"The truth in {true.sum()} case" in " ".join(found["said"])
    (recommender,) = handlers.recommenders.values()
    inside = (recommender.tokenizer.codes[:, level] == code).sum()
    assert found["said"][0].startswith(f"{inside} item")
    causes, instead, _, items = found["lists"]
    assert sum(line["count"] for line in causes["lines"]) == (true & ~hit).sum()
    assert instead["rest"] + len(instead["lines"]) == cases["top_path"][true & ~hit].map(lambda p: p[level]).nunique()
    assert sum(line["count"] for line in items["lines"]) <= (true & ~hit).sum()
    crumbs = diagnosing.case_page({"table": "wide", "name": items["lines"][0]["page"]})["crumbs"]
    assert crumbs[level][1] == found["name"]


@pytest.mark.parametrize(
    "name", ["", "item:", "item:nope", "category:", "category:9.0", "category:0.-1", "category:0.x"]
)
def test_a_page_of_nothing_is_told(diagnosing, name):
    assert "in this catalog" in diagnosing.case_page({"table": "wide", "name": name})["error"]
    assert diagnosing.case_page({"table": "none", "name": name})["error"]


@pytest.mark.parametrize(
    "ask",
    [
        {"table": "other"},
        {"table": "wide", "filters": {"magic": "1"}},
        {"table": "wide", "filters": {"cause": "bad luck"}},
        {"table": "wide", "filters": {"step": "one"}},
        {"table": "wide", "filters": {"gold": "7.1"}},
        {"table": "wide", "filters": []} | {"filters": "x"},
        {"table": "wide", "sort": "words"},
        {"table": []},
    ],
)
def test_what_cannot_be_filtered_is_told(diagnosing, ask):
    assert diagnosing.cases(ask)["error"]


def test_a_case_is_decoded_again_as_it_was(diagnosing, case_file):
    cases = read_cases(case_file).cases
    number = int(cases.index[cases["died_step"].notna()][0])
    case = diagnosing.case({"table": "wide", "number": number})
    assert case["step"] == case["trace"]["gold"]["died_at"] == cases["died_step"][number]
    assert case["trace"]["config"]["beam_size"] == 1
    assert diagnosing.case({"table": "wide", "number": 80})["error"]


def test_charts_follow_the_filter(diagnosing):
    every = diagnosing.case_charts({"table": "wide", "by": "item_popularity"})["figures"]
    assert {"survival", "lost", "causes", "errors", "slices", "calibration", "confusion"} == set(every)
    assert diagnosing.case_charts({"table": "wide", "filters": {"only": "-1"}}) == {"figures": {}}
    slices = diagnosing.case_charts({"table": "wide", "by": "item_popularity"})["slices"]
    assert {len(line["cells"]) for line in slices["lines"]} == {len(slices["head"])} == {7}
    for line in slices["lines"]:
        inside = diagnosing.cases({"table": "wide", "filters": line["filter"]})
        assert line["cells"][1] == str(inside["found"])
        assert line["cells"][2].startswith(f"{inside['hits'] / inside['found']:.1%} ")
    one = diagnosing.case_charts({"table": "wide", "filters": {"only": "5"}})
    assert "error" not in one


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_exports_hold_the_filtered_cases(diagnosing, ending, tmp_path):
    answer = diagnosing.export_cases({"table": "wide", "filters": {"only": "2,4,6"}, "format": ending})
    (tmp_path / answer["name"]).write_bytes(base64.b64decode(answer["base64"]))
    if ending == "parquet":
        assert len(read_cases(tmp_path / answer["name"]).cases) == 3
    else:
        lines = (tmp_path / answer["name"]).read_text().splitlines()
        assert len(lines) == 3 + (ending == "csv")
    assert "not understood" in diagnosing.export_cases({"table": "wide", "format": "exe"})["error"]


def test_a_sample_is_made_in_the_background_and_compared(handlers, case_file):
    diagnosing = Diagnosing(handlers, [case_file])
    answer = diagnosing.sample({"users": 12})
    while "waiting" in answer:
        answer = diagnosing.sample({"users": 12})
    job = answer["job"]
    while "table" not in answer:
        time.sleep(0.05)
        answer = diagnosing.sample({"job": job})
        assert "error" not in answer
    assert (answer["total"], answer["table"]["cases"]) == (12, 12)
    versus = diagnosing.compare_cases({"left": "wide", "right": answer["table"]["name"]})
    assert "error" in versus or versus["cases"] <= 12
    same = diagnosing.compare_cases({"left": "wide", "right": "wide"})
    assert (same["cases"], same["all_flipped"]) == (80, 0)
    (heat,) = same["figure"]["data"]
    assert sum(map(sum, heat["z"])) == sum(row[n] for n, row in enumerate(heat["z"])) == 80
    assert [run["run"] for run in same["runs"]] == ["wide", answer["table"]["name"]]
    assert diagnosing.sample({"job": 9})["error"]
    assert answer["table"]["name"] == "sample of 12, seed 0"
    made = answer["table"]["sample"]
    assert diagnosing.sample(made)["job"] == job  # a link to it finds it; other settings are another sample
    other = diagnosing.sample(made | {"config": made["config"] | {"beam_size": 3}})
    assert other["job"] != job


def test_a_checkpoint_brings_the_cases_that_it_keeps_unless_they_are_of_other_weights(handlers, case_file, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / CASES_FILE).write_bytes(case_file.read_bytes())
    diagnosis = read_cases(case_file)
    wrong = diagnosis.about | {"checkpoint": {"name": "before", "fingerprint": "elsewhere"}}
    write_cases(tmp_path / CASES_FILE, diagnosis.cases, wrong)
    diagnosing = Diagnosing(handlers, folders=[tmp_path, kept, tmp_path / "none"])
    (table,) = diagnosing.opening()["tables"]
    assert "80 test trips" in table["name"]
    assert "drawn with seed 0" in table["origin"]
    assert AsPage(diagnosing).cases({"table": table["name"]})["found"] == 80


def test_a_checkpoint_brings_how_far_its_answers_move(handlers, checkpoint, chain_data, tmp_path):
    result = measure_behaviour(checkpoint, chain_data, Protocol(users=20, device="cpu"))
    name = next(iter(handlers.recommenders))

    def told(content) -> dict:
        write_json(tmp_path / BEHAVIOUR_FILE, content)
        return kept_behaviour(SimpleNamespace(recommenders=handlers.recommenders, folders={name: tmp_path}))

    table = told(result)[name]
    assert [len(line) for line in table["lines"]] == [len(table["head"])] * len(CHANGES)
    assert "20 test histories" in table["said"]
    assert told(result | {"checkpoint": {"fingerprint": "elsewhere"}}) == {}
    broken = [change | {"first": {"mean": "<b>", "low": 0, "high": 0}} for change in result["changes"]]
    assert told(result | {"changes": broken}) == {}


def test_cases_of_another_checkpoint_are_refused(handlers, case_file, tmp_path):
    diagnosis = read_cases(case_file)
    wrong = diagnosis.about | {"checkpoint": {"name": "twin", "fingerprint": "elsewhere"}}
    write_cases(tmp_path / "wrong.parquet", diagnosis.cases, wrong)
    with pytest.raises(MindRecError, match="twin"):
        Diagnosing(handlers, [tmp_path / "wrong.parquet"])


# -- Compare and Learn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_to_decode_can_be_compared(handlers, way):
    ask = {"ids": ["i0", "i1"], "target": "i9", "left": {"way": "ours"}, "right": {"way": way}}
    answer = AsPage(Comparing(handlers)).compare(ask)
    assert "error" not in answer
    assert text.COMPARE[f"way_{way}"]
    assert answer["frames"][0] == [0, 0]
    assert answer["gold"].startswith("★")
    if way == "ours":
        assert answer["frame"] is None


@pytest.mark.parametrize(
    "ask",
    [
        {},
        {"ids": ["i0"], "left": {}},
        {"ids": ["i0"], "left": {"way": "?"}, "right": {}},
        {"story": 99, "left": {}, "right": {}},
    ],
)
def test_what_cannot_be_compared_is_told(handlers, ask):
    assert AsPage(Comparing(handlers)).compare(ask)["error"]


@pytest.fixture(scope="module")
def course(handlers) -> AsPage:
    """The shipped stories; their catalog is not the one that is open, so that nothing can be decoded."""
    return AsPage(Lessons(Handlers(handlers.recommenders, stories=load_stories(ROOT / "assets" / "stories"))))


def test_the_course_works_from_stories_alone(course):
    cards = course.opening()
    assert [card["key"] for card in cards] == [key for key, plan in CARDS.items() if not plan.needs_model]
    for card in cards:
        lesson, answer = course.lesson({"key": card["key"]}), course.reveal({"key": card["key"]})
        assert 0 <= answer["answer"] < len(lesson["options"]) == len(set(lesson["options"]))
        assert answer["because"]
        words = " ".join([lesson["body"], lesson["ask"], answer["because"], *lesson["options"]])
        assert not re.search(r"[{}]|None", words)
        assert set(re.findall(r"\|(\w+)\]", lesson["body"])) <= set(text.GLOSSARY)
    assert course.lesson({"key": "nothing"})["error"]


def test_every_question_that_the_course_answers_is_on_a_card():
    """The README names the card of each; its number is its place in the course."""
    readme = (ROOT / "app" / "README.md").read_text(encoding="utf-8")
    table = readme.partition("these eight questions")[2].partition("`/booklet`")[0]
    named = re.findall(r"^\| (.+\?) \| (\d+), (.+) \|$", table, re.M)
    assert len(named) == 8
    keys = list(CARDS)
    for question, number, title in named:
        assert text.LESSONS[keys[int(number) - 1]]["title"] == title, question


def first_titles(trace: dict) -> set[str]:
    titles = {item["row"]: item["title"] for item in trace["items"]}
    return {titles[result["row"]] for result in trace["results"][:10]}


def test_the_live_cards_make_their_point_on_the_shipped_checkpoints():
    """Illegal tokens do appear, the twin is found and refuses what it cannot, and no card is left out."""
    shipped = [ROOT / "checkpoints" / name for name in ("grocery", "grocery-ar")]
    open_ = Handlers.load(shipped, stories=ROOT / "assets" / "stories")
    course = AsPage(Lessons(open_))
    assert [card["key"] for card in course.opening()] == list(CARDS)
    assert len(CARDS) == 12
    semantic, twin = course.reveal({"key": "semantic"}), course.reveal({"key": "twin"})
    assert semantic["answer"] == 1
    # An item falls through the codebooks to itself, and every code leaves no more items than the one before.
    rows = course.lesson({"key": "semantic"})["exercise"]
    assert [row["before"] for row in rows[1:]] == [row["after"] for row in rows[:-1]]
    assert rows[-1]["after"] == 1
    # A target under several masks: the loss that is asked for is the surprise of the probability that is shown.
    lesson, answer = course.lesson({"key": "training"}), course.reveal({"key": "training"})
    shown = [token["p"] for state in lesson["exercise"] for token in state["tokens"] if token["p"] is not None]
    p = next(p for p in shown if f"a probability of {text.percent(p)}" in lesson["ask"])
    assert lesson["options"][answer["answer"]] == f"{-log(p):.2f}"
    assert len(set(lesson["options"])) == 3
    assert len({tuple(token["p"] is None for token in state["tokens"]) for state in lesson["exercise"]}) > 3
    assert "falls through 3 category levels and the 4 codes of its" in course.lesson({"key": "semantic"})["body"]
    guided, plain = course.lesson({"key": "guidance"}), course.reveal({"key": "guidance"})
    come, gone = re.search("With it “(.+)” comes among them and “(.+)” goes", plain["because"]).groups()
    with_it, without = (first_titles(each["bundle"]["trace"]) for each in (guided, plain))
    assert come in with_it - without
    assert gone in without - with_it
    default = open_.opened("grocery").default_config.guidance
    strengths = [each["bundle"]["trace"]["config"]["guidance"] for each in (guided, plain)]
    assert strengths == [default, 0]
    assert default in STOPS[1:]  # so that the dial stands at a stop, with what was measured there beside it
    assert twin["bundle"]["checkpoint"] == "grocery-ar"
    assert twin["because"]
    ids = ["tortilla-chips", "refried-beans"]
    assert (
        "left_to_right only"
        in AsPage(Watching(open_)).decode({"ids": ids, "checkpoint": "grocery-ar", "config": {"order": "random"}})[
            "error"
        ]
    )


def test_the_greedy_card_names_the_token_where_greedy_goes_wrong(course):
    trace = course._story("saved-by-beams").trace
    step, position, best, own = wrong_turn(trace)
    assert own.code == trace.gold.codes[position]
    assert best.p > own.p
    assert step >= 1


def test_a_course_without_stories_is_empty(handlers):
    assert Lessons(handlers).opening() == []


def test_the_dial_is_answered_with_the_decodes_of_its_stops(handlers):
    dialing = AsPage(Dialing(handlers))
    assert dialing.opening() == {"stops": STOPS, "costs": {name: [None] * 4 for name in handlers.recommenders}}
    answer = dialing.dial({"ids": ["i0", "i1"], "stops": [1.5, STOPS[1]]})
    traces = [one["trace"] for one in answer["bundles"]]
    assert [trace["config"]["guidance"] for trace in traces] == [1.5, STOPS[1]]
    alone = [
        AsPage(Watching(handlers)).decode({"ids": ["i0", "i1"], "config": {"guidance": g}})["trace"]
        for g in (1.5, STOPS[1])
    ]
    assert [trace["results"] for trace in traces] == [trace["results"] for trace in alone]
    for bad in (None, [], [0.7], ["1"], [STOPS[1]] * 5, [None], [[]]):
        assert "stops" in dialing.dial({"ids": ["i0"], "stops": bad})["error"], bad
