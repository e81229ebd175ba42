"""Semantic IDs, the tokenizer and the any-order index: every item has one name, and the index finds it."""

import json
import math

import numpy as np
import pytest
import torch
from code_makers import residual_kmeans
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import toys

from mindrec.data.catalog import Catalog, Item
from mindrec.decoding.item_index import Excluded, Members, Postings
from mindrec.errors import MindRecError
from mindrec.text.keywords import class_keywords
from mindrec.tokens.semantic_id import (
    cooccurrence_vectors,
    from_labels,
    resolve_collisions,
    text_vectors,
)
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer

# -- semantic IDs ------------------------------------------------------------------------------------------------------


def pairs(categories, codes) -> list[tuple]:
    return [(int(c), *map(int, row)) for c, row in zip(categories, codes, strict=True)]


@settings(max_examples=25)
@given(data=st.data())
def test_codes_are_unique_within_a_category(data):
    """Random leaves, full ones too; random vectors, equal ones too (items without a word are all alike)."""
    levels, size = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 5))
    leaves = data.draw(st.lists(st.integers(1, size**levels), min_size=1, max_size=4))
    categories = np.repeat(np.arange(len(leaves)), leaves)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    vectors = rng.normal(size=(len(categories), 3)).astype(np.float32)
    if data.draw(st.booleans()):
        vectors[:] = vectors[0]
    codes = residual_kmeans(vectors, categories, levels, size)
    assert codes.shape == (len(categories), levels)
    assert codes.min() >= 0
    assert codes.max() < size
    assert len(set(pairs(categories, codes))) == len(categories)


def test_more_items_than_code_tuples_is_refused():
    with pytest.raises(MindRecError, match="holds 5 items, 2 levels of 2 codes name only 4"):
        residual_kmeans(np.random.default_rng(0).normal(size=(5, 2)), np.zeros(5, dtype=int), 2, 2)


def test_colliding_items_move_only_as_far_as_they_must():
    """The nearest to the centre keeps its code, the other takes the nearest free one; who does not collide stays."""
    centers = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    last = np.array([[0.1], [0.4], [0.0], [5.0]], dtype=np.float32)
    codes = np.array([[0, 0], [0, 0], [1, 0], [0, 2]], dtype=np.int32)
    moved = resolve_collisions(np.zeros(4, dtype=int), codes, last, centers, 3)
    assert moved.tolist() == [[0, 0], [0, 1], [1, 0], [0, 2]]


def test_codes_say_what_is_alike():
    """Three clear groups in one category: the first code separates them."""
    rng = np.random.default_rng(0)
    group = np.arange(24) % 3
    vectors = np.eye(3, dtype=np.float32)[group] * 10 + rng.normal(size=(24, 3)).astype(np.float32) * 0.1
    codes = residual_kmeans(vectors, np.zeros(24, dtype=int), 3, 3)
    assert len(set(zip(group.tolist(), codes[:, 0].tolist(), strict=True))) == 3


def test_the_same_input_gives_the_same_codes():
    vectors = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    leaf = np.arange(60) % 4
    one, other = (residual_kmeans(vectors, leaf, 3, 4, seed=5) for _ in range(2))
    assert (one == other).all()


def test_given_labels_become_codes_and_collisions_move():
    labels = [("<a_1>", "<b_7>"), ("<a_1>", "<b_9>"), ("<a_1>", "<b_7>"), ("<a_2>", "<b_7>")]
    codes, moved = from_labels(labels, np.zeros(4, dtype=int))
    assert moved == 1
    assert len(set(pairs(np.zeros(4), codes))) == 4
    assert codes[1].tolist() == [0, 1]
    assert codes[3].tolist() == [1, 0]
    assert from_labels(labels, np.array([0, 0, 1, 0]))[1] == 0, "alike in two categories is no collision"


def test_vectors_put_alike_things_together():
    texts = ["red apple fruit", "green apple fruit", "steel hammer tool", "wooden hammer tool"]
    text = text_vectors(texts)
    assert text[0] @ text[1] > text[0] @ text[2]
    taken = [np.array(s) for s in ([0, 2], [0, 3], [1, 2], [1, 3], [4, 6], [4, 7], [5, 6], [5, 7])]
    company = cooccurrence_vectors(taken, 8, width=4)
    assert company[0] @ company[1] > 0.9, "0 and 1 keep the same company"
    assert abs(company[0] @ company[4]) < 0.1, "0 and 4 have none in common"
    together = cooccurrence_vectors(taken[:1], 3)
    assert np.isfinite(together).all()
    assert np.isfinite(text).all()
    assert np.isfinite(text_vectors(["", "", ""])).all()
    assert np.isfinite(cooccurrence_vectors([], 3)).all()


# -- tokenizer ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    paths = [("food", "fruit"), ("food", "fruit"), ("food", "nuts"), ("tools", "nuts"), ("tools",)]
    titles = ["red apple", "green apple", "hazel nut", "hex nut", "hammer"]
    catalog = Catalog(tuple(Item(f"i{n}", t, p) for n, (t, p) in enumerate(zip(titles, paths, strict=True))))
    return build_tokenizer(catalog, np.array([[0], [1], [0], [0], [0]]), ("Section",))


def test_every_item_has_its_own_tokens(tokenizer):
    assert tokenizer.level_sizes == (2, 4, 2)
    assert tokenizer.n_category_levels == 2
    for row in range(5):
        assert tokenizer.decode(tokenizer.encode(row)) == row
    assert tokenizer.decode((0, 0, 0, 9)) is None
    spans = tokenizer.layout.codes(tokenizer.tokens)
    assert (spans == tokenizer.codes).all()
    assert tokenizer.tokens.max() < sum(tokenizer.level_sizes)
    for level in range(2):
        assert tokenizer.tokens[:, level].max() < tokenizer.tokens[:, level + 1].min(), "levels share no token"


def test_levels_are_named_for_a_person(tokenizer):
    assert [level.name for level in tokenizer.levels] == ["Section", "Sub-category", "ID 1"]
    assert tokenizer.levels[1].labels.count("nuts") == 2
    assert "(here)" in tokenizer.levels[1].labels
    assert "apple" in tokenizer.levels[2].labels[1] or "green" in tokenizer.levels[2].labels[1]


def test_a_catalog_without_categories():
    catalog = Catalog(tuple(Item(f"i{n}", f"thing {n}") for n in range(4)))
    made = build_tokenizer(catalog, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    assert made.n_category_levels == 0
    assert made.level_sizes == (2, 2)


def test_two_items_with_one_name_are_refused():
    catalog = Catalog((Item("a", "a", ("x",)), Item("b", "b", ("x",))))
    with pytest.raises(MindRecError, match="share all their codes"):
        build_tokenizer(catalog, np.array([[0], [0]]))


def test_tokenizer_round_trip(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.json")
    again = Tokenizer.load(tmp_path / "t.json")
    assert again.levels == tokenizer.levels
    assert (again.codes == tokenizer.codes).all()
    assert again.catalog_fingerprint == tokenizer.catalog_fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": None},
        {"levels": None},
        {"levels": []},
        {"levels": [{"kind": "category"}]},
        {"levels": "text"},
        {"codes": None},
        {"codes": [[0, 0, 0], [0, 0, 0]]},
        {"codes": [[0, 0, 0], [0, 0]]},
        {"codes": [[0, 0, 99]]},
        {"codes": [[0, 0, -1]]},
        {"codes": [[0, 0, 10**20]]},
        {"codes": [["a", "b", "c"]]},
        {"catalog_fingerprint": ...},
    ],
    ids=str,
)
def test_a_damaged_tokenizer_is_refused(tokenizer, tmp_path, change):
    path = tmp_path / "t.json"
    tokenizer.save(path)
    raw = json.loads(path.read_text()) | change
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not ...}))
    with pytest.raises(MindRecError):
        Tokenizer.load(path)


def test_text_that_is_no_tokenizer_is_refused(tmp_path):
    for text in ("", "{", "[]", "null"):
        (tmp_path / "t.json").write_text(text)
        with pytest.raises(MindRecError, match=r"t\.json"):
            Tokenizer.load(tmp_path / "t.json")


# -- item index --------------------------------------------------------------------------------------------------------


def brute_members(made, states, users, excluded) -> list[list[int]]:
    """Rows that agree with each partial answer and are not excluded for its user."""
    out = []
    for codes, user in zip(states, users, strict=True):
        gone = {int(i) for u, i in zip(excluded.user, excluded.item, strict=True) if int(u) == user}
        if excluded.banned is not None:
            gone |= set(excluded.banned.nonzero()[:, 0].tolist())
        fits = [
            r for r, row in enumerate(made.codes.tolist()) if all(c in (-1, x) for c, x in zip(codes, row, strict=True))
        ]
        out.append([r for r in fits if r not in gone])
    return out


@st.composite
def partial_answers(draw):
    """A catalog, what is excluded for each of two users, and random partial answers of them, illegal ones too."""
    made, histories = draw(toys(max_items=30))
    users = sorted(draw(st.lists(st.integers(0, 1), min_size=1, max_size=5)))
    one = st.tuples(*(st.integers(-1, size - 1) for size in made.sizes))
    states = [draw(one) for _ in users]
    banned = draw(st.none() | st.lists(st.booleans(), min_size=made.n_items, max_size=made.n_items))
    seen = [(u, r) for u, rows in enumerate(histories) for r in sorted(set(rows))]
    excluded = Excluded(
        torch.tensor([u for u, _ in seen]),
        torch.tensor([r for _, r in seen]),
        None if banned is None else torch.tensor(banned),
        2,
        made.n_items,
    )
    return made, states, users, excluded


@given(case=partial_answers())
def test_counts_and_sums_equal_brute_force(case):
    made, states, users, excluded = case
    want = brute_members(made, states, users, excluded)
    flat = [(s, r) for s, rows in enumerate(want) for r in rows]
    members = Members(
        torch.tensor([s for s, _ in flat], dtype=torch.int64),
        torch.tensor([r for _, r in flat], dtype=torch.int64),
        len(states),
    )
    mass = made.p[members.item]
    counts, sums = made.index.count_by_token(members), made.index.sum_by_token(members, mass)
    assert members.counts().tolist() == list(map(len, want))
    for s, rows in enumerate(want):
        for token in range(sum(made.sizes)):
            holders = [r for r in rows if token in made.tokens[r].tolist()]
            assert int(counts[s, token]) == len(holders)
            assert float(sums[s, token]) == pytest.approx(float(made.p[holders].sum()), abs=1e-12)


@given(case=partial_answers(), data=st.data())
def test_postings_equal_brute_force(case, data):
    """One filled token, or none: counted from tables, without naming the items; and named when asked."""
    made, _, users, excluded = case
    index = made.index
    tokens = [data.draw(st.integers(-1, sum(made.sizes) - 1)) for _ in users]
    states = []
    for token in tokens:
        codes = [-1] * len(made.sizes)
        if token >= 0:
            level = int(index.level_of_T[token])
            codes[level] = token - index.levels.offsets[level]
        states.append(codes)
    assume(all(t < 0 or int(index.count_T[t]) for t in tokens))
    want, who = brute_members(made, states, users, excluded), torch.tensor(users)
    postings = Postings(torch.tensor(tokens))
    members = index.expand(postings, who, excluded)
    for s, rows in enumerate(want):
        assert sorted(members.item[members.state == s].tolist()) == rows
    assert (members.state.diff() >= 0).all()
    if excluded.banned is None:  # with bans the search expands at once
        levels = data.draw(st.lists(st.integers(0, len(made.sizes) - 1), min_size=1, unique=True))
        counts = index.count_in_postings(postings, who, excluded, levels)
        whole = index.count_by_token(members)
        for level in range(len(made.sizes)):
            level_slice = slice(index.levels.offsets[level], index.levels.offsets[level] + made.sizes[level])
            assert torch.equal(
                counts[:, level_slice],
                whole[:, level_slice] if level in levels else torch.zeros_like(whole[:, level_slice]),
            )


@given(case=partial_answers())
def test_excluded_agrees_with_itself(case):
    """The pair list, the table and the counts are three views of one set."""
    made, _states, _users, excluded = case
    table = excluded.table()
    user, item = torch.ones_like(table).nonzero(as_tuple=True)
    assert torch.equal(excluded.allows(user, item), table.flatten())
    assert torch.equal(excluded.counts(), table.sum(1))
    want = brute_members(made, [[-1] * len(made.sizes)] * 2, [0, 1], excluded)
    assert [row.nonzero()[:, 0].tolist() for row in table] == want


@given(case=toys(max_items=30))
def test_implied_tokens(case):
    made, _ = case
    index = made.index
    held = [(a, b) for a in range(sum(made.sizes)) for b in range(sum(made.sizes)) if int(index.count_T[a])]
    token, old = (torch.tensor([p[n] for p in held]) for n in (0, 1))
    for (a, b), implied in zip(held, index.implied(token, old).tolist(), strict=True):
        holders = [row for row in made.tokens.tolist() if a in row]
        assert implied == all(b in row for row in holders), (a, b)


# -- keywords ----------------------------------------------------------------------------------------------------------


def test_keywords_mark_their_class_and_not_the_common_word():
    titles = ["brand apple juice", "brand apple pie", "brand steel hammer", "brand hammer drill"]
    first, second = class_keywords(titles, np.array([0, 0, 1, 1]), 2)
    assert first[0] == "apple"
    assert second[0] == "hammer"
    assert "brand" not in first + second


def test_classes_without_words_have_none():
    assert class_keywords(["12", "34"], np.array([0, 1]), 2) == [[], []]
    assert class_keywords(["apple", "pear"], np.array([0, 2]), 3)[1] == []


def test_code_tuples_grow_with_levels():
    """The bound of the collision error is the number of code tuples, no less: a leaf just full fits."""
    for levels, size in ((1, 4), (2, 3)):
        full = int(math.pow(size, levels))
        codes = residual_kmeans(
            np.random.default_rng(0).normal(size=(full, 2)), np.zeros(full, dtype=int), levels, size
        )
        assert len(set(map(tuple, codes.tolist()))) == full
