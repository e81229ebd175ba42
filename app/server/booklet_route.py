"""The booklet's address: made when it is first asked for, then kept."""

import threading
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from mindrec.errors import MindRecError

PATH = "/booklet"


def booklet_route(make: Callable[[], str]) -> Route:
    """A route that answers with what `make` makes; 503 and a sentence where it cannot be made now."""
    pages: list[str] = []
    making = threading.Lock()

    def booklet(request: Request) -> Response:  # a plain function: Starlette gives it a thread
        try:
            with making:
                if not pages:
                    pages.append(make())
        except MindRecError as error:
            return PlainTextResponse(str(error), 503)
        return HTMLResponse(pages[0])

    return Route(PATH, booklet)
