"""What stands before the page on the open network: what may be asked, how much of it, and what the answer carries.

ASGI middleware, no gradio. Only the paths that the page and the three public endpoints need are served; Gradio's
uploads, proxy, files and developer routes are not.
"""

import html
import json
import os
import secrets
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.server.observing import CALLER, COUNTERS, Caller, log, new_request_id
from app.words import sentences as text

API = "/gradio_api"
READ = {"", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"} | {
    f"{API}{path}" for path in ("/info", "/app_id", "/theme.css", "/startup-events", "/queue/data", "/queue/status")
}
READ_UNDER = ("/assets/", "/static/", "/svelte/", f"{API}/call/", f"{API}/heartbeat/")
ASK = {f"{API}{path}" for path in ("/component_server", "/queue/join", "/cancel", "/reset")}
PUBLIC = ("recommend", "trace", "search")
ASK |= {f"{API}/call/{name}" for name in PUBLIC} | {f"{API}/call/v2/{name}" for name in PUBLIC}
MOST_BYTES = 10_000_000
"""Of a request: a trace of app limits, quoted once more as a JSON string."""
MOST_DEPTH = 32
SMALL = 2_000
"""Answers under this are not worth compressing."""
RATE = 100.0
"""Questions a second that one address may ask for long; a class of two hundred behind one router stays under it."""
BURST = 4.0
"""Seconds of that rate that may come at once."""
MOST_ADDRESSES = 10_000

NO_CLOCK = b"""<script>{
const real = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (work) =>
  window.mindrecIsOpen && String(new Error().stack).includes("statustracker") ? 0 : real(work);
}</script>"""
"""Gradio 6.31 never ends the clock of its own loading message: an open page is asked for sixty frames a second, which
empties batteries and makes every step wait for the next of them. It takes its name for this function before any script
of ours runs, so this goes before it; once our page is open the clock gets no more frames."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    # Gradio's own page needs inline and evaluated script; nothing may come from, or go to, another host.
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
        )
    ),
}


class Rates:
    """A token bucket for each network address; the addresses seen last are remembered."""

    def __init__(self, rate: float, burst: float = BURST, clock: Callable[[], float] = time.monotonic):
        self.rate, self.most, self.clock = rate, rate * burst, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, address: str) -> bool:
        """Take one question from an address's bucket; False when it is empty. A rate of 0 allows all."""
        if not self.rate:
            return True
        now = self.clock()
        with self._lock:
            left, then = self._buckets.pop(address, (self.most, now))
            left = min(self.most, left + (now - then) * self.rate)
            self._buckets[address] = (max(0.0, left - 1.0), now)
            while len(self._buckets) > MOST_ADDRESSES:
                self._buckets.popitem(last=False)
        return left >= 1.0


@dataclass(frozen=True)
class Rules:
    """What is served, and to whom.

    Attributes:
        files: absolute paths that may be read through Gradio's file route; no other is.
        state: gives {"checkpoint": {"waiting", "running", "device"}} for /healthz and the operator.
        operator: the key of the operator page; None leaves the page out.
        mcp: whether the MCP server's path is open.
        proxied: whether a proxy in front names the client; only then is its header believed.
    """

    files: frozenset[str]
    state: Callable[[], dict]
    operator: str | None = None
    mcp: bool = False
    rate: float = RATE
    proxied: bool = field(default_factory=lambda: bool(os.environ.get("SPACE_ID")))

    def served(self, method: str, path: str) -> bool:
        """Whether a path is one that the page or the public endpoints need."""
        path = path.rstrip("/")
        if ".." in path or "\\" in path or "\0" in path:
            return False
        if self.mcp and (path == f"{API}/mcp" or path.startswith(f"{API}/mcp/")):
            return True
        if method == "POST":
            return path in ASK
        if path.startswith(f"{API}/file="):
            return path.removeprefix(f"{API}/file=") in self.files
        return method in ("GET", "HEAD") and (path in READ or path.startswith(READ_UNDER))


class Guard:
    """ASGI middleware that keeps the rules and gives every request an id, a line in the log and its headers."""

    def __init__(self, app, rules: Rules):
        self.app, self.rules, self.rates = app, rules, Rates(rules.rate)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, started = Request(scope, receive), time.perf_counter()
        caller = Caller(new_request_id(), self._address(request), "gzip" in request.headers.get("accept-encoding", ""))
        mark, status = CALLER.set(caller), [500]

        async def sent(message):
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                own = {**HEADERS, "x-request-id": caller.request}
                names = {name.lower() for name, _ in message.get("headers", ())}
                new = [(k.encode(), v.encode()) for k, v in own.items() if k.encode() not in names]
                message = {**message, "headers": [*message.get("headers", ()), *new]}
            await send(message)

        if scope["path"] == "/" and request.method == "GET":
            sent = _without_clock(sent)

        try:
            await self._answer(request, scope, receive, sent)
        except Exception as error:
            if isinstance(error, TypeError) and scope["path"].startswith(f"{API}/call/") and status[0] == 500:
                # Gradio's own word for parameters that an endpoint does not have, or lacks
                refusal = _refused(400, text.NOT_UNDERSTOOD.format(what=str(error)[:200]))
                return await refusal(scope, receive, sent)
            log("request_failed", path=scope["path"][:80], why=repr(error)[:300])
            COUNTERS.count("failed")
            if status[0] == 500:  # nothing was sent yet
                await _refused(500, text.FAILED.format(request=caller.request))(scope, receive, sent)
        finally:
            took = time.perf_counter() - started
            COUNTERS.count(f"http_{status[0]}")
            if request.method == "POST":
                COUNTERS.took("request", took)
                log("request", path=scope["path"][:80], status=status[0], ms=round(took * 1000))
            CALLER.reset(mark)

    async def _answer(self, request: Request, scope, receive, send) -> None:
        path, rules = scope["path"], self.rules
        if path == "/healthz" and request.method in ("GET", "HEAD"):
            state = {name: lane["device"] for name, lane in rules.state().items()}
            return await JSONResponse({"status": "ok", "checkpoints": state})(scope, receive, send)
        if rules.operator and path in ("/operator", "/operator.json"):
            return await self._operator(request)(scope, receive, send)
        if not rules.served(request.method, path):
            return await _refused(404, text.NOT_SERVED)(scope, receive, send)
        if request.method == "POST" and not path.startswith(f"{API}/mcp"):
            if not self.rates.allow(CALLER.get().address):
                COUNTERS.count("too_many")
                return await _refused(429, text.TOO_MANY, {"retry-after": "2"})(scope, receive, send)
            body, refusal = await _body(request)
            if refusal is not None:
                return await refusal(scope, receive, send)
            receive = _again(body, receive)
        await self.app(scope, receive, send)

    def _address(self, request: Request) -> str:
        named = request.headers.get("x-forwarded-for", "").split(",")[0].strip() if self.rules.proxied else ""
        return named[:64] or (request.client.host if request.client else "")

    def _operator(self, request: Request) -> Response:
        if not secrets.compare_digest(request.query_params.get("key", ""), self.rules.operator):
            return _refused(404, text.NOT_SERVED)
        found = COUNTERS.snapshot() | {"memory_mb": memory_mb(), "lanes": self.rules.state()}
        return JSONResponse(found) if request.url.path.endswith(".json") else HTMLResponse(_operator_page(found))


async def _body(request: Request) -> tuple[bytes, Response | None]:
    """The whole body, or why it is refused: too large, not JSON, nested too deep, or no object."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return b"", _refused(415, text.JSON_ONLY)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return b"", _refused(413, text.TOO_LARGE.format(most=MOST_BYTES // 1_000_000))
        parts.append(part)
    body = b"".join(parts)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return b"", _refused(400, text.NOT_UNDERSTOOD.format(what="no JSON"))
    if not isinstance(value, dict) or too_deep(value):
        return b"", _refused(400, text.NOT_UNDERSTOOD.format(what="no object, or nested too deep"))
    return body, None


def too_deep(value, most: int = MOST_DEPTH) -> bool:
    """Whether JSON is nested deeper than `most` levels; without recursion."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _without_clock(send):
    """A `send` that puts NO_CLOCK first in the head of a page."""
    begun, parts = [], []

    async def sent(message):
        if message["type"] == "http.response.start":
            return begun.append(message)
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return None
        body = b"".join(parts).replace(b"<head>", b"<head>" + NO_CLOCK, 1)
        headers = [(k, v) for k, v in begun[-1].get("headers", ()) if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**begun[-1], "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return sent


def _again(body: bytes, receive):
    """A `receive` that gives the body once more, then what the connection says."""
    given = False

    async def once():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _refused(status: int, words: str, headers: dict | None = None) -> Response:
    return JSONResponse({"error": words, "detail": words}, status, headers)


def respond(answer: dict) -> Response:
    """An answer as bytes: Gradio would walk through it twice more, and leave it uncompressed."""
    with COUNTERS.timed("json"):
        try:
            body = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
        except TypeError:  # half a surrogate pair in what was asked, told back in an error
            body = json.dumps(answer).encode()
        headers = {"cache-control": "no-store"}
        if CALLER.get().gzip and len(body) > SMALL:
            pack = zlib.compressobj(1, wbits=31)
            body = pack.compress(body) + pack.flush()
            headers["content-encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)


def memory_mb() -> float | None:
    """Resident memory of this process; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _operator_page(found: dict) -> str:
    """The counters as tables; reloads itself."""

    def table(title: str, rows) -> str:
        lines = "".join(f"<tr><td>{html.escape(str(k))}<td>{html.escape(str(v))}" for k, v in rows)
        return f"<h2>{html.escape(title)}</h2><table>{lines}</table>"

    words = text.OPERATOR
    parts = [
        table(words["process"], [(words["up"], found["up_s"]), (words["memory"], found["memory_mb"])]),
        table(words["lanes"], found["lanes"].items()),
        table(words["counts"], found["counts"].items()),
        table(words["stages"], found["stages_ms"].items()),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>{html.escape(words['title'])}</title>"
        f"<style>body{{font:15px system-ui;margin:2rem}}td{{padding:.1rem 1rem .1rem 0}}</style>{''.join(parts)}</html>"
    )
