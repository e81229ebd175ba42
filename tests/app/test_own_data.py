"""The "Your data" dialog's questions: bounded uploads, the commands' own sentences, nothing of it in public."""

import base64
import json
import os

import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from app.server.command import Commands
from app.server.guard import API
from app.server.options import read_options
from app.tabs import own_data
from app.tabs.handlers import Handlers
from app.tabs.own_data import OwnData
from app.ui import build
from mindrec.data.catalog import load_prepared

LOG = "who,sku,date,note\n" + "".join(
    f"p{u},s{(u + k) % 5},2024-0{1 + k}-1{u},<b>x\n" for u in range(6) for k in range(4)
)


@pytest.fixture
def own(recommender):
    dialog = OwnData(Handlers({"shop": recommender}))
    yield dialog
    dialog.close()
    assert not dialog.folder.exists()


def put(own, raw: bytes, name="log.csv", size=40, log=None):
    """Upload in parts, as the page does; the key."""
    key = None
    for at in range(0, len(raw), size):
        part = base64.b64encode(raw[at : at + size]).decode()
        answer = own.own_upload({"name": name, "data": part, "at": at, "key": key, "log": log})
        assert "error" not in answer, answer
        key = answer["key"]
    return key


@pytest.mark.parametrize(
    ("arguments", "environment", "on"),
    [
        ([], {}, True),
        (["--host", "127.0.0.1"], {}, True),
        (["--host", "0.0.0.0"], {}, False),
        ([], {"SPACE_ID": "me/space"}, False),
        ([], {"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ([], {"MINDREC_PROXIES": "1"}, False),
        (["--no-own-data"], {}, False),
        (["--host", "0.0.0.0", "--own-data"], {}, True),
    ],
)
def test_only_a_page_for_this_machine_alone_takes_files(arguments, environment, on):
    assert read_options(arguments, environment, []).own_data is on


def test_in_public_there_is_nothing_of_it(own):
    asked = {name: [] for name in ("public", "local")}
    for name, given in (("public", None), ("local", own)):
        client = TestClient(App.create_app(build(own.handlers, own_data=given)), raise_server_exceptions=False)
        config = client.get("/config").json()
        stage = next(c for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))
        asked[name] = [each for each in stage["props"]["server_fns"] if each.startswith("own")]
        assert ("own" in stage["props"]["value"]) == (name == "local")
        body = {"data": {"key": "0"}, "fn_name": "own_look", "session_hash": "s", "component_id": stage["id"]}
        assert (client.post(f"{API}/component_server", json=body).status_code == 200) == (name == "local")
    own.page["checkpoints"].append({"name": "later"})  # as a training does: a page that is opened later knows it
    config = client.get("/config").json()
    stage = next(c for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))
    assert stage["props"]["value"]["checkpoints"][-1] == {"name": "later"}
    assert asked["public"] == []
    assert len(asked["local"]) == 6


def test_a_look_finds_columns_and_says_what_it_takes_them_for(own):
    key = put(own, LOG.encode("utf-16"), "../../Ordérs 2024.csv")
    look = own.own_look({"key": key})
    assert "UTF-16" in look["how"]
    assert [column["name"] for column in look["columns"]] == ["who", "sku", "date", "note"]
    assert {role: look["roles"].get(role) for role in ("item", "time")} == {"item": "sku", "time": "date"}
    files = [path for path in own.folder.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["Ord_rs_2024.csv"]
    assert files[0].parent.parent == own.folder
    without = own.own_look({"key": key, "header": "no"})
    assert [column["name"] for column in without["columns"]] == ["1", "2", "3", "4"]


def test_a_second_table_describes_the_items(own):
    key = put(own, LOG.encode())
    own.own_look({"key": key})
    table = "No;Name;Room\n" + "".join(f"s{n};Thing {n};Room {n % 2}\n" for n in range(5))
    items = put(own, table.encode(), "things.csv", log=key)
    look = own.own_look_items({"key": items})
    assert [column["name"] for column in look["columns"]] == ["No", "Name", "Room"]
    columns = {"user": "who", "item": "sku", "time": "date", "title": "Name", "category": "Room"}
    ask = {"key": key, "columns": columns, "items": items, "item_id": "No", "quick": True}
    started = own.own_train(ask)
    while own.job.at == 0 and not own.job.ended.is_set():
        own.job.ended.wait(0.1)
    own.own_cancel({"job": started["job"]})
    prepared = load_prepared(own.folder / key / "prepared").catalog
    assert {(i.title, *i.categories) for i in prepared.items} == {(f"Thing {n}", f"Room {n % 2}") for n in range(5)}
    other = put(own, LOG.encode(), "other.csv")  # a log from which something was made stays, with its item file
    assert own.own_look({"key": key})["how"]
    put(own, LOG.encode(), "third.csv")
    assert "error" in own.own_look({"key": other})


def test_what_the_command_refuses_comes_in_its_words_and_without_our_folder(own):
    answer = own.own_look({"key": put(own, b"%PDF-1.4 and more")})
    assert "a PDF" in answer["error"]
    key = put(own, b"user_id,item_id,timestamp\n" + b"".join(b"u%d,i%d,%d\n" % (n, n, n) for n in range(9)))
    own.own_look({"key": key})
    started = own.own_train({"key": key, "columns": {"user": "user_id", "item": "item_id"}, "quick": True})
    assert [line.split()[3] for line in started["commands"]] == ["prepare", "train"]
    assert "--no-time" in started["commands"][0]
    assert own.own_train({"key": key, "columns": {"user": "user_id", "item": "item_id"}}) == {
        "error": own_data.words.BUSY
    }
    assert own.job.ended.wait(300)
    answer = own.own_poll({"job": started["job"]})
    assert "no user is left with two or more" in answer["error"]
    assert str(own.folder) not in json.dumps([answer, started])


def test_a_command_that_runs_is_ended(tmp_path):
    os.mkfifo(tmp_path / "log.csv")
    work = Commands(
        [["prepare", "csv", "--path", str(tmp_path / "log.csv"), "--out", str(tmp_path / "x")]], dict, "{status}"
    )
    with (tmp_path / "log.csv").open("wb"):  # opens once the command does, which then waits for what never comes
        work.cancel()
    assert work.ended.is_set()
    assert (work.cancelled, work.result, work.at) == (True, None, 0)


def test_a_training_is_cancelled(own):
    key = put(own, LOG.encode())
    own.own_look({"key": key})
    started = own.own_train({"key": key, "columns": {"user": "who", "item": "sku", "time": "date"}})
    assert own.own_cancel({"job": started["job"]}) == {"stopped": True}
    assert own.own_poll({"job": started["job"]})["stage"] == "stopped"
    assert list(own.handlers.recommenders) == ["shop"]


def test_bad_questions_are_refused(own, monkeypatch):
    monkeypatch.setattr(own_data, "MAX_BYTES", 1000)
    key = put(own, LOG.encode()[:900])
    part = base64.b64encode(b"x" * 200).decode()
    own.own_look({"key": key})
    columns = {"user": "who", "item": "sku"}
    for question, ask in (
        ("own_upload", {"data": part, "at": 900, "key": key}),  # too large
        ("own_upload", {"data": part, "at": 5, "key": key}),
        ("own_upload", {"data": "§", "at": 0, "name": "x"}),
        ("own_upload", {"data": "A" * 1_100_000, "at": 0, "name": "x"}),
        ("own_upload", {"data": part, "at": True}),
        ("own_look", {"key": "../" + key}),
        ("own_look", {"key": None}),
        ("own_look", {"key": key, "separator": "--keep"}),
        ("own_look", {"key": key, "encoding": ["utf-8"]}),
        ("own_train", {"key": key, "columns": columns | {"time": "--out=/"}}),
        ("own_train", {"key": key, "columns": columns | {"time": 3}}),
        ("own_train", {"key": key, "columns": [1]}),
        ("own_train", {"key": key, "columns": columns, "items": "../x"}),
        ("own_train", {"key": key, "columns": columns, "items": key, "item_id": "--out=/"}),
        ("own_look_items", {"key": None}),
        ("own_upload", {"data": part, "at": 0, "name": "x", "log": "no"}),
        ("own_train", {"key": key}),
        ("own_poll", {"job": "no"}),
        ("own_cancel", {}),
    ):
        assert set(getattr(own, question)(ask)) == {"error"}, (question, ask)
    assert own.job is None
