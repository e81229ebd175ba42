"""What is taken together: a linear item-item model, where the order of a history means nothing.

Each item is predicted from all others of its sequence by least squares with a ridge penalty and no item for itself:
EASE, Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, arXiv 1905.03375, equation 8. With the
Gram matrix G = X'X of the sequences and P = (G + ridge I)^-1, the weight of item i for item j is -P_ij / P_jj.

Shape legend: B users, N items.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch

from mindrec.model.pair_votes import PairVotes, largest_of_rows

RIDGE = 50.0
"""The penalty, in sequences. Chosen on grocery's validation trips, of 20 to 2,000."""
MOST = 200
"""Weights kept of an item, the largest by size: votes against count too."""
MOST_ITEMS = 15_000
"""Above this the matrix to invert takes more than 2 GB, and the model is left out."""


class ItemItem(PairVotes):
    """Votes of all items of a history, linear in them, for what is taken with them."""

    FLOOR = 0.03

    @classmethod
    def counted(cls, sequences: Sequence[np.ndarray], n_items: int, *, repeats: bool = False) -> "ItemItem":
        """From training sequences of item rows, each a set. At most `MOST_ITEMS` items: an N x N matrix is inverted."""
        gram_NN = _gram(sequences, n_items)
        gram_NN[np.diag_indices(n_items)] += RIDGE
        inverse_NN = np.linalg.inv(gram_NN)
        weights_NN = inverse_NN / -np.diag(inverse_NN)
        np.fill_diagonal(weights_NN, 0)
        return cls.of_weights(largest_of_rows(sp.csr_matrix(weights_NN, dtype=np.float32), MOST), repeats=repeats)

    def shares(self, histories: Sequence[Sequence[int]]) -> torch.Tensor:
        """What the linear model predicts of each item, (B, N), near 0 to 1; less than nothing counts as nothing."""
        voters = [(user, row, 1) for user, h in enumerate(histories) for row in h]
        return self._sum_votes(histories, voters).clamp(min=0)


def _gram(sequences: Sequence[np.ndarray], n_items: int) -> np.ndarray:
    """How many sequences hold both items of each pair, float64 (N, N)."""
    lengths = [len(rows) for rows in sequences]
    columns = np.concatenate(sequences)
    held = sp.csr_matrix((np.ones(len(columns)), columns, np.cumsum([0, *lengths])), shape=(len(sequences), n_items))
    held.sum_duplicates()
    held.data[:] = 1
    return (held.T @ held).toarray()
