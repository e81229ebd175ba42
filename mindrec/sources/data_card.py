"""README.md of a prepared folder: counts, the tree's shape, what was mended, and the command that made it."""

from collections import Counter

import numpy as np

from mindrec.data.catalog import DEFAULT_DEPTH, PreparedData
from mindrec.data.category_tree import CategoryTree

TEXT = """{notes}
## What is in here
- {items:,} items, {sequences:,} sequences, {events:,} interactions; a sequence is {median:.0f} long in the median,
  {mean:.1f} on average, {longest:,} at most.
- {tree}
- {titled:.1%} of items have a title; {branded:.1%} a brand; semantic IDs of the source: {own}.

## What was mended
{repairs}

## Command
```
{command}
```
"""


def readme(data: PreparedData, command: str, extra: str = "") -> str:
    """The notes of the source, then what the prepared form holds."""
    lengths = np.array([len(rows) for rows in data.interactions.sequences])
    items = data.catalog.items
    return TEXT.format(
        notes=data.notes.rstrip() + "\n" + extra,
        items=len(items),
        sequences=len(lengths),
        events=int(lengths.sum()),
        median=np.median(lengths),
        mean=lengths.mean(),
        longest=int(lengths.max()),
        tree=tree_line(data),
        titled=np.mean([item.title != f"Item {item.item_id}" for item in items]),
        branded=np.mean([item.brand is not None for item in items]),
        own="yes" if data.semantic_ids else "none",
        repairs="\n".join(f"- {line}" for line in data.repairs) or "Nothing needed mending.",
        command=command,
    )


def tree_line(data: PreparedData) -> str:
    """The tree as it is read by default: nodes a level, children a node, and the paths that were padded or cut."""
    depth = data.catalog.category_depth or DEFAULT_DEPTH
    tree = CategoryTree([item.categories for item in data.catalog.items], depth)
    if not tree.depth:
        return "Tree: none (no item has a category); `prepare --induce-tree` makes one."
    children = []
    for nodes in tree.levels:
        counts = np.array(list(Counter(node[:-1] for node in nodes).values()))
        children.append(f"{counts.mean():.1f}/{counts.max()}")
    leaf = tree.items_per_leaf()
    words = (
        "induced by clustering, named by keywords; not the source's own" if data.catalog.induced else "of the source"
    )
    return (
        f"Tree ({words}): {' > '.join(map(str, tree.sizes))} nodes; children a node (mean/most) "
        f"{', '.join(children)}; {leaf.mean():.1f} items a finest category, {(leaf == 1).sum() / len(tree.codes):.1%} "
        f"of items alone in theirs. {tree.padded:,} paths shorter than {tree.depth} levels were padded with "
        f'"(here)", {tree.cut:,} longer ones are cut when read (the files keep them whole).'
    )
