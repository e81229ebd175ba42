"""Requests of phones in a room: one small page, its state, joining, voting. Plain HTTP and JSON behind the guard."""

import json
import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.server.lanes import Busy, Gone
from app.server.rooms import Rooms
from mindrec.errors import MindRecError

LOOK = re.compile(r"/room(/[A-Za-z0-9]{1,12}(/state)?)?")
TELL = re.compile(r"/room/[A-Za-z0-9]{1,12}/(join|vote)")
LOOK_COST = 0.25
"""Tokens that a look at a room takes of an address's rate: two hundred phones behind one router look every 3 s."""
MAX_BODY = 500
"""Bytes of a vote."""


def served(method: str, path: str) -> bool:
    """Whether a path is one of a room's."""
    return bool(TELL.fullmatch(path)) if method == "POST" else method == "GET" and bool(LOOK.fullmatch(path))


def room_routes(rooms: Rooms, phone_page: Callable[[], str]) -> list[BaseRoute]:
    """Routes for the app; the code in a path is looked up and never written into the page."""

    async def page(request: Request) -> Response:
        return HTMLResponse(phone_page(), headers={"cache-control": "no-cache"})

    async def state(request: Request) -> Response:
        return _answer(lambda: rooms.see(request.path_params["code"]).for_phone())

    async def join(request: Request) -> Response:
        return _answer(lambda: {"member": rooms.join(request.path_params["code"])})

    async def vote(request: Request) -> Response:
        body = json.loads(await request.body())  # an object, says the guard

        def take() -> dict:
            rooms.vote(request.path_params["code"], body.get("member"), body.get("number"), body.get("choice"))
            return {"number": body["number"], "choice": body["choice"]}

        return _answer(take)

    return [
        Route("/room", page),
        Route("/room/{code}", page),
        Route("/room/{code}/state", state),
        Route("/room/{code}/join", join, methods=["POST"]),
        Route("/room/{code}/vote", vote, methods=["POST"]),
    ]


def _answer(make: Callable[[], dict]) -> Response:
    """JSON; a refusal has a status and a sentence."""
    try:
        answer, status = make(), 200
    except MindRecError as error:
        status = 404 if isinstance(error, Gone) else 503 if isinstance(error, Busy) else 409
        answer = {"error": str(error)}
    return JSONResponse(answer, status, {"cache-control": "no-store"})
