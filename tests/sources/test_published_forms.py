"""Three public sets in the form in which they are published, taken by a newcomer's commands without an edit.

The rows are made up; separators, quotation marks, encodings, names of columns, returns and dates are those of the
published files.
"""

import json
import random

import pytest
from commands import ours
from tables import write

from mindrec.data.catalog import load_prepared

PEOPLE, THINGS, TAKEN = 40, 12, 6


def taken():
    """{person: things in order of time}, each at least once."""
    rng = random.Random(5)
    return {person: [(rng.randrange(THINGS) + 5 * k) % THINGS for k in range(TAKEN)] for person in range(PEOPLE)}


def book_ratings(folder):
    """A ratings file with semicolons, every field in quotation marks, Latin-1, without a time; and its books."""
    rows = [
        f'"{276725 + person}";"{isbn(thing)}";"{(person + k) % 11}"'
        for person, things in taken().items()
        for k, thing in enumerate(dict.fromkeys(things))
    ]
    ratings = "\r\n".join(['"User-ID";"ISBN";"Book-Rating"', *rows]) + "\r\n"
    heads = '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S"'
    books = [
        f'"{isbn(n)}";"Le Café &amp; la \\"Rose\\" n° {n}";"André Ünal";"199{n % 10}";"Éditions {n % 3}";"http://x/{n}.jpg"'
        for n in range(THINGS)
    ]
    write(folder / "BX-Book-Ratings.csv", ratings.encode("latin-1"))
    write(folder / "BX-Books.csv", ("\r\n".join([heads, *books]) + "\r\n").encode("latin-1"))
    return ["csv", "--path", folder / "BX-Book-Ratings.csv", "--item-file", folder / "BX-Books.csv", "--no-time"]


def isbn(n: int) -> str:
    return f"00344510{n:02d}"[:9] + "X"[: n % 2] + str(n)


def invoices(folder):
    """A shop's invoices: dates month first, returns with C numbers and negative quantities, rows without a customer."""
    rows, invoice = [], 536365
    for person, things in taken().items():
        for k, thing in enumerate(things):
            invoice += 1
            day = f"12/{1 + 4 * k}/2010 {8 + k}:{20 + person % 30}"
            who = 17850 + person
            rows.append(f'{invoice},{code(thing)},"LANTERN, £{thing} SET",6,{day},2.55,{who},United Kingdom')
            if k == 1:
                rows.append(f'C{invoice},{code(11 - thing)},"LANTERN, £{11 - thing} SET",-1,{day},2.55,{who},France')
            if k == 2:
                rows.append(f"{invoice},{code(thing)},,12,{day},0,,United Kingdom")
    head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    write(folder / "Online Retail.csv", ("\n".join([head, *rows]) + "\n").encode("latin-1"))
    return ["csv", "--path", folder / "Online Retail.csv", "--keep", "Quantity>0"]


def code(thing: int) -> str:
    return f"{85123 + thing}{'A' if thing % 2 else ''}"


def reviews(folder):
    """Reviews a line, and what is sold, a line; as the set of 2018 has them, packed."""
    rows = [
        {
            "overall": float(1 + (person + k) % 5),
            "verified": True,
            "reviewTime": "09 13, 2009",
            "reviewerID": f"A{person:05d}ZX",
            "asin": f"{thing:010d}",
            "reviewText": 'Works "well", {so} far\nand on',
            "unixReviewTime": 1_252_800_000 + 86_400 * k,
        }
        for person, things in taken().items()
        for k, thing in enumerate(things)
    ]
    sold = [
        {
            "asin": f"{n:010d}",
            "title": f"Soap &amp; Water {n}",
            "brand": "Pure",
            "category": ["Beauty", f"Shelf {n % 3}", "</span></span>"],
        }
        for n in range(THINGS)
    ]
    for name, held in (("Luxury_Beauty.json.gz", rows), ("meta_Luxury_Beauty.json.gz", sold)):
        write(folder / name, "\n".join(map(json.dumps, held)), gz=True)
    paths = ["--path", folder / "Luxury_Beauty.json.gz", "--metadata", folder / "meta_Luxury_Beauty.json.gz"]
    return ["amazon", *paths]


FORMS = {"book ratings": book_ratings, "invoices": invoices, "reviews": reviews}


@pytest.fixture(params=FORMS)
def form(request, tmp_path):
    """(name, the look's words, what `prepare` says, the prepared data) of one set."""
    command = FORMS[request.param](tmp_path)
    code_, look, err = ours("prepare", *command, "--look") if command[0] == "csv" else (0, "", "")
    assert code_ == 0, err
    assert not (tmp_path / "data").exists()
    code_, said, err = ours("prepare", *command, "--out", tmp_path / "data")
    assert code_ == 0, err
    return request.param, look, said, load_prepared(tmp_path / "data")


def test_a_published_file_is_taken_as_it_is(form):
    """Every person's things in their order, under their own ids; and the titles as they should read."""
    name, look, said, data = form
    id_of = {"book ratings": isbn, "invoices": code, "reviews": "{:010d}".format}[name]
    held = [[data.catalog.items[row].item_id for row in rows] for rows in data.interactions.sequences]
    once = name == "book ratings"
    assert held == [[id_of(n) for n in (dict.fromkeys(things) if once else things)] for things in taken().values()]
    titles = {item.item_id: item.title for item in data.catalog.items}
    words = {"book ratings": 'Le Café & la "Rose" n° {}', "invoices": "LANTERN, £{} SET", "reviews": "Soap & Water {}"}
    assert titles == {id_of(n): words[name].format(n) for n in range(THINGS)}
    assert "Traceback" not in said
    if name == "book ratings":
        assert {item.brand for item in data.catalog.items} == {"André Ünal"}
        assert "semicolon between fields" in look
    if name == "invoices":
        assert "filtered: 40 rows" in said
        assert "missing_id: 40 rows" in said
        assert "month first" in said
    if name == "reviews":
        assert {item.categories for item in data.catalog.items} == {("Beauty", f"Shelf {n}") for n in range(3)}
    else:
        assert "run: python -m mindrec prepare csv" in look


def test_reviews_are_a_table_too(tmp_path):
    """`csv` reads the lines of reviews as well: people, things and seconds are known by their names."""
    path = reviews(tmp_path)[2]
    code_, _, err = ours("prepare", "csv", "--path", path, "--out", tmp_path / "data")
    assert code_ == 0, err
    data = load_prepared(tmp_path / "data")
    held = [[data.catalog.items[row].item_id for row in rows] for rows in data.interactions.sequences]
    assert held == [[f"{n:010d}" for n in things] for things in taken().values()]
