"""The preview of a posted link to the page: a title, its cart in words, and a picture of the page."""

import html
import re
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request

from app.words import sentences as text
from mindrec.recommender import Recommender

PICTURE = Path(__file__).resolve().parents[1] / "page" / "preview.png"
"""1200 x 630 pixels; made by assets/screenshots/make.py."""
PATH = "/preview.png"
MAX_ITEMS, MAX_LETTERS = 6, 40
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?")


class Preview:
    """Tags for the head of the page, as services that unfold links read them (ogp.me).

    Args:
        recommenders: the open checkpoints, which know the titles of a link's items; the first one is the default.
        proxies: how many proxies stand in front; with one, the scheme that it was asked by counts.
    """

    def __init__(self, recommenders: Mapping[str, Recommender], proxies: int = 0):
        self.recommenders, self.proxies = recommenders, proxies

    def head(self, request: Request) -> bytes:
        """The tags for the address that is asked for. Titles come from the catalog and are escaped."""
        said = {"og:type": "website", "og:title": text.TITLE, "og:description": self._description(request)}
        host, scheme = request.headers.get("host", ""), request.url.scheme
        if self.proxies and request.headers.get("x-forwarded-proto", "").split(",")[0].strip() == "https":
            scheme = "https"
        if _HOST.fullmatch(host):
            said |= {"og:image": f"{scheme}://{host}{PATH}", "og:image:width": "1200", "og:image:height": "630"}
        tags = [f'<meta property="{name}" content="{html.escape(value)}" />' for name, value in said.items()]
        tags.append(f'<meta name="description" content="{html.escape(said["og:description"])}" />')
        return "".join(tags).encode()

    def _description(self, request: Request) -> str:
        query = request.query_params
        first = next(iter(self.recommenders))
        catalog = self.recommenders.get(query.get("ck", first), self.recommenders[first]).catalog
        rows = [catalog.ids.row(item) for item in query.get("h", "").split(",")[:MAX_ITEMS]]
        titles = [catalog.items[row].title[:MAX_LETTERS] for row in rows if row is not None]
        return text.PREVIEW_CART.format(items=", ".join(titles)) if titles else text.PREVIEW
