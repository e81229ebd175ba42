"""Semantic IDs: residual k-means or parallel product codes over item vectors, unique within their category.

Shape legend: N items, D vector width, S semantic-ID levels.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from mindrec.data.catalog import Catalog, PreparedData
from mindrec.errors import MindRecError
from mindrec.system.memory import say
from mindrec.text.features import Embed, reduced, text_vectors


def cooccurrence_vectors(sequences: Sequence[np.ndarray], n_items: int, width: int = 64, seed: int = 0) -> np.ndarray:
    """Positive pointwise mutual information of items in one sequence, reduced by SVD to unit vectors, (N, <=width)."""
    indptr = np.cumsum([0, *(len(s) for s in sequences)])
    rows = np.concatenate(sequences) if len(sequences) else np.zeros(0, dtype=np.int32)
    taken = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), rows, indptr), shape=(len(sequences), n_items))
    taken.data[:] = 1
    pairs = (taken.T @ taken).tocoo()
    off = pairs.row != pairs.col
    row, col, count = pairs.row[off], pairs.col[off], pairs.data[off]
    total, degree = count.sum(), np.bincount(row, weights=count, minlength=n_items)
    pmi = np.log(count * total / (degree[row] * degree[col]))
    keep = pmi > 0
    matrix = sp.csr_matrix((pmi[keep].astype(np.float32), (row[keep], col[keep])), shape=(n_items, n_items))
    return reduced(matrix, width, seed)


def item_vectors(
    texts: Sequence[str],
    sequences: Sequence[np.ndarray],
    seed: int = 0,
    embed: Embed | None = None,
    width: int = 128,
) -> np.ndarray:
    """Vectors of items, (N, <=width): text beside co-occurrence. `sequences` are training ones.

    Each half is unit vectors, or zeros where nothing is known.
    """
    half = width // 2
    return np.concatenate(
        [text_vectors(texts, half, seed, embed), cooccurrence_vectors(sequences, len(texts), half, seed)], axis=1
    )


@dataclass(frozen=True)
class Quantised:
    """Codes before collisions are resolved.

    Attributes:
        codes: int32 (N, S).
        last: what the last level clustered, (N, D').
        centers: its centres, (codes of the last level, D').
    """

    codes: np.ndarray
    last: np.ndarray
    centers: np.ndarray

    def unique(self, categories_N: np.ndarray, codebook_size: int) -> np.ndarray:
        """Codes that no two items of one category share, int32 (N, S)."""
        if not self.codes.shape[1]:
            return self.codes
        return resolve_collisions(categories_N, self.codes, self.last, self.centers, codebook_size)


def quantise_residual(
    vectors_ND: np.ndarray,
    categories_N: np.ndarray,
    levels: int,
    codebook_size: int,
    seed: int = 0,
    weights_N: np.ndarray | None = None,
) -> Quantised:
    """Residual quantisation: each level clusters the residual that the levels before it left.

    The mean of an item's finest category is taken off first, so that codes refine the category path instead of
    saying it again. Where items have weights, the centres go where the weight is.
    """
    residual = _within_category(vectors_ND, categories_N, weights_N)
    codes, centers, last = np.zeros((len(residual), levels), dtype=np.int32), np.zeros((0, residual.shape[1])), residual
    for level in range(levels):
        labels, centers = _cluster(residual, codebook_size, seed + level, weights_N)
        codes[:, level], last = labels, residual
        residual = residual - centers[labels]
    return Quantised(codes, last, centers)


def quantise_product(
    vectors_ND: np.ndarray,
    categories_N: np.ndarray,
    levels: int,
    codebook_size: int,
    seed: int = 0,
    weights_N: np.ndarray | None = None,
) -> Quantised:
    """Parallel codes: the vector is rotated and split into one part a level, each clustered by itself.

    The rotation is that of parametric optimised product quantisation: principal axes, dealt to the parts so that
    each holds about the same product of variances. Codes then carry about equally much, in no order.
    """
    residual = _within_category(vectors_ND, categories_N, weights_N)
    width = max(residual.shape[1], levels)
    centred = residual - residual.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    parts, load = [[] for _ in range(levels)], np.zeros(levels)
    for axis in np.argsort(-variance):
        room = [n for n in range(levels) if len(parts[n]) < -(-width // levels)]
        part = min(room, key=lambda n: (load[n], n)) if room else 0
        if levels:
            parts[part].append(axis)
            load[part] += np.log(max(variance[axis], 1e-12)) - np.log(1e-12)
    codes, centers, last = np.zeros((len(residual), levels), dtype=np.int32), np.zeros((0, 1)), residual
    for level, part in enumerate(parts):
        last = centred @ axes[:, part] if part else np.zeros((len(centred), 1), dtype=np.float32)
        last = last.astype(np.float32)
        codes[:, level], centers = _cluster(last, codebook_size, seed + level, weights_N)
    return Quantised(codes, last, centers)


QUANTISERS: dict[str, Callable[..., Quantised]] = {"residual": quantise_residual, "product": quantise_product}
"""Ways to make semantic IDs, by name; "own" stands for the data's own."""


@dataclass(frozen=True)
class Codebooks:
    """The semantic IDs that are wanted.

    Attributes:
        kind: their maker: residual, product or own.
        levels: how many codes an item has.
        size: how many codes a level has.
        seed: of the clustering.
    """

    kind: str
    levels: int
    size: int
    seed: int = 0


def semantic_codes(
    wanted: Codebooks,
    data: PreparedData,
    sequences: Sequence[np.ndarray],
    embed: Embed | None = None,
    text_width: int = 0,
) -> np.ndarray:
    """Codes (N, S) of a catalog's items.

    Residual and product ones are of texts and co-occurrence; with a `text_width`, of text vectors so wide alone, where
    texts tell the items apart at all.

    Raises MindRecError for another kind, and where "own" is asked of data that brings none.
    """
    catalog = data.catalog
    if wanted.kind == "own":
        if not data.semantic_ids:
            raise MindRecError(
                f"{catalog.name!r} brings no semantic_ids.json; use --semantic-ids residual or product (`prepare` "
                "leaves out those of data in which some items have no codes, or more of them, and says how many)"
            )
        labels = [data.semantic_ids[item.item_id] for item in catalog.items]
        codes, moved = from_labels(labels, finest_category(catalog))
        if moved:
            say(
                f"note: {moved:,} of {len(labels):,} items share all codes with another item of their category; they "
                "get a free last code of their own, so their semantic IDs are not quite those of the data"
            )
        return codes
    if wanted.kind not in QUANTISERS:
        raise MindRecError(f"semantic IDs {wanted.kind!r} are not one of {', '.join(QUANTISERS)}, own")
    texts = [item.text for item in catalog.items]
    vectors = text_vectors(texts, text_width, wanted.seed, embed) if text_width else np.zeros((0, 0))
    if not vectors.any():
        vectors = item_vectors(texts, sequences, wanted.seed, embed)
    return codes_of_vectors(wanted, vectors, catalog)


def codes_of_vectors(
    wanted: Codebooks, vectors_ND: np.ndarray, catalog: Catalog, weights_N: np.ndarray | None = None
) -> np.ndarray:
    """Unique codes (N, S) of item vectors by a quantiser: of texts and co-occurrence, or of a trained
    model's own (the idea of ETEGRec, arXiv 2409.05546).

    Args:
        weights_N: how much each item counts. With the number of times that it was taken, codes tell those items apart
            that people ask for, and leave the seldom ones to share.
    """
    leaf = finest_category(catalog)
    size = fitting_size(leaf, wanted.levels, wanted.size)
    quantise = QUANTISERS[wanted.kind]
    return quantise(vectors_ND, leaf, wanted.levels, size, wanted.seed, weights_N).unique(leaf, size)


def fitting_size(categories_N: np.ndarray, levels: int, codebook_size: int) -> int:
    """`codebook_size`, or the smallest one that names twice the items of the fullest category; then with a warning."""
    largest = int(np.bincount(categories_N).max())
    if levels < 1 or largest <= codebook_size**levels:
        return codebook_size
    size = int(np.ceil((2 * largest) ** (1 / levels)))
    say(
        f"note: a category holds {largest:,} items and {levels} levels of {codebook_size} codes name only "
        f"{codebook_size**levels:,}: {size} codes a level are used; --sid-levels and --codebook-size set them"
    )
    return size


def finest_category(catalog: Catalog) -> np.ndarray:
    """Node code of each item at the finest category level, (N,); all 0 where the catalog has no categories."""
    return catalog.tree.codes[:, -1] if catalog.tree.depth else np.zeros(len(catalog), dtype=np.int64)


def _within_category(vectors_ND: np.ndarray, categories_N: np.ndarray, weights_N: np.ndarray | None) -> np.ndarray:
    return vectors_ND.astype(np.float32) - group_means(vectors_ND, categories_N, weights_N)[categories_N]


def _cluster(
    points: np.ndarray, clusters: int, seed: int, weights_N: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and centres; never more centres than distinct points."""
    model = KMeans(min(clusters, len(np.unique(points, axis=0))), n_init=3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # points that differ by rounding alone share a centre
        model.fit(points, sample_weight=weights_N)
    return model.labels_, model.cluster_centers_


def resolve_collisions(
    categories_N: np.ndarray, codes_NS: np.ndarray, last_ND: np.ndarray, centers: np.ndarray, codebook_size: int
) -> np.ndarray:
    """Make (category, codes) unique, (N, S). The item nearest its last centre (codes, D) keeps its code, others move.

    An item moves to the nearest free code of the last level; where that level is full, an earlier level's code
    changes too, the later levels first. Raises MindRecError where one category holds more items than code tuples.
    """
    codes = codes_NS.copy()
    levels = codes.shape[1]
    largest = int(np.bincount(categories_N).max())
    if largest > codebook_size**levels:
        raise MindRecError(
            f"a category holds {largest} items, {levels} levels of {codebook_size} codes name only "
            f"{codebook_size**levels}; raise --sid-levels or --codebook-size"
        )
    full = np.full((codebook_size, last_ND.shape[1]), np.inf, dtype=np.float32)
    full[: len(centers)] = centers
    distance = ((last_ND - full[codes[:, -1]]) ** 2).sum(1)
    taken: set[tuple[int, ...]] = set()
    movers = []
    for row in np.lexsort((np.arange(len(codes)), distance)):
        key = (int(categories_N[row]), *map(int, codes[row]))
        if key in taken:
            movers.append(row)
        taken.add(key)
    for row in movers:
        nearness = np.nan_to_num(((full - last_ND[row]) ** 2).sum(1), posinf=np.inf)
        last_codes = np.argsort(nearness, kind="stable")
        codes[row] = first_free(int(categories_N[row]), codes[row], last_codes, [codebook_size] * levels, taken)
        taken.add((int(categories_N[row]), *map(int, codes[row])))
    return codes


def first_free(
    category: int, codes: Sequence[int], last_codes: Sequence[int], sizes: Sequence[int], taken: set[tuple[int, ...]]
) -> tuple[int, ...] | None:
    """The free tuple that changes the last level if it can, else an ever longer tail; None where all are taken."""
    for changed in range(1, len(codes) + 1):
        head = tuple(map(int, codes[: len(codes) - changed]))
        for middle in np.ndindex(*sizes[len(codes) - changed : -1]):
            for last in last_codes:
                free = (*head, *map(int, middle), int(last))
                if (category, *free) not in taken:
                    return free
    return None


def group_means(vectors: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean vectors (groups, D) of vectors (n, D), weighted where there are weights; 0 for one without members."""
    sums = np.zeros((groups.max() + 1, vectors.shape[1]))
    np.add.at(sums, groups, vectors if weights is None else vectors * weights[:, None])
    total = np.bincount(groups, weights, minlength=len(sums))
    return (sums / np.where(total > 0, total, 1)[:, None]).astype(np.float32)


def from_labels(labels: Sequence[Sequence[str]], categories_N: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes (N, S) of semantic IDs given as strings a level, e.g. ("<a_183>", "<b_70>"); collisions moved.

    Returns the codes and how many items had to move to a code of their own.
    """
    codes = np.array(
        [np.unique([row[level] for row in labels], return_inverse=True)[1] for level in range(len(labels[0]))]
    ).T.astype(np.int32)
    size = int(codes.max()) + 1
    last = np.eye(size, dtype=np.float32)[codes[:, -1]]
    unique = resolve_collisions(categories_N, codes, last, np.eye(size, dtype=np.float32), size)
    return unique, int((unique != codes).any(1).sum())
