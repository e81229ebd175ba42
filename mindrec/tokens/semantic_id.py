"""Semantic IDs: residual k-means over item vectors, unique within their category.

Shape legend: N items, D vector width, S semantic-ID levels.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from mindrec.errors import MindRecError


def text_vectors(texts: Sequence[str], width: int = 64, seed: int = 0) -> np.ndarray:
    """TF-IDF of words, reduced by SVD to unit vectors, (N, <=width)."""
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=r"(?u)\b\w+\b")
    try:
        matrix = tfidf.fit_transform(texts)
    except ValueError:  # no word occurs twice: nothing to compare items by
        return np.zeros((len(texts), 1), dtype=np.float32)
    return _reduce(matrix, width, seed)


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
    return _reduce(matrix, width, seed)


def _reduce(matrix: sp.csr_matrix, width: int, seed: int) -> np.ndarray:
    width = min(width, matrix.shape[1] - 1)
    if width < 1 or matrix.nnz == 0:
        return np.zeros((matrix.shape[0], 1), dtype=np.float32)
    return normalize(TruncatedSVD(width, random_state=seed).fit_transform(matrix)).astype(np.float32)


def residual_kmeans(
    vectors_ND: np.ndarray, categories_N: np.ndarray, levels: int, codebook_size: int, seed: int = 0
) -> np.ndarray:
    """Codes int32 (N, S): each level clusters what the levels before it left over.

    The mean of an item's finest category is taken off first, so that codes refine the category path instead of
    saying it again. Two items of one category never share a code tuple.
    """
    if levels < 1:
        return np.zeros((len(vectors_ND), 0), dtype=np.int32)
    residual = vectors_ND.astype(np.float32) - _group_means(vectors_ND, categories_N)[categories_N]
    codes, centers = np.zeros((len(residual), levels), dtype=np.int32), []
    last_input = residual
    for level in range(levels):
        clusters = min(codebook_size, len(np.unique(residual, axis=0)))
        model = KMeans(clusters, n_init=3, random_state=seed + level).fit(residual)
        codes[:, level], last_input = model.labels_, residual
        centers.append(model.cluster_centers_)
        residual = residual - model.cluster_centers_[model.labels_]
    return resolve_collisions(categories_N, codes, last_input, centers[-1], codebook_size)


def resolve_collisions(
    categories_N: np.ndarray, codes_NS: np.ndarray, last_ND: np.ndarray, centers: np.ndarray, codebook_size: int
) -> np.ndarray:
    """Make (category, codes) unique. The item nearest its last centre keeps its code, the others move.

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
        codes[row] = _first_free(int(categories_N[row]), codes[row], last_codes, codebook_size, taken)
        taken.add((int(categories_N[row]), *map(int, codes[row])))
    return codes


def _first_free(category: int, codes: np.ndarray, last_codes: np.ndarray, codebook_size: int, taken: set) -> np.ndarray:
    """The free tuple that changes the last level if it can, else an ever longer tail."""
    for changed in range(1, len(codes) + 1):
        head = tuple(map(int, codes[: len(codes) - changed]))
        for middle in np.ndindex(*(codebook_size,) * (changed - 1)):
            for last in last_codes:
                tail = (*head, *map(int, middle), int(last))
                if (category, *tail) not in taken:
                    return np.array(tail, dtype=np.int32)
    raise AssertionError("resolve_collisions checks that a free tuple exists")


def _group_means(vectors: np.ndarray, groups: np.ndarray) -> np.ndarray:
    sums = np.zeros((groups.max() + 1, vectors.shape[1]))
    np.add.at(sums, groups, vectors)
    return (sums / np.maximum(np.bincount(groups, minlength=len(sums)), 1)[:, None]).astype(np.float32)


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
