"""A linear item-item model of items taken together, where the order of a history means nothing.

Each item is predicted from all others of its sequence by least squares with a ridge penalty and no item for itself:
EASE, Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv 1905.03375, equation 8. With the
Gram matrix G = X'X of the sequences and P = (G + ridge I)^-1, the weight of item i for item j is -P_ij / P_jj.

Here each sequence counts once, however long: a row of X is divided by the root of its length. A case asks for one item,
so a long sequence is one question and not as many as it has items.

Shape legend: B users, N items.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch

from mindrec.model.pair_votes import PairVotes, largest_of_rows

RIDGE = 30.0
"""The penalty, in sequences of the mean weight. Chosen on grocery's validation trips, of 10, 30 and 100."""
MAX_WEIGHTS = 200
"""Weights kept of an item, the largest by size: votes against count too."""
MAX_ITEMS = 15_000
"""Above this the matrix to invert takes more than 2 GB, and the model is left out."""


class ItemItem(PairVotes):
    """Votes of all items of a history, linear in them, for what is taken with them."""

    FLOOR = 0.03
    RANKS = True

    @classmethod
    def counted(cls, sequences: Sequence[np.ndarray], n_items: int, *, repeats: bool = False) -> "ItemItem":
        """From training sequences of item rows (length,), each a set. At most `MAX_ITEMS` items: it inverts (N, N)."""
        gram_NN, mean_weight = _gram(sequences, n_items)
        gram_NN[np.diag_indices(n_items)] += RIDGE * mean_weight
        inverse_NN = np.linalg.inv(gram_NN)
        weights_NN = inverse_NN / -np.diag(inverse_NN)
        np.fill_diagonal(weights_NN, 0)
        return cls.of_weights(
            largest_of_rows(sp.csr_matrix(weights_NN, dtype=np.float32), MAX_WEIGHTS), repeats=repeats
        )

    def shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """The linear model's prediction of each item, (B, N), near 0 to 1; values below 0 count as 0."""
        return self._sum_votes(histories, self._all_voters(histories)).clamp(min=0)

    def voters(self, history: Sequence[int]) -> list[tuple[int, int]]:
        """See `PairVotes.voters`."""
        return [(row, 1) for row in history]


def _gram(sequences: Sequence[np.ndarray], n_items: int) -> tuple[np.ndarray, float]:
    """Weight of the sequences that hold both items of each pair, float64 (N, N), and the mean weight of a sequence."""
    sets = [np.unique(rows) for rows in sequences if len(rows)]
    bounds = np.cumsum([0, *map(len, sets)])
    weights = 1 / np.diff(bounds)
    held = sp.csr_matrix((np.repeat(weights**0.5, np.diff(bounds)), np.concatenate(sets), bounds), (len(sets), n_items))
    return (held.T @ held).toarray(), float(weights.mean())
