"""What a posted link shows: its cart in words, and a picture; nothing of a stranger's text unescaped."""

from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.guard import Guard, Rules
from app.server.preview import PATH, PICTURE, Preview
from mindrec.data.catalog import Catalog

NASTY = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def preview(chain_data):
    items = [replace(item, title=f"Thing {n}") for n, item in enumerate(chain_data.catalog.items)]
    items[1] = replace(items[1], title=NASTY)
    return Preview({"shop": SimpleNamespace(catalog=Catalog(tuple(items), name="shop"))}, proxies=1)


def tags(raw: bytes) -> dict[str, str]:
    """{name: content} of meta tags; fails on anything else."""
    meta = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag == "meta"
            held = dict(attrs)
            meta[held.get("property") or held["name"]] = held["content"]

        def handle_data(self, data):
            raise AssertionError(data)

    Reader().feed(raw.decode())
    return meta


def asked(preview, query="", host="demo.example", **headers):
    sent = {"host": host, **headers}
    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "server": ("10.0.0.1", 80)}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()]
    return tags(preview.head(Request(scope | {"query_string": query.encode(), "headers": raw})))


def test_a_link_tells_its_cart_and_the_page_itself(preview):
    assert "Thing 0, Thing 2" in asked(preview, "h=i0,gone,i2&ck=shop")["og:description"]
    assert NASTY[:20] in asked(preview, "h=i1&ck=" + quote("../../x"))["og:description"]
    plain = asked(preview, "h=" + "x" * 5000)
    assert "cart" not in plain["og:description"]
    assert plain["description"] == plain["og:description"]


def test_the_picture_has_an_absolute_address_by_the_scheme_that_a_person_used(preview):
    assert asked(preview)["og:image"] == f"http://demo.example{PATH}"
    assert asked(preview, x_forwarded_proto="https")["og:image"] == f"https://demo.example{PATH}"
    assert "og:image" not in asked(preview, host='x"><b>')
    with Image.open(PICTURE) as picture:
        assert picture.size == (1200, 630)


def test_the_tags_stand_first_in_the_head_and_the_picture_is_served(preview):
    page = Route("/", lambda request: HTMLResponse("<html><head><title>x</title></head></html>"))
    client = TestClient(Guard(Starlette(routes=[page]), Rules(frozenset(), dict, preview=preview)))
    text = client.get("/?h=i0").text
    assert 0 < text.index("Thing 0") < text.index("<title>")
    assert client.get(PATH).headers["content-type"] == "image/png"
    assert client.post(PATH).status_code == 404
