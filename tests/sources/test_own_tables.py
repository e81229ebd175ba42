"""Logs and item files as people have them: each dialect comes back equal or is refused with a reason and a line."""

import bz2
import gzip
import lzma
import math
import subprocess
import sys
import zipfile
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import write

from mindrec.data.catalog import Ragged, load_prepared
from mindrec.data.ids import normal_id
from mindrec.data.splits import repeats_in_test
from mindrec.errors import MindRecError
from mindrec.sources import meaning
from mindrec.sources.meaning import whole_semantic_ids
from mindrec.sources.prepare import prepare
from mindrec.sources.repairs import Repairs
from mindrec.sources.times import TimeColumn
from mindrec.sources.values import is_missing, path_names

USERS, ITEMS, START = 8, 6, 1_700_000_000
ORDER = {f"9{u}": [f"70{(u + 2 * k) % 5}" for k in range(5)] for u in range(USERS)}


def rows():
    """(user, item, seconds, stars), rows not in order of time."""
    out = [(u, i, START + 86_400 * k + int(u), 1 + k % 5) for u, items in ORDER.items() for k, i in enumerate(items)]
    return out[::-1]


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(rows(), columns=["user_id", "item_id", "timestamp", "rating"]).assign(**columns)


def sequences(folder) -> dict[str, list[str]]:
    data = load_prepared(folder)
    ids = [item.item_id for item in data.catalog.items]
    return {
        u: [ids[r] for r in s] for u, s in zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    }


def run(tmp_path, source="csv", **options):
    return prepare(source, tmp_path / "out", options, command="…", say=lambda line: None)


def log(tmp_path, text, name="log.csv"):
    return str(write(tmp_path / name, text))


def refused(tmp_path, says, **options):
    with pytest.raises(MindRecError, match=says):
        run(tmp_path, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mark", [",", ";", "\t", "|", "::", " "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_encodings_and_line_ends(tmp_path, mark, encoding, end):
    lines = [mark.join(map(str, row)) for row in [("user_id", "item_id", "timestamp", "rating"), *rows()]]
    run(tmp_path, path=log(tmp_path, (end.join(lines) + end).encode(encoding), "log.txt"))
    assert sequences(tmp_path / "out") == ORDER


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("gbk", "园艺工具"), ("cp1252", "Café à la crème"), ("cp1251", "Садовая лопата"), ("shift_jis", "園芸のセット")],
)
def test_titles_of_other_encodings_are_right_and_said(tmp_path, encoding, title):
    items = "item_id,title\n" + "".join(f"70{n},{title} {n}\n" for n in range(5))
    options = {
        "path": log(tmp_path, frame().to_csv(index=False)),
        "item_file": log(tmp_path, items.encode(encoding), "i.csv"),
    }
    data = run(tmp_path, **options)
    assert {item.title for item in data.catalog.items} == {f"{title} {n}" for n in range(5)}
    assert any("--encoding" in line for line in data.repairs)


def test_an_open_quotation_mark_is_refused_with_its_line(tmp_path):
    lines = frame().to_csv(index=False).splitlines()
    for row in (5, 20):
        broken = [*lines]
        broken[row] = '"' + broken[row]
        refused(tmp_path, f"line {row + 1}: a quotation mark is opened", path=log(tmp_path, "\n".join(broken) + "\n"))
    broken[22] = broken[22].replace(",", '",', 1)  # closed two rows later: three rows would be one, without a fault
    refused(tmp_path, "line 21: a quotation mark is opened", path=log(tmp_path, "\n".join(broken) + "\n"))


def test_quoted_line_breaks_and_escapes_are_texts(tmp_path):
    titles = ['Rake, "big"\nand red', "Two\r\nlines, three", 'A "b" c', '27" pan', "plain"]
    for options in ({}, {"escapechar": "\\", "doublequote": False}):
        items = pd.DataFrame({"item_id": [f"70{n}" for n in range(5)], "title": titles})
        items.to_csv(tmp_path / "i.csv", index=False, **options)
        data = run(tmp_path, path=log(tmp_path, frame().to_csv(index=False)), item_file=str(tmp_path / "i.csv"))
        found = {item.item_id: item.title for item in data.catalog.items}
        assert found == {f"70{n}": " ".join(title.split()) for n, title in enumerate(titles)}


def test_rows_wider_than_the_header(tmp_path):
    text = frame().to_csv(index=False)
    wide = "".join(f"{line},x\n" if n % 3 == 1 else line + "\n" for n, line in enumerate(text.splitlines()))
    refused(tmp_path, "more fields than the 4 columns", path=log(tmp_path, wide))
    body = text.splitlines()
    numbered = "\n".join([body[0], *(f"{n},{line}" for n, line in enumerate(body[1:]))]) + "\n"
    run(tmp_path, path=log(tmp_path, numbered))
    assert sequences(tmp_path / "out") == ORDER


def test_a_column_that_occurs_twice_must_be_chosen(tmp_path):
    text = frame().to_csv(index=False).replace("rating", "item_id", 1)
    refused(tmp_path, "more than once", path=log(tmp_path, text))
    run(tmp_path, path=log(tmp_path, text), item_column="item_id.1")
    assert sequences(tmp_path / "out") == ORDER


def test_a_file_without_a_header(tmp_path):
    path = log(tmp_path, frame().to_csv(index=False, header=False))
    refused(tmp_path, "first line looks like data.*--no-header", path=path)
    run(tmp_path, path=path, no_header=True, user_column="1", item_column="2", time_column="3")
    assert sequences(tmp_path / "out") == ORDER


def test_packed_files(tmp_path):
    text = frame().to_csv(index=False).encode()
    with zipfile.ZipFile(tmp_path / "gz.zip", "w") as archive:
        archive.writestr("log.csv.gz", gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)
    packed = {
        "a.bz2": bz2.compress(text),
        "b.xz": lzma.compress(text),
        "plain.csv.gz": text,
        "c.dat": gzip.compress(text),
    }
    for name in [*packed, "gz.zip"]:
        path = log(tmp_path, packed[name], name) if name in packed else str(tmp_path / name)
        run(tmp_path, path=path)
        assert sequences(tmp_path / "out") == ORDER
    for name, data, says in (("two.zip", None, "a.csv, b.csv"), ("x.csv", b"PAR1xx", "prepare parquet")):
        path = str(tmp_path / name) if data is None else log(tmp_path, data, name)
        with pytest.raises(MindRecError, match=says):
            prepare("csv", tmp_path / "no", {"path": path}, command="…", say=print)


def test_a_zst_file_is_read(tmp_path):
    with pa.CompressedOutputStream(str(tmp_path / "log.csv.zst"), "zstd") as stream:
        stream.write(frame().to_csv(index=False).encode())
    run(tmp_path, path=str(tmp_path / "log.csv.zst"))
    assert sequences(tmp_path / "out") == ORDER
    broken = log(tmp_path, (tmp_path / "log.csv.zst").read_bytes()[:40], "cut.csv.zst")
    with pytest.raises(MindRecError, match=r"cut.csv.zst"):
        prepare("csv", tmp_path / "no", {"path": broken}, command="…", say=print)


def test_a_workbook_is_read(tmp_path):
    """The first sheet: numbers as numbers, dates as dates, a row without anything, a second sheet that is not read."""
    openpyxl = pytest.importorskip("openpyxl", reason="pip install 'openpyxl>=3.1,<4'")
    book = openpyxl.Workbook()
    book.active.append(["user_id", "item_id", "InvoiceDate"])
    for n, (user, item, time, _) in enumerate(rows()):
        book.active.append([int(user), float(item), datetime.fromtimestamp(time, UTC).replace(tzinfo=None)])
        if n == 3:
            book.active.append([None, None, None])
    book.create_sheet("notes").append(["not", "this"])
    book.save(tmp_path / "log.xlsx")
    run(tmp_path, path=str(tmp_path / "log.xlsx"))
    assert sequences(tmp_path / "out") == ORDER


def test_a_workbook_without_its_package_names_the_command(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    refused(tmp_path, r"pip install 'openpyxl>=3.1,<4'", path=str(tmp_path / "book.xlsx"))


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_missing_ids_and_float_ids(tmp_path, source):
    table = frame(user_id=lambda d: d.user_id.astype(float).astype(str), item_id=lambda d: d.item_id + ".00")
    lost = pd.DataFrame({"user_id": ["nan", "NULL", "", "N/A", "\\N"], "item_id": "701", "timestamp": 1, "rating": 1})
    table = pd.concat([table, lost])
    path = tmp_path / f"log.{source}"
    table.to_csv(path, index=False) if source == "csv" else table.to_parquet(path)
    items = log(tmp_path, "item_id,title,brand\n" + "".join(f"70{n},T{n},NULL\n" for n in range(5)), "i.csv")
    data = run(tmp_path, source, path=str(path), item_file=items)
    assert sequences(tmp_path / "out") == ORDER
    assert {(item.title, item.brand) for item in data.catalog.items} == {(f"T{n}", None) for n in range(5)}
    assert any("missing_id: 5" in line for line in data.repairs)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("['A', 'B']", ["A", "B"]), ('["A", "B"]', ["A", "B"]), ("['A' 'B']", ["A", "B"]), ("A > B", ["A", "B"]),
        ("[['A'], ['A', 'B']]", ["A", "B"]), ("A|B", ["A", "B"]), ("nan", []), ("[]", []),
        ("Pots & pans", ["Pots & pans"]),
        ("['O\\'Neil', 'B']", ["O'Neil", "B"]),
    ],
)  # fmt: skip
def test_a_cell_of_names_is_a_path(cell, names):
    assert path_names(cell) == names


def test_ids_have_one_spelling():
    assert [normal_id(v) for v in ("1001.0", "1001.00", " 1001 ", 1001, 1001.0)] == ["1001"] * 5
    assert [normal_id(v) for v in ("0001", "007.0", "1.50", "a.0", "0.0", None)] == [
        "0001",
        "007.0",
        "1.50",
        "a.0",
        "0",
        "",
    ]
    assert is_missing(float("nan"))
    assert not is_missing("Nan's bread")


@pytest.mark.parametrize(
    "form",
    ["%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S UTC", "%d.%m.%Y %H:%M", "%a %b %d %H:%M:%S +0000 %Y", "%m/%d/%Y %I:%M:%S %p",
     "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S", "%d %b %Y %H:%M"],
)  # fmt: skip
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_dates_of_many_forms(tmp_path, form, source):
    table = frame(timestamp=lambda d: pd.to_datetime(d.timestamp, unit="s").dt.strftime(form))
    path = tmp_path / f"log.{source}"
    table.to_csv(path, index=False) if source == "csv" else table.to_parquet(path)
    run(tmp_path, source, path=str(path))
    assert sequences(tmp_path / "out") == ORDER


def read_times(*texts, **options):
    said = []
    column = TimeColumn("when", **options)
    column.add(texts)
    return column.finish(said.append).tolist(), said


def test_day_and_month_are_judged_by_the_column_or_asked_for():
    with pytest.raises(MindRecError, match="--day-first or --month-first"):
        read_times("1/2/2011", "3/4/2011")
    assert read_times("1/2/2011", "25/2/2011")[0][0] == 1296518400  # 1 February
    assert read_times("1/2/2011", "2/25/2011")[0][0] == 1293926400  # 2 January
    assert read_times("1/2/2011", day_first=True)[0] == [1296518400]
    assert read_times("1|2|2011", time_format="%d|%m|%Y")[0] == [1296518400]


def test_units_that_are_mixed_are_told_apart_and_said():
    values, said = read_times("1600000000", "1600000000000", "1600000000000000", "")
    assert values[:3] == [1.6e9] * 3
    assert "mixes units" in said[0]
    assert read_times("-5", "0", "1600000000") == ([-5, 0, 1.6e9], [])


def test_parquet_types_that_are_no_ids_or_times(tmp_path):
    for column, value in (("timestamp", True), ("item_id", [1, 2]), ("timestamp", pd.Timedelta(1, "s"))):
        table = frame()
        table[column] = [value] * len(table)
        table.to_parquet(tmp_path / "log.parquet")
        refused(tmp_path, f"column '{column}' is of type", source="parquet", path=str(tmp_path / "log.parquet"))
    frame(timestamp=lambda d: d.timestamp.astype("category")).to_parquet(tmp_path / "log.parquet")
    run(tmp_path, "parquet", path=str(tmp_path / "log.parquet"))
    assert sequences(tmp_path / "out") == ORDER


def test_parts_of_two_types_are_one_log(tmp_path):
    (tmp_path / "parts").mkdir()
    frame()[:20].astype({"user_id": int}).to_parquet(tmp_path / "parts" / "1.parquet")
    frame()[20:].astype({"user_id": float}).to_parquet(tmp_path / "parts" / "2.parquet")
    run(tmp_path, "parquet", path=str(tmp_path / "parts"))
    assert sequences(tmp_path / "out") == ORDER


def test_columns_are_known_by_their_usual_names_and_said(tmp_path):
    table = frame().rename(columns={"user_id": "CustomerID", "item_id": "StockCode", "timestamp": "InvoiceDate"})
    data = run(tmp_path, path=log(tmp_path, table.to_csv(index=False)))
    assert sequences(tmp_path / "out") == ORDER
    assert sum("is taken as" in line for line in data.repairs) == 3


def test_no_time_column(tmp_path):
    path = log(tmp_path, frame().sort_values(["user_id", "timestamp"])[["user_id", "item_id"]].to_csv(index=False))
    refused(tmp_path, "--no-time", path=path)
    run(tmp_path, path=path, no_time=True)
    assert sequences(tmp_path / "out") == ORDER
    by_item = log(tmp_path, frame().sort_values("item_id")[["user_id", "item_id"]].to_csv(index=False))
    assert any("sorted by item id" in line for line in run(tmp_path, path=by_item, no_time=True).repairs)


def test_rows_that_count(tmp_path):
    path = log(tmp_path, frame(kind=lambda d: ["view", "buy"] * (len(d) // 2)).to_csv(index=False))
    assert any("--keep" in line for line in run(tmp_path, path=path).repairs) is False  # `kind` is no known name
    run(tmp_path, path=path, min_rating=4)
    assert sequences(tmp_path / "out") == {user: items[3:] for user, items in ORDER.items()}
    run(tmp_path, path=path, keep=["rating=4,5"])
    assert sequences(tmp_path / "out") == {user: items[3:] for user, items in ORDER.items()}
    data = run(tmp_path, path=path, keep=["kind=buy"])
    assert sum(map(len, data.interactions.sequences)) == 20
    with pytest.raises(MindRecError, match="COLUMN=VALUE"):
        run(tmp_path, path=path, keep=["nothing=1"])


def test_repeats_and_copies_are_said(tmp_path):
    text = frame().to_csv(index=False)
    copies = run(tmp_path, path=log(tmp_path, text + text.split("\n", 1)[1]))
    assert any("duplicate_event: 40" in line for line in copies.repairs)
    again = pd.concat([frame(), frame(timestamp=lambda d: d.timestamp + 10**7)])
    data = run(tmp_path, path=log(tmp_path, again.to_csv(index=False)))
    assert "100% of 8 test targets" in repeats_in_test(data.interactions)


def test_item_files_with_other_names(tmp_path):
    path = log(tmp_path, frame().to_csv(index=False))
    lines = "".join(f'{{"code": "70{n}", "label": "T{n}", "cats": ["A", "B{n}"]}}\n' for n in range(5))
    options = {"item_file": log(tmp_path, lines, "i.jsonl"), "item_file_id": "code"}
    data = run(tmp_path, path=path, **options, title_column="label", category_columns="cats")
    assert {(item.title, item.categories) for item in data.catalog.items} == {
        (f"T{n}", ("A", f"B{n}")) for n in range(5)
    }
    other = log(tmp_path, "item_id,title\nx1,A\nx2,B\n", "o.csv")
    with pytest.raises(MindRecError, match="lists none of the 5 items"):
        run(tmp_path, path=path, item_file=other)


def test_labels_and_deep_paths(tmp_path):
    path = log(tmp_path, frame().to_csv(index=False))
    labels = ["Comedy|Action", "Action|Comedy", "Action", "Drama|Action", "Comedy"]
    items = log(tmp_path, "item_id,title,genres\n" + "".join(f"70{n},T,{g}\n" for n, g in enumerate(labels)), "i.csv")
    assert any("--labels" in line for line in run(tmp_path, path=path, item_file=items).repairs)
    read = {}
    for how in ("first", "rarest", "sorted"):
        data = run(tmp_path, path=path, item_file=items, labels=how)
        read[how] = [item.categories for item in sorted(data.catalog.items, key=lambda item: item.item_id)][:4:3]
    assert read == {
        "first": [("Comedy",), ("Drama",)],
        "rarest": [("Comedy",), ("Drama",)],
        "sorted": [("Action", "Comedy"), ("Action", "Drama")],
    }
    deep = "".join(f"70{n},T,Shop > Home > S{n % 2} > T{n} > U{n} > V{n}\n" for n in range(5))
    data = run(tmp_path, path=path, item_file=log(tmp_path, "item_id,title,category\n" + deep, "d.csv"))
    assert data.catalog.items[0].categories[0] in ("S0", "S1")
    assert any("Shop > Home" in line for line in data.repairs)
    assert any("the first 3 are used" in line for line in data.repairs)


def test_rounded_ids_are_said():
    from mindrec.sources.interactions_log import collect

    repairs = Repairs()
    collect([("", "u", "9.78E+12", 1.0), ("", "u", "12E", 2.0)], repairs)
    assert any("rounded" in line for line in repairs.lines())


def test_a_time_of_day_without_a_date_is_no_time():
    """Read as that of today, the order would depend on the clock."""
    values, _ = read_times("10:20", "9:05:30", "11:00 PM", "2020-01-02 10:20")
    assert [math.isnan(v) for v in values] == [True, True, True, False]


def test_a_log_of_numbers_or_iso_dates_needs_no_library_of_dates(tmp_path):
    """It weighs as much as a million rows, so that it is loaded for dates of other forms alone."""
    dated = frame(timestamp=lambda d: pd.to_datetime(d.timestamp, unit="s").dt.strftime("%Y-%m-%d %H:%M:%S"))
    paths = [log(tmp_path, frame().to_csv(index=False), "n.csv"), log(tmp_path, dated.to_csv(index=False), "d.csv")]
    code = (
        "import sys; from mindrec.sources import source; read = [source('csv')(path) for path in sys.argv[1:]]; "
        "print([len(data.interactions) for data in read], 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "[8, 8] False"


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=9), st.integers(1, 4))
def test_repeats_of_a_sequence_are_found_some_users_at_a_time(rows, at_a_time):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "USERS_AT_A_TIME", at_a_time)
        held = Ragged.of(rows)
        again = meaning._had_before(held.flat, held.starts)
    assert again.tolist() == [item in row[:n] for row in rows for n, item in enumerate(row)]


def test_repeats_of_the_test_split_are_counted_without_cases():
    from mindrec.data.catalog import Interactions
    from mindrec.data.splits import cases, repeats_in_test, repeats_warning

    for sequences, split in (([[0, 1, 0], [1, 1], [0, 1]], None), ([[0, 1, 0], [1, 1]], ("train", "test"))):
        made = Interactions(tuple(map(str, range(len(sequences)))), Ragged.of(sequences), 2, split)
        assert repeats_in_test(made) == repeats_warning(cases(made, "test"), "test") is not None


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_columns_of_the_log_describe_its_items_and_it_is_said(tmp_path, source):
    shelf = {n: f"House > Room {n % 2}" for n in range(5)}
    table = frame(
        ProductName=lambda d: [f"Tool {i}" if n % 5 else "" for n, i in enumerate(d.item_id)],
        category=lambda d: [shelf[int(i) % 10] for i in d.item_id],
        brand=lambda d: [f"shop of row {n}" for n in range(len(d))],
    )
    path = tmp_path / f"log.{source}"
    table.to_csv(path, index=False) if source == "csv" else table.to_parquet(path)
    data = run(tmp_path, source, path=str(path))
    by_id = {item.item_id: item for item in data.catalog.items}
    assert {(i.title, i.brand, i.categories) for i in by_id.values()} == {
        (f"Tool 70{n}", None, ("House", f"Room {n % 2}")) for n in range(5)
    }
    said = " ".join(data.repairs)
    assert "'ProductName' as the title, 'category' as the category" in said
    assert "'brand' differs within an item" in said
    data = run(tmp_path, source, path=str(path), title_column="", category_columns="")
    assert {(item.title, item.categories) for item in data.catalog.items} == {(f"Item 70{n}", ()) for n in range(5)}
    data = run(tmp_path, source, path=str(path), title_column="brand")
    assert all(item.title.startswith("shop of row") for item in data.catalog.items)


def test_a_path_in_dots_and_numbered_levels_are_known(tmp_path):
    dotted = frame(category_code=lambda d: [f"home.room{int(i) % 2}" for i in d.item_id])
    data = run(tmp_path, path=log(tmp_path, dotted.to_csv(index=False)))
    assert data.catalog.items[0].categories in (("home", "room0"), ("home", "room1"))
    levels = frame(category_2=lambda d: [f"Room {int(i) % 2}" for i in d.item_id], category_1="House")
    data = run(tmp_path, path=log(tmp_path, levels.to_csv(index=False)))
    assert data.catalog.items[0].categories in (("House", "Room 0"), ("House", "Room 1"))


def test_a_depth_that_is_given_is_used_wherever_the_data_is_read(tmp_path):
    items = "".join(f"70{n},T{n},A{n % 2} > B{n} > C{n} > D{n} > E{n}\n" for n in range(5))
    options = {"path": log(tmp_path, frame().to_csv(index=False))}
    options["item_file"] = log(tmp_path, "item_id,title,category\n" + items, "i.csv")
    data = run(tmp_path, **options)
    assert any("--depth 5 uses all" in line for line in data.repairs)
    assert load_prepared(tmp_path / "out").catalog.tree.depth == 3
    run(tmp_path, **options, depth=5)
    assert load_prepared(tmp_path / "out").catalog.tree.depth == 5
    prepare("jsonl", tmp_path / "again", {"path": tmp_path / "out"}, command="…", say=lambda line: None)
    assert load_prepared(tmp_path / "again").catalog.tree.depth == 5
    with pytest.raises(MindRecError, match=r"--depth 0 is outside 1\.\.12"):
        run(tmp_path, **options, depth=0)


def test_returns_and_kinds_of_events_in_parquet_are_said(tmp_path):
    table = frame(event_type=lambda d: ["view", "buy"] * (len(d) // 2), quantity=lambda d: [1, -1] * (len(d) // 2))
    table.to_parquet(tmp_path / "log.parquet")
    said = " ".join(run(tmp_path, "parquet", path=str(tmp_path / "log.parquet")).repairs)
    assert "every row counts, whatever its 'event_type'" in said
    assert "negative 'quantity'" in said


def test_zeros_that_one_file_lost_are_named(tmp_path):
    zeros = frame().assign(item_id=lambda table: "00" + table.item_id)
    options = {"path": log(tmp_path, zeros.to_csv(index=False))}
    options["item_file"] = log(tmp_path, "item_id,title\n" + "".join(f"70{n},Item\n" for n in range(5)), "i.csv")
    refused(tmp_path, r"'0070\d' of the log and '70\d' of the item file differ in leading zeros", **options)


@pytest.mark.parametrize("most", [2, 3])
def test_sequences_too_short_to_train_on_are_said(tmp_path, most):
    data = run(tmp_path, path=log(tmp_path, frame().groupby("user_id").head(most).to_csv(index=False)))
    line = next(line for line in data.repairs if line.startswith("WARNING: `train` will refuse"))
    assert f"has {most} items, and 4 are needed" in line


def test_own_semantic_ids_that_miss_items_are_counted_with_the_first():
    ids, codes = ["a", "b", "c", "d"], ["<a_1>", "<b_2>"]
    assert whole_semantic_ids(dict.fromkeys(ids, codes), ids, Repairs()) == dict.fromkeys(ids, tuple(codes))
    for own, says in (
        ({"a": codes, "d": codes}, "2 of 4 items have none (first: item b)"),
        (dict.fromkeys(ids, codes) | {"c": [*codes, "<c_9>"]}, "1 of 4 items have another number of codes than 2"),
        (dict.fromkeys(ids, codes) | {"c": None}, "1 of 4 items have none (first: item c)"),
    ):
        repairs = Repairs()
        assert whole_semantic_ids(own, ids, repairs) is None
        assert says in repairs.lines()[0]
        assert "--semantic-ids residual" in repairs.lines()[0]


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_negative_times_keep_their_order(tmp_path, source):
    table, path = frame(timestamp=lambda d: d.timestamp - START - 200_000), tmp_path / f"log.{source}"
    table.to_csv(path, index=False) if source == "csv" else table.to_parquet(path)
    run(tmp_path, source, path=str(path))
    assert sequences(tmp_path / "out") == ORDER
