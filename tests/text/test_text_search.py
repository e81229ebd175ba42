"""Free text finds items and paths: half-typed, misspelt, wordy; words that fit nothing are not taken for an item."""

import numpy as np
import pytest

from mindrec.data.catalog import Catalog, Item
from mindrec.text.text_search import TextSearch

CATALOG = Catalog(
    (
        Item("fruit", "Fruit snacks", ("Food", "Snacks")),
        Item("tofu", "Tofu, vegan", ("Food", "Produce")),
        Item("tortilla", "Tortilla chips", ("Food", "Snacks")),
        Item("toys", "Kids toys", ("Home", "Toys")),
        Item("jalapeno", "Jalapeño dip", ("Food", "Snacks"), "Fuego"),
    ),
    "shop",
)


@pytest.fixture(scope="module")
def search():
    return TextSearch(CATALOG)


def ids(rows) -> list[str]:
    return [CATALOG.items[row].item_id for row in rows]


@pytest.mark.parametrize(
    ("words", "first"),
    [("tort", "tortilla"), ("tortila chps", "tortilla"), ("JALAPENO", "jalapeno"), ("fuego", "jalapeno")],
)
def test_a_half_typed_or_misspelt_word_finds_its_item(search, words, first):
    row = search.rows(words)[0]
    assert ids([row]) == [first]
    assert search.fits(words, row)


def test_a_wish_finds_items_and_paths(search):
    rows = search.rows("vegan snacks for kids")
    assert set(ids(rows[:3])) == {"fruit", "tofu", "toys"}
    assert all(search.fits("vegan snacks for kids", row) for row in rows[:3])
    assert search.paths("something like snacks")[0] == ("Food", "Snacks")


@pytest.mark.parametrize("words", ["nothing like it %", "qwerty", "%", "🛒", " ", "", "\x00"])
def test_words_that_fit_nothing_are_no_item(search, words):
    assert not any(search.fits(words, row) for row in range(len(CATALOG)))


def test_a_text_model_finds_what_no_letters_say():
    """An embedder that knows that soy and tofu are one thing."""

    def embed(texts):
        return np.array([[1, 0] if {"soy", "tofu,"} & set(t.lower().split()) else [0, 1] for t in texts], dtype=float)

    search = TextSearch(CATALOG, embed)
    row = search.rows("soy")[0]
    assert ids([row]) == ["tofu"]
    assert search.fits("soy", row)
    assert not search.fits("soy", 0)


def test_a_query_is_bounded(search):
    assert search.rows("tortilla " * 100_000)


TWINS = Catalog(
    (
        Item("big", "Soda, large", ("Food", "Drinks")),
        Item("small", "Soda, small", ("Food", "Drinks")),
        Item("pop", "Pop art poster", ("Home", "Art")),
    ),
    "twins",
)


def test_of_items_that_fit_alike_the_one_that_is_bought_more_comes_first():
    assert TextSearch(TWINS, popularity=[1, 900, 0]).rows("soda")[0] == 1
    assert TextSearch(TWINS, popularity=[900, 1, 0]).rows("soda")[0] == 0
    assert TextSearch(TWINS, popularity=[1, 900, 0]).rows("soda, large")[0] == 0, "letters come before popularity"


def test_a_brand_name_finds_what_it_means_and_gives_way_to_the_catalogs_own_word():
    search = TextSearch(TWINS)
    assert set(search.rows("coke")[:2]) == {0, 1}
    assert search.fits("coke", search.rows("coke")[0])
    assert search.rows("pop")[0] == 2, "this catalog has the word itself"
