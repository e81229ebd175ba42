"""A decode that is still running, as the page plays it: each step is drawn once, whoever asks how often."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from app.views.events import events
from app.views.tree import TreeBuilder
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeStep, DecodeTrace, ItemName


class Film:
    """The steps of one decode that are drawn so far. Any thread may ask.

    Args:
        rows: of the history's items.
        gold: row of the true next item, where it is known.
    """

    def __init__(self, recommender: Recommender, config: DecodeConfig, rows: Sequence[int], gold: int | None):
        self.recommender, self.config, self.rows, self.gold = recommender, config, rows, gold
        self._lock = threading.Lock()
        self._done = 0
        self._labels: list[dict[str, str]] = [{} for _ in recommender.tokenizer.levels]
        self._items: dict[int, ItemName] = {}
        self._titles: dict[str, str] = {}
        self._tree: TreeBuilder | None = None
        self._captions: list[str] = []

    def part(self, steps: Sequence[DecodeStep], after: int) -> dict:
        """The film of the steps so far without the first `after`: trace, captions, events and tree."""
        with self._lock:
            trace = self._extend(tuple(steps)) if len(steps) >= self._done else self._named(tuple(steps), self._done)
            return {
                "trace": replace(trace, steps=trace.steps[after:]),
                "captions": self._captions[after : len(steps)],
                "events": events(trace),
                "tree": self._tree.view(),
            }

    def _extend(self, steps: tuple[DecodeStep, ...]) -> DecodeTrace:
        trace = self._named(steps, self._done)
        if self._tree is None:
            self._tree = TreeBuilder(trace, self.recommender.tokenizer.category_parents)
        self._tree.trace = trace
        for step in steps[self._done :]:
            self._tree.add(step)
        self._captions += text.captions(trace, self._done)
        self._done = len(steps)
        return trace

    def _named(self, steps: tuple[DecodeStep, ...], since: int) -> DecodeTrace:
        """The trace of the steps with the names of all that they mention; only new steps are read for names."""
        trace = self.recommender.build_trace(self.config, self.rows, steps, (), self.gold, None, since=since)
        for known, new in zip(self._labels, trace.labels, strict=True):
            known.update(new)
        self._items.update((item.row, item) for item in trace.items)
        self._titles.update(trace.titles)
        labels = tuple({code: names[code] for code in sorted(names, key=int)} for names in self._labels)
        items = tuple(self._items[row] for row in sorted(self._items))
        return replace(trace, labels=labels, items=items, titles=self._titles.copy())
