"""Beat the machine: a game is kept on the server, and no answer leaves it before its guess."""

import json
from datetime import date

import numpy as np
import pytest
from page_answers import AsPage

from app.server.games import GRACE, LIVES, PASSED, SECONDS, Games
from app.server.lanes import Gone
from app.tabs.beating import Beating
from app.tabs.carts import AISLES, ITEMS, aisle_of, deal
from app.tabs.handlers import Handlers
from mindrec.data.catalog import Catalog, Item, save_prepared
from mindrec.data.splits import Case
from mindrec.errors import MindRecError

DAY = date(2026, 3, 1)


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def handlers(checkpoint, chain_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("play") / "data"
    save_prepared(chain_data, folder)
    handlers = Handlers.load([checkpoint], data=folder)
    assert handlers.trips("chain").ready(60)
    return handlers


@pytest.fixture
def play(handlers, clock):
    return AsPage(Beating(handlers, Games(clock), lambda: DAY))


def shop(n=60) -> Catalog:
    """Ten sections of one aisle each, six items an aisle."""
    return Catalog(
        tuple(Item(f"i{k}", f"Item {k}", (f"S{k // 6}", f"A{k // 6}", f"C{k % 6}")) for k in range(n)), name="s"
    )


def test_a_cart_is_its_seeds_and_its_options_hold_the_answer_once():
    catalog, counts = shop(), np.arange(60)
    cases = [Case(str(n), (n, n + 1, n + 2), (n * 7 + 5) % 60) for n in range(50)]
    seen = set()
    for seed in ("2026-03-01", "2026-03-02", "x", "y"):
        cart = deal(catalog, counts, cases, seed)
        assert cart == deal(catalog, counts, cases, seed)
        assert len(set(cart.aisles)) == AISLES
        assert len(set(cart.items)) == ITEMS
        assert cart.items[cart.item] == cart.target
        assert cart.aisles[cart.aisle] == aisle_of(catalog, cart.target)
        assert not set(cart.items) & set(cart.history)
        same = [row for row in cart.items if aisle_of(catalog, row) == aisle_of(catalog, cart.target)]
        assert len(same) >= 3, "the aisle's own items come first"
        seen.add((cart.history, cart.target))
    assert len(seen) > 1


def test_no_answer_leaves_the_server_before_its_guess(play, handlers):
    first = play.game_start({"kind": "one"})
    assert first["stage"] == "aisle"
    assert first["seconds"] == SECONDS
    assert not {"items", "aisle", "item", "watch", "points", "share"} & set(first)
    assert set(play.game_seal({"game": first["game"], "machine": "beams"})) == {"machine", "sealed"}
    request = {"game": first["game"], "number": 0}
    second = play.game_guess({**request, "stage": "aisle", "choice": 0})
    assert not {"item", "watch", "points", "share"} & set(second)
    assert second["aisle"]["you"] == 0
    assert set(second["aisle"]["machines"]) == {"greedy", "beams"}
    right = play.tab._cart("chain", play.tab.games.find(first["game"]).seed)
    third = play.game_guess({**request, "stage": "item", "choice": right.item})
    catalog = handlers.recommenders["chain"].catalog
    assert third["item"]["right"] == third["item"]["you"]
    assert third["watch"]["target"] == catalog.items[right.target].item_id
    assert third["points"]["you"] == 2 + (right.aisle == 0)
    title = catalog.items[right.target].title
    assert title not in third["share"]
    assert "You: aisle" in third["share"]


def test_the_machines_choose_among_the_options_alone(play, handlers):
    """The chain's next item is certain, so that every machine names it when it may."""
    for _ in range(3):
        game = play.game_start({"kind": "one", "timed": False})
        request = {"game": game["game"], "number": 0}
        play.game_guess({**request, "stage": "aisle", "choice": None})
        done = play.game_guess({**request, "stage": "item", "choice": None})
        for machine in ("greedy", "beams"):
            assert 0 <= done["item"]["machines"][machine] < len(done["items"])
        assert done["item"]["machines"]["beams"] == done["item"]["right"]
        assert done["points"]["you"] == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stage": "item"}, "not due"), ({"number": 1}, "not due"), ({"number": True}, "not due"),
        ({"stage": "done"}, "not due"), ({"choice": 99}, "number of one of"), ({"choice": -1}, "number of one of"),
        ({"choice": "0"}, "number of one of"), ({"game": "x"}, "no longer here"), ({"game": None}, "no longer here"),
        ({"game": []}, "no longer here"), ({"stage": {}}, "not due"),
    ],
)  # fmt: skip
def test_a_forged_guess_is_refused_and_changes_nothing(play, wrong, words):
    game = play.game_start({"kind": "one"})["game"]
    assert words in play.game_guess({"game": game, "number": 0, "stage": "aisle", "choice": 0, **wrong})["error"]
    assert play.tab.games.find(game).rounds[0].stage == "aisle"


def test_a_guess_is_made_once(play):
    game = play.game_start({"kind": "one"})["game"]
    request = {"game": game, "number": 0, "stage": "aisle", "choice": 0}
    assert "error" not in play.game_guess(request)
    assert "not due" in play.game_guess({**request, "choice": 1})["error"]
    assert "not due" in play.game_next({"game": game})["error"]


def test_a_late_guess_counts_as_none_and_one_without_a_clock_never_is(play, clock):
    timed, free = (play.game_start({"kind": "one", "timed": on}) for on in (True, False))
    assert free["seconds"] is None
    clock.now = SECONDS + GRACE + 0.1
    out = play.game_guess({"game": timed["game"], "number": 0, "stage": "aisle", "choice": 0})
    assert out["stage"] == "done"
    assert out["aisle"]["you"] is out["item"]["you"] is None
    out = play.game_guess({"game": free["game"], "number": 0, "stage": "aisle", "choice": 0})
    assert out["stage"] == "item"
    assert out["aisle"]["you"] == 0


def test_the_daily_cart_is_the_days_and_no_day_to_come_is_dealt(play):
    one, two = (play.game_start({"kind": "daily"}) for _ in range(2))
    assert one["game"] != two["game"]
    assert (one["cart"], one["aisles"]) == (two["cart"], two["aisles"])
    assert one["day"] == "2026-03-01"
    assert play.game_start({"kind": "daily", "day": "2026-02-27"})["day"] == "2026-02-27"
    for day in ("2026-03-02", "yesterday", 7, ["2026-01-01"], "9999-99-99"):
        assert "up to today, 2026-03-01" in play.game_start({"kind": "daily", "day": day})["error"]
    assert "not “x”" in play.game_start({"kind": "x"})["error"]


def test_a_run_has_ten_carts_and_a_score_over_all(play):
    view = play.game_start({"kind": "run", "timed": False})
    for number in range(10):
        assert (view["number"], view["count"]) == (number, 10)
        cart = play.tab._cart("chain", play.tab.games.find(view["game"]).seed)
        for stage, choice in (("aisle", cart.aisle), ("item", cart.item)):
            view = play.game_guess({"game": view["game"], "number": number, "stage": stage, "choice": choice})
        assert view["points"]["you"] == 3 * (number + 1)
        if number < 9:
            view = play.game_next({"game": view["game"]})
    assert "not due" in play.game_next({"game": view["game"]})["error"]
    assert "You: 30 of 30" in view["share"]
    json.dumps(view)


def test_games_are_bounded_and_end(clock):
    games = Games(clock, limit=3)
    keys = [games.start("one", "c", ("s",), True).key for _ in range(5)]
    for key in keys[:2]:
        with pytest.raises(Gone):
            games.find(key)
    clock.now = LIVES + 1
    with pytest.raises(Gone):
        games.find(keys[-1])
    clock.now = 0.0
    games.guess(keys[-1], 0, "aisle", None, 6)
    assert games.find(keys[-1]).rounds[0].aisle == PASSED
    with pytest.raises(MindRecError):
        games.guess(keys[-1], 0, "aisle", None, 6)


def test_nobody_plays_where_no_trips_are(checkpoint):
    alone = Beating(Handlers.load([checkpoint]))
    assert alone.opening() == {"checkpoint": None, "twin": False}
