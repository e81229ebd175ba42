"""Atomic files as published sets hold them: other separators, headers, splits and rolled-out lists."""

import gzip
import zipfile

import pytest
from tables import write

from mindrec.data.catalog import load_prepared
from mindrec.data.splits import cases, training_sequences
from mindrec.errors import MindRecError
from mindrec.sources.predefined import parts_of, unrolled
from mindrec.sources.prepare import prepare

ORDER = {f"8{u}": [f"30{(u + 3 * k) % 7}" for k in range(5)] for u in range(6)}
HEAD = ("user_id:token", "item_id:token", "timestamp:float")


def lines(mark="\t", head=HEAD, places=range(5)) -> str:
    """The log with the rows of each user at these places of their sequence."""
    rows = [(u, items[k], str(1000 + k)) for k in places for u, items in ORDER.items()]
    return "".join(mark.join(row) + "\n" for row in [head, *rows])


def run(tmp_path, path, **options):
    return prepare("recbole", tmp_path / "out", {"path": str(path)} | options, command="…", say=lambda line: None)


def sequences(data) -> dict[str, list[str]]:
    ids = [item.item_id for item in data.catalog.items]
    pairs = zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    return {user: [ids[r] for r in rows] for user, rows in pairs}


def asked(data, split) -> dict[str, tuple[list[str], str]]:
    ids = [item.item_id for item in data.catalog.items]
    sample = cases(data.interactions, split)
    return {case.user_id: ([ids[r] for r in case.history], ids[case.target]) for case in sample}


@pytest.mark.parametrize("mark", [",", " ", "    ", ";"])
def test_atomic_files_with_other_separators_are_read_and_it_is_said(tmp_path, mark):
    write(tmp_path / "a" / "a.inter", lines(mark))
    data = run(tmp_path, tmp_path / "a")
    assert sequences(data) == ORDER
    assert any("not by tabs" in line for line in data.repairs)


def test_headers_without_types_are_known_by_their_names(tmp_path):
    write(tmp_path / "a" / "a.inter", lines(head=("user_id", "item_id", "timestamp")))
    data = run(tmp_path, tmp_path / "a")
    assert sequences(data) == ORDER
    assert any("without types" in line for line in data.repairs)


def test_the_files_of_a_split_are_kept_as_the_split(tmp_path):
    for part, places in (("train", range(3)), ("valid", [3]), ("test", [4])):
        write(tmp_path / "a" / f"shop.{part}.inter", lines(places=places))
    run(tmp_path, tmp_path / "a")
    data = load_prepared(tmp_path / "out")
    assert asked(data, "validation") == {user: (items[:3], items[3]) for user, items in ORDER.items()}
    assert asked(data, "test") == {user: (items[:4], items[4]) for user, items in ORDER.items()}
    assert sorted(map(len, training_sequences(data.interactions))) == [3] * len(ORDER)


def test_a_split_without_a_validation_part_gets_one_and_several_targets_are_asked_each(tmp_path):
    for part, places in (("train", range(3)), ("test", [3, 4])):
        write(tmp_path / "a" / f"shop.{part}.inter", lines(places=places))
    data = run(tmp_path, tmp_path / "a")
    assert asked(data, "validation") == {user: (items[:2], items[2]) for user, items in ORDER.items()}
    assert len(cases(data.interactions, "test")) == 2 * len(ORDER)
    assert any("no validation part" in line for line in data.repairs)


def test_a_split_without_a_training_part_is_refused(tmp_path):
    for part in ("valid", "test"):
        write(tmp_path / "a" / f"shop.{part}.inter", lines())
    with pytest.raises(MindRecError, match=r"shop\.test.*one of them for training"):
        run(tmp_path, tmp_path / "a")
    assert parts_of(["a.train", "b.test"], "x") is None


def rolled(user, items, first) -> str:
    return "".join(f"{user}\t{' '.join(items[:k])}\t{items[k]}\n" for k in range(first, len(items)))


def test_rolled_out_lists_become_one_sequence_a_user(tmp_path):
    head = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
    text = head + "".join(rolled(user, items, 1) for user, items in ORDER.items())
    write(tmp_path / "a" / "a.inter", text)
    data = run(tmp_path, tmp_path / "a")
    assert sequences(data) == ORDER
    assert any("'item_id_list'" in line for line in data.repairs)
    for part, begin, end in (("train", 1, 3), ("valid", 3, 4), ("test", 4, 5)):
        rows = "".join(rolled(user, items[:end], begin) for user, items in ORDER.items())
        write(tmp_path / "b" / f"b.{part}.inter", head + rows)
    data = run(tmp_path, tmp_path / "b")
    assert asked(data, "test") == {user: (items[:4], items[4]) for user, items in ORDER.items()}
    assert asked(data, "validation") == {user: (items[:3], items[3]) for user, items in ORDER.items()}


def test_rolled_out_rows_that_were_cut_to_a_length_are_joined():
    assert unrolled([("u", ["a", "b", "c"]), ("u", ["b", "c", "d"]), ("u", ["c", "d", "a"])]) == {"u": list("abcda")}
    assert unrolled([("u", list("abcd")), ("u", list("bc")), ("v", list("a"))]) == {"u": list("abcd"), "v": ["a"]}


@pytest.mark.parametrize("title", ["app_name", "movie_title", "item_name"])
def test_items_of_other_column_names_have_titles_and_paths(tmp_path, title):
    write(tmp_path / "a" / "a.inter", lines(head=("user_id:token", "product_id:token", "timestamp:float")))
    rows = "".join(f"30{n}\tTool {n}\t['Garden', 'Kind {n % 2}']\t1.5\n" for n in range(7))
    write(tmp_path / "a" / "a.item", f"product_id:token\t{title}:token_seq\tgenres:token_seq\tprice:float\n" + rows)
    data = run(tmp_path, tmp_path / "a")
    item = data.catalog.items[data.catalog.row_of["303"]]
    assert (item.title, item.categories) == ("Tool 3", ("Garden", "Kind 1"))


def test_packed_atomic_files_and_a_single_file(tmp_path):
    packed = gzip.compress(lines().encode())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("data/a.inter.gz", packed)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.inter.gz").write_bytes(packed)
    write(tmp_path / "b" / "other.inter", "user_id:token\n")
    for path in (tmp_path / "a.zip", tmp_path / "b" / "a.inter.gz"):
        assert sequences(run(tmp_path, path)) == ORDER


def test_a_lone_quotation_mark_in_a_tabbed_title_is_a_text(tmp_path):
    write(tmp_path / "a" / "a.inter", lines())
    rows = "".join(f'30{n}\t"Tool {n}\n' for n in range(7))
    write(tmp_path / "a" / "a.item", "item_id:token\ttitle:token_seq\n" + rows)
    assert {item.title for item in run(tmp_path, tmp_path / "a").catalog.items} == {f'"Tool {n}' for n in range(7)}
