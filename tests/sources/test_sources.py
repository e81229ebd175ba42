"""Every source on small made-up files in its published raw form, and on garbage: an error that says what to do, and
never a half-written folder."""

import gzip
import io
import json
import re
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import jsonl, write

from mindrec.data.catalog import Ragged, load_prepared
from mindrec.errors import MindRecError
from mindrec.sources import fetch
from mindrec.sources.amazon import category_path
from mindrec.sources.interactions_log import Events, collect, filter_events, parse_time
from mindrec.sources.movielens import film
from mindrec.sources.prepare import prepare
from mindrec.sources.readers import Bundle
from mindrec.sources.readers import parse_record as amazon_record
from mindrec.sources.recbole import split_path
from mindrec.sources.repairs import KINDS, Repairs, clean_item, clean_path, clean_text, without_common_root

quiet = {"command": "python -m mindrec prepare …", "say": lambda line: None}
USERS, ITEMS = 6, 5


def events():
    """Six users who each take five items, in an order of their own: (user, item, time)."""
    return [(f"u{u}", f"p{(u + k) % ITEMS}", 1000 + 10 * k) for u in range(USERS) for k in range(ITEMS)]


def sequences(folder) -> dict[str, list[str]]:
    data = load_prepared(folder)
    ids = [item.item_id for item in data.catalog.items]
    pairs = zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    return {user: [ids[r] for r in rows] for user, rows in pairs}


def expected() -> dict[str, list[str]]:
    out = {}
    for user, item, _ in events():
        out.setdefault(user, []).append(item)
    return out


def titles(folder) -> dict[str, str]:
    return {i.item_id: i.title for i in load_prepared(folder).catalog.items}


# ---- csv -------------------------------------------------------------------------------------------------------------


def csv_files(tmp_path, extra=()):
    rows = [f"{t},{i},{u}" for u, i, t in reversed(events())]
    log = write(tmp_path / "log.csv", "when,product,person\n" + "\n".join([*rows, *extra]) + "\n")
    items = write(
        tmp_path / "items.csv",
        "product,title,department,aisle\n"
        + "".join(f'p{n},"Thing, {n}",D{n % 2},A{n}\n' for n in range(ITEMS))
        + "p9,Never bought,D0,A9\n",
    )
    columns = {"user_column": "person", "item_column": "product", "time_column": "when"}
    return {"path": str(log), "item_file": str(items), "category_columns": "department,aisle"} | columns


def test_csv_with_named_columns(tmp_path):
    out = tmp_path / "out"
    data = prepare("csv", out, csv_files(tmp_path), **quiet)
    assert sequences(out) == expected()
    assert titles(out)["p3"] == "Thing, 3"
    assert data.catalog.items[1].categories == ("D1", "A1")
    readme = (out / "README.md").read_text()
    assert "unused_item: 1" in readme
    assert "5 items, 6 sequences, 30 interactions" in readme
    assert "2 > 5 nodes" in readme


def test_csv_columns_are_checked_before_anything_is_read(tmp_path):
    options = csv_files(tmp_path) | {"item_column": "sku"}
    with pytest.raises(MindRecError, match=r"no column 'sku'.*'product'.*--item-column"):
        prepare("csv", tmp_path / "out", options, **quiet)
    assert not (tmp_path / "out").exists()


def test_csv_dates_separator_bytes_and_missing_fields(tmp_path):
    log = b"user_id\titem_id\ttimestamp\n" + b"".join(
        f"{u}\tcaf\u00e9{i}\t2024-01-0{1 + k} 10:00:00\n".encode("cp1252" if u == "b" else "utf-8")
        for u in "ab"
        for k, i in enumerate("xyz")
    )
    log += b"a\t\t2024-01-05\nshort\na\tcaf\xc3\xa9x\tyesterday\n"
    items = "item_id\ttitle\tpath\nCAF\tunknown\tA>B\n" + "caféx\t<b>Caf&eacute;</b>  X\tFood> Drinks >Food\n"
    options = {
        "path": str(write(tmp_path / "log.tsv", log)),
        "item_file": str(write(tmp_path / "items.tsv", items)),
        "category_columns": "path",
        "category_separator": ">",
    }
    data = prepare("csv", tmp_path / "out", options, **quiet)
    assert sequences(tmp_path / "out") == {u: ["caféx", "caféy", "caféz"] for u in "ab"}
    notes = " ".join(data.repairs)
    assert "log.tsv, line 9" in notes
    assert str(tmp_path) not in (tmp_path / "out" / "README.md").read_text()
    for kind in ("not_utf8: 3", "missing_id: 1", "row_malformed: 1", "bad_time: 1", "html: 1", "category_cycle: 1"):
        assert kind in notes
    assert data.catalog.items[0].title == "Café X"
    assert data.catalog.items[0].categories == ("Food", "Drinks")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("user_id,item_id,timestamp\n", "no usable rows"),
        ("user_id,item_id,timestamp\n" + "junk\n" * 60, r"log.csv, line \d+.*row_malformed"),
        ('user_id,item_id,timestamp\na,"' + "x" * 200_000, "quotation mark"),
        ("user_id,item_id,timestamp\na,b,1\n", "every user has one.*check --user-column"),
    ],
)
def test_csv_that_cannot_be_used_is_refused_by_name(tmp_path, text, says):
    with pytest.raises(MindRecError, match=says):
        prepare("csv", tmp_path / "out", {"path": str(write(tmp_path / "log.csv", text))}, **quiet)
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]


# ---- parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_equals_csv(tmp_path):
    pl = pytest.importorskip("polars")
    options = csv_files(tmp_path, extra=["1001,p0,u0", "1001,p0,u0"])
    prepare("csv", tmp_path / "a", options, **quiet)
    frame = pl.read_csv(options["path"])
    (tmp_path / "parts").mkdir()
    frame[:20].write_parquet(tmp_path / "parts" / "1.parquet")
    frame[20:].write_parquet(tmp_path / "parts" / "2.parquet")
    prepare("parquet", tmp_path / "b", options | {"path": str(tmp_path / "parts")}, **quiet)
    assert sequences(tmp_path / "a") == sequences(tmp_path / "b")
    assert titles(tmp_path / "a") == titles(tmp_path / "b")


def test_parquet_lists_dates_and_faults(tmp_path):
    pl = pytest.importorskip("polars")
    from datetime import datetime

    pl.DataFrame(
        {
            "user_id": [1, 1, 2, 2],
            "item_id": ["x", "y", "y", "x"],
            "timestamp": [datetime(2024, 1, d) for d in (2, 1, 1, 2)],
        }
    ).write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"item_id": ["x", "y"], "title": ["X", None], "path": [["A", "B"], ["A"]]}).write_parquet(
        tmp_path / "items.parquet"
    )
    options = {
        "path": str(tmp_path / "log.parquet"),
        "item_file": str(tmp_path / "items.parquet"),
        "category_columns": "path",
    }
    prepare("parquet", tmp_path / "out", options, **quiet)
    assert sequences(tmp_path / "out") == {"1": ["y", "x"], "2": ["y", "x"]}
    write(tmp_path / "bad.parquet", "PAR1 no")
    with pytest.raises(MindRecError, match="no readable Parquet"):
        prepare("parquet", tmp_path / "no", {"path": str(tmp_path / "bad.parquet")}, **quiet)
    with pytest.raises(MindRecError, match="no column 'user'"):
        prepare("parquet", tmp_path / "no", options | {"user_column": "user"}, **quiet)
    assert not (tmp_path / "no").exists()


def test_a_source_that_needs_polars_says_how_to_get_it(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MindRecError, match="pip install 'polars"):
        prepare("parquet", tmp_path / "out", {"path": str(tmp_path)}, **quiet)


# ---- amazon ----------------------------------------------------------------------------------------------------------


def amazon(tmp_path, release):
    old = release != "2023"
    keys = ("reviewerID", "asin", "unixReviewTime") if old else ("user_id", "parent_asin", "timestamp")
    rows = [json.dumps(dict(zip(keys, e, strict=True)) | {"overall": 5.0, "reviewText": "fine"}) for e in events()]
    reviews = write(tmp_path / "Toys.json.gz", "\n".join(rows) + "\n", gz=True)
    meta = []
    for n in range(ITEMS):
        if release == "2014":
            paths = [["Toys", "Side"], ["Toys", f"Kind {n % 2}", "Sub", f"Leaf {n}"]]
            meta.append(repr({"asin": f"p{n}", "title": f"It's {n}", "brand": "B", "categories": paths}))
        elif release == "2018":
            path = ["Toys", f"Kind {n % 2}", "Sub", f"Leaf {n}", "</span></span></span>", "x" * 150]
            record = {"asin": f"p{n}", "title": f"It&#39;s {n}", "category": path, "description": ["a", "b"]}
            meta.append(json.dumps(record | {"brand": "B"}))
        else:
            path = ["Toys", f"Kind {n % 2}", "Sub", f"Leaf {n}"]
            meta.append(json.dumps({"parent_asin": f"p{n}", "title": f"It's {n}", "store": "B", "categories": path}))
    meta.append(json.dumps({"asin": "other", "title": "never reviewed"}))
    return reviews, write(tmp_path / "meta_Toys.json.gz", "\n".join(meta), gz=True)


@pytest.mark.parametrize("release", ["2014", "2018", "2023"])
def test_amazon_releases(tmp_path, release):
    pytest.importorskip("polars")
    reviews, _ = amazon(tmp_path / "raw", release)
    data = prepare("amazon", tmp_path / "out", {"path": str(reviews.parent)}, **quiet)
    assert sequences(tmp_path / "out") == expected()
    item = data.catalog.items[data.catalog.row_of["p3"]]
    assert (item.title, item.brand, item.categories) == ("It's 3", "B", ("Kind 1", "Sub", "Leaf 3"))
    assert release in (tmp_path / "out" / "README.md").read_text()


def test_amazon_core_metadata_and_truncation(tmp_path):
    pytest.importorskip("polars")
    reviews, meta = amazon(tmp_path / "raw", "2018")
    with pytest.raises(MindRecError, match="needs --metadata"):
        prepare("amazon", tmp_path / "out", {"path": str(reviews)}, **quiet)
    with pytest.raises(MindRecError, match="lower --core"):
        prepare("amazon", tmp_path / "out", {"path": str(reviews.parent), "core": 7}, **quiet)
    with pytest.raises(MindRecError, match="no review of the 2014, 2018 or 2023 release"):
        prepare("amazon", tmp_path / "out", {"path": str(meta), "metadata": str(meta)}, **quiet)
    reviews.write_bytes(reviews.read_bytes()[:-12])
    with pytest.raises(MindRecError, match=r"after line \d+: damaged or truncated.*fetch it again"):
        prepare("amazon", tmp_path / "out", {"path": str(reviews.parent)}, **quiet)
    assert not (tmp_path / "out").exists()


def test_amazon_metadata_is_read_as_data_never_run(tmp_path):
    with pytest.raises((ValueError, SyntaxError)):
        amazon_record("__import__('os').system('touch " + str(tmp_path / "pwned") + "')")
    assert not (tmp_path / "pwned").exists()
    assert category_path({"categories": [], "main_category": "Toys"}) == ("Toys",)


# ---- movielens -------------------------------------------------------------------------------------------------------

FILMS = {
    "p0": ("Matrix, The (1999)", ["Action", "Sci-Fi"]),
    "p1": ("Amélie (2001)", ["Comedy"]),
    "p2": ("Untitled", []),
    "p3": ("Heat (1995)", ["Action", "Crime"]),
    "p4": ("Toy Story (1995)", ["Animation", "Comedy"]),
}
GENRES = ["unknown", "Action", "Animation", "Comedy", "Crime", "Sci-Fi"]


def movielens(release) -> dict[str, bytes]:
    if release == "100k":
        flags = {k: "|".join(str(int(g in genres)) for g in GENRES) for k, (_, genres) in FILMS.items()}
        item = "".join(f"{k}|{t}|01-Jan-1995||http://x|{flags[k]}\n" for k, (t, _) in FILMS.items())
        return {
            "ml-100k/u.data": "".join(f"{u}\t{i}\t4\t{t}\n" for u, i, t in events()).encode(),
            "ml-100k/u.item": item.encode("latin-1"),
            "ml-100k/u.genre": "".join(f"{g}|{n}\n" for n, g in enumerate(GENRES)).encode(),
        }
    listed = {k: "|".join(g) or "(no genres listed)" for k, (_, g) in FILMS.items()}
    if release == "1m":
        return {
            "ml-1m/ratings.dat": "".join(f"{u}::{i}::4::{t}\n" for u, i, t in events()).encode(),
            "ml-1m/movies.dat": "".join(f"{k}::{t}::{listed[k]}\n" for k, (t, _) in FILMS.items()).encode("latin-1"),
        }
    return {
        "ml-x/ratings.csv": (
            "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},4.0,{t}\n" for u, i, t in events())
        ).encode(),
        "ml-x/movies.csv": (
            "movieId,title,genres\n" + "".join(f'{k},"{t}",{listed[k]}\n' for k, (t, _) in FILMS.items())
        ).encode(),
    }


def zipped(path, files: dict[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("release", ["100k", "1m", "25m"])
@pytest.mark.parametrize("packed", [True, False])
def test_movielens_releases(tmp_path, release, packed):
    files = movielens(release)
    if packed:
        path = zipped(tmp_path / "ml.zip", files)
    else:
        path = tmp_path / "raw"
        for name, data in files.items():
            write(path / name, data)
    data = prepare("movielens", tmp_path / "out", {"path": str(path)}, **quiet)
    assert sequences(tmp_path / "out") == expected()
    paths = {i.item_id: (i.title, i.categories) for i in data.catalog.items}
    assert paths["p0"] == ("The Matrix (1999)", ("Action", "Sci-Fi", "1990s"))
    assert paths["p1"] == ("Amélie (2001)", ("Comedy", "Comedy only", "2000s"))
    assert paths["p2"] == ("Untitled", ("No genre listed", "No genre listed only", "Year unknown"))
    assert "not to be passed on" in (tmp_path / "out" / "README.md").read_text()


def test_film_titles():
    assert film("1", "Misérables, Les (1995)", []).title == "Les Misérables (1995)"
    assert film("1", "Seven (Se7en) (1995)", []).categories[-1] == "1990s"
    assert film("1", "Show (2005-2010)", []).categories[-1] == "2000s"


def test_zip_that_points_outside_or_bombs_or_is_cut_is_refused(tmp_path):
    with pytest.raises(MindRecError, match="points outside the archive"):
        prepare(
            "movielens", tmp_path / "out", {"path": str(zipped(tmp_path / "a.zip", {"../../u.data": b"x"}))}, **quiet
        )
    with pytest.raises(MindRecError, match="points outside the archive"):
        Bundle(zipped(tmp_path / "b.zip", {"..\\u.data": b"x"}))
    with pytest.raises(MindRecError, match="zip bomb"):
        Bundle(zipped(tmp_path / "c.zip", {"ml/u.data": b"\0" * (8 << 20)}))
    whole = zipped(tmp_path / "d.zip", movielens("25m")).read_bytes()
    with pytest.raises(MindRecError, match="no readable zip"):
        Bundle(write(tmp_path / "e.zip", whole[: len(whole) // 2]))
    broken = bytearray(whole)
    broken[80:90] = b"0123456789"
    with pytest.raises(MindRecError, match="fetch it again"):
        prepare("movielens", tmp_path / "out", {"path": str(write(tmp_path / "f.zip", bytes(broken)))}, **quiet)
    assert not (tmp_path / "out").exists()


# ---- mindrec-official and recbole --------------------------------------------------------------------------------


def official(folder, *, item=True, category=True):
    index = {i: [f"<a_{n}>", "<b_1>"] for n, i in enumerate(sorted({i for _, i, _ in events()}))}
    write(folder / "Arts.inter.json", json.dumps(expected() | {"empty": []}))
    write(folder / "Arts.index.json", json.dumps(index))
    if item:
        records = {
            i: {"title": f"Brush {i}", "brand": "B", "categories": f"Arts,Paint, Ink & Oil,Leaf {i},Arts"}
            for i in index
        }
        write(folder / "Arts.item.json", json.dumps(records))
    if category:
        write(folder / "Arts.category.json", json.dumps({i: ["<a:1>", f"<b:{n}>"] for n, i in enumerate(index)}))
    return str(folder)


def test_mindrec_official_with_names_with_codes_and_with_neither(tmp_path):
    data = prepare("mindrec-official", tmp_path / "a", {"path": official(tmp_path / "x")}, **quiet)
    assert sequences(tmp_path / "a") == expected()
    assert data.catalog.items[0].categories == ("Paint, Ink & Oil", "Leaf p0")
    assert load_prepared(tmp_path / "a").semantic_ids["p1"] == ("<a_1>", "<b_1>")
    assert "empty_user: 1" in " ".join(data.repairs)
    data = prepare("mindrec-official", tmp_path / "b", {"path": official(tmp_path / "y", item=False)}, **quiet)
    assert data.catalog.items[1].categories == ("Category a:1", "Category b:1")
    path = official(tmp_path / "z", item=False, category=False)
    data = prepare("mindrec-official", tmp_path / "c", {"path": path}, **quiet)
    assert data.catalog.tree.depth == 0
    assert "--induce-tree" in (tmp_path / "c" / "README.md").read_text()
    with pytest.raises(MindRecError, match=r"exactly one is needed"):
        prepare("mindrec-official", tmp_path / "d", {"path": str(tmp_path)}, **quiet)


def recbole(folder):
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    write(folder / "ml.inter", head + "".join(f"{u}\t{i}\t3\t{t}\n" for u, i, t in events()))
    rows = "".join(f"{k}\t{t}\t1995\t{' '.join(g)}\n" for k, (t, g) in FILMS.items())
    write(folder / "ml.item", "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + rows)
    return str(folder)


def test_recbole(tmp_path):
    data = prepare("recbole", tmp_path / "a", {"path": recbole(tmp_path / "ml")}, **quiet)
    assert sequences(tmp_path / "a") == expected()
    assert {i.item_id: i.categories for i in data.catalog.items}["p0"] == ("Action", "Sci-Fi")
    options = {"path": str(tmp_path / "ml"), "category_columns": "class,release_year"}
    data = prepare("recbole", tmp_path / "b", options, **quiet)
    assert {i.item_id: i.categories for i in data.catalog.items}["p0"] == ("Action Sci-Fi", "1995")
    write(tmp_path / "ml" / "ml.inter", "price,stock\n")
    with pytest.raises(MindRecError, match="no atomic columns"):
        prepare("recbole", tmp_path / "c", {"path": str(tmp_path / "ml")}, **quiet)
    assert split_path("'Movies & TV', 'Drama'") == ["Movies & TV", "Drama"]


# ---- jsonl -----------------------------------------------------------------------------------------------------------


def test_jsonl_mends_and_counts(tmp_path):
    items = [
        {"item_id": 1, "title": "One", "categories": ["A", "B", "A"]},
        {"item_id": 1, "title": "Again"},
        {"item_id": 2, "title": None, "categories": ["A"]},
        {"item_id": 3, "title": "x" * 5000, "categories": [f"L{n}" for n in range(40)]},
        {"item_id": 4, "title": "never\x00used\ud800", "categories": ["", "<i>A</i>", "(here)"]},
    ]
    rows = [
        {"user_id": "a", "item_ids": [1, 2, 99]},
        {"user_id": "a", "item_ids": [2, 3]},
        {"user_id": "none", "item_ids": []},
    ]
    data = prepare("jsonl", tmp_path / "out", jsonl(tmp_path / "raw", items, rows), **quiet)
    notes = {line.split(":")[0] for line in data.repairs}
    assert notes == {
        "duplicate_item", "missing_title", "too_long", "category_depth", "category_cycle", "control_characters",
        "category_junk", "html", "unknown_item", "duplicate_user", "empty_user", "unused_item_kept",
    }  # fmt: skip
    assert sequences(tmp_path / "out") == {"a": ["1", "2"], "a (2)": ["2", "3"]}
    again = prepare("jsonl", tmp_path / "again", {"path": str(tmp_path / "out")}, **quiet)
    assert again.catalog.items == data.catalog.items
    assert (tmp_path / "again" / "README.md").read_text().count("## What is in here") == 1


def test_jsonl_refuses_with_file_and_line(tmp_path):
    options = jsonl(tmp_path / "raw", [{"item_id": 1, "title": "One"}], [{"user_id": 1, "item_ids": [1, 1]}])
    whole = (tmp_path / "raw" / "items.jsonl.gz").read_bytes()
    write(tmp_path / "raw" / "items.jsonl.gz", whole[:-9])
    with pytest.raises(MindRecError, match=r"items.jsonl.gz, after line \d: damaged archive"):
        prepare("jsonl", tmp_path / "out", options, **quiet)
    write(tmp_path / "raw" / "items.jsonl.gz", '{"item_id": 1}\n{"item_id": ', gz=True)
    with pytest.raises(MindRecError, match=r"items.jsonl.gz, line 2: not JSON"):
        prepare("jsonl", tmp_path / "out", options, **quiet)
    write(tmp_path / "raw" / "items.jsonl.gz", '{"item_id": 1, "categories": "A > B"}', gz=True)
    with pytest.raises(MindRecError, match=r"list of names, coarse to fine"):
        prepare("jsonl", tmp_path / "out", options, **quiet)
    assert not (tmp_path / "out").exists()


# ---- options, output folder, fetching ----------------------------------------------------------------------------


def test_options_belong_to_their_source(tmp_path):
    with pytest.raises(MindRecError, match=r"does not take --core; its options are --items"):
        prepare("synthetic", tmp_path / "out", {"core": 5}, **quiet)
    with pytest.raises(MindRecError, match=r"prepare csv needs --path: a CSV"):
        prepare("csv", tmp_path / "out", {}, **quiet)
    with pytest.raises(MindRecError, match="source 'amzon' is not one of"):
        prepare("amzon", tmp_path / "out", {}, **quiet)


def test_a_folder_with_other_things_is_never_replaced(tmp_path):
    write(tmp_path / "home" / "thesis.tex", "years of work")
    with pytest.raises(MindRecError, match=r"holds 'thesis.tex': it is not, or not only, prepared data"):
        prepare("synthetic", tmp_path / "home", {}, **quiet)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years of work"
    prepare("synthetic", tmp_path / "out", {}, **quiet)
    prepare("synthetic", tmp_path / "out", {"n_items": 30}, **quiet)
    assert len(load_prepared(tmp_path / "out").catalog) == 30
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "out"]


@dataclass
class Answer:
    """What a server sends: from the asked byte on, and no more than `cut` bytes."""

    body: bytes
    start: int
    cut: int
    place: str

    def __post_init__(self):
        self.status = 206 if self.start else 200
        self.headers = {"Content-Length": str(len(self.body) - self.start)}
        self.stream = io.BytesIO(self.body[self.start : self.start + self.cut])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, size):
        return self.stream.read(size)

    def geturl(self):
        return self.place


def server(body, cut=10**9, place="https://x.example/a.zip"):
    def open_url(request, timeout):
        return Answer(body, int((request.get_header("Range") or "bytes=0-")[6:-1]), cut, place)

    return open_url


def test_fetching_resumes_checks_and_never_leaves_https(tmp_path):
    import hashlib

    body, url = bytes(range(256)) * 10, "https://x.example/a.zip"
    good = "sha256:" + hashlib.sha256(body).hexdigest()
    with pytest.raises(MindRecError, match="run the command again, it resumes"):
        fetch.local(url, good, tmp_path, server(body, cut=1000))
    assert fetch.local(url, good, tmp_path, server(body)).read_bytes() == body
    with pytest.raises(MindRecError, match="was deleted"):
        fetch.local(url, "md5:00", tmp_path, server(body))
    with pytest.raises(MindRecError, match="not https"):
        fetch.local(url, None, tmp_path, server(body, place="http://x.example/a.zip"))
    for place in ("http://x.example/a.zip", "file:///etc/hostname", "ftp://x.example/a"):
        with pytest.raises(MindRecError, match="no https address"):
            fetch.local(place, None, tmp_path, server(body))


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_filter_orders_ties_repeats_and_core():
    rows = [("", "a", "x", 2), ("", "a", "y", 1), ("", "a", "y", 1), ("", "a", "z", 2), ("", "b", "x", 1)]
    repairs = Repairs()
    kept = collect(rows, repairs)
    filter_events(kept, 1, repairs)
    assert len(kept) == 3
    assert repairs.counts == {"duplicate_event": 1, "short_user": 1}
    with pytest.raises(MindRecError, match="below 1"):
        filter_events(collect(rows, repairs), 0, repairs)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), min_size=1), st.integers(1, 4))
def test_core_is_the_largest_one(rows, core):
    repairs = Repairs()
    try:
        kept = collect([("", str(u), str(i), t) for u, i, t in rows], repairs)
        filter_events(kept, core, repairs)
    except MindRecError:
        kept = Events([], [], *(np.zeros(0, np.int32),) * 2, np.zeros(0))
    left = set(rows)
    while True:  # by the definition, one removal at a time
        users = [u for u, _, _ in left]
        items = [i for _, i, _ in left]
        gone = {r for r in left if users.count(r[0]) < max(core, 1) or items.count(r[1]) < core}
        if not gone:
            break
        left -= gone
    users = [u for u, _, _ in left]
    left = {r for r in left if users.count(r[0]) >= 2}
    held = zip(kept.user_M, kept.item_M, kept.time_M, strict=True)
    assert {(int(kept.users[u]), int(kept.items[i]), int(t)) for u, i, t in held} == left


@given(st.text(max_size=400))
def test_cleaned_text_is_printable_bounded_and_stable(text):
    repairs = Repairs()
    once = clean_text(text, 60, repairs)
    assert len(once) <= 60
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", once)
    once.encode()
    assert once == once.strip()


def test_cleaning_keeps_what_is_no_markup():
    repairs = Repairs()
    assert clean_text("AT&T < 3 > 2 R&D", 60, repairs) == "AT&T < 3 > 2 R&D"
    assert not repairs.counts
    assert clean_path(["A", "b &amp; c", "var x = 1", "A"], repairs) == ("A", "b & c")
    assert without_common_root([("R", "a"), ("R",), ()]) == [("a",), (), ()]
    assert without_common_root([("R",), ("R",)]) == [("R",), ("R",)]


def test_every_repair_has_words_and_unknown_ones_are_caught():
    with pytest.raises(KeyError):
        Repairs().count("nonsense")
    repairs = Repairs()
    for kind in KINDS:
        repairs.count(kind, "here")
    assert all("here" in line and ": 1 " in line for line in repairs.lines())


def test_times():
    assert parse_time("1700000000") == 1.7e9
    assert parse_time("2024-01-02T03:04:05Z") == parse_time("2024-01-02 03:04:05")
    assert parse_time("nan") is parse_time("soon") is parse_time("") is None


def test_ragged_is_a_sequence():
    ragged = Ragged.of([[1, 2], [3], [4, 5, 6]])
    assert [r.tolist() for r in ragged] == [[1, 2], [3], [4, 5, 6]]
    assert ragged[-1].tolist() == [4, 5, 6]
    assert [r.tolist() for r in ragged[:2]] == [[1, 2], [3]]
    with pytest.raises(IndexError):
        ragged[3]


# ---- garbage ---------------------------------------------------------------------------------------------------------

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELD = st.sampled_from(["a", "b", "p1", "1", "2", "<b>", "", '"', "\x00", "é", "2024-01-01", "9" * 30])
LINES = st.lists(st.lists(FIELD, max_size=6), max_size=12)


def survives(name, out, options) -> bool:
    """Whether the source took the garbage; otherwise it must say why in words and leave nothing behind."""
    before = sorted(p.name for p in out.parent.iterdir())
    try:
        prepare(name, out, options, **quiet)
    except MindRecError as error:
        assert len(str(error)) > 20  # noqa: PT017
        assert sorted(p.name for p in out.parent.iterdir()) == before
        return False
    load_prepared(out)
    return True


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"user_id,item_id,timestamp\n", b"user_id,item_id,timestamp\na,b,1\na,c,2\n"]),
)
def test_garbage_csv(tmp_path_factory, data, head):
    folder = tmp_path_factory.mktemp("csv")
    survives("csv", folder / "out", {"path": str(write(folder / "log.csv", head + data))})


@given(LINES, LINES, st.booleans())
def test_garbage_tables(tmp_path_factory, log, items, some_good):
    """Rows of nonsense under a right header, alone or among good rows, for every source that reads tables."""
    folder = tmp_path_factory.mktemp("tables")
    log4 = [[*row[:2], "4", *row[2:]] for row in log]
    if some_good:
        log = [[u, i, str(t)] for u, i, t in events()] + log
        log4 = [[u, i, "4", str(t)] for u, i, t in events()] + log4

    def table(head, rows, mark):
        return (head + "".join(mark.join(r) + "\n" for r in rows)).encode()

    write(folder / "log.csv", table("user_id,item_id,timestamp\n", log, ","))
    write(folder / "items.csv", table("item_id,title,categories\n", items, ","))
    survives(
        "csv",
        folder / "out",
        {"path": str(folder / "log.csv"), "item_file": str(folder / "items.csv"), "category_columns": "categories"},
    )
    write(folder / "rb" / "x.inter", table("user_id:token\titem_id:token\ttimestamp:float\n", log, "\t"))
    write(folder / "rb" / "x.item", table("item_id:token\ttitle:token_seq\tclass:token_seq\n", items, "\t"))
    survives("recbole", folder / "out", {"path": str(folder / "rb")})
    write(folder / "ml" / "ratings.dat", table("", log4, "::"))
    write(folder / "ml" / "movies.dat", table("", items, "::"))
    survives("movielens", folder / "out", {"path": str(folder / "ml"), "core": 1})
    write(folder / "m2" / "ratings.csv", table("userId,movieId,rating,timestamp\n", log4, ","))
    write(folder / "m2" / "movies.csv", table("movieId,title,genres\n", items, ","))
    survives("movielens", folder / "out", {"path": str(folder / "m2"), "core": 1})


@given(st.dictionaries(st.sampled_from(["inter", "index", "item", "category"]), VALUE), VALUE)
def test_garbage_official(tmp_path_factory, parts, entry):
    folder = tmp_path_factory.mktemp("official")
    official(folder / "x")
    for part, value in parts.items():
        file = folder / "x" / f"Arts.{part}.json"
        whole = json.loads(file.read_text())
        write(file, json.dumps(whole | {"u1": entry, "p1": value} if entry else value))
    survives("mindrec-official", folder / "out", {"path": str(folder / "x")})


@given(
    st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("item_id", "title", "brand", "categories"), VALUE)),
        max_size=4,
    ),
    st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("user_id", "item_ids", "split", "ordered"), VALUE)),
        max_size=4,
    ),
)
def test_garbage_jsonl(tmp_path_factory, items, rows):
    folder = tmp_path_factory.mktemp("jsonl")
    good = [{"item_id": n, "title": f"T{n}"} for n in range(3)]
    options = jsonl(folder / "raw", good + items, [{"user_id": "a", "item_ids": [0, 1, 2]}, *rows])
    survives("jsonl", folder / "out", options)


@settings(max_examples=10)
@given(
    st.lists(st.dictionaries(st.sampled_from(["asin", "reviewerID", "unixReviewTime", "title", "categories"]), VALUE))
)
def test_garbage_amazon(tmp_path_factory, records):
    pytest.importorskip("polars")
    folder = tmp_path_factory.mktemp("amazon")
    reviews, meta = amazon(folder / "raw", "2014")
    junk = "\n".join(json.dumps(r) for r in records)
    for file in (reviews, meta):
        write(file, gzip.decompress(file.read_bytes()) + b"\n" + junk.encode() + b"\n{'a': \xff", gz=True)
    survives("amazon", folder / "out", {"path": str(folder / "raw")})


@given(
    st.binary(max_size=200), st.sampled_from(["movielens", "amazon", "recbole", "parquet", "mindrec-official", "jsonl"])
)
def test_garbage_bytes(tmp_path_factory, data, name):
    """A file that is none of what the source reads, as the path itself and as files of a folder."""
    if name in ("amazon", "parquet"):
        pytest.importorskip("polars")
    folder = tmp_path_factory.mktemp("bytes")
    assert not survives(name, folder / "out", {"path": str(write(folder / "x.gz", data))})
    for file in ("u.data", "ratings.csv", "a.json.gz", "meta_a.json.gz", "a.inter", "a.parquet", "a.inter.json"):
        write(folder / "raw" / file, data)
    survives(name, folder / "out", {"path": str(folder / "raw")})


def test_an_item_is_cleaned_whole():
    from mindrec.data.catalog import Item

    item = clean_item(
        Item("1", "var aPageStart = (new Date()).getTime();", (None, "A"), "<a href='x'>Sony</a>"), Repairs()
    )
    assert (item.title, item.categories, item.brand) == ("Item 1", ("A",), "Sony")
