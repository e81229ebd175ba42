"""The first look at a log: what the file is, its columns and their roles, and a command that works as it stands."""

import shlex

import pandas as pd
import pytest
from tables import write
from typer.testing import CliRunner

from mindrec.cli.main import app
from mindrec.data.catalog import load_prepared
from mindrec.errors import MindRecError
from mindrec.sources.look import look
from mindrec.sources.prepare import prepare
from mindrec.sources.values import number

ROWS = [(f"1{u}", f"5{(u + k) % 4}", f"{k + 13}/2/2021 10:00", f"{k + 1},5") for u in range(6) for k in range(4)]


def log(tmp_path, *head, mark=";"):
    rows = [head, *ROWS] if head else ROWS
    return str(write(tmp_path / "log.txt", "".join(mark.join(row) + "\n" for row in rows)))


def ran(tmp_path, text: str):
    """The data that the command on the last line of a look prepares."""
    words = shlex.split(text.splitlines()[-1].removeprefix("run: "))
    assert words[:4] == ["python", "-m", "mindrec", "prepare"]
    words[words.index("--out") + 1] = str(tmp_path / "prepared")
    done = CliRunner().invoke(app, words[3:], catch_exceptions=False)
    assert done.exit_code == 0
    return load_prepared(tmp_path / "prepared")


def test_a_look_names_the_file_its_columns_and_their_roles_and_its_command_works(tmp_path):
    path = log(tmp_path, "CustomerID", "StockCode", "InvoiceDate", "stars")
    text = look("csv", {"path": path, "min_rating": 2})
    lines = text.splitlines()
    assert lines[0] == "log.txt: text table, UTF-8, semicolon between fields, with a header line"
    shown = {words[0]: words for words in map(str.split, lines[1:5])}
    assert shown["CustomerID"][1:5] == ["whole", "number", "<-", "user"]
    assert shown["InvoiceDate"][1:4] == ["date", "<-", "time"]
    assert shown["stars"][1:] == ["decimal", "comma", "1,5,", "2,5,", "3,5"]
    assert any("0% name an item that their user had before" in line for line in lines)
    data = ran(tmp_path, text)
    assert [len(rows) for rows in data.interactions.sequences] == [3] * 6


def test_a_file_without_a_header_gets_a_command_with_columns_by_number(tmp_path):
    data = ran(tmp_path, look("csv", {"path": log(tmp_path)}))
    assert len(data.interactions) == 6


def test_what_prepare_would_refuse_stands_in_the_look(tmp_path):
    text = look("csv", {"path": log(tmp_path, "who", "what", "when", "stars")})
    assert "refused: log.txt has no column known as the user" in text
    assert "--user-column COLUMN --item-column COLUMN --time-column when" in text
    rows = [(u, i, "1/2/2021", "1") for u, i, *_ in ROWS]
    path = write(tmp_path / "d.csv", "".join(",".join(r) + "\n" for r in [("user", "item", "date", "n"), *rows[:3]]))
    write(path, path.read_text() + "9,9,3/4/2021,1\n")
    assert "--day-first or --month-first" in look("csv", {"path": str(path)})


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_other_forms_have_a_look_with_their_item_file(tmp_path, kind):
    table = pd.DataFrame(ROWS, columns=["user_id", "asin", "when", "stars"])
    path = tmp_path / f"log.{kind}"
    table.to_parquet(path) if kind == "parquet" else table.to_json(path, orient="records", lines=True)
    items = str(write(tmp_path / "i.csv", "asin,name,genres\n" + "".join(f"5{n},T{n},A>B{n}\n" for n in range(4))))
    text = look("parquet" if kind == "parquet" else "csv", {"path": str(path), "item_file": items})
    assert {"parquet": "Parquet", "jsonl": "JSON lines, UTF-8"}[kind] == text.splitlines()[0].split(": ")[1]
    data = ran(tmp_path, text)
    assert {(item.title, item.categories) for item in data.catalog.items} == {
        (f"T{n}", ("A", f"B{n}")) for n in range(4)
    }


def test_a_refusal_is_preceded_by_the_look_and_nothing_is_written(tmp_path, capsys):
    path = log(tmp_path, "who", "what", "when", "stars")
    with pytest.raises(MindRecError, match="known as the user"):
        prepare("csv", tmp_path / "out", {"path": path}, command="…", say=print)
    assert "log.txt: text table" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(app, ["prepare", "csv", "--path", path, "--look"], catch_exceptions=False)
    assert done.output.startswith("log.txt: text table")
    with pytest.raises(MindRecError, match="--out is missing"):
        CliRunner().invoke(app, ["prepare", "csv", "--path", path], catch_exceptions=False)


def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path):
    for data, says in ((b"\x1f\x8b\x08\x00", "a gz file"), (b"user,item\n", "a text table"), (b"PK\x03\x04", "a zip")):
        (tmp_path / "x.parquet").write_bytes(data)
        with pytest.raises(MindRecError, match=f"no Parquet file but {says}"):
            prepare("parquet", tmp_path / "out", {"path": str(tmp_path / "x.parquet")}, command="…", say=print)
    write(tmp_path / "a.json", '[{"user_id": 1, "item_id": 2}]')
    with pytest.raises(MindRecError, match="one JSON array"):
        prepare("csv", tmp_path / "out", {"path": str(tmp_path / "a.json")}, command="…", say=print)


@pytest.mark.parametrize(
    ("text", "value"),
    [("4.5", 4.5), ("4,5", 4.5), ("1.234,50", 1234.5), ("1,234.50", 1234.5), ("1,234,567", 1234567), ("$ 12.99", 12.99),
     ("1 234,5 €", 1234.5), ("-3", -3), ("", None), ("nan", None), ("inf", None), ("4,5 stars", None)],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    assert number(text) == value
