"""What the page asks for, asked without a page; and app.py as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from app import text
from app.handlers import Handlers, api, examples
from app.stage import assets
from app.stage.replay import replay_page
from mindrec.catalog import save_prepared
from mindrec.decoding.trace import DecodeTrace
from mindrec.errors import MindRecError


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
    return handlers.decode({"ids": ["i0", "i1"], "target": "i9"})


def test_opening_is_json_and_names_the_checkpoint(handlers):
    opening = json.loads(json.dumps(handlers.opening()))
    assert opening["checkpoints"][0]["items"] == 40
    assert {"beam_size", "order", "evidence"} <= {field["key"] for field in opening["settings"]}
    assert all(field["help"] for field in opening["settings"])


def test_search_gives_items_and_nothing_for_nothing(handlers):
    assert handlers.search({"query": "Item 7"})["items"][0]["id"] == "i7"
    assert handlers.search({"query": ""})["items"] == []


def test_a_decode_brings_all_the_player_needs(bundle):
    trace = DecodeTrace.from_dict(json.loads(json.dumps(bundle["trace"])))
    assert len(bundle["captions"]) == len(trace.steps)
    assert bundle["trace"]["gold"]["row"] == 9
    assert len(json.dumps(bundle)) < 400_000


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"ids": []}, "empty"),
        ({"ids": ["nothing-like-this"]}, "nothing-like-this"),
        ({"ids": [f"i{n}" for n in range(30)]}, "30"),
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
    assert words in handlers.decode(ask)["error"]


def test_a_pin_is_named_and_kept(handlers, bundle):
    code = bundle["trace"]["steps"][-1]["beams"][-1]["codes"][0]
    pinned = handlers.decode({"ids": ["i0", "i1"], "config": {"pins": [[0, code]]}})
    assert pinned["names"] == {f"0.{code}": handlers.recommenders["chain"].tokenizer.levels[0].labels[code]}
    assert all(beam["codes"][0] == code for beam in pinned["trace"]["steps"][-1]["beams"])


def test_a_trace_comes_back_and_a_damaged_one_does_not(handlers, bundle):
    again = handlers.open_trace({"text": json.dumps(bundle["trace"])})
    assert again["captions"] == bundle["captions"]
    assert again["checkpoint"] == "chain"
    assert "JSON" in handlers.open_trace({"text": "{"})["error"]
    assert "version" in handlers.open_trace({"text": "{}"})["error"]


def test_a_trace_of_another_catalog_is_watched_only(handlers, bundle):
    raw = json.loads(json.dumps(bundle["trace"]))
    raw["catalog"]["fingerprint"] = "elsewhere"
    assert handlers.open_trace({"text": json.dumps(raw)})["checkpoint"] is None


def test_trips_are_made_in_the_background_and_know_their_target(handlers):
    answer = handlers.trip({"number": 3})
    for _ in range(100):
        if "waiting" not in answer:
            break
        answer = handlers.trip({"number": 3})
    assert answer["target"]["title"] in answer["about"]
    assert answer["items"]
    assert answer == handlers.trip({"number": 3})


def test_trips_of_other_data_are_refused(checkpoint, tmp_path):
    from mindrec.sources.synthetic import load

    save_prepared(load(n_items=30, n_users=20), tmp_path / "other")
    handlers = Handlers.load([checkpoint], data=tmp_path / "other")
    answer = handlers.trip({})
    while "waiting" in answer:
        answer = handlers.trip({})
    assert "another catalog" in answer["error"]


def test_stories_are_read_in_order_and_a_damaged_one_is_named(checkpoint, bundle, tmp_path):
    (tmp_path / "2-b.json").write_text(json.dumps({"title": "B", "about": "b", "trace": bundle["trace"]}))
    (tmp_path / "1-a.json").write_text(json.dumps({"title": "A", "about": "a", "trace": bundle["trace"]}))
    handlers = Handlers.load([checkpoint], stories=tmp_path)
    assert [s["title"] for s in handlers.opening()["stories"]] == ["A", "B"]
    assert handlers.story({"number": 1})["about"] == "b"
    assert "no story" in handlers.story({"number": 2})["error"]
    (tmp_path / "3-c.json").write_text("{}")
    with pytest.raises(MindRecError, match=r"3-c\.json"):
        Handlers.load([checkpoint], stories=tmp_path)


def test_a_busy_machine_says_so(handlers, monkeypatch):
    monkeypatch.setattr("app.handlers.PATIENCE", 0.01)
    held = [handlers._turns.acquire(blocking=False) for _ in range(2)]
    try:
        assert handlers.decode({"ids": ["i0"]})["error"] == text.BUSY
    finally:
        for _ in filter(None, held):
            handlers._turns.release()


def test_examples_are_the_checkpoints_own(handlers, recommender, monkeypatch):
    assert examples(recommender) == []
    monkeypatch.setattr(text, "EXAMPLES", (("Two", ("Item 1", "Item 2")), ("None", ("Unknown",))))
    assert [(e["title"], len(e["items"])) for e in examples(recommender)] == [("Two", 2)]


def test_the_public_api_answers_and_raises_plainly(handlers):
    public = api(handlers)
    assert list(public) == ["recommend", "trace", "search"]
    found = public["recommend"](["i0", "i1"], {"beam_size": 4})
    assert [r["rank"] for r in found] == [1, 2, 3, 4]
    assert DecodeTrace.from_dict(public["trace"](["i0"], None, "i5")).gold.row == 5
    assert public["search"]("Item 7", 2)[0]["id"] == "i7"
    with pytest.raises(MindRecError, match="empty"):
        public["recommend"]([])


def test_only_the_public_api_is_listed(handlers):
    from app.ui import build

    page = build(handlers)
    listed = [f.api_name for f in page.fns.values() if f.api_visibility == "public"]
    assert sorted(listed) == ["recommend", "search", "trace"]
    assert len(page.fns) == 3


def test_the_replay_holds_no_address_of_another_host_in_its_own_parts(bundle):
    page = replay_page(bundle)
    own = page.replace(assets.plotly_js().read_text(encoding="utf-8").replace("</script", "<\\/script"), "")
    assert "http://" not in own.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in own
    assert len(page) < 7_000_000


def test_a_title_cannot_end_the_replays_script(bundle):
    raw = json.loads(json.dumps(bundle))
    raw["trace"]["items"][0]["title"] = "</script><script>alert(1)</script>"
    assert "</script><script>alert" not in replay_page(raw)


def test_every_word_of_the_stage_exists():
    import re

    used = set(re.findall(r"\bT\.(\w+)", assets.script()))
    columns = set(re.findall(r'"((?:col|help)_\w+)"', assets.script()))
    assert used | columns <= set(text.STAGE)
    assert "%%" not in assets.template()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--checkpoint", "no/such/folder"], "no/such/folder"), (["--data", "no/such/data"], "no/such/data")],
)
def test_a_missing_folder_ends_with_status_2_and_a_remedy(checkpoint, arguments, words):
    given = arguments if "--checkpoint" in arguments else ["--checkpoint", str(checkpoint), *arguments]
    ended = subprocess.run([sys.executable, "app.py", *given], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "python -m mindrec" in ended.stderr
