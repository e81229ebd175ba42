"""Exports of sheets, servers and other programs: what they add around a table is no part of it."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import write

from mindrec.data.catalog import load_prepared
from mindrec.data.ids import normal_id
from mindrec.errors import MindRecError
from mindrec.sources.look import look
from mindrec.sources.prepare import prepare

HEAD = ("user_id", "item_id", "timestamp")
START = 1_650_000_000
ROWS = [(f"u{u}", str(310 + (u + 3 * k) % 7), START + 90_000 * k + u) for u in range(6) for k in range(5)]
WANTED = {f"u{u}": [str(310 + (u + 3 * k) % 7) for k in range(5)] for u in range(6)}


def table(rows=ROWS, head=HEAD, sep=",", tail="") -> str:
    return "".join(sep.join(map(str, row)) + tail + "\n" for row in [head, *rows])


def prepared(tmp_path, text, name="log.csv", **options) -> tuple[dict[str, list[str]], list[str]]:
    """({user: item ids}, what was said) of a log that is prepared."""
    said: list[str] = []
    source = options.pop("source", "csv")
    path = text if source == "parquet" else write(tmp_path / name, text)
    prepare(source, tmp_path / "out", {"path": str(path), **options}, command="…", say=said.append)
    data = load_prepared(tmp_path / "out")
    ids = [item.item_id for item in data.catalog.items]
    items = {
        user: [ids[row] for row in rows]
        for user, rows in zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    }
    return items, said


def times(form):
    return [(u, i, form(datetime.fromtimestamp(t, UTC))) for u, i, t in ROWS]


@pytest.mark.parametrize(
    "text",
    [
        table(sep="^"),
        table(sep="~"),
        table(sep="\x01"),
        table(sep="||"),
        "sep=;\n" + table(sep=";"),
        "\ufeff" + '"sep=\t"\r\n' + table(sep="\t"),
        "# shop export 2.1\n# made 2024-05-01, by hand\n" + table(),
        "#user_id,item_id,timestamp\n" + table().split("\n", 1)[1],
        "Orders of May\nMade: 1 June 2024\n\n" + table(),
        table(sep=";", tail=";"),
        table(tail=",,"),
        table([(u, f' "{i}"', t) for u, i, t in ROWS]),
        table([(f"'{u}'", f"'{i}'", f"'{t}'") for u, i, t in ROWS], [f"'{name}'" for name in HEAD]),
        table([(u, f'="{i}"', t) for u, i, t in ROWS]),
        table([(u, f"\u200b{i}\ufeff", t) for u, i, t in ROWS]),
        table([(u, i, f'"{t:,}"') for u, i, t in ROWS]),
        table(times(lambda moment: moment.strftime("%d/%b/%Y:%H:%M:%S +0000"))),
        table(times(lambda moment: moment.strftime("[%d/%b/%Y:%H:%M:%S +0000]"))),
        table(head=["Kundennummer", "Artikel", "Datum"]),
        table(head=["Customer Email", "Lineitem SKU", "Created at"]),
        '"user\nid","item_id","timestamp"\n' + table().split("\n", 1)[1],
        table() + "\n(30 rows)\n",
    ],
)
def test_what_surrounds_a_table_is_no_part_of_it(tmp_path, text):
    given = {"separator": "||"} if "||" in text else {}
    assert prepared(tmp_path, text, **given)[0] == WANTED


def test_lines_above_the_table_are_said_and_the_others_keep_their_numbers(tmp_path):
    _, said = prepared(tmp_path, "Orders of May\n\n" + table([*ROWS[:4], ("u9", "", START), *ROWS[4:]]))
    text = "\n".join(said)
    assert "2 lines above the table are no rows and left out ('Orders of May')" in text
    assert "log.csv, line 8" in text  # two lines above, the header, four rows


def test_a_header_with_fewer_names_than_fields_is_no_text_above(tmp_path):
    with pytest.raises(MindRecError, match="more fields"):
        prepared(tmp_path, table([(u, i, t, "a", "b") for u, i, t in ROWS]))


def test_objects_in_json_lines_are_columns(tmp_path):
    lines = [json.dumps({"user": {"id": u}, "item": {"id": i, "title": f"T{i}"}, "timestamp": t}) for u, i, t in ROWS]
    data, said = prepared(tmp_path, "\n".join(lines), name="log.jsonl")
    assert data == WANTED
    assert any("'user.id' is taken as the user" in line for line in said)
    assert load_prepared(tmp_path / "out").catalog.items[0].title == f"T{ROWS[0][1]}"


@pytest.mark.parametrize("missing", ["#REF!", "#DIV/0!", "undefined", "(blank)", "-", "NaT"])
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_words_of_sheets_and_scripts_for_no_value_are_no_ids(tmp_path, source, missing):
    rows = [*ROWS, (missing, "310", START), ("u1", missing, START)]
    text = table(rows)
    if source == "parquet":
        text = tmp_path / "log.parquet"
        pq.write_table(pa.table(list(map(list, zip(*rows, strict=True))), names=HEAD), text)
    data, said = prepared(tmp_path, text, source=source)
    assert data == WANTED
    assert any("missing_id: 2" in line for line in said)


def test_ids_have_one_spelling_in_parquet_too(tmp_path):
    rows = [(u, f'="{i}"' if n % 2 else f"\u200b{i}", t) for n, (u, i, t) in enumerate(ROWS)]
    pq.write_table(pa.table(list(map(list, zip(*rows, strict=True))), names=HEAD), tmp_path / "log.parquet")
    assert prepared(tmp_path, tmp_path / "log.parquet", source="parquet")[0] == WANTED
    assert [normal_id('="007"'), normal_id(" \u200b7\ufeff ")] == ["007", "7"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!DOCTYPE html>\n<html><body>sign in</body></html>", "web page"),
        ('<?xml version="1.0"?>\n<rows><row user="1"/></rows>', "XML"),
        ("+---------+\n| user_id |\n+---------+\n| 1       |\n", "drawn with lines"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, text, says):
    with pytest.raises(MindRecError, match=says):
        prepared(tmp_path, text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(u, i, 0) for u, i, _ in ROWS], "all rows have the same time"),
        ([(u, i, 0 if n == 7 else t) for n, (u, i, t) in enumerate(ROWS)], "1 rows have a time before 1990"),
        ([(u, i, 1000 * (t + 10**10 * (n == 7))) for n, (u, i, t) in enumerate(ROWS)], "first: 2339-"),
        ([(u, i, "1900-01-01" if n == 7 else "2023-05-07") for n, (u, i, _) in enumerate(ROWS)], "first: 1900-01-01"),
        ([("me", str(n), t) for n, (_, _, t) in enumerate(ROWS)], "all rows are of one user"),
        (
            [(f"u{n % 25}", str(n % 9), START + n) for n in range(100)]
            + [("0", str(n % 9), START + n) for n in range(40)],
            "user '0' has 29% of all rows",
        ),
    ],
)
def test_what_makes_an_order_or_a_user_doubtful_is_said(tmp_path, rows, says):
    assert any(says in line and "WARNING" in line for line in prepared(tmp_path, table(rows))[1])


def test_places_in_time_that_are_no_dates_are_left_alone(tmp_path):
    said = prepared(tmp_path, table([(u, i, n) for n, (u, i, _) in enumerate(ROWS)]))[1]
    assert not any("before 1990" in line for line in said)


def test_thousands_with_commas_are_no_decimal_commas_in_a_look(tmp_path):
    path = write(
        tmp_path / "log.csv", table([(u, i, t, f'"{n + 1},500"') for n, (u, i, t) in enumerate(ROWS)], [*HEAD, "price"])
    )
    line = next(line for line in look("csv", {"path": str(path)}).splitlines() if line.strip().startswith("price"))
    assert line.split()[1:3] == ["number", "1,500,"]
