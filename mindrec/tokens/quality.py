"""How good are semantic IDs before anything is trained on them? Collisions, use of codes, purity, neighbours kept.

Shape legend: N items, S semantic-ID levels.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.neighbors import NearestNeighbors

from mindrec.data.catalog import PreparedData
from mindrec.errors import MindRecError
from mindrec.text.features import Embed
from mindrec.tokens.semantic_id import (
    QUANTISERS,
    cooccurrence_vectors,
    finest_category,
    fitting_size,
    from_labels,
    item_vectors,
)

NEIGHBOURS, SAMPLE = 10, 2000


def quality_report(
    data: PreparedData,
    sequences: Sequence[np.ndarray],
    levels: int = 4,
    codebook_size: int = 64,
    seed: int = 0,
    embed: Embed | None = None,
) -> dict:
    """One entry for each way to make semantic IDs that this data allows; `sequences` are the training ones."""
    catalog, leaf = data.catalog, finest_category(data.catalog)
    vectors = item_vectors([item.text for item in catalog.items], sequences, seed, embed)
    pairs = neighbour_pairs(cooccurrence_vectors(sequences, len(catalog), seed=seed), seed)
    out, codebook_size = {}, fitting_size(leaf, levels, codebook_size)
    for kind, quantise in QUANTISERS.items():
        quantised = quantise(vectors, leaf, levels, codebook_size, seed)
        out[kind] = codes_report(quantised.codes, quantised.unique(leaf, codebook_size), leaf, data, pairs)
    if data.semantic_ids:
        labels = [data.semantic_ids[item.item_id] for item in catalog.items]
        raw = np.array([np.unique(column, return_inverse=True)[1] for column in zip(*labels, strict=True)]).T
        try:
            unique = from_labels(labels, leaf)[0]
        except MindRecError:  # one category holds more items than its codes can name: judged as they are
            unique = raw
        out["own"] = codes_report(raw, unique, leaf, data, pairs)
    return {
        "items": len(catalog),
        "category_nodes": catalog.tree.sizes,
        "induced": catalog.induced,
        "neighbours": {"per_item": NEIGHBOURS, "items_sampled": len(pairs[0])},
        "semantic_ids": out,
    }


def neighbour_pairs(vectors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sampled rows (S,), the rows (S, K) nearest to each by vectors (N, D) of co-occurrence, and as many by chance."""
    known = np.flatnonzero(np.abs(vectors).sum(1) > 0)
    rng = np.random.default_rng(seed)
    if len(known) < 2:
        empty = np.zeros((0, 0), dtype=np.int64)
        return empty[:, :0].reshape(0), empty, empty
    rows = np.sort(rng.choice(known, min(SAMPLE, len(known)), replace=False))
    width = min(NEIGHBOURS, len(known) - 1)
    nearest = NearestNeighbors(n_neighbors=width + 1).fit(vectors[known]).kneighbors(vectors[rows])[1]
    near = known[nearest]
    near = np.array([line[line != row][:width] for row, line in zip(rows, near, strict=True)])
    return rows, near, rng.choice(known, near.shape)


def codes_report(raw_NS: np.ndarray, codes_NS: np.ndarray, leaf_N: np.ndarray, data: PreparedData, pairs) -> dict:
    """The figures of one set of codes; `raw_NS` is what it was before collisions were resolved."""
    shared = np.unique(np.c_[leaf_N, raw_NS], axis=0, return_inverse=True, return_counts=True)
    colliding = (shared[2][shared[1].reshape(-1)] > 1).sum()
    tree = data.catalog.tree
    top = tree.codes[:, 0] if tree.depth else None
    return {
        "collisions_before": {
            "items_sharing_an_id": int(colliding),
            "share": round(float(colliding / len(raw_NS)), 4),
            "items_sharing_without_category": _shared(raw_NS),
        },
        "items_moved": int((raw_NS != codes_NS).any(1).sum()),
        "levels": [_level(codes_NS, level, top, pairs) for level in range(codes_NS.shape[1])],
    }


def _shared(codes_NS: np.ndarray) -> int:
    _, inverse, counts = np.unique(codes_NS, axis=0, return_inverse=True, return_counts=True)
    return int((counts[inverse.reshape(-1)] > 1).sum())


def _level(codes_NS: np.ndarray, level: int, top_N: np.ndarray | None, pairs) -> dict:
    codes = codes_NS[:, level]
    counts = np.bincount(codes)
    share = counts[counts > 0] / counts.sum()
    entropy = max(0.0, float(-(share * np.log2(share)).sum()))  # no -0.0
    rows, near, chance = pairs
    return {
        "codes": len(counts),
        "used": int((counts > 0).sum()),
        "entropy_bits": round(entropy, 3),
        "entropy_share": round(entropy / np.log2(len(counts)), 4) if len(counts) > 1 else None,
        "largest_share": round(float(share.max()), 4),
        "purity_top_category": None if top_N is None else _purity(codes, top_N),
        "purity_by_chance": None if top_N is None else round(float(np.bincount(top_N).max() / len(top_N)), 4),
        "neighbours_with_same_code": _same(codes_NS[:, [level]], rows, near),
        "random_items_with_same_code": _same(codes_NS[:, [level]], rows, chance),
        "neighbours_with_same_prefix": _same(codes_NS[:, : level + 1], rows, near),
    }


def _purity(codes: np.ndarray, top_N: np.ndarray) -> float:
    table = np.zeros((codes.max() + 1, top_N.max() + 1), dtype=np.int64)
    np.add.at(table, (codes, top_N), 1)
    return round(float(table.max(1).sum() / len(codes)), 4)


def _same(codes: np.ndarray, rows: np.ndarray, near: np.ndarray) -> float | None:
    """Share of pairs that agree in all the given codes."""
    if not len(rows):
        return None
    return round(float((codes[near] == codes[rows][:, None, :]).all(2).mean()), 4)


def as_text(report: dict) -> str:
    """The report as a table for a person."""
    lines = [f"Semantic IDs of {report['items']:,} items, category nodes {report['category_nodes'] or 'none'}"]
    for kind, quality in report["semantic_ids"].items():
        before = quality["collisions_before"]
        lines.append(
            f"\n{kind}: {before['items_sharing_an_id']:,} items ({before['share']:.1%}) share category and codes "
            f"before collisions are resolved; {quality['items_moved']:,} moved"
        )
        lines.append(
            "level  codes used  entropy (of most)  purity (chance)  neighbours same code (chance)  same prefix"
        )
        for number, level in enumerate(quality["levels"], 1):
            lines.append(
                f"{number:>5}  {level['used']:>4}/{level['codes']:<4}  {level['entropy_bits']:>6.2f} "
                f"({_share(level['entropy_share'])})    {_share(level['purity_top_category'])} "
                f"({_share(level['purity_by_chance'])})   {_share(level['neighbours_with_same_code'])} "
                f"({_share(level['random_items_with_same_code'])})              "
                f"{_share(level['neighbours_with_same_prefix'])}"
            )
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "   -" if value is None else f"{value:.2f}"
