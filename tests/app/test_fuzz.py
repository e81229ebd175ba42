"""Anything at all is put to the server, the command line and the readers: an answer or a plain refusal, never a crash.

A few examples of each in every run; `python -m pytest -m slow tests/test_fuzz.py` puts thousands.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import pytest
from commands import ours
from hypothesis import given, settings
from hypothesis import strategies as st
from page_answers import AsPage
from requests_to_app import ask

from app.server.guard import API
from app.server.options import read_options
from app.tabs.handlers import Handlers
from app.tabs.watching import Watching
from mindrec.bench.app_process import running_app
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError

FEW, MANY = 40, 2000
PATIENCE = 60.0
QUESTIONS = ("search", "decode", "decode_start", "decode_poll", "decode_stop", "story", "open_trace", "trip", "replay")
QUESTIONS += ("cases", "case_charts", "case", "export_cases", "compare_cases", "sample", "browse", "compare", "agree")
QUESTIONS += ("lesson", "lab_warm", "lab_start", "lab_poll", "lab_stop", "known", "odd_one_out", "least_certain")
QUESTIONS += ("dial", "reveal", "lab_open", "case_page")
QUESTIONS += ("why", "item_map", "item_masses", "own_upload", "own_look", "own_poll", "own_cancel")
QUESTIONS += ("game_start", "game_seal", "game_guess", "game_next")
QUESTIONS += ("room_open", "room_ask", "room_tally", "room_reveal", "room_close")
KEYS = ("ids", "config", "target", "checkpoint", "wait", "query", "job", "after", "number", "text", "path", "items")
KEYS += ("filters", "sort", "page", "file", "left", "right", "card", "answer", "limit", "kind", "row", "seed")
KEYS += ("stops", "k", "rank", "trace", "name", "data", "part", "key", "columns", "dials", "run")
KEYS += ("game", "machine", "stage", "choice", "day", "timed", "code", "teacher", "lesson", "address")

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.sampled_from(
        ["i0", "i39", "chain", "../../etc/passwd", "<script>", "\0", "\ud800", "%s" * 9, "'; --", "mindrec", "exact"]
    ),
)  # fmt: skip
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ids = st.lists(st.sampled_from(["i0", "i1", "i7", "i39", "nope", ""]), max_size=12)
dials = st.sampled_from(list(DecodeConfig().to_dict()))
small = (
    st.integers(-2, 12) | st.floats(-1, 3) | scalars | st.lists(st.lists(st.integers(-1, 5), max_size=3), max_size=3)
)
configs = st.dictionaries(dials, small, max_size=3)
asks = st.fixed_dictionaries({}, optional={"ids": ids, "config": configs, "wait": st.just(0.2)}).flatmap(
    lambda known: st.dictionaries(st.sampled_from(KEYS), anything, max_size=4).map(lambda other: {**other, **known})
)
questions = st.tuples(st.sampled_from(QUESTIONS), asks | anything)


def counts(test):
    """A test with FEW examples, and the same one, marked slow, with MANY."""
    return pytest.mark.parametrize(
        "examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
    )(test)  # fmt: skip


def put(examples: int, strategy, check) -> None:
    """Run `check` on so many examples; each within PATIENCE."""
    done = 0

    @settings(max_examples=examples)
    @given(strategy)
    def each(value):
        nonlocal done
        started = time.monotonic()
        check(value)
        assert time.monotonic() - started < PATIENCE
        done += 1

    each()
    print(f"{done} cases", file=sys.stderr)
    assert done >= examples // 2


# -- the page's questions ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(checkpoint, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "app.log"
    with running_app("--checkpoint", str(checkpoint), log=log, MINDREC_RATE="0", MINDREC_QUEUE="64") as (
        address,
        process,
    ):
        yield address
        assert process.poll() is None, "the app ended"
        assert '"failed"' not in log.read_text(), log.read_text()[-3000:]
        assert "request_failed" not in log.read_text()


@counts
def test_any_question_of_the_page_is_answered_or_refused(server, examples):
    config = json.loads(ask(server, "/config")[2])
    stage = next(c["id"] for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))

    def check(asked):
        name, data = asked
        body = {"data": data, "fn_name": name, "session_hash": "s", "component_id": stage}
        status, _, raw = ask(server, f"{API}/component_server", json.dumps(body).encode())
        assert status < 500, raw
        assert status == 400 or json.loads(raw) is not None

    put(examples, questions, check)


@counts
def test_any_bytes_on_any_path_are_refused_or_answered(server, examples):
    paths = st.sampled_from(["component_server", "queue/join", "cancel", "reset", "call/recommend", "call/v2/search"])
    known = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("data", "fn_index", "session_hash", "event_id", "fn_name", "component_id"), anything),
    )

    def check(asked):
        path, body = asked
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert ask(server, f"{API}/{path}", raw)[0] < 500, asked

    put(examples, st.tuples(paths, st.binary(max_size=60) | known | anything), check)


@counts
def test_any_link_opens_the_page(server, examples):
    """Permalinks are read in the browser; the server gives the page whatever they say."""
    from urllib.parse import urlencode

    names = st.sampled_from(["v", "user", "history", "step", "view", "tab", "pins"])

    def check(link):
        status, _, body = ask(server, "/?" + urlencode(link, errors="replace"))
        assert status == 200
        assert b"<script>alert" not in body

    put(examples // 4, st.dictionaries(names, st.text(max_size=40)), check)


# -- the readers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handlers(checkpoint) -> AsPage:
    return Handlers.load([checkpoint])


@counts
def test_any_text_is_a_trace_or_is_none(handlers, examples):
    """The upload of Watch, in this process, where an exception would be seen."""
    whole = json.dumps(AsPage(Watching(handlers)).decode({"ids": ["i0", "i1"], "config": {"beam_size": 3}})["trace"])

    def check(cut):
        at, put_in = cut
        at = at % len(whole)
        words = AsPage(Watching(handlers)).open_trace({"text": whole[:at] + put_in + whole[at + len(put_in) :]})
        assert "trace" in words or (words["error"] and "on our side" not in words["error"])

    pieces = st.text('0123456789.,:[]{}"-enultrf', min_size=1, max_size=4) | st.text(max_size=3)
    put(examples, st.tuples(st.integers(0, 10**7), pieces), check)


@counts
def test_any_setting_of_the_app_is_read_or_refused(examples):
    def check(pairs):
        with contextlib.suppress(MindRecError):
            assert 1 <= read_options([], pairs, [Path("shipped")]).waiting <= 10_000

    names = st.sampled_from(
        ["MINDREC_LAB_SECONDS", "MINDREC_QUEUE", "MINDREC_RATE", "MINDREC_CHECKPOINTS", "MINDREC_DATA"]
    )
    put(examples, st.dictionaries(names, st.text(max_size=12) | st.integers().map(str) | st.floats().map(str)), check)


@counts
def test_any_word_after_a_command_is_a_refusal(checkpoint, examples):
    """In this process: an exception that is not ours would be raised here."""
    decoder = st.tuples(dials, st.text(max_size=6) | small.map(str)).map(lambda pair: f"{pair[0]}={pair[1]}")
    words = st.lists(
        st.tuples(st.just("--item"), st.sampled_from(["i1", "i2", "nope"]) | st.text(max_size=8))
        | st.tuples(st.just("--decoder"), decoder | st.text(max_size=12)),
        max_size=3,
    )  # fmt: skip

    def check(pairs):
        flat = [word for pair in pairs for word in pair]
        with contextlib.redirect_stderr(io.StringIO()):
            code, out, err = ours("recommend", "--checkpoint", checkpoint, "--device", "cpu", *flat)
        assert code in (0, 2), (flat, err)
        assert "Traceback" not in out + err

    put(examples // 8, words, check)
