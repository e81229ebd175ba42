"""One spelling of an id on every path, and the ids near one that is unknown."""

import pytest

from mindrec.data.catalog import Catalog, Interactions, Item, Ragged
from mindrec.data.ids import IdLookup, normal_id
from mindrec.data.splits import cases, too_short
from mindrec.errors import MindRecError


@pytest.mark.parametrize(
    ("given", "one"),
    [
        ("1001", "1001"),
        (" 1001\t", "1001"),
        ("1001.0", "1001"),
        ("1001.00", "1001"),
        ("-3.0", "-3"),
        ("0.0", "0"),
        ("007.0", "007.0"),
        ("1001.5", "1001.5"),
        ("1.0.0", "1.0.0"),
        ("", ""),
        ("NaN", ""),
        (None, ""),
    ],
)
def test_one_spelling(given, one):
    assert normal_id(given) == one


def test_an_id_is_found_however_it_was_written():
    ids = IdLookup({"1001": 0, "1002.0": 1, " a b ": 2})
    for row, spellings in enumerate((["1001", "1001.0", " 1001 "], ["1002.0", "1002", "1002.00"], [" a b ", "a b"])):
        assert [ids.row(text) for text in spellings] == [row] * len(spellings)
    assert ids.row("1003") is ids.row("nan") is ids.row("") is None


@pytest.mark.parametrize(
    ("unknown", "near"),
    [
        ("1001", ["0001001"]),
        ("1001.0", ["0001001"]),
        ("00b00x", ["B00X"]),
        ("9780140328721", ["978-0-14-032872-1"]),
        ("0", ["000"]),
        ("5", []),
        ("", []),
        ("--", []),
    ],
)
def test_a_refusal_names_ids_that_lost_zeros_case_or_signs(unknown, near):
    catalog = Catalog(tuple(Item(text, "Thing") for text in ("0001001", "B00X", "978-0-14-032872-1", "000")))
    assert catalog.ids.near(unknown) == near
    with pytest.raises(MindRecError, match="did you mean" if near else "search the catalog") as refusal:
        catalog.rows([unknown])
    assert all(repr(text) in str(refusal.value) for text in near)


def interactions(*lengths, split=None):
    return Interactions(tuple(f"u{n}" for n in range(len(lengths))), Ragged.of([[0] * n for n in lengths]), 1, split)


def test_data_without_cases_says_how_long_a_sequence_must_be():
    assert too_short(interactions(2, 4)) is None
    assert "has 3 items, and 4 are needed" in too_short(interactions(2, 3))
    with pytest.raises(MindRecError, match="no validation cases: the longest of 2 sequences has 2 items, and 4"):
        cases(interactions(2, 2), "validation")
    with pytest.raises(MindRecError, match="no test cases: 1 sequences are marked 'test', and none of them has two"):
        cases(interactions(9, 1, split=("train", "test")), "test")
