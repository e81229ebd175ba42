"""The pure parts of the page's scripts, each called in one blank page of a real Chromium."""

import base64
import dataclasses
import io
from urllib.parse import parse_qs, urlsplit

import pytest
from percents import PERCENTS

from app.page import assets
from app.page.modules import join_modules
from mindrec.decoding.config import DecodeConfig
from mindrec.system.settings import Choice, Number, Rows, Switch, Tokens, Whole, declare
from mindrec.system.settings import links as declared_links

PURE = ("words", "links", "model", "gif", "store")
HOST = "https://shop.example/app"


@pytest.fixture(scope="module")
def units(chromium):
    """Calls a piece of JavaScript that sees the pure modules by their names, with one argument `x`."""
    page = chromium.new_page()
    for name in PURE:
        script = join_modules(assets.FOLDER / "js", name)
        names = script[len("const ") : script.index("}") + 1]
        page.evaluate(f"() => {{ {script} window.{name} = {names}; }}")
    page.evaluate("(x) => links.declareSettings(x)", declared_links(DecodeConfig))
    yield lambda code, x=None: page.evaluate(f"(x) => {code}", x)
    page.close()


@pytest.mark.parametrize(("value", "words"), [(p, signs) for p, _, signs in PERCENTS] + [(None, "")])
def test_percents_are_short_and_never_say_all_or_nothing_falsely(units, value, words):
    assert units("words.percent(x)", value) == words


def test_words_are_filled_in_and_unknown_names_stay(units):
    assert units("words.fill(x, { n: 0, word: '{n}' })", "{n} of {all}: {word}") == "0 of {all}: {n}"
    assert units("words.count(x)", 1234567) == "1,234,567"


# -- links -------------------------------------------------------------------------------------------------------------

# Links that earlier versions of the page made, and what they mean.
OLD = [
    ("?v=1&h=i0%2Ci5", {"ids": ["i0", "i5"], "step": 0, "target": None, "tab": "watch"}),
    ("?v=1&h=a%252Cb%2Cc&t=i7&step=3", {"ids": ["a,b", "c"], "target": "i7", "step": 3}),
    ("?v=1&h=i1&pins=0.3%2C4.17&forbid_tokens=1.2", {"config": {"pins": [[0, 3], [4, 17]], "forbid_tokens": [[1, 2]]}}),
    ("?v=1&h=i1&exclude_seen=false&rethink=true", {"config": {"exclude_seen": False, "rethink": True}}),
    ("?v=1&h=i1&beam_size=20&temperature=0.5&steps=4", {"config": {"beam_size": 20, "temperature": 0.5, "steps": 4}}),
    ("?v=1&h=i1&order=confidence&forbid_items=3%2C9", {"config": {"order": "confidence", "forbid_items": [3, 9]}}),
    ("?v=1&h=i1&ck=twin&view=present&__theme=dark", {"checkpoint": "twin", "present": True, "theme": "dark"}),
    ("?tab=compare&left=ours&right=without%3Ai5&v=1&h=i0", {"tab": "compare", "right": "without:i5", "ids": ["i0"]}),
    ("?tab=compare&left=ours&right=greedy&case=2", {"left": "ours", "case": "2"}),
    (
        "?tab=diagnose&table=wide&f.outcome=miss&f.history_length=2..&sort=title&down=1",
        {"table": "wide", "filters": {"outcome": "miss", "history_length": "2.."}, "sort": "title", "down": True},
    ),
    ("?tab=learn&lesson=fails&controls=0", {"tab": "learn", "lesson": "fails", "bare": True}),
    ("?v=9&h=i1", {"version": "9"}),
    ("?v=1&h=i1&step=x&beam_size=x&pins=9.y", {"step": 0, "config": {"beam_size": "x", "pins": [[9, "y"]]}}),
    ("?v=1&h=%25E0%25A4", {"ids": ["%E0%A4"]}),
    ("", {"tab": "watch", "version": None, "ids": [], "config": {}, "filters": {}, "bare": False}),
]


@pytest.mark.parametrize(("query", "meaning"), OLD)
def test_an_old_link_still_means_the_same(units, query, meaning):
    values = units("links.readLink(x)", HOST + query)
    assert {name: values[name] for name in meaning} == meaning


@pytest.mark.parametrize("query", [query for query, _ in OLD if "v=9" not in query])
def test_a_link_that_was_read_is_written_with_the_same_meaning(units, query):
    values = units("links.readLink(x)", HOST + query)
    again = units("links.readLink(links.writeLink(x.href, x.values))", {"href": HOST + query, "values": values})
    assert again == values


def test_a_link_leaves_out_what_is_as_usual(units):
    base = {"beam_size": 10, "steps": None, "resolve": 3, "pins": [], "order": "coarse_to_fine"}
    values = {"ids": ["i0"], "tab": "watch", "step": 0, "target": None, "config": base | {"resolve": None, "steps": 4}}
    href = units("links.writeLink(x.href, x.values, x.base)", {"href": HOST + "?x=1", "values": values, "base": base})
    assert parse_qs(urlsplit(href).query, keep_blank_values=True) == {
        "v": ["1"],
        "h": ["i0"],
        "resolve": [""],
        "steps": ["4"],
    }
    assert units("links.readLink(x).config", href) == {"resolve": None, "steps": 4}


def test_the_table_of_links_has_every_decode_setting_once(units):
    props = units("links.PROPS")
    settings = [prop["key"] for prop in props if prop["name"].startswith("config.")]
    assert sorted(settings) == sorted(field.name for field in dataclasses.fields(DecodeConfig))
    for what in ("key", "name"):
        assert len({prop[what] for prop in props}) == len(props)


@dataclasses.dataclass(frozen=True)
class Later:
    """Settings as a later release may declare them, one of each kind."""

    mood: str = declare("calm", Choice(help="", choices={"calm": "calm", "bold": "bold"}))
    width: int = declare(3, Whole(help="", low=1, high=9))
    depth: int | None = declare(None, Whole(help="", low=1, high=9, optional=True))
    share: float = declare(0.0, Number(help="", low=0, high=1, slider=1))
    loud: bool = declare(False, Switch(help=""))
    marks: tuple = declare((), Tokens(help=""))
    kept: tuple = declare((), Rows(help=""))


def test_a_setting_that_is_declared_later_is_in_links_without_a_line_of_javascript(units):
    values = {"mood": "bold", "width": 4, "depth": None, "share": 0.25, "loud": True, "marks": [[0, 3]], "kept": [5, 6]}
    base = {"mood": "calm", "width": 3, "depth": 2, "share": 0, "loud": False, "marks": [], "kept": []}
    ask = """{ const before = links.PROPS.length; links.declareSettings(x.types);
        const href = links.writeLink(x.href, { ids: ["i0"], config: x.values }, x.base), read = links.readLink(href);
        links.PROPS.length = before; return read.config; }"""
    given = {"types": declared_links(Later), "href": HOST, "values": values, "base": base}
    assert units(ask, given) == values
    script = (assets.FOLDER / "js" / "links.js").read_text(encoding="utf-8")
    assert not [f.name for f in dataclasses.fields(DecodeConfig) if f'"{f.name}"' in script]


# -- the state ---------------------------------------------------------------------------------------------------------


def test_the_store_tells_of_changes_and_takes_back_the_last_forty(units):
    seen = units(
        """{ const s = store.makeStore({ step: 0, stale: false }), seen = [];
        s.watch((now) => seen.push(now.step));
        for (let n = 1; n <= 50; n++) { s.keep({ bundle: n }); s.set({ step: n }); }
        const back = []; while (s.canUndo()) back.push(s.takeBack());
        return { seen: seen.length, last: back[0], count: back.length, first: back[39], now: s.get() }; }"""
    )
    assert seen["seen"] == 50
    assert seen["count"] == 40
    assert seen["last"] == {"step": 49, "stale": False, "bundle": 50}
    assert seen["first"]["bundle"] == 11
    assert seen["now"] == {"step": 50, "stale": False}


# -- the trace reader --------------------------------------------------------------------------------------------------


def beam(codes, parent, revealed, items, item=None):
    keys = ("position", "code", "p", "forced")
    made = [dict(zip(keys, reveal, strict=True)) for reveal in revealed]
    return {"codes": codes, "score": -1, "parent": parent, "revealed": made, "items": items, "item": item}


@pytest.fixture
def bundle():
    """Two levels, three steps; the leader of step 2 comes from the second beam of step 1."""
    steps = [
        {"beams": [beam([None, None], None, [], 9)], "dropped": [], "opinions": []},
        {
            "beams": [beam([1, None], 0, [(0, 1, 0.6, False)], 5), beam([2, None], 0, [(0, 2, 0.4, False)], 4)],
            "dropped": [],
            "opinions": [
                {
                    "beam": 0,
                    "chosen": [0],
                    "open": [{"position": 0, "entropy": 1, "legal": 1, "alternatives": [{"code": 1, "items": 5}]}],
                }
            ],
        },
        {
            "beams": [beam([2, 7], 1, [(1, 7, 0.9, True)], 1, 30), beam([1, 8], 0, [(1, 8, 0.1, False)], 1, 31)],
            "dropped": [],
            "opinions": [],
        },
    ]
    trace = {
        "levels": [{"name": "Section", "kind": "category"}, {"name": "ID 1", "kind": "semantic"}],
        "labels": [{"1": "Bakery"}, {}],
        "items": [{"row": 30, "title": "Jam"}],
        "titles": {"31": "Honey"},
        "config": {"beam_size": 2, "pins": [], "steps": None, "resolve": None},
        "gold": {"row": 30, "codes": [2, 7]},
        "steps": steps,
    }
    return {"trace": trace, "names": {"0.2": "Pantry"}, "partial": False}


def test_cells_follow_the_parents_of_a_beam(units, bundle):
    cells = units("model.readBundle(x).cells", bundle)
    assert cells[0] == [[None, None]]
    assert cells[2][0][0] == {"code": 2, "p": 0.4, "forced": False, "at": 1, "parent": 0, "rank": 1}
    assert cells[2][0][1] == {"code": 7, "p": 0.9, "forced": True, "at": 2, "parent": 1, "rank": 0}
    assert cells[2][1][0]["code"] == 1


def test_a_code_is_named_by_the_items_that_were_recorded_behind_it(units, bundle):
    ask = """{ const m = model.readBundle(x); return [m.beamItems(2, 0), m.beamItems(1, 1),
        m.opinion(1, 0, 0).leaves, m.tokenInFull(1, 8, m.beamItems(2, 1))]; }"""
    assert units(ask, bundle) == [None, None, [None], "ID 1 8"], "as in a trace of version 1"
    step = bundle["trace"]["steps"]
    step[1]["possible"] = {"beams": [[30, 31], []], "alternatives": [[[[31, 30]]]], "dropped": []}
    step[2]["possible"] = {"beams": [[30], [31]], "alternatives": [], "dropped": []}
    jam = {"titles": ["Jam"], "count": 1}
    assert units(ask, bundle) == [jam, None, [{"titles": ["Honey", "Jam"], "count": 5}], "Honey"]


def test_a_trace_is_read_into_names_lineages_and_what_was_thought(units, bundle):
    read = units(
        """{ const m = model.readBundle(x); return {
        names: [m.label(0, 1), m.label(0, 2), m.label(1, 7), m.title(30), m.title(5)], line: m.lineage(2, 0),
        gold: [m.isGold([2, null]), m.isGold([1, null]), m.isGold([2, 7])], last: m.last, expected: m.expected,
        seen: m.opinion(1, 0, 0).chosen, none: [m.opinion(1, 1, 0), m.opinion(1, 0, 1), m.opinion(9, 0, 0)] }; }""",
        bundle,
    )
    assert read["names"] == ["Bakery", "Pantry", "ID 1 7", "Jam", "#5"]
    assert read["line"] == [0, 1, 0]
    assert read["gold"] == [True, False, True]
    assert (read["last"], read["expected"]) == (2, 2)
    assert read["seen"] is True
    assert read["none"] == [None, None, None]


@pytest.mark.parametrize(("settings", "expected"), [({}, 2), ({"steps": 6}, 6), ({"resolve": 4}, 5)])
def test_a_running_decode_says_how_long_it_will_be(units, bundle, settings, expected):
    bundle["trace"]["config"] |= settings
    assert units("model.readBundle(x).expected", bundle | {"partial": True}) == expected


# -- films -------------------------------------------------------------------------------------------------------------

GIF = """{ const film = gif.makeGif(x.width, x.height);
  for (const [pixels, pause] of x.frames) film.add(Uint8ClampedArray.from(atob(pixels), c => c.charCodeAt(0)), pause);
  const bytes = film.bytes();
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text); }"""


def filmed(units, pictures, pauses):
    """The frames of the GIF that the page makes of pictures, and how long each stands, in milliseconds."""
    from PIL import Image, ImageSequence

    frames = [
        (base64.b64encode(picture.convert("RGBA").tobytes()).decode(), pause)
        for picture, pause in zip(pictures, pauses, strict=True)
    ]
    made = base64.b64decode(
        units(f"(() => {GIF})()", {"width": pictures[0].width, "height": pictures[0].height, "frames": frames})
    )
    with Image.open(io.BytesIO(made)) as film:
        assert film.format == "GIF"
        assert film.info["loop"] == 0
        found = [(frame.convert("RGB").copy(), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    return [frame for frame, _ in found], [pause for _, pause in found]


def test_pictures_of_few_colours_become_a_film_that_loses_nothing(units):
    from PIL import Image, ImageDraw

    pictures = []
    for n in range(3):  # the last is the one before it
        picture = Image.new("RGB", (70, 40), "#f6f7f9")
        ImageDraw.Draw(picture).rectangle((5 + 9 * min(n, 1), 8, 30, 20), fill="#0072b2", outline="#d55e00")
        pictures.append(picture)
    frames, pauses = filmed(units, pictures, [1600, 300, 4000])
    assert [frame.tobytes() for frame in frames] == [picture.tobytes() for picture in pictures]
    assert pauses == [1600, 300, 4000]


def test_pictures_of_more_colours_than_a_film_has_come_near(units):
    """Noise, which fills every table of the compression many times over, with a rare colour in it."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    grey = rng.integers(100, 150, (2, 150, 200, 1)) + rng.integers(0, 20, (2, 150, 200, 3))
    grey[:, :4, :4] = (200, 20, 30)
    pictures = [Image.fromarray(part.astype(np.uint8)) for part in grey]
    frames, _ = filmed(units, pictures, [100, 100])
    for frame, picture in zip(frames, pictures, strict=True):
        off = np.abs(np.asarray(frame).astype(int) - np.asarray(picture).astype(int))
        assert off.max() <= 24
        assert off[:4, :4].max() <= 4, "a rare colour is kept"
