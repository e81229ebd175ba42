"""Tables that pandas writes in random dialects come back equal, or are refused with the file and the line."""

import csv
import random

import pandas as pd
import pytest

from mindrec.data.catalog import load_prepared
from mindrec.errors import MindRecError
from mindrec.sources.prepare import prepare

TITLES = ("Rake, red", "Pot; small", 'The "big" one', "Tea | cup", "Größe L", "plain", "two  blanks", "a\tb", "L'été")
FORMS = ("seconds", "milliseconds", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M")
IDS = {"text": "P{}x", "number": "9{}", "zeros": "00{}", "float": "9{}.0"}


def dialect(rng: random.Random) -> dict:
    """How a table is written, by pandas' own names, and the forms of its ids and times."""
    return {
        "sep": rng.choice([",", ";", "\t", "|"]),
        "encoding": rng.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        "quoting": rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "lineterminator": rng.choice(["\n", "\r\n", "\r"]),
        "na_rep": rng.choice(["", "NULL", "nan", "N/A", "\\N"]),
        "ids": rng.choice(sorted(IDS)),
        "form": rng.choice(FORMS),
    }


def times(seconds: pd.Series, form: str) -> pd.Series:
    if form == "seconds":
        return seconds
    return seconds * 1000 if form == "milliseconds" else pd.to_datetime(seconds, unit="s").dt.strftime(form)


def made(rng: random.Random, chosen: dict) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """(log in no order and with rows without an item, items, {user: item ids as they are to come back})."""
    n_items = rng.randint(5, 9)
    ids = [IDS[chosen["ids"]].format(10 + n) for n in range(n_items)]
    rows, wanted = [], {}
    for user in range(rng.randint(4, 8)):
        taken = rng.sample(range(n_items), rng.randint(3, 5))
        wanted[f"u{user}"] = [ids[n].removesuffix(".0") for n in taken]
        # Days 20 and later: a date tells its day from its month.
        rows += [(f"u{user}", ids[n], 1_611_100_000 + 100_000 * k + user) for k, n in enumerate(taken)]
    rows += [("u0", None, 1_611_100_007)]
    rng.shuffle(rows)
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    titles = [f"{rng.choice(TITLES)} {n}" for n in range(n_items)]
    return log, pd.DataFrame({"item_id": ids, "title": titles}), wanted


def holds(tmp_path, seed: int) -> None:
    """A table of one dialect: equal, or refused with its line and nothing written."""
    rng = random.Random(seed)
    chosen = dialect(rng)
    log, items, wanted = made(rng, chosen)
    log["timestamp"] = times(log["timestamp"], chosen["form"])
    options = {key: chosen[key] for key in ("sep", "encoding", "quoting", "lineterminator", "na_rep")}
    paths = {"path": tmp_path / "log.csv", "item_file": tmp_path / "items.csv"}
    for path, table in zip(paths.values(), (log, items), strict=True):
        table.to_csv(path, index=False, **options)
    out = tmp_path / "out"
    given = {key: str(path) for key, path in paths.items()}
    refusal = None
    try:
        prepare("csv", out, given, command="…", say=lambda line: None)
    except MindRecError as error:
        refusal = str(error)
    if refusal is not None:
        assert not out.exists(), chosen
        assert any(f"{path.name}, line " in refusal for path in paths.values()), (chosen, refusal)
        return
    data = load_prepared(out)
    names = [item.item_id for item in data.catalog.items]
    pairs = zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    assert {user: [names[r] for r in held] for user, held in pairs} == wanted, chosen
    title_of = {i.removesuffix(".0"): " ".join(t.split()) for i, t in items.itertuples(index=False)}
    assert {i.item_id: i.title for i in data.catalog.items} == {i: title_of[i] for i in names}, chosen


@pytest.mark.parametrize("seed", range(25))
def test_a_table_of_a_random_dialect_comes_back_equal(tmp_path, seed):
    holds(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25, 225))
def test_two_hundred_random_dialects(tmp_path, seed):
    holds(tmp_path, seed)
