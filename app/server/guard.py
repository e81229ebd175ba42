"""The guard before the page on the open network: it limits paths and sizes of questions, and adds headers to answers.

ASGI middleware, no gradio. Only the paths that the page and the three public endpoints need are served; Gradio's
uploads, proxy, files and developer routes are not.
"""

import html
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from app.server import booklet_route, room_routes
from app.server.bodies import BODY_SECONDS, MAX_BYTES, Bodies, Refused, again
from app.server.gradio_patches import is_wrong_parameters, with_head
from app.server.json_bytes import Answer, to_json
from app.server.observing import CALLER, COUNTERS, Caller, log, new_request_id
from app.server.preview import PATH, PICTURE, Preview
from app.server.rates import RATE, Rates, cost
from app.words import sentences as text

API = "/gradio_api"
READ = {"", booklet_route.PATH, "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"} | {
    f"{API}{path}" for path in ("/info", "/app_id", "/theme.css", "/startup-events", "/queue/data", "/queue/status")
}
READ_UNDER = ("/assets/", "/static/", "/svelte/", f"{API}/call/", f"{API}/heartbeat/")
ASK = {f"{API}{path}" for path in ("/component_server", "/queue/join", "/cancel", "/reset")}
PUBLIC = ("recommend", "trace", "search", "explain", "slate", "fill_gap", "odd_one_out", "rewrite")
ASK |= {f"{API}/call/{name}" for name in PUBLIC} | {f"{API}/call/v2/{name}" for name in PUBLIC}
SMALL = 2_000
"""Answers under this are not worth compressing."""
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


@dataclass(frozen=True)
class Rules:
    """The paths that are served, and to whom.

    Attributes:
        files: absolute paths that may be read through Gradio's file route; no other is.
        state: gives {"checkpoint": {"alive", "waiting", "running", "device"}} for /healthz and the operator.
        operator: the key of the operator page; None leaves the page out.
        mcp: whether the MCP server's path is open.
        proxies: how many proxies stand in front. Each appends to x-forwarded-for the address that it was asked from, so
            that the client is the last entry but `proxies - 1`; what stands before it, the client itself may have sent.
        body_seconds: that a body may take to come.
        preview: what a link shows where it is posted; None for nothing.
        processes: gives {"wanted", "ready"}, the numbers of decoding processes, for /healthz and the operator.
    """

    files: frozenset[str]
    state: Callable[[], dict]
    operator: str | None = None
    mcp: bool = False
    rate: float = RATE
    proxies: int = 0
    body_seconds: float = BODY_SECONDS
    preview: Preview | None = None
    processes: Callable[[], dict] = lambda: {"wanted": 0, "ready": 0}

    def served(self, method: str, path: str) -> bool:
        """Whether a path is one that the page or the public endpoints need."""
        path = path.rstrip("/")
        if ".." in path or "\\" in path or "\0" in path:
            return False
        if self.mcp and (path == f"{API}/mcp" or path.startswith(f"{API}/mcp/")):
            return method in ("GET", "HEAD", "POST", "DELETE")
        if room_routes.served(method, path):
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
        self.bodies = Bodies(rules.body_seconds)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, started = Request(scope, receive), time.perf_counter()
        caller = Caller(new_request_id(), self._address(request), "gzip" in request.headers.get("accept-encoding", ""))
        mark, status = CALLER.set(caller), [500]

        async def sent(message):
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                headers = {**HEADERS, "x-request-id": caller.request}
                names = {name.lower() for name, _ in message.get("headers", ())}
                new = [(k.encode(), v.encode()) for k, v in headers.items() if k.encode() not in names]
                message = {**message, "headers": [*message.get("headers", ()), *new]}
            await send(message)

        if scope["path"] == "/" and request.method == "GET":
            sent = with_head(sent, self.rules.preview.head(request) if self.rules.preview else b"")

        try:
            await self._answer(request, scope, receive, sent)
        except Exception as error:
            if is_wrong_parameters(error, scope["path"]) and status[0] == 500:
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
            return await self._health()(scope, receive, send)
        if rules.preview and path == PATH and request.method in ("GET", "HEAD"):
            return await FileResponse(PICTURE, headers={"cache-control": "max-age=86400"})(scope, receive, send)
        if rules.operator and path in ("/operator", "/operator.json"):
            return await self._operator(request)(scope, receive, send)
        if not rules.served(request.method, path):
            return await _refused(404, text.NOT_SERVED)(scope, receive, send)
        if room_routes.LOOK.fullmatch(path) and not self.rates.allow(CALLER.get().address, room_routes.LOOK_COST):
            COUNTERS.count("too_many")
            return await _refused(429, text.TOO_MANY, {"retry-after": "2"})(scope, receive, send)
        if request.method == "POST":
            try:
                body = await self._admitted(request, path)
            except Refused as refusal:
                headers = {429: {"retry-after": "2"}, 408: {"connection": "close"}}.get(refusal.status)
                return await _refused(refusal.status, refusal.words, headers)(scope, receive, send)
            receive = again(body, receive)
        await self.app(scope, receive, send)

    async def _admitted(self, request: Request, path: str) -> bytes:
        """The body of a question that may be asked now. Raises Refused."""
        address, declared = CALLER.get().address, request.headers.get("content-length", "")
        paid = cost("", int(declared) if declared.isascii() and declared.isdigit() else 0)
        if not self.rates.allow(address, paid):
            COUNTERS.count("too_many")
            raise Refused(429, text.TOO_MANY)
        max_bytes = room_routes.MAX_BODY if room_routes.TELL.fullmatch(path) else MAX_BYTES
        body = await self.bodies.read(request, address, max_bytes)
        if not self.rates.allow(address, cost(_question(path, body.value), len(body.raw)), paid):
            COUNTERS.count("too_many")
            raise Refused(429, text.TOO_MANY)
        return body.raw

    def _address(self, request: Request) -> str:
        """The client's network address: the peer's, or what the trusted proxies say of it."""
        peer = request.client.host if request.client else ""
        if not self.rules.proxies:
            return peer
        named = [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")]
        return (named[-self.rules.proxies][:64] if len(named) >= self.rules.proxies else "") or peer

    def _health(self) -> Response:
        """200 while every checkpoint's lane decodes, else 503."""
        lanes = self.rules.state()
        alive = {name: lane["alive"] for name, lane in lanes.items()}
        health = {"status": "ok" if all(alive.values()) else "failing"}
        health |= {"checkpoints": {name: lane["device"] for name, lane in lanes.items()}, "alive": alive}
        health["processes"] = self.rules.processes()
        return JSONResponse(health, 200 if all(alive.values()) else 503)

    def _operator(self, request: Request) -> Response:
        given = request.query_params.get("key", "").encode("utf-8", "surrogatepass")
        if not secrets.compare_digest(given, self.rules.operator.encode()):
            return _refused(404, text.NOT_SERVED)
        counters = COUNTERS.snapshot() | {"memory_mb": memory_mb(), "lanes": self.rules.state()}
        counters["processes"] = self.rules.processes()
        counters["counts"]["bodies_unfinished"] = self.bodies.unfinished.total()
        return JSONResponse(counters) if request.url.path.endswith(".json") else HTMLResponse(_operator_page(counters))


def _question(path: str, body: dict) -> str:
    """The name of what is asked: one of the page's questions, a public endpoint or an MCP tool."""
    if path == f"{API}/component_server":
        return str(body.get("fn_name"))
    if path.startswith(f"{API}/mcp"):
        called = body.get("params")
        return str(called.get("name") if isinstance(called, dict) else None).removeprefix("mindrec_")
    return path.rsplit("/", 1)[-1]


def _refused(status: int, words: str, headers: dict | None = None) -> Response:
    return JSONResponse({"error": words, "detail": words}, status, headers)


def respond(answer: Answer) -> Response:
    """An answer as bytes: Gradio would walk through it twice more, and leave it uncompressed."""
    with COUNTERS.timed("json"):
        body = to_json(answer)
        headers = {"cache-control": "no-store"}
        if CALLER.get().gzip and len(body) > SMALL:
            pack = isal_zlib.compressobj(1, wbits=31)
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


def _operator_page(counters: dict) -> str:
    """The counters as tables; reloads itself."""

    def table(title: str, rows) -> str:
        lines = "".join(f"<tr><td>{html.escape(str(k))}<td>{html.escape(str(v))}" for k, v in rows)
        return f"<h2>{html.escape(title)}</h2><table>{lines}</table>"

    words = text.OPERATOR
    parts = [
        table(words["process"], [(words[key], counters[key]) for key in ("up_s", "memory_mb", "processes")]),
        table(words["lanes"], counters["lanes"].items()),
        table(words["counts"], counters["counts"].items()),
        table(words["stages"], counters["stages_ms"].items()),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>{html.escape(words['title'])}</title>"
        f"<style>body{{font:15px system-ui;margin:2rem}}td{{padding:.1rem 1rem .1rem 0}}</style>{''.join(parts)}</html>"
    )
