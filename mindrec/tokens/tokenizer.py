"""The tokenizer: each item as its tuple of codes, and back.

Every level has its own vocabulary; a token id is the level's offset plus the code.

Shape legend: N items, L levels (C category levels, then semantic-ID levels), T tokens of all levels together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mindrec.data.catalog import Catalog, Item
from mindrec.errors import MindRecError
from mindrec.system.files import read_json, write_json
from mindrec.text.keywords import class_keywords
from mindrec.tokens.levels import Levels

VERSION = 1


@dataclass(frozen=True)
class Level:
    """One position of the answer.

    Attributes:
        kind: "category" or "semantic".
        name: what a person calls the level.
        labels: a readable name for each code; its length is the level's vocabulary size.
    """

    kind: str
    name: str
    labels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.labels)


@dataclass(frozen=True)
class Tokenizer:
    """The tokens of every item.

    Attributes:
        levels: L levels, category levels first.
        codes: int32 (N, L); the rows differ from one another.
        catalog_fingerprint: of the catalog that these codes name.
    """

    levels: tuple[Level, ...]
    codes: np.ndarray
    catalog_fingerprint: str

    def __post_init__(self):
        if self.codes.ndim != 2 or self.codes.shape[1] != len(self.levels):
            raise MindRecError(
                f"codes of shape {self.codes.shape} for {len(self.levels)} levels; (items, levels) needed"
            )
        for level, codes in zip(self.levels, self.codes.T, strict=True):
            if len(codes) and (codes.min() < 0 or codes.max() >= level.size):
                raise MindRecError(f"level {level.name!r}: a code is outside 0..{level.size - 1}")
        if len(np.unique(self.codes, axis=0)) != len(self.codes):
            raise MindRecError("two items share all their codes; semantic IDs must be unique: build them again")

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.codes)

    @property
    def n_levels(self) -> int:
        """Number of levels L."""
        return len(self.levels)

    @property
    def n_category_levels(self) -> int:
        """Number of category levels, which come first."""
        return sum(level.kind == "category" for level in self.levels)

    @cached_property
    def level_sizes(self) -> tuple[int, ...]:
        """Number of codes of every level, (L,)."""
        return tuple(level.size for level in self.levels)

    @cached_property
    def layout(self) -> Levels:
        """The layout of the levels' vocabularies, as search and model need it."""
        return Levels(self.level_sizes, self.n_category_levels)

    @cached_property
    def tokens(self) -> np.ndarray:
        """Token ids of every item, int64 (N, L)."""
        return self.layout.tokens(self.codes)

    @cached_property
    def _row_of(self) -> dict[tuple[int, ...], int]:
        return {tuple(map(int, codes)): row for row, codes in enumerate(self.codes)}

    @cached_property
    def category_parents(self) -> list[list[int]]:
        """For each category level, the parent code of every code (0 at the top): the tree that the tokens spell."""
        out = []
        for level in range(self.n_category_levels):
            ups = [0] * self.levels[level].size
            if level:
                for up, code in np.unique(self.codes[:, level - 1 : level + 1], axis=0).tolist():
                    ups[code] = up
            out.append(ups)
        return out

    def encode(self, row: int) -> tuple[int, ...]:
        """Codes of one item, coarse to fine, (L,)."""
        return tuple(map(int, self.codes[row]))

    def decode(self, codes: Sequence[int]) -> int | None:
        """Row of the item with these codes; None where the catalog has none."""
        return self._row_of.get(tuple(map(int, codes)))

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file."""
        write_json(
            path,
            {
                "version": VERSION,
                "catalog_fingerprint": self.catalog_fingerprint,
                "levels": [{"kind": v.kind, "name": v.name, "labels": list(v.labels)} for v in self.levels],
                "codes": self.codes.tolist(),
            },
            indent=None,
        )

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Raises MindRecError where the file is missing, damaged or of another version."""
        raw = read_json(path, "tokenizer")
        if raw.get("version") != VERSION:
            raise MindRecError(f"{path}: version {raw.get('version')!r}, this release reads {VERSION}")
        try:
            levels = tuple(Level(v["kind"], v["name"], tuple(v["labels"])) for v in raw["levels"])
            codes = np.array(raw["codes"], dtype=np.int32).reshape(-1, len(levels))
            return cls(levels, codes, raw["catalog_fingerprint"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise MindRecError(f"{path}: damaged tokenizer ({error}); restore the file or train again") from error


def build_tokenizer(catalog: Catalog, semantic_codes: np.ndarray, level_names: Sequence[str] = ()) -> Tokenizer:
    """Join the category tree's node codes with semantic-ID codes (N, S); name every code for a person."""
    tree = catalog.tree
    titles = [_brand_as_one_word(item) for item in catalog.items]
    levels = [
        Level(
            "category",
            level_names[depth]
            if depth < len(level_names)
            else ("Category", "Sub-category", "Finest category")[depth]
            if depth < 3
            else f"Category {depth + 1}",
            tuple(path[-1] for path in nodes),
        )
        for depth, nodes in enumerate(tree.levels)
    ]
    for number, codes in enumerate(semantic_codes.T, 1):
        size = int(codes.max()) + 1
        words = class_keywords(titles, codes, size)
        levels.append(
            Level("semantic", f"ID {number}", tuple(", ".join(w) or f"code {code}" for code, w in enumerate(words)))
        )
    codes = np.concatenate([tree.codes, semantic_codes.astype(np.int32)], axis=1)
    return Tokenizer(tuple(levels), codes, catalog.fingerprint)


def _brand_as_one_word(item: Item) -> str:
    """The title with its brand hyphenated: "store brand" is one mark of an item, not two words."""
    if not item.brand:
        return item.title
    return item.title.replace(item.brand, "-".join(item.brand.split()))
