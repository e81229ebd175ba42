"""Readable keywords for a semantic-ID code: class TF-IDF over the titles of its items."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

WORD = r"(?u)\b[^\W\d_]{2,}(?:-[^\W\d_]+)*\b"
"""Letters only; words joined by a hyphen are one."""


def class_keywords(titles: Sequence[str], labels_N: np.ndarray, n_classes: int, words: int = 3) -> list[list[str]]:
    """For each class the `words` terms that mark it out; a class without such terms has none.

    A class-based TF-IDF: a term's share in the class times the log of that share over its share in all classes (each
    term's part of the Kullback-Leibler divergence), so that a word spread evenly over the classes marks none of them.
    """
    try:
        vectorizer = CountVectorizer(stop_words="english", token_pattern=WORD)
        counts = vectorizer.fit_transform(titles)
    except ValueError:  # no title has a word
        return [[] for _ in range(n_classes)]
    terms = vectorizer.get_feature_names_out()
    per_class = np.zeros((n_classes, counts.shape[1]))
    coo = counts.tocoo()
    np.add.at(per_class, (labels_N[coo.row], coo.col), coo.data)
    share = per_class / np.maximum(per_class.sum(1, keepdims=True), 1)
    overall = per_class.sum(0) / per_class.sum()
    weight = share * np.log(np.maximum(share, 1e-12) / overall)
    order = np.argsort(-weight, axis=1, kind="stable")[:, :words]
    return [[str(terms[t]) for t in row if weight[n, t] > 0] for n, row in enumerate(order)]
