"""The booklet: every card and experiment with its answer at the end, of the declarations that the app shows."""

import re
from html import unescape

import pytest
from paths import ROOT
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.server.booklet_route import booklet_route
from app.server.guard import Rules
from app.server.lanes import Busy
from app.tabs.booklet import Booklet
from app.tabs.handlers import Handlers
from app.tabs.lab import PRESETS
from app.tabs.lessons import Lessons
from app.words import lab_words
from app.words import sentences as text
from app.words.booklet_words import BOOKLET, EXPERIMENTS

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def course(checkpoint):
    return Lessons(Handlers.load([checkpoint], stories=ROOT / "assets" / "stories"))


@pytest.fixture(scope="module")
def page(course):
    return Booklet(course).page()


def test_every_card_is_asked_before_the_answers_and_answered_after(course, page):
    front, answers = page.split(f">{BOOKLET['answers']}</h2>")
    shown = course.opening()
    assert len(shown) >= 6
    for number, each in enumerate(shown, 1):
        key, heading = each["key"], f"{number}. {each['title']}"
        card, solved = course.card(key), course.answered(key)
        right = BOOKLET["answer"].format(option=card.options[solved.answer])
        assert heading in unescape(front)
        assert card.ask in unescape(front)
        assert all(option in unescape(front) for option in card.options)
        assert right in unescape(answers)
        assert right not in unescape(front)
        assert solved.because in unescape(answers)
        assert solved.because not in unescape(front)
    assert front.count("<figure>") >= len(shown)
    assert all(f"<dt>{name}</dt>" in page for name, _ in text.GLOSSARY.values())


def test_five_experiments_open_the_lab_with_their_dials(page):
    front, answers = page.split(f">{BOOKLET['answers']}</h2>")
    links = [unescape(link) for link in re.findall(r'href="(\./[^"]*)"', front)]
    assert len(links) == len(EXPERIMENTS) == 5
    for link, key in zip(links, EXPERIMENTS, strict=True):
        dials = dict(pair.split(":") for pair in link.partition("&lab=")[2].split(",") if pair)
        assert dials == {name: str(value) for name, value in PRESETS[key].items()}
        assert lab_words.PRESETS[key]["seen"] in unescape(answers)
        assert lab_words.PRESETS[key]["seen"] not in unescape(front)


def test_it_needs_nothing_else_and_titles_are_no_markup(course, page, monkeypatch):
    assert not re.search(r'(src|href)="(?!\./|data:)', page)
    assert "<script" not in page
    monkeypatch.setitem(text.LESSONS["diffusion"], "title", NASTY)
    made = Booklet(course).page()
    assert NASTY not in made
    assert "&lt;img src=x" in made


def test_it_is_made_once_and_a_busy_moment_is_not_kept():
    made = []

    def make():
        made.append(None)
        if len(made) == 1:
            raise Busy("later")
        return "<p>booklet</p>"

    client = TestClient(Starlette(routes=[booklet_route(make)]))
    assert (client.get("/booklet").status_code, client.get("/booklet").text) == (503, "<p>booklet</p>")
    assert client.get("/booklet").text == "<p>booklet</p>"
    assert len(made) == 2
    assert Rules(frozenset(), dict).served("GET", "/booklet")
