"""Semantic IDs of bare vectors, by either way to quantise them."""

import numpy as np

from mindrec.tokens.semantic_id import quantise_product, quantise_residual


def residual_kmeans(
    vectors_ND: np.ndarray, categories_N: np.ndarray, levels: int, codebook_size: int, seed: int = 0
) -> np.ndarray:
    """Codes int32 (N, S), coarse to fine; two items of one category never share all of them."""
    quantised = quantise_residual(vectors_ND, categories_N, levels, codebook_size, seed)
    return quantised.unique(categories_N, codebook_size)


def product_codes(
    vectors_ND: np.ndarray, categories_N: np.ndarray, levels: int, codebook_size: int, seed: int = 0
) -> np.ndarray:
    """Codes int32 (N, S), one a subspace, in no order; two items of one category never share all of them."""
    quantised = quantise_product(vectors_ND, categories_N, levels, codebook_size, seed)
    return quantised.unique(categories_N, codebook_size)
