"""Bodies of requests: read whole before anything else sees them, within bounds of size, depth, time and number."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from app.server.observing import COUNTERS
from app.words import sentences as text

MAX_BYTES = 10_000_000
"""Of one body: a trace of app limits, quoted once more as a JSON string."""
MAX_DEPTH = 32
BODY_SECONDS = 30.0
"""A body that is not whole after this long is given up."""
MAX_UNFINISHED = 256
"""Bodies of all addresses that may be on their way at once; one more is refused."""
MAX_UNFINISHED_OF_ONE = 64
"""Bodies of one address; a class behind one router shares it."""
MAX_HELD = 200_000_000
"""Bytes of all unfinished bodies together."""


class Refused(Exception):
    """A body is not taken; `status` and `words` are the answer."""

    def __init__(self, status: int, words: str):
        super().__init__(words)
        self.status, self.words = status, words


@dataclass(frozen=True)
class Body:
    """A body as it came, and the JSON object in it."""

    raw: bytes
    value: dict[str, Any]


class Bodies:
    """Reads bodies, and knows how many are unfinished. Used by the event loop's thread alone.

    Args:
        seconds: that a body may take to come.
    """

    def __init__(self, seconds: float = BODY_SECONDS):
        self.seconds, self.held = seconds, 0
        self.unfinished: Counter[str] = Counter()

    async def read(self, request: Request, address: str, max_bytes: int = MAX_BYTES) -> Body:
        """The body of a request.

        Raises Refused: more than `max_bytes` bytes, too slow, too many at once, no JSON object, or too deep.
        """
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Refused(415, text.JSON_ONLY)
        if self.unfinished.total() >= MAX_UNFINISHED or self.unfinished[address] >= MAX_UNFINISHED_OF_ONE:
            COUNTERS.count("bodies_refused")
            raise Refused(429, text.TOO_MANY)
        self.unfinished[address] += 1
        try:
            async with asyncio.timeout(self.seconds):
                raw = await self._whole(request, max_bytes)
        except TimeoutError:
            COUNTERS.count("bodies_timed_out")
            raise Refused(408, text.TOO_SLOW.format(seconds=round(self.seconds))) from None
        except ClientDisconnect:
            raise Refused(400, text.NOT_UNDERSTOOD.format(what="half a request")) from None
        finally:
            self.unfinished[address] -= 1
            if not self.unfinished[address]:
                del self.unfinished[address]
        return Body(raw, _object(raw))

    async def _whole(self, request: Request, max_bytes: int) -> bytes:
        parts, size = [], 0
        try:
            async for part in request.stream():
                size += len(part)
                self.held += len(part)
                if size > max_bytes:
                    raise Refused(413, text.TOO_LARGE.format(most=max_bytes / 1_000_000))
                if self.held > MAX_HELD:
                    COUNTERS.count("bodies_refused")
                    raise Refused(429, text.TOO_MANY)
                parts.append(part)
        finally:
            self.held -= size
        return b"".join(parts)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused(400, text.NOT_UNDERSTOOD.format(what="no JSON")) from None
    if not isinstance(value, dict) or too_deep(value):
        raise Refused(400, text.NOT_UNDERSTOOD.format(what="no object, or nested too deep"))
    return value


def too_deep(value, max_depth: int = MAX_DEPTH) -> bool:
    """Whether JSON is nested deeper than `max_depth` levels; without recursion."""
    level = [value]
    for _ in range(max_depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def again(body: bytes, receive: Callable) -> Callable:
    """A `receive` that gives the body once more, then what the connection says."""
    given = False

    async def once():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
