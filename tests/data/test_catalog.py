"""Catalogs and prepared data: what is refused and in which words, and that a write is whole or not at all."""

import gzip
import itertools
import json
import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, load_prepared, save_prepared
from mindrec.data.category_tree import HERE, CategoryTree
from mindrec.errors import MindRecError
from mindrec.sources import source
from mindrec.sources.synthetic import load as synthetic
from mindrec.system.files import FolderKind, atomic_path, replace_folder


def catalog(*paths, **settings) -> Catalog:
    return Catalog(tuple(Item(f"i{n}", f"Item {n}", tuple(p)) for n, p in enumerate(paths)), **settings)


# -- the tree ----------------------------------------------------------------------------------------------------------


def test_one_name_under_two_parents_is_two_nodes():
    """Fault 13 of the published code: categories keyed by name collapse."""
    tree = catalog(("Food", "Other"), ("Tools", "Other"), ("Tools", "Saws")).tree
    assert tree.sizes == [2, 3]
    assert tree.codes[0, 1] != tree.codes[1, 1]
    assert tree.levels[1] == [("Food", "Other"), ("Tools", "Other"), ("Tools", "Saws")]


def test_short_paths_are_padded_with_here():
    tree = catalog(("Food",), ("Food", "Nuts"), ()).tree
    assert tree.levels[1][int(tree.codes[0, 1])] == ("Food", HERE)
    assert tree.levels[1][int(tree.codes[2, 1])] == (HERE, HERE)
    assert tree.padded == 2


def test_depth_is_data_not_a_constant():
    assert catalog((), ()).tree.depth == 0
    assert catalog((), ()).tree.codes.shape == (2, 0)
    assert catalog(("a", "b", "c", "d", "e")).tree.depth == 5
    cut = catalog(("a", "b", "c"), ("a",), category_depth=2).tree
    assert cut.depth == 2
    assert cut.cut == 1
    assert cut.padded == 1


@given(paths=st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=20))
def test_codes_name_the_path_and_children_stay_in_their_parent(paths):
    tree = CategoryTree(paths)
    for path, codes in zip(paths, tree.codes, strict=True):
        padded = tuple(path) + (HERE,) * (tree.depth - len(path))
        for level, code in enumerate(codes):
            assert tree.levels[level][code] == padded[: level + 1]
    assert tree.items_per_leaf().sum() == len(paths)


# -- validation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ((), "at least one is needed"),
        ((Item("", "x"),), "empty item_id"),
        ((Item("a", "x"), Item("b", "y"), Item("a", "z")), r"'a' occurs twice \(rows 0 and 2\)"),
        ((Item("a", "  "),), "'a' has an empty title"),
        ((Item("a", "x", ("Food", " ")),), "'a' has an empty name"),
    ],
)
def test_a_bad_catalog_is_refused(items, says):
    with pytest.raises(MindRecError, match=says):
        Catalog(items)


def test_an_unknown_item_is_named_with_a_remedy():
    with pytest.raises(MindRecError, match=r"'nope'.*2 items.*search"):
        catalog((), ()).rows(["i0", "nope"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"user_ids": ("u",)}, "one each"),
        ({"split": ("train",)}, "all or none"),
        ({"split": ("train", "dev")}, "'dev' is not one of train, validation, test"),
        ({"sequences": (np.array([0]), np.array([], dtype=int))}, "'v' is empty"),
        ({"sequences": (np.array([0]), np.array([3]))}, "outside 0..2"),
        ({"sequences": (np.array([-1]), np.array([2]))}, "'u'"),
    ],
)
def test_bad_interactions_are_refused(change, says):
    fine = Interactions(("u", "v"), (np.array([0, 1]), np.array([2])), 3)
    with pytest.raises(MindRecError, match=says):
        replace(fine, **change)


def test_fingerprint_follows_what_names_tokens():
    base = catalog(("a",), ("b",))
    assert base.fingerprint == catalog(("a",), ("b",)).fingerprint
    changed = [
        catalog(("b",), ("a",)),
        Catalog((replace(base.items[0], title="Other"), base.items[1])),
        Catalog(base.items[::-1]),
        Catalog(base.items[:1]),
    ]
    assert len({base.fingerprint, *(c.fingerprint for c in changed)}) == 5


# -- the prepared form -------------------------------------------------------------------------------------------------


def made(split=None, ordered=True, semantic_ids=None) -> PreparedData:
    items = (
        Item("1", "Salsa, ü", ("Food", "Dips"), "Brand", "hot"),
        Item("2", "Chips", ("Food",)),
        Item("x/3", "Saw"),
    )
    rows = (np.array([0, 1, 2], dtype=np.int32), np.array([2, 2], dtype=np.int32))
    return PreparedData(
        Catalog(items, name="d"), Interactions(("u", "v"), rows, 3, split, ordered), semantic_ids, "# Notes\n"
    )


@pytest.mark.parametrize(
    "data",
    [made(), made(("train", "test"), False), made(semantic_ids={"1": ("a", "b"), "2": ("a", "c"), "x/3": ("d", "e")})],
    ids=["plain", "split", "own ids"],
)
def test_round_trip(data, tmp_path):
    save_prepared(data, tmp_path / "d")
    again = load_prepared(tmp_path / "d")
    assert again.catalog.items == data.catalog.items
    assert again.catalog.fingerprint == data.catalog.fingerprint
    assert again.interactions.user_ids == data.interactions.user_ids
    assert [s.tolist() for s in again.interactions.sequences] == [s.tolist() for s in data.interactions.sequences]
    assert (again.interactions.split, again.interactions.ordered) == (
        data.interactions.split,
        data.interactions.ordered,
    )
    assert again.semantic_ids == data.semantic_ids
    assert (tmp_path / "d" / "README.md").read_text() == "# Notes\n"
    assert source("jsonl")(tmp_path / "d").notes == "# Notes\n"


@pytest.fixture
def folder(tmp_path):
    save_prepared(made(("train", "test")), tmp_path / "d")
    return tmp_path / "d"


def rewrite(path, lines) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)


def refused(folder, *says: str) -> None:
    with pytest.raises(MindRecError) as caught:
        load_prepared(folder)
    for words in says:
        assert words in str(caught.value), str(caught.value)


GOOD = {"user_id": "u", "item_ids": ["1", "2"], "split": "train"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"user_id": \n', "not JSON"),
        ("[1, 2]\n", "a JSON object is needed"),
        ({"user_id": "u"}, "item_ids"),
        ({"user_id": "u", "item_ids": []}, "non-empty"),
        ({"user_id": "u", "item_ids": "12"}, "list"),
        ({"item_ids": ["1"]}, "user_id"),
        ({"user_id": "u", "item_ids": ["1", "77"]}, "'77' is not in items.jsonl.gz"),
    ],
)
def test_a_bad_sequence_names_file_and_line(folder, line, says):
    rewrite(folder / "sequences.jsonl.gz", [GOOD, GOOD, line])
    refused(folder, "sequences.jsonl.gz, line 3", says)


def test_a_split_for_some_only_is_refused(folder):
    rewrite(folder / "sequences.jsonl.gz", [GOOD, {"user_id": "v", "item_ids": ["1"]}])
    refused(folder, "all or none")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"title": "x"}, "no item_id"),
        ({"item_id": "1", "categories": "Food"}, "list of names"),
        ("nonsense\n", "line 1"),
    ],
)
def test_a_bad_item_is_named(folder, line, says):
    rewrite(folder / "items.jsonl.gz", [line])
    refused(folder, "items.jsonl.gz", says)


@pytest.mark.parametrize("name", ["items.jsonl.gz", "sequences.jsonl.gz"])
@pytest.mark.parametrize("damage", ["truncated", "not gzip", "flipped bytes", "missing", "not UTF-8"])
def test_a_damaged_archive_is_named(folder, name, damage):
    path = folder / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "not UTF-8":
        path.write_bytes(gzip.compress(b'{"item_id": "\xff\xfe"}\n'))
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes(b ^ 0xFF for b in whole[middle:])
        path.write_bytes({"truncated": whole[:middle], "not gzip": b"plain", "flipped bytes": flipped}[damage])
    refused(folder, name)


@pytest.mark.parametrize("text", ["{", "[]", '{"1": 5}'])
def test_damaged_semantic_ids_are_named(folder, text):
    (folder / "semantic_ids.json").write_text(text)
    refused(folder, "semantic_ids.json")


def test_no_folder_names_the_command(tmp_path):
    refused(tmp_path / "nowhere", "mindrec prepare")


def test_paths_deeper_than_asked_are_cut(tmp_path):
    data = replace(made(), catalog=catalog(("a", "b", "c", "d"), ("a",), ("a", "x")))
    save_prepared(data, tmp_path / "d")
    assert load_prepared(tmp_path / "d").catalog.tree.depth == 3
    assert load_prepared(tmp_path / "d", category_depth=None).catalog.tree.depth == 4


# -- whole or not at all -----------------------------------------------------------------------------------------------


def test_a_save_that_fails_leaves_the_old_folder_whole(folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    broken = replace(made(), semantic_ids={"1": object()})  # fails while the last file is written
    with pytest.raises(TypeError):
        save_prepared(broken, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["d"], "no temporary folder is left behind"


def test_a_save_replaces_the_folder_whole(folder):
    (folder / "semantic_ids.json").write_text("{}")
    save_prepared(made(), folder)
    assert not (folder / "semantic_ids.json").exists(), "a file of the old data would be taken for the new"
    assert [p.name for p in folder.parent.iterdir()] == ["d"]


def test_atomic_writers_clean_up(tmp_path):
    (tmp_path / "f").write_text("old")
    folder = partial(replace_folder, kind=FolderKind("a test", ("half",)))
    for writer, name in ((atomic_path, "f"), (folder, "g")):
        with pytest.raises(RuntimeError), writer(tmp_path / name) as temporary:  # noqa: PT012
            if name == "f":
                temporary.write_text("half")
            else:
                (temporary / "half").write_text("half")
            raise RuntimeError
    assert (tmp_path / "f").read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


# -- synthetic ---------------------------------------------------------------------------------------------------------


def test_synthetic_predictability_is_what_it_says():
    """At 1 the next item is a function of the last; at 0 following the cycle is chance."""

    def followed(data):
        pairs = [(a, b) for s in data.interactions.sequences for a, b in itertools.pairwise(s)]
        after = {}
        for a, b in pairs:
            after.setdefault(int(a), []).append(int(b))
        return sum(max(map(v.count, set(v))) for v in after.values()) / len(pairs)

    chain, noise = (synthetic(n_items=20, n_users=300, predictability=p) for p in (1.0, 0.0))
    assert followed(chain) == 1.0
    assert followed(noise) < 0.15
    again = synthetic(n_items=20, n_users=300, predictability=0.0)
    assert all((a == b).all() for a, b in zip(noise.interactions.sequences, again.interactions.sequences, strict=True))
    for bad in ({"predictability": 1.5}, {"n_items": 1}, {"length": 2}):
        with pytest.raises(MindRecError):
            synthetic(**bad)


def test_an_unknown_source_lists_the_known():
    with pytest.raises(MindRecError, match=r"grocery.*jsonl.*synthetic"):
        source("nope")
