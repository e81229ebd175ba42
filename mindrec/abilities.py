"""Questions beside "what comes next?": slates, gaps, items that do not belong, answers written anew."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mindrec.data.catalog import Item
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.gaps import CANDIDATES, RIGHT, fill_gaps, least, odd_one_out
from mindrec.decoding.rewrite import least_certain as least_certain_of
from mindrec.decoding.rewrite import rewritten
from mindrec.decoding.slates import WIDTH, Slate, SlateShape, slates
from mindrec.errors import MindRecError
from mindrec.recommendation import Recommendation, Recommended
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


@dataclass(frozen=True)
class ScoredItem:
    """One item of a history given the others.

    Attributes:
        score, probability: of the item given the others; a search's own, not a chance of being right.
        lift: score minus the log of its share in what anybody takes; None where that is not known.
        odd: whether it is the one that belongs least.
    """

    row: int
    item: Item
    score: float
    probability: float
    lift: float | None
    odd: bool


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
        by_history = slates(self.denoiser, self.index, rows, settings, SlateShape(n, width, max_per_category))
        return [self._named_slate(best[0]) for best in by_history]

    def fill_gap(
        self,
        history: History,
        position: int,
        config: DecodeConfig | Mapping | None = None,
        *,
        candidates: int = CANDIDATES,
        right: int = RIGHT,
    ) -> list[Recommended]:
        """Rank which item stood between history[:position] and history[position:], by both sides.

        An approximation: the first `candidates` answers on the left side are weighed by how well they explain the
        `right` nearest items of the right side. Probabilities are over the candidates. Where order means nothing, the
        answer is one to a question that means little: ask `odd_one_out` there.

        Raises:
            MindRecError: as `recommend`; a position outside the history.
        """
        rows = self.history_rows(history)
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= len(rows):
            raise MindRecError(f"position={position!r} is not in 0..{len(rows)}, before, between or after the items")
        gap = rows[:position], rows[position:]
        fillings = fill_gaps(
            self.denoiser, self.index, [gap], self.settings(config), candidates=candidates, right=right
        )[0]
        return [
            Recommended(rank, f.row, self.catalog.items[f.row], f.score, math.exp(f.score))
            for rank, f in enumerate(fillings, 1)
        ]

    def rewrite(
        self,
        answer: Recommendation | DecodeTrace,
        positions: Iterable[int] | None = None,
        *,
        least_certain: int | None = None,
        rank: int = 1,
    ) -> Recommendation:
        """Mask some tokens of an answer again and decode them anew under the settings of its trace, the rest pinned.

        Args:
            answer: a recommendation with its trace, or the trace.
            positions: of the tokens that are masked again.
            least_certain: masks instead so many of those that the denoiser is least sure of, given all others.
            rank: of the answer that is rewritten; 1 is the best.

        Raises:
            MindRecError: no trace, no such answer or position, or a position that was pinned: pins hold always.
        """
        trace = answer.trace if isinstance(answer, Recommendation) else answer
        config = self.rewritten_config(trace, positions, least_certain=least_certain, rank=rank)
        run = self.decoding_rows([list(trace.history)], config, gold=[None])
        for _ in run:
            pass
        return run.result(0)

    def rewritten_config(
        self, trace: DecodeTrace | None, positions: Iterable[int] | None, *, least_certain: int | None, rank: int
    ) -> DecodeConfig:
        """The settings by which `rewrite` decodes: those of the trace, and the tokens that stay as pins.

        Raises:
            MindRecError: no trace, or one of another catalog; both or neither of positions and least_certain; a rank
                that is not there.
        """
        if trace is None or trace.catalog.get("fingerprint") != self.catalog.fingerprint:
            raise MindRecError("a rewrite needs the trace of an answer over this catalog; recommend with trace=True")
        if (positions is None) == (least_certain is None):
            raise MindRecError("give the positions that are masked again, or least_certain: one of them")
        if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= len(trace.results):
            raise MindRecError(f"rank={rank!r} is not in 1..{len(trace.results)}, the answers of the trace")
        row, config = trace.results[rank - 1].row, DecodeConfig.from_dict(trace.config)
        if positions is None:
            positions = least_certain_of(self.denoiser, self.index, trace.history, row, config, least_certain)
        return rewritten(self.index, row, list(positions), config)

    def odd_one_out(self, history: History, config: DecodeConfig | Mapping | None = None) -> list[ScoredItem]:
        """Score each item of a history given the others, in the order of the history, and mark the one that belongs
        least: whose probability is least above its share in what anybody takes.

        Raises:
            MindRecError: as `recommend`; fewer than two items, or one twice.
        """
        lifts = odd_one_out(self.denoiser, self.index, [self.history_rows(history)], self.settings(config))[0]
        odd = least(lifts)
        return [
            ScoredItem(b.row, self.catalog.items[b.row], b.score, math.exp(b.score), b.lift, n == odd)
            for n, b in enumerate(lifts)
        ]

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
