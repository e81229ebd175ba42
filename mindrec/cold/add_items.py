"""Cold items: added to a trained checkpoint without training. Old weights and old codes stay as they are.

Shape legend: N old items, M new ones, D vector width.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mindrec.checkpoint import Checkpoint, item_vectors, with_map
from mindrec.cold.cold_tokens import Codebook, known_path, node_means, predicted_vectors
from mindrec.data.catalog import Catalog, Item
from mindrec.data.category_tree import HERE, CategoryTree
from mindrec.errors import MindRecError
from mindrec.text.features import Embed
from mindrec.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Added:
    """A checkpoint with new items, and what was done with them.

    Attributes:
        refiled: ids of the new items whose category path the checkpoint does not have; they stand under the nearest.
    """

    checkpoint: Checkpoint
    refiled: tuple[str, ...]


def add_items(checkpoint: Checkpoint, items: Sequence[Item], embed: Embed | None = None, *, lift: float = 0.0) -> Added:
    """Give new items tokens, so that they can be decoded and stand in histories; they are marked cold.

    Args:
        embed: the text model that the checkpoint's semantic IDs were made with, if any; TF-IDF by default.
        lift: what is added to the new items' logits in the dense head, so that they are shown more than their tokens
            earn them: popularity is learned from sales, and they had none. 1 makes them e times as likely.

    Raises:
        MindRecError: no items, an id that the checkpoint has, a category that has no free codes left, or a lift
            outside 0..10 or for a denoiser without a dense head.
    """
    check_lift(lift, checkpoint)
    old, tokenizer = checkpoint.catalog, checkpoint.tokenizer
    known = next((item.item_id for item in items if item.item_id in old.row_of), None)
    if not items or known is not None:
        what = f"item {known!r} is in checkpoint {checkpoint.name!r} already" if items else "there are no items to add"
        raise MindRecError(f"{what}; give items with ids of their own")
    vectors_ND = item_vectors(checkpoint.denoiser, tokenizer)
    vectors_MD = predicted_vectors([_words(i) for i in old.items], vectors_ND, [_words(i) for i in items], embed)
    filed = _filed(old.tree, items, vectors_ND, vectors_MD)
    catalog = replace(old, items=(*old.items, *filed))
    tree_NC, tree_MC = np.split(catalog.tree.codes, [len(old)])
    depth = tokenizer.n_category_levels
    leaf_N, leaf_M = (c[:, -1] if depth else np.zeros(len(c), dtype=np.int32) for c in (tree_NC, tree_MC))
    codes_NS = tokenizer.codes[:, depth:]
    taken = {(int(leaf), *map(int, codes)) for leaf, codes in zip(leaf_N, codes_NS, strict=True)}
    book = Codebook.of(vectors_ND, leaf_N, codes_NS, tokenizer.level_sizes[depth:])
    codes_ML = np.concatenate([tree_MC, book.assign(vectors_MD, leaf_M, taken)], axis=1)
    grown = Tokenizer(tokenizer.levels, np.concatenate([tokenizer.codes, codes_ML]), catalog.fingerprint)
    made = replace(
        checkpoint,
        denoiser=_grown(checkpoint.denoiser, grown, catalog, lift),
        tokenizer=grown,
        catalog=catalog,
        cold=checkpoint.cold + len(items),
        popularity=None if checkpoint.popularity is None else (*checkpoint.popularity, *[0] * len(items)),
    )
    if checkpoint.item_map is not None:
        made = with_map(made)
    moved = (new.item_id for item, new in zip(items, filed, strict=True) if not _same_path(item, new, depth))
    return Added(made, tuple(moved))


def check_lift(lift: float, checkpoint: Checkpoint) -> None:
    """Raises MindRecError for a lift outside 0..10, or for a denoiser without a dense head."""
    if not 0 <= lift <= 10 or (lift and checkpoint.denoiser.kind != "compact"):
        raise MindRecError(f"--lift {lift} cannot be used; 0..10, on a compact checkpoint, is allowed: 0 adds nothing")


def _words(item: Item) -> str:
    """The words of an item that a checkpoint keeps: it keeps no descriptions."""
    return replace(item, description=None).text


def _filed(tree: CategoryTree, items: Sequence[Item], vectors_ND: np.ndarray, vectors_MD: np.ndarray) -> list[Item]:
    """The new items under paths that the tree has."""
    means = node_means(tree, vectors_ND)
    paths = (known_path(tree, i.categories, v, means) for i, v in zip(items, vectors_MD, strict=True))
    return [
        replace(item, categories=tuple(name for name in path if name != HERE))
        for item, path in zip(items, paths, strict=True)
    ]


def _same_path(item: Item, filed: Item, depth: int) -> bool:
    return item.categories[:depth] == filed.categories


def _grown(denoiser, tokenizer: Tokenizer, catalog: Catalog, lift: float):
    """The denoiser over the longer catalog. A LLaDA knows items by their tokens alone: it shares all weights."""
    if denoiser.kind == "compact":
        return denoiser.grown(torch.from_numpy(tokenizer.codes), lift)
    from mindrec.text_backbone.prompts import Prompts

    titles = [item.title for item in catalog.items] if denoiser.config.titles else None
    grown = copy.copy(denoiser)
    grown.config = replace(denoiser.config, n_items=tokenizer.n_items)
    grown.n_items, grown.prompts = tokenizer.n_items, Prompts(denoiser.prompts.tokenizer, tokenizer, titles)
    return grown
