"""Questions beside "what comes next?": slates."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.slates import WIDTH, Slate, slates
from mindrec.recommendation import Recommended
from mindrec.trace.records import DecodeTrace

History = Iterable[str | int | float]
"""Item ids or titles, oldest first."""


@dataclass(frozen=True)
class RecommendedSlate:
    """Items that go together, in the order in which they were chosen.

    Attributes:
        items: `rank` is the slot, from 1; score and probability are those of the item after the history and the slots
            before it.
        score: log-probability of the slate in this order.
        traces: the decode of each slot, whose results hold the item that was chosen; none where none was asked for.
    """

    items: tuple[Recommended, ...]
    score: float
    traces: tuple[DecodeTrace, ...] = ()


class Abilities:
    """Methods of a Recommender that ask a masked model for more than the next item."""

    def slate(
        self,
        history: History,
        n: int,
        config: DecodeConfig | Mapping | None = None,
        *,
        max_per_category: int | None = None,
        width: int = WIDTH,
        trace: bool = False,
    ) -> RecommendedSlate:
        """Choose n items that go together, later ones knowing earlier ones; never one twice.

        Args:
            history, config: as for `recommend`.
            max_per_category: how many items of one finest category the slate may have; any number without.
            width: slates that the search keeps after each slot; 1 takes the first answer each time.

        Raises:
            MindRecError: as `recommend`; fewer than n items to choose from.
        """
        chosen = self.slates([history], n, config, max_per_category=max_per_category, width=width)[0]
        if not trace:
            return chosen
        settings, rows = self.settings(config), self.history_rows(history)
        traces = self._slot_traces(rows, [item.row for item in chosen.items], settings, max_per_category)
        return replace(chosen, traces=traces)

    def slates(
        self,
        histories: Iterable[History],
        n: int,
        config: DecodeConfig | Mapping | None = None,
        *,
        max_per_category: int | None = None,
        width: int = WIDTH,
    ) -> list[RecommendedSlate]:
        """`slate` of several histories, all of whose partial slates are decoded together."""
        rows = [self.history_rows(history) for history in histories]
        settings = self.settings(config)
        found = slates(self.denoiser, self.index, rows, settings, n, width=width, max_per_category=max_per_category)
        return [self._named_slate(own[0]) for own in found]

    def _named_slate(self, slate: Slate) -> RecommendedSlate:
        pairs = enumerate(zip(slate.rows, slate.scores, strict=True), 1)
        items = [Recommended(slot, row, self.catalog.items[row], s, math.exp(s)) for slot, (row, s) in pairs]
        return RecommendedSlate(tuple(items), slate.score)

    def _slot_traces(self, history, slate, config: DecodeConfig, max_per_category) -> tuple[DecodeTrace, ...]:
        """The decode of each slot. What the slate may not have again is forbidden in its settings."""
        level = self.index.levels.n_categories - 1
        category = self.index.codes_NL[:, level].tolist() if max_per_category is not None else None
        traces = []
        for slot in range(len(slate)):
            forbidden = {*config.forbid_items, *slate[:slot]}
            if category is not None:
                held = [category[row] for row in slate[:slot]]
                full = {code for code in held if held.count(code) >= max_per_category}
                forbidden |= {row for row, code in enumerate(category) if code in full}
            changed = replace(config, forbid_items=tuple(forbidden), rethink=False)
            run = self.decoding_rows([[*history, *slate[:slot]]], changed, gold=[None])
            for _ in run:
                pass
            traces.append(run.result(0).trace)
        return tuple(traces)
