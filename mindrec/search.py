"""Free-text search over a catalog's titles and paths: type-ahead and "vegan snacks for kids" alike. No torch."""

import unicodedata

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from mindrec.catalog import Catalog

MAX_QUERY = 200
TITLE_WEIGHT = 2.0


def fold(text: str) -> str:
    """Lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


class TextSearch:
    """TF-IDF of character n-grams within words, so that a half-typed or misspelt word finds its item."""

    def __init__(self, catalog: Catalog):
        self.titles = [fold(item.title) for item in catalog.items]
        paths = [fold(" ".join(filter(None, (*item.categories, item.brand)))) for item in catalog.items]
        self.vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        self.vectorizer.fit([f"{t} {p}" for t, p in zip(self.titles, paths, strict=True)])
        self.matrix = (TITLE_WEIGHT * self.vectorizer.transform(self.titles) + self.vectorizer.transform(paths)).tocsr()
        self.matrix = sp.csr_matrix(self.matrix)

    def rows(self, query: str, limit: int = 10) -> list[int]:
        """Rows that fit the query, best first; empty where nothing fits. Only the first 200 characters count."""
        query = fold(query[:MAX_QUERY]).strip()
        if not query:
            return []
        scores = np.asarray((self.matrix @ self.vectorizer.transform([query]).T).todense()).ravel()
        words = query.split()
        for row in np.argsort(-scores, kind="stable")[: max(200, limit)]:
            title_words = self.titles[row].replace(",", " ").split()
            # Each whole word counts, and so does the one still being typed.
            scores[row] += sum(
                0.5 * (w in title_words) + 0.25 * any(t.startswith(w) for t in title_words) for w in words
            )
            scores[row] += 0.5 * self.titles[row].startswith(query) - 0.002 * len(self.titles[row])
        order = np.argsort(-scores, kind="stable")[:limit]
        return [int(row) for row in order if scores[row] > 0.05]
