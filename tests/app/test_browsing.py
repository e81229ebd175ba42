"""The category browser: every item is found once by walking down, and bad questions are told."""

import pytest

from app.tabs.browsing import MAX_ITEMS, Browsing, level_below
from app.tabs.handlers import Handlers
from mindrec.data.catalog import Catalog, Item
from mindrec.errors import MindRecError


def walk(catalog: Catalog, path: tuple[str, ...] = ()) -> list[int]:
    branches, rows = level_below(catalog, path)
    seen = rows.tolist()
    for branch in branches:
        below = walk(catalog, (*path, branch["label"]))
        assert len(below) == branch["items"] > 0
        seen += below
    return seen


def test_walking_down_finds_every_item_once(recommender):
    assert sorted(walk(recommender.catalog)) == list(range(len(recommender.catalog)))


def test_items_that_stop_early_are_listed_where_they_stop():
    catalog = Catalog(
        (
            Item("a", "Apple", ("Food", "Fruit")),
            Item("b", "Bread", ("Food",)),
            Item("c", "Fruit knife", ("Tools", "Fruit")),
            Item("d", "Nameless"),
        )
    )
    assert sorted(walk(catalog)) == [0, 1, 2, 3]
    branches, rows = level_below(catalog, ("Food",))
    assert (branches, rows.tolist()) == ([{"label": "Fruit", "items": 1}], [1])
    assert level_below(catalog, ("Tools", "Fruit"))[1].tolist() == [2]
    assert level_below(catalog, ())[1].tolist() == [3]


def test_a_catalog_without_categories_is_one_list():
    catalog = Catalog(tuple(Item(f"i{n}", f"Item {n}") for n in range(3)))
    branches, rows = level_below(catalog, ())
    assert (branches, rows.tolist()) == ([], [0, 1, 2])


@pytest.mark.parametrize("path", [("No such",), ("(here)",), ("Food", "Fruit", "Deeper")])
def test_a_path_that_is_not_there_is_told(recommender, path):
    with pytest.raises(MindRecError, match="no category"):
        level_below(recommender.catalog, path)


@pytest.mark.parametrize("ask", [{"path": "x"}, {"path": [1]}, {"path": None}, {"path": ["<b>"]}, "nothing"])
def test_the_server_tells_what_it_did_not_understand(recommender, ask):
    assert Browsing(Handlers({"chain": recommender})).browse(ask)["error"]


def test_a_long_list_is_cut_and_says_how_long_it_is(recommender):
    made = Catalog(tuple(Item(f"i{n}", f"Item {n}") for n in range(MAX_ITEMS + 5)))

    class Open:
        catalog = made

    class Desk(Handlers):
        def recommender(self, ask):
            return Open

    answer = Browsing(Desk({"chain": recommender})).browse({})
    assert (len(answer["items"]), answer["count"]) == (MAX_ITEMS, MAX_ITEMS + 5)


def test_known_items_are_told_from_unknown_ones_in_their_order(recommender):
    known = Browsing(Handlers({"chain": recommender})).known
    first, second = (item.item_id for item in recommender.catalog.items[:2])
    assert known({"ids": [second, "gone", first, ""]}) == {"ids": [second, first]}


@pytest.mark.parametrize("ids", [None, "i1", [1], ["x"] * (MAX_ITEMS + 1)])
def test_a_bad_list_of_ids_is_refused(recommender, ids):
    assert Browsing(Handlers({"chain": recommender})).known({"ids": ids})["error"]
