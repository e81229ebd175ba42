"""The app on the open network: what is served, how much of it, and what never becomes script. A real server answers."""

import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from paths import ROOT
from requests_to_app import ask
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from app.server import room_routes
from app.server.bodies import MAX_BYTES, too_deep
from app.server.guard import API, HEADERS, Guard, Rules
from app.server.rates import Rates
from mindrec.bench.app_process import running_app

SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def hostile(recommender, tmp_path_factory):
    """The checkpoint with titles that are script."""
    checkpoint = recommender.checkpoint
    items = list(checkpoint.catalog.items)
    items[:5] = [replace(item, title=f"{SCRIPT} {n}", brand=SCRIPT) for n, item in enumerate(items[:5])]
    catalog = replace(checkpoint.catalog, items=tuple(items))
    tokenizer = replace(checkpoint.tokenizer, catalog_fingerprint=catalog.fingerprint)
    folder = tmp_path_factory.mktemp("hostile") / "c"
    replace(checkpoint, catalog=catalog, tokenizer=tokenizer).save(folder)
    return folder


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "app.log"


@pytest.fixture(scope="module")
def server(hostile, log):
    with running_app("--checkpoint", str(hostile), "--operator", log=log, MINDREC_RATE="0") as (address, process):
        yield address
        assert process.poll() is None, "the app ended under the tests"


@pytest.fixture(scope="module")
def question(server):
    """Asks the page's component as the browser does; gives the answer's JSON."""
    config = json.loads(ask(server, "/config")[2])
    stage = next(c["id"] for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))

    def put(name, data):
        body = {"data": data, "fn_name": name, "session_hash": "s", "component_id": stage}
        status, _, raw = ask(server, f"{API}/component_server", body)
        return status, json.loads(raw)

    return put


# -- what is served ----------------------------------------------------------------------------------------------------


def test_exactly_these_endpoints_are_public(server):
    info = json.loads(ask(server, f"{API}/info")[2])
    assert sorted(info["named_endpoints"]) == [
        "/explain",
        "/fill_gap",
        "/odd_one_out",
        "/recommend",
        "/rewrite",
        "/search",
        "/slate",
        "/trace",
    ]
    assert not info["unnamed_endpoints"]


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/upload", f"{API}/file=/etc/passwd", f"{API}/file=app.py", f"{API}/proxy=http://localhost/",
        f"{API}/stream/1/1/1", f"{API}/deep_link", f"{API}/monitoring/summary", f"{API}/run/predict", "/login",
        f"{API}/queue/join/../../upload", "/static/../app.py", "/static/%2e%2e/%2e%2e/app.py",
        "/assets/..%2f..%2fapp.py",
        f"{API}/file=%2e%2e/%2e%2e/etc/passwd", "/.git/config", "/checkpoints/grocery/config.json", "/docs",
        "/openapi.json", f"{API}/mcp/sse", "/operator", "/operator.json", "/operator?key=x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_nothing_else_is_served(server, path, method):
    status, _, body = ask(server, path, {} if method != "GET" else None, method=method)
    assert status in (400, 404, 405), (status, body[:200])
    assert b"root:" not in body
    assert b"Traceback" not in body


def test_only_the_named_file_goes_through_the_file_route():
    rules = Rules(frozenset({"/lib/plotly.js"}), dict)
    assert rules.served("GET", f"{API}/file=/lib/plotly.js")
    for path in ("/lib/../lib/plotly.js", "/lib/plotly.js/x", "/lib/plotly.js\0", "lib/plotly.js", "\\lib\\plotly.js"):
        assert not rules.served("GET", f"{API}/file={path}")


def test_health_is_told_and_every_answer_has_an_id_and_the_headers(server):
    status, headers, body = ask(server, "/healthz")
    assert status == 200
    assert json.loads(body) == {
        "status": "ok",
        "checkpoints": {"chain": "cpu"},
        "alive": {"chain": True},
        "processes": {"wanted": 0, "ready": 0},
    }
    ids = set()
    for path in ("/", "/config", "/healthz", "/nowhere"):
        _, headers, _ = ask(server, path)
        ids.add(headers["x-request-id"])
        assert set(HEADERS) <= {name.lower() for name in headers}, path
        assert headers["x-content-type-options"] == "nosniff"
        assert "object-src 'none'" in headers["content-security-policy"]
    assert len(ids) == 4


def test_the_operator_page_needs_its_key_and_is_off_without_the_option(server, log):
    key = log.read_text().split("/operator?key=")[1].split()[0]
    assert ask(server, f"/operator?key={key}")[0] == 200
    counters = json.loads(ask(server, f"/operator.json?key={key}")[2])
    assert {"counts", "stages_ms", "memory_mb", "lanes", "up_s"} <= set(counters)
    assert ask(server, f"/operator?key={key}x")[0] == 404
    assert Rules(frozenset(), dict).operator is None


def test_the_log_is_json_lines_with_ids_and_timings_and_nothing_that_was_typed(server, question, log):
    secret = "zebra-crossing-7391"
    question("search", {"query": secret})
    before = len(log.read_text())
    question("decode", {"ids": ["i7", "i8"]})
    until, decode, answered = time.monotonic() + 60, None, False  # it is written once the answer has been sent
    while not (decode and answered):
        assert time.monotonic() < until, "the log tells of no decode, or of no request with its id"
        lines = [json.loads(line) for line in log.read_text()[before:].split("\n")[:-1] if line.startswith("{")]
        decode = next((line for line in lines if line["event"] == "decode"), None)
        answered = decode and any((line["event"], line["request"]) == ("request", decode["request"]) for line in lines)
        time.sleep(0.01)
    assert {"request", "batch", "waited_ms", "decode_ms", "t"} <= set(decode)
    assert secret not in log.read_text()


# -- how much of it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"[" * 5000, "application/json", 400),
        (b"[" * 5000 + b"]" * 5000, "application/json", 400),
        (b'{"data":' + b"[" * 100 + b"]" * 100 + b"}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"not json", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b'{"a":"' + b"x" * MAX_BYTES + b'"}', "application/json", 413),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_body_that_is_too_large_too_deep_or_no_json_is_refused(server, data, kind, status):
    found, _, body = ask(server, f"{API}/component_server", data, kind=kind)
    assert found == status
    assert json.loads(body)["error"]


def test_depth_is_counted_without_recursion():
    value = []
    for _ in range(100_000):
        value = [value]
    assert too_deep(value)
    assert not too_deep({"a": [[{"b": 1}]]})
    while value:  # taken apart by hand: Python frees deep lists recursively
        value = value.pop()


def test_rates_refill_and_count_each_address_alone():
    now = [0.0]
    rates = Rates(10, burst=2, clock=lambda: now[0])
    assert [rates.allow("a") for _ in range(21)] == [True] * 20 + [False]
    assert rates.allow("b")
    now[0] = 0.5
    assert [rates.allow("a") for _ in range(6)] == [True] * 5 + [False]
    now[0] = 1e6
    assert sum(rates.allow("a") for _ in range(50)) == 20
    assert all(Rates(0).allow("a") for _ in range(1000))


def test_who_asks_evenly_at_more_than_the_rate_is_answered_at_the_rate():
    now = [0.0]
    rates = Rates(100, clock=lambda: now[0])
    answered = 0
    for n in range(3000):  # 20 s at 1.5 times the rate
        now[0] = n / 150
        answered += rates.allow("a")
    assert 2000 <= answered <= 2400 + 1, "the rate, and a bucket's worth at the start"


@pytest.mark.slow
def test_who_asks_too_much_is_told_to_wait(hostile):
    with running_app("--checkpoint", str(hostile), MINDREC_RATE="1") as (address, _):
        answers = [ask(address, f"{API}/component_server", {})[:2] for _ in range(10)]
        assert [status for status, _ in answers].count(429) >= 5
        assert answers[-1][1]["retry-after"]
        assert ask(address, "/healthz")[0] == 200


# -- words that are not script -----------------------------------------------------------------------------------------


def test_titles_of_the_catalog_are_data_in_every_answer(server, question):
    page = ask(server, "/")[2]
    assert b"<script>alert(1)" not in page
    assert b"onerror=alert" not in page
    status, answer = question("decode", {"ids": ["i0", "i1", "i2"]})
    assert status == 200
    assert SCRIPT in json.dumps(answer["trace"]["items"]).replace("\\/", "/")
    assert ask(server, "/config")[1]["content-type"].startswith("application/json")


def test_a_trace_from_a_file_and_the_link_of_a_page_are_data(server, question):
    _, whole = question("decode", {"ids": ["i0", "i1"]})
    status, opened = question("open_trace", {"text": json.dumps(whole["trace"])})
    assert status == 200
    assert opened["trace"]["items"] == whole["trace"]["items"]
    _, replay = question("replay", {"text": json.dumps(whole["trace"])})
    assert "</script><script>alert" not in replay["html"]
    assert "<img src=x" not in replay["html"]
    link = f"/?history={urllib.request.quote(SCRIPT)}&step=1&note={urllib.request.quote(SCRIPT)}"
    assert b"alert(1)" not in ask(server, link)[2]


@pytest.mark.parametrize("name", ["__class__", "search.__globals__", "", "opening", "fall_back", "../decode", None, 3])
def test_only_the_pages_own_questions_are_answered(server, name):
    config = json.loads(ask(server, "/config")[2])
    stage = next(c["id"] for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))
    body = {"data": {}, "fn_name": name, "session_hash": "s", "component_id": stage}
    assert 400 <= ask(server, f"{API}/component_server", body)[0] < 500


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    forbidden = re.compile(r"pickle\.load|torch\.load\(|trust_remote_code=True|shell=True|(?<![.\w])eval\(|os\.system")
    for file in [*ROOT.glob("app/**/*.py"), *ROOT.glob("mindrec/**/*.py")]:
        assert not forbidden.search(file.read_text(encoding="utf-8")), file


# -- class rooms -------------------------------------------------------------------------------------------------------


@pytest.fixture
def room(server, question):
    """A room with a question: its code and the teacher's token."""
    opened = question("room_open", {"address": f"{server}/"})[1]
    posed = question("room_ask", {"code": opened["code"], "teacher": opened["teacher"], "lesson": "diffusion"})[1]
    assert posed["number"] == 1
    yield opened
    question("room_close", opened)


def test_a_phone_needs_one_small_page_and_three_questions(server, question, room):
    assert room["link"] == f"{server}/room/{room['code']}"
    assert len(room["qr"]) == len(room["qr"][0]) >= 21
    status, headers, page = ask(server, f"/room/{room['code']}")
    assert status == 200
    assert len(page) < 20_000
    assert b"http" not in page.replace(b"http-equiv", b"").replace(b"http://www.w3.org/2000/svg", b"")
    assert set(HEADERS) <= {name.lower() for name in headers}
    base = f"/room/{room['code']}"
    member = json.loads(ask(server, f"{base}/join", {})[2])["member"]
    seen = json.loads(ask(server, f"{base}/state")[2])
    assert "counts" not in seen
    for choice in (0, 1):
        assert ask(server, f"{base}/vote", {"member": member, "number": 1, "choice": choice})[0] == 200
    assert question("room_tally", room)[1]["counts"] == [0, 1, 0]
    shown = question("room_reveal", room)[1]
    assert shown["revealed"]
    seen = json.loads(ask(server, f"{base}/state")[2])
    assert (seen["answer"], seen["counts"]) == (shown["answer"], [0, 1, 0])
    assert ask(server, f"{base}/vote", {"member": member, "number": 1, "choice": 0})[0] == 409


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("vote", {"member": "x", "number": 1, "choice": 0}, 404), ("vote", {}, 404), ("vote", {"member": []}, 404),
        ("vote", {"member": "x" * 1000}, 413), ("join", {"member": "x" * 1000}, 413), ("vote", [1], 400),
        ("close", {}, 404), ("state", {}, 404), ("reveal", {}, 404),
    ],
)  # fmt: skip
def test_a_forged_or_fat_vote_is_refused(server, question, room, path, body, status):
    assert ask(server, f"/room/{room['code']}/{path}", body)[0] == status
    assert question("room_tally", room)[1]["votes"] == 0


@pytest.mark.parametrize(
    "code", ["%3Cscript%3Ealert(1)%3C/script%3E", "ZZZZZZ", "..", "AAAA%00", "A" * 5000, "a/b", "%22onload=%22"]
)
def test_script_in_a_code_reaches_no_page(server, code):
    for path, body in ((f"/room/{code}/state", None), (f"/room/{code}", None), (f"/room/{code}/join", {})):
        status, _, answer = ask(server, path, body)
        assert status in (200, 400, 404), status
        assert b"<script>alert" not in answer
        assert status != 200 or b"alert(1)" not in answer


@pytest.mark.parametrize(
    "address", [None, "javascript:alert(1)/", "http://x", "https://a b/", "http://<b>/", "x" * 999]
)
def test_a_rooms_link_is_an_address(question, address):
    assert "link begins" in question("room_open", {"address": address})[1]["error"]


def test_looks_at_a_room_are_limited_too():
    """A flood of looks from one address is refused by the guard before it reaches a room."""
    reached = []

    async def app(scope, receive, send):
        reached.append(scope["path"])
        await PlainTextResponse("x")(scope, receive, send)

    guard = Guard(app, Rules(frozenset(), dict))
    guard.rates = Rates(0.25, clock=lambda: 0.0)  # a bucket of one token
    client = TestClient(guard)
    statuses = [client.get("/room/ABCDEF/state").status_code for _ in range(50)]
    assert statuses == [200] * round(1 / room_routes.LOOK_COST) + [429] * (50 - round(1 / room_routes.LOOK_COST))
    assert len(reached) == statuses.count(200)
    for method, path in (("POST", "/room/ABCDEF/state"), ("GET", "/room/ABCDEF/vote"), ("GET", "/room/a/state/x")):
        assert not Rules(frozenset(), dict).served(method, path)
