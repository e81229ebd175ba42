"""Free-text search over a catalog's titles and paths: type-ahead and "vegan snacks for kids" alike. No torch.

Shape legend: N items or paths.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from mindrec.data.catalog import Catalog
from mindrec.data.category_tree import HERE
from mindrec.text.features import Embed
from mindrec.text.synonyms import in_catalog_words

MAX_QUERY = 200
WORD = re.compile(r"\w+")
TITLE_WEIGHT = 2.0
CANDIDATES = 200
"""Items, the best by their words, whose titles are then compared with what was typed."""
LEAST, LEAST_LIKE = 0.05, 0.3
"""Least score of letters, and least likeness by the text model, of an item that is found."""
POPULAR = 0.3
"""Score that the most bought item gains over one that was never bought: less than any letter that fits better."""
SURE = 0.5
"""Share of a word's letters (n-grams) that an item must have before words are taken as its name."""


def fold(text: str) -> str:
    """Lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


def text_embedder(recorded: str | None) -> Embed | None:
    """The text model of MINDREC_TEXT_MODEL, else the one that a checkpoint was made with, where it is still there."""
    path = os.environ.get("MINDREC_TEXT_MODEL")
    folder = path or (recorded if recorded and Path(recorded).is_dir() else None)
    if folder is None:
        return None
    from mindrec.text.features import text_model

    return text_model(Path(folder))


class TextSearch:
    """TF-IDF of character n-grams within words, so that a half-typed or misspelt word finds its item.

    With a text model, its likeness is added: words that no title has then find what is meant by them.
    """

    def __init__(self, catalog: Catalog, embed: Embed | None = None, popularity: Sequence[int] | None = None):
        """`popularity`, how often training took each item (N), decides between items that fit alike."""
        self.catalog, self.embed = catalog, embed
        taken = np.log1p(np.zeros(len(catalog)) if popularity is None else np.asarray(popularity, dtype=float))
        self.popular_N = POPULAR * taken / max(taken.max(initial=0.0), 1.0)
        self.titles = [fold(item.title) for item in catalog.items]
        paths = [fold(" ".join(filter(None, (*item.categories, item.brand)))) for item in catalog.items]
        self.known = frozenset(word for text in (*self.titles, *paths) for word in WORD.findall(text))
        self.vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        self.vectorizer.fit([f"{t} {p}" for t, p in zip(self.titles, paths, strict=True)])
        self.matrix = (TITLE_WEIGHT * self.vectorizer.transform(self.titles) + self.vectorizer.transform(paths)).tocsr()

    @cached_property
    def _vectors_ND(self) -> np.ndarray | None:
        return self.embed and self.embed([item.text for item in self.catalog.items])

    @cached_property
    def _nodes(self) -> tuple[list[tuple[str, ...]], object, np.ndarray | None]:
        """Category paths of any depth, the letters of their names, and their vectors."""
        nodes = [path for level in self.catalog.tree.levels for path in level if path[-1] != HERE]
        if not nodes:
            return [], None, None
        letters = self.vectorizer.transform([fold(path[-1]) for path in nodes])
        return nodes, letters, self.embed and self.embed([" ".join(path) for path in nodes])

    def _likeness(self, query: str, words: Sequence[str], letters, vectors_ND: np.ndarray | None) -> np.ndarray:
        """(N,): of letters, and where there is a text model its likeness above what counts as none."""
        scores = np.asarray((letters @ self.vectorizer.transform([" ".join(words)]).T).todense()).ravel()
        if vectors_ND is not None:
            scores += np.maximum(vectors_ND @ self.embed([query])[0] - LEAST_LIKE, 0) * 3
        return scores

    def rows(self, query: str, limit: int = 10) -> list[int]:
        """Rows that fit the query, best first; empty where nothing fits. Only the first 200 characters count."""
        query = query[:MAX_QUERY].strip()
        if not query:
            return []
        words = self._content_words(query)
        scores = self._likeness(query, words, self.matrix, self._vectors_ND)
        scores[scores > LEAST] += self.popular_N[scores > LEAST]
        for row in np.argsort(-scores, kind="stable")[: max(CANDIDATES, limit)]:
            scores[row] += _typed(self.titles[row], words)
        return _best(scores, limit)

    def fits(self, query: str, row: int) -> bool:
        """Whether an item may be taken as what the words mean, where a list would only offer it.

        It has at least half the letters of one content word, or the text model finds item and words alike.
        """
        query, letters = query[:MAX_QUERY].strip(), self.vectorizer.build_analyzer()
        item = self.catalog.items[row]
        item_letters = set(letters(fold(" ".join(filter(None, (item.title, *item.categories, item.brand))))))
        for word in self._content_words(query):
            parts = set(letters(word)) if any(map(str.isalnum, word)) else set()
            if parts and len(parts & item_letters) >= SURE * len(parts):
                return True
        return self.embed is not None and float(self._vectors_ND[row] @ self.embed([query])[0]) > LEAST_LIKE

    def _content_words(self, query: str) -> list[str]:
        """Content words of a query, without "something", "for", "a".

        A word that the catalog lacks gives way to what it means. The last word stays, since it may be unfinished.
        """
        words = in_catalog_words(fold(query), self.known).split()
        return [w for w in words[:-1] if w not in ENGLISH_STOP_WORDS] + words[-1:]

    def paths(self, query: str, limit: int = 3) -> list[tuple[str, ...]]:
        """Category paths, of any depth, whose names fit the query, best first."""
        query = query[:MAX_QUERY].strip()
        nodes, letters, vectors = self._nodes
        if not query or not nodes:
            return []
        words = self._content_words(query)
        scores = self._likeness(query, words, letters, vectors)
        scores += [_typed(fold(path[-1]), words) for path in nodes]
        return [nodes[n] for n in _best(scores, limit)]


def _typed(name: str, words: Sequence[str]) -> float:
    """The score of a name for the words: each whole word counts, and so does the one still being typed."""
    parts = name.replace(",", " ").split()
    score = sum(0.5 * (w in parts) + 0.25 * any(t.startswith(w) for t in parts) for w in words)
    return score + 0.5 * name.startswith(" ".join(words)) - 0.002 * len(name)


def _best(scores: np.ndarray, limit: int) -> list[int]:
    order = np.argsort(-scores, kind="stable")[:limit]
    return [int(n) for n in order if scores[n] > LEAST]
