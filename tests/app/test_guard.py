"""The guard in front of a small ASGI app: who is asking, what a question costs, and bodies that never end."""

import asyncio
import json
import os
import runpy
import socket
import sys
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from paths import ROOT
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from app.server import bodies
from app.server.bodies import MAX_BYTES
from app.server.guard import API, Guard, Rules
from app.server.observing import CALLER
from app.server.options import read_options

MCP = f"{API}/mcp/"
QUESTION = f"{API}/component_server"


async def echo(scope, receive, send):
    """Tells the address that the guard names."""
    await JSONResponse({"address": CALLER.get().address})(scope, receive, send)


def guarded(state=None, **rules) -> Guard:
    told = {"chain": {"alive": True, "device": "cpu", "waiting": 0, "running": 0}} if state is None else state
    return Guard(echo, Rules(frozenset(), lambda: told, **{"rate": 0} | rules))


def client(**rules) -> TestClient:
    return TestClient(guarded(**rules), raise_server_exceptions=False)


def address_of(forwarded, proxies: int) -> str:
    headers = [("x-forwarded-for", line) for line in forwarded]
    return client(proxies=proxies).post(QUESTION, json={}, headers=headers).json()["address"]


# -- who asks ----------------------------------------------------------------------------------------------------------


def test_the_address_is_the_one_that_the_trusted_proxies_name():
    assert address_of(["6.6.6.6, 10.0.0.1"], 1) == "10.0.0.1"
    assert address_of(["6.6.6.6, 10.0.0.1, 172.16.0.1"], 2) == "10.0.0.1"
    assert address_of(["6.6.6.6", "10.0.0.1"], 1) == "10.0.0.1", "a header may come in two lines"


def test_a_client_cannot_choose_its_address():
    assert len({address_of([f"6.6.6.{n}, 10.0.0.1"], 1) for n in range(5)}) == 1
    assert address_of(["6.6.6.6"], 0) == address_of([], 0)
    assert address_of(["6.6.6.6"], 2) == address_of([], 2), "fewer names than proxies: it did not pass all of them"


def test_one_proxy_is_trusted_on_a_space_and_none_elsewhere():
    assert read_options([], {}, []).proxies == 0
    assert read_options([], {"SPACE_ID": "me/space"}, []).proxies == 1
    assert read_options([], {"SPACE_ID": "me/space", "MINDREC_PROXIES": "2"}, []).proxies == 2


@pytest.mark.parametrize("key", ["é", "%C3%A9", "%FF", "\u2603", "%ED%A0%80", "", "secre"])
def test_a_wrong_operator_key_of_any_letters_is_404(key):
    asked = client(operator="secret")
    assert asked.get(f"/operator?key={key}").status_code == 404
    assert asked.get("/operator.json?key=secret").status_code == 200


# -- health ------------------------------------------------------------------------------------------------------------


def test_health_fails_where_a_lane_does_not_decode_and_not_where_a_process_is_gone():
    lane = {"device": "cuda", "waiting": 3, "running": 0}
    gone = {"wanted": 1, "ready": 0}
    assert client(processes=lambda: gone).get("/healthz").status_code == 200
    answer = client(state={"a": lane | {"alive": True}, "b": lane | {"alive": False}}, processes=lambda: gone).get(
        "/healthz"
    )
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "checkpoints": {"a": "cuda", "b": "cuda"},
        "alive": {"a": True, "b": False},
        "processes": gone,
    }


# -- what a question costs ---------------------------------------------------------------------------------------------


def answered(asked: TestClient, count: int, body: dict) -> int:
    return sum(asked.post(QUESTION, json=body).status_code == 200 for _ in range(count))


def test_a_question_takes_what_it_costs_the_server():
    def at_once(body: dict) -> int:
        guard = guarded(rate=25)
        guard.rates.clock = lambda: 1.0
        return answered(TestClient(guard), 110, body)

    searches, replays = at_once({"fn_name": "search"}), at_once({"fn_name": "replay"})
    large = at_once({"fn_name": "open_trace", "data": {"text": "x" * 500_000}})
    small = at_once({"fn_name": "open_trace", "data": {"text": "x"}})
    assert searches == 100
    assert 0 < replays < searches / 10
    assert 0 < large < small < searches


def test_what_costs_more_than_a_bucket_holds_is_answered_whenever_it_is_full():
    now, guard = [0.0], guarded(rate=1)
    guard.rates.clock = lambda: now[0]
    asked, right = TestClient(guard), 0
    for now[0] in range(40):
        right += answered(asked, 1, {"fn_name": "replay"})
    assert right == 10


# -- MCP ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * (MAX_BYTES + 1), "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"not json", "application/json", 400),
        (b'{"params":' + b"[" * 100 + b"]" * 100 + b"}", "application/json", 400),
        (b"{}", "application/json", 200),
    ],
    ids=["large", "text", "no json", "deep", "good"],
)
def test_mcp_takes_what_the_page_takes(body, kind, status):
    assert client(mcp=True).post(MCP, content=body, headers={"content-type": kind}).status_code == status


def test_mcp_is_asked_within_the_rate():
    asked = client(mcp=True, rate=1)
    assert [asked.post(MCP, json={}).status_code for _ in range(8)].count(429) >= 3


def test_mcp_has_no_other_methods():
    assert client(mcp=True).put(MCP, json={}).status_code == 404
    assert client(mcp=True).delete(MCP).status_code == 200


# -- bodies that never end ---------------------------------------------------------------------------------------------


@contextmanager
def listening(guard: Guard):
    """The guard on a real socket; its (host, port)."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = uvicorn.Server(uvicorn.Config(guard, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([taken])), daemon=True)
        thread.start()
        try:
            yield taken.getsockname()
        finally:
            server.should_exit = True
            thread.join(20)


def half_a_body(address) -> socket.socket:
    """A connection whose question stops in the middle."""
    connection = socket.create_connection(address, timeout=60)
    head = f"POST {QUESTION} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    connection.sendall(head.encode() + b'{"data": "')
    return connection


def test_a_body_that_stops_in_the_middle_is_given_up():
    guard = guarded(body_seconds=0.3)
    with listening(guard) as address, half_a_body(address) as slow:
        answer = b""
        while part := slow.recv(4096):  # ends as the connection is closed; the old guard waits for ever
            answer += part
    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]
    assert not guard.bodies.unfinished
    assert guard.bodies.held == 0


def test_unfinished_bodies_are_counted_and_one_address_has_only_so_many(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_UNFINISHED_OF_ONE", 2)
    guard = guarded(body_seconds=300)
    with listening(guard) as address, half_a_body(address), half_a_body(address):
        while guard.bodies.unfinished.total() < 2:
            threading.Event().wait(0.01)
        with half_a_body(address) as third:
            assert third.recv(4096).startswith(b"HTTP/1.1 429")


def test_unfinished_bodies_hold_only_so_many_bytes(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_HELD", 100)
    assert client().post(QUESTION, json={"a": "x" * 50}).status_code == 200
    assert client().post(QUESTION, json={"a": "x" * 150}).status_code == 429


# -- how app.py is started ---------------------------------------------------------------------------------------------


def refused(monkeypatch, capsys, *arguments) -> str:
    """The one line with which `app.py` refuses its arguments."""
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_port_that_is_taken_is_told_before_anything_is_opened(monkeypatch, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(monkeypatch, capsys, "--host", "127.0.0.1", "--port", port)


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--host", "203.0.113.1"), ("--host", "no.such.host.invalid", "--port", "7900")]
)
def test_an_address_that_cannot_be_is_one_sentence(monkeypatch, capsys, arguments):
    assert arguments[1] in refused(monkeypatch, capsys, *arguments).replace(",", "")


def test_the_home_folder_may_be_written_short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = read_options(["--checkpoint=~/c", "--data=~/d", "--cases=~/e.parquet"], {}, [])
    assert list(map(os.fspath, (*options.checkpoints, options.data, *options.cases))) == [
        str(tmp_path / name) for name in ("c", "d", "e.parquet")
    ]
    named = {"MINDREC_CHECKPOINTS": "~/c", "MINDREC_DATA": "~/d", "MINDREC_CASES": "~/e.parquet"}
    assert read_options([], named, []) == options
