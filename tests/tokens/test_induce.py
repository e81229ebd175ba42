"""An induced tree finds groups that are there, is marked as made, and leaves no item out; semantic IDs by name."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from code_makers import product_codes, residual_kmeans
from hypothesis import given
from hypothesis import strategies as st

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData, load_prepared
from mindrec.errors import MindRecError
from mindrec.sources.prepare import prepare
from mindrec.sources.synthetic import load as synthetic
from mindrec.text.features import text_vectors
from mindrec.tokens.induce import UNKNOWN, induce_tree, node_names
from mindrec.tokens.quality import as_text, quality_report
from mindrec.tokens.semantic_id import Codebooks, codes_of_vectors, finest_category, semantic_codes

GROUPS = {
    "pasta": ["spaghetti", "penne", "fusilli", "lasagne"],
    "garden": ["rake", "shovel", "hose", "seeds"],
    "office": ["stapler", "paper", "pencil", "folder"],
}


def made(per_kind=6, n_users=80, seed=0, titled=True):
    """Three groups of four kinds; a user stays in one group."""
    rng = np.random.default_rng(seed)
    kinds = [(group, kind) for group, names in GROUPS.items() for kind in names for _ in range(per_kind)]
    items = tuple(
        Item(f"i{n}", f"{kind} {group} {'abcdefgh'[n % 8] * 2}" if titled else f"Item i{n}")
        for n, (group, kind) in enumerate(kinds)
    )
    group_N = np.array([list(GROUPS).index(group) for group, _ in kinds])
    rows = [
        rng.choice(np.flatnonzero(group_N == u % 3), min(8, 4 * per_kind), replace=False).astype(np.int32)
        for u in range(n_users)
    ]
    catalog = Catalog(items, name="made")
    interactions = Interactions(tuple(f"u{n}" for n in range(n_users)), tuple(rows), len(items))
    return PreparedData(catalog, interactions), group_N


@pytest.mark.parametrize("titled", [True, False])
def test_the_tree_finds_the_groups(titled):
    data, group_N = made(titled=titled)
    induced = induce_tree(data.catalog, data.interactions.sequences)
    tree = induced.catalog.tree
    assert induced.catalog.induced
    assert not data.catalog.induced
    for node in range(tree.sizes[0]):  # no node mixes two groups
        assert len(set(group_N[tree.codes[:, 0] == node])) == 1
    assert induced.report["levels"] == tree.depth
    assert induced.report["nodes"] == tree.sizes
    names = {path[0].split(",")[0].lower() for path in tree.levels[0]}
    assert (names & {*GROUPS, *(k for kinds in GROUPS.values() for k in kinds)}) if titled else names
    again = induce_tree(data.catalog, data.interactions.sequences)
    assert again.catalog.fingerprint == induced.catalog.fingerprint


def test_depth_comes_from_the_data():
    small, _ = made(per_kind=1)
    large, _ = made(per_kind=30)
    depth = [induce_tree(d.catalog, d.interactions.sequences).catalog.tree.depth for d in (small, large)]
    assert depth[0] == 1
    assert depth[1] > 1


def test_items_of_which_nothing_is_known_get_a_node_of_their_own():
    data, _ = made()
    extra = tuple(Item(f"new{n}", f"Item new{n}") for n in range(3))
    catalog = Catalog(tuple(Item(i.item_id, f"{i.title} x") for i in data.catalog.items) + extra, name="made")
    induced = induce_tree(catalog, data.interactions.sequences).catalog
    # "Item newN": a word in common is something to go by, so they may be clustered; without any they stand apart.
    assert all(item.categories for item in induced.items)
    bare = Catalog(tuple(Item(f"{n}", "Zq" * (n + 1)) for n in range(4)) + data.catalog.items, name="made")
    shifted = [rows + 4 for rows in data.interactions.sequences]
    induced = induce_tree(bare, shifted)
    assert [item.categories for item in induced.catalog.items[:4]] == [(UNKNOWN,)] * 4
    assert induced.report["items_nothing_known"] == 4


def test_refusals():
    data, _ = made()
    tree = induce_tree(data.catalog, data.interactions.sequences).catalog
    with pytest.raises(MindRecError, match="has categories"):
        induce_tree(tree, data.interactions.sequences)
    strangers = Catalog(tuple(Item(f"{n}", "Zq" * (n + 1)) for n in range(30)))
    with pytest.raises(MindRecError, match="nothing to induce a tree from"):
        induce_tree(strangers, [])


@given(st.lists(st.sampled_from(["red lamp", "blue lamp", "", "7", "été doux"]), min_size=1, max_size=12), st.data())
def test_siblings_never_share_a_name(titles, draw):
    labels = np.array(draw.draw(st.lists(st.integers(0, 4), min_size=len(titles), max_size=len(titles))))
    labels = np.unique(labels, return_inverse=True)[1]
    names = node_names(titles, labels)
    assert len(set(names)) == labels.max() + 1
    assert all(name.strip() for name in names)
    below = node_names(titles, labels, ("Red, lamp", *names))
    assert not {*below} & {*names}
    assert not any({"red", "lamp"} & {*name.lower().split(", ")} for name in below)


def test_prepare_marks_the_tree_and_load_restores_the_mark(tmp_path):
    from tables import jsonl

    data, _ = made()
    items = [{"item_id": i.item_id, "title": i.title} for i in data.catalog.items]
    rows = [
        {"user_id": user, "item_ids": [f"i{r}" for r in rows]}
        for user, rows in zip(data.interactions.user_ids, data.interactions.sequences, strict=True)
    ]
    said: list[str] = []
    prepare(
        "jsonl",
        tmp_path / "out",
        jsonl(tmp_path / "raw", items, rows),
        command="c",
        induce=True,
        report=True,
        say=said.append,
    )
    loaded = load_prepared(tmp_path / "out")
    assert loaded.catalog.induced
    assert loaded.catalog.tree.depth >= 1
    assert "**The category tree is induced**" in (tmp_path / "out" / "README.md").read_text()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["induced"] is True
    assert set(report["semantic_ids"]) == {"residual", "product"}
    assert "entropy" in " ".join(said)
    # A second pass keeps the mark, and so does everything made from it.
    prepare("jsonl", tmp_path / "again", {"path": str(tmp_path / "out")}, command="c", say=said.append)
    again = load_prepared(tmp_path / "again").catalog
    assert again.induced
    assert again.items == loaded.catalog.items


# ---- semantic IDs by name ------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 4), st.integers(2, 6), st.integers(1, 9), st.integers(0, 2**16))
def test_codes_are_unique_within_a_category(n_items, levels, size, width, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n_items, width)).astype(np.float32)
    vectors[rng.random(n_items) < 0.3] = 0
    categories = rng.integers(0, 4, n_items)
    for make in (residual_kmeans, product_codes):
        if np.bincount(categories).max() > size**levels:
            with pytest.raises(MindRecError, match="raise --sid-levels or --codebook-size"):
                make(vectors, categories, levels, size)
            continue
        codes = make(vectors, categories, levels, size)
        assert codes.shape == (n_items, levels)
        assert codes.min() >= 0
        assert codes.max() < size
        assert len(np.unique(np.c_[categories, codes], axis=0)) == n_items


def test_product_codes_split_independent_factors():
    """Two factors of equal variance: each part holds one, so both levels are used to the full."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (400, 2))
    points = np.concatenate([np.eye(4)[factors[:, 0]], np.eye(4)[factors[:, 1]]], axis=1) * 5
    turned = (points + rng.normal(0, 0.05, points.shape)) @ np.linalg.qr(rng.standard_normal((8, 8)))[0]
    from mindrec.tokens.semantic_id import quantise_product, quantise_residual

    def error(quantise):
        quantised = quantise(turned, np.zeros(400, int), 2, 16)
        keys = np.unique(quantised.codes, axis=0, return_inverse=True)[1].reshape(-1)
        means = np.array([turned[keys == k].mean(0) for k in range(keys.max() + 1)])
        return ((turned - means[keys]) ** 2).sum(1).mean()

    spread = ((turned - turned.mean(0)) ** 2).sum(1).mean()
    assert error(quantise_product) < 0.2 * spread
    assert error(quantise_residual) < 0.2 * spread


def test_own_semantic_ids_that_two_items_share_are_counted(capsys):
    data, _ = made()
    same = {item.item_id: ("<a_0>", f"<b_{n // 2}>") for n, item in enumerate(data.catalog.items)}
    leaf = finest_category(data.catalog)
    shared = sum(leaf[n] == leaf[n - 1] for n in range(1, len(leaf), 2))
    semantic_codes(
        Codebooks("own", 2, 12), PreparedData(data.catalog, data.interactions, same), data.interactions.sequences
    )
    assert f"note: {shared:,} of {len(leaf):,} items share all codes" in capsys.readouterr().err


def test_equal_titles_in_a_small_codebook_are_told_in_words(capsys):
    """No warning of a library and no source line reaches the person."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = text_vectors(["the same"] * 70, 16)
        codes = codes_of_vectors(
            Codebooks("residual", 2, 8), vectors, Catalog(tuple(Item(f"i{n}", "The same") for n in range(70)))
        )
    assert len(np.unique(codes, axis=0)) == 70
    assert "note: a category holds 70 items" in capsys.readouterr().err


def test_semantic_ids_by_name():
    data, _ = made()
    semantic_ids = {item.item_id: (f"<a_{n // 8}>", f"<b_{n % 8}>") for n, item in enumerate(data.catalog.items)}
    with_own = PreparedData(data.catalog, data.interactions, semantic_ids)
    for kind in ("residual", "product", "own"):
        codes = semantic_codes(Codebooks(kind, 2, 12), with_own, data.interactions.sequences)
        assert len(np.unique(codes, axis=0)) == len(data.catalog)
    with pytest.raises(MindRecError, match=r"brings no semantic_ids.json"):
        semantic_codes(Codebooks("own", 2, 12), data, data.interactions.sequences)
    with pytest.raises(MindRecError, match=r"'opq' are not one of residual, product, own"):
        semantic_codes(Codebooks("opq", 2, 12), data, data.interactions.sequences)


def test_report_tells_good_codes_from_bad_ones():
    data, group_N = made()
    items = tuple(
        Item(i.item_id, i.title, (list(GROUPS)[g],)) for i, g in zip(data.catalog.items, group_N, strict=True)
    )
    catalog = Catalog(items, name="made")
    rng = np.random.default_rng(0)
    good = {i.item_id: (str(g), str(n)) for n, (i, g) in enumerate(zip(items, group_N, strict=True))}
    bad = {i.item_id: (str(rng.integers(3)), str(n)) for n, i in enumerate(items)}
    reports = {
        name: quality_report(PreparedData(catalog, data.interactions, ids), data.interactions.sequences, 2, 8)
        for name, ids in (("good", good), ("bad", bad))
    }
    level = {name: report["semantic_ids"]["own"]["levels"][0] for name, report in reports.items()}
    assert level["good"]["purity_top_category"] == 1.0
    assert level["bad"]["purity_top_category"] < 0.7
    assert level["good"]["neighbours_with_same_code"] > 0.9 > level["bad"]["neighbours_with_same_code"]
    assert reports["good"]["semantic_ids"]["own"]["collisions_before"]["items_sharing_an_id"] == 0
    collided = {i.item_id: ("x", "y") for i in items}
    report = quality_report(PreparedData(catalog, data.interactions, collided | {"i0": ("z", "w")}), [], 2, 8)
    assert report["semantic_ids"]["own"]["collisions_before"]["items_sharing_an_id"] == len(items) - 1
    assert "own: 71 items" in as_text(report)


def test_codes_of_texts_alone_need_texts():
    """Titles without a common word say nothing of each other: then co-occurrence makes the codes."""
    made = synthetic(n_items=30, n_users=64, length=5)

    def codes(titles: list[str], **width) -> np.ndarray:
        items = [
            replace(item, title=title, categories=()) for item, title in zip(made.catalog.items, titles, strict=True)
        ]
        data = replace(made, catalog=Catalog(tuple(items), name="named"))
        return semantic_codes(Codebooks("residual", 2, 6), data, made.interactions.sequences, **width)

    mute = [f"thing{n}" for n in range(30)]
    colours, things = ("red", "green", "blue", "black", "pink"), ("hat", "tie", "shoe", "bag", "cap", "mug")
    told = [f"{colour} {thing}" for colour in colours for thing in things]
    assert (codes(mute, text_width=8) == codes(mute)).all()
    assert (codes(told, text_width=8) != codes(told)).any()
