"""The complete record of one decode: frozen, JSON-able, versioned. No torch.

Numbers are kept to 6 significant digits from the moment that they are recorded, so that JSON loses nothing.

It is the API's result, the cache entry, the story, the export and the test fixture.
"""

from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import orjson
from pydantic import AfterValidator, ConfigDict, FailFast, Field

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

VERSION = 2
"""Of the form that is written. Version 1 has no `possible` and no `titles`; it is read as version 2 without them."""
MAX_WHOLE = 2**53 - 1
"""The largest whole number that JavaScript holds exactly."""
MAX_DEPTH = 8
"""Free fields (config, model, catalog) are nested at most this deep."""


def _bounded(value: Any, depth: int = 0) -> Any:
    """Refuse free JSON that could not be written again: numbers without an end, or nested too deep."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value}, where a finite number is needed")
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise ValueError(f"larger than {MAX_WHOLE}")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _bounded(inner, depth + 1)
    return value


T = TypeVar("T")
Many = Annotated[tuple[T, ...], FailFast()]
"""A list, as JSON has it. Reading stops at the first bad value: a large file cannot have a million faults."""
Whole = Annotated[int, Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]
Free = Annotated[dict[str, Any], AfterValidator(_bounded)]


def six_digits(value: float) -> float:
    """A number as a trace keeps it: to 6 significant digits."""
    return float(f"{value:.6g}")


@dataclass(frozen=True)
class Alternative:
    """One code that an open position might take.

    Attributes:
        code: of the position's level.
        p: probability the search used: legal codes only, denoiser and evidence together; 0 for an illegal code.
        raw: the denoiser's probability before legality and evidence, over the level's whole vocabulary.
        token: the denoiser's alone, over legal codes.
        evidence: item mass on the code, of dense head and transitions; None where evidence is off or missing.
        items: items still possible with this code.
        why: None for a legal code, else "illegal" (no such item) or "excluded" (only items ruled out have it).
    """

    code: Whole
    p: float
    raw: float
    token: float
    evidence: float | None
    items: Whole
    why: str | None = None


@dataclass(frozen=True)
class OpenPosition:
    """One masked position as the search saw it: its entropy in nats, and its likeliest codes.

    `legal` is the share of the denoiser's unconstrained probability that falls on legal codes.
    """

    position: Whole
    entropy: float
    legal: float
    alternatives: Many[Alternative]


@dataclass(frozen=True)
class Sides:
    """The two sides of guidance at one open position: probability of each listed alternative, legal codes only.

    Attributes:
        given: for this history, as a decode without guidance has it.
        anyone: in what anybody takes, whatever the history.
    """

    given: Many[float]
    anyone: Many[float]


@dataclass(frozen=True)
class Opinion:
    """The denoiser's opinion on one beam of the step before, and the positions that the search chose to branch on.

    `sides` holds, for each open position, the two sides that guidance joined; nothing where nothing was guided.
    """

    beam: Whole
    chosen: Many[Whole]
    open: Many[OpenPosition]
    sides: Many[Sides] = ()


@dataclass(frozen=True)
class Reveal:
    """A position filled in this step. `p` is None where several were filled at once and only their product is known."""

    position: Whole
    code: Whole
    p: float | None
    forced: bool = False


@dataclass(frozen=True)
class Beam:
    """A partial answer kept after a step; beams stand in rank order.

    Attributes:
        codes: one a position, None = masked.
        score: log-probability so far.
        parent: rank of the beam it came from in the step before; None at the start.
        revealed: positions filled in this step (none where the beam was complete already).
        items: items still possible.
        item: the item's row once the beam is complete; None before, and for a complete answer off the catalog.
    """

    codes: Many[Whole | None]
    score: float
    parent: Whole | None
    revealed: Many[Reveal]
    items: Whole
    item: Whole | None


@dataclass(frozen=True)
class Dropped:
    """A candidate that did not survive the step: why is "cut" (too low a score) or "merged" (another path's state).

    `behind` is how far its score lies under the last kept beam's, in nats.
    """

    codes: Many[Whole | None]
    score: float
    parent: Whole
    position: Whole
    code: Whole
    why: str
    behind: float


@dataclass(frozen=True)
class GoldStep:
    """Where the true next item stands: beams that can still become it, the best of them, and the margin.

    `margin` is the worst kept score minus the best gold-consistent candidate's, in nats: positive when it was cut.
    """

    beams: Whole
    rank: Whole | None
    margin: float | None


@dataclass(frozen=True)
class Possible:
    """Which items are still possible: rows of the likeliest few of each partial answer of a step, best first.

    How many there are in all stands beside the answer. Likely is what item evidence says, without it what anybody
    takes. An alternative or a dropped candidate at a category level has none here, for its name needs no help.

    Attributes:
        beams: of each beam.
        alternatives: of each opinion, of each of its open positions, of each alternative.
        dropped: of each dropped candidate.
    """

    beams: Many[Many[Whole]]
    alternatives: Many[Many[Many[Many[Whole]]]]
    dropped: Many[Many[Whole]]

    def rows(self) -> set[int]:
        """All of them together."""
        behind = (listed for places in self.alternatives for listed in places)
        return set().union(*self.beams, *self.dropped, *chain.from_iterable(behind))


@dataclass(frozen=True)
class DecodeStep:
    """One step: what was seen of the beams before it, and what was kept after it. Step 0 is all masked.

    Attributes:
        coverage: share of the search's own probability on items still possible; None where it is not defined.
        items_left: items possible in any beam.
        nfe: denoiser calls so far.
        rows: beams that the denoiser looked at so far.
        possible: items behind the codes; None where they were not recorded.
    """

    index: Whole
    opinions: Many[Opinion]
    beams: Many[Beam]
    dropped: Many[Dropped]
    coverage: float | None
    items_left: Whole
    nfe: Whole
    rows: Whole
    gold: GoldStep | None = None
    possible: Possible | None = None


@dataclass(frozen=True)
class LevelName:
    """A position of the answer: kind ("category" or "semantic"), what it is called, how many codes it has."""

    kind: str
    name: str
    size: Whole


@dataclass(frozen=True)
class ItemName:
    """How a person knows an item. A cold one was added after training: its tokens alone speak for it."""

    row: Whole
    item_id: str
    title: str
    path: Many[str]
    brand: str | None = None
    cold: bool = False


@dataclass(frozen=True)
class Result:
    """A recommended item. `probability` is exp(score): the search's own, not a chance of being right."""

    rank: Whole
    row: Whole
    score: float
    probability: float


@dataclass(frozen=True)
class Gold:
    """The true next item and its fate. `died_at` is the step after which no beam could become it."""

    row: Whole
    codes: Many[Whole]
    rank: Whole | None
    died_at: Whole | None
    margin: float | None
    excluded: bool = False


@dataclass(frozen=True)
class Rethink:
    """A second look at the best answer: re-masked positions, both pseudo-log-likelihoods, whether it was swapped."""

    positions: Many[Whole]
    before_row: Whole
    before: float
    after_row: Whole
    after: float
    swapped: bool
    nfe: Whole


@dataclass(frozen=True)
class ItemVotes:
    """Where one item stands in each order of the votes.

    Attributes:
        row: of the item.
        searched: its rank in the search, 0 the best.
        ranks: its rank among the same items in each order.
    """

    row: Whole
    searched: Whole
    ranks: Many[Whole]


@dataclass(frozen=True)
class Votes:
    """The search's last items scored again in several unmask orders; the mean log-probability ranks the results.

    Attributes:
        orders: for each vote, the positions in the order of their filling, without those that were pinned.
        items: in the order of the search.
        nfe, rows: denoiser calls that it took, and the partial answers in them.
    """

    orders: Many[Many[Whole]]
    items: Many[ItemVotes]
    nfe: Whole
    rows: Whole


@dataclass(frozen=True)
class DecodeTrace:
    """Everything about one decode.

    Attributes:
        config: the decode settings (DecodeConfig.to_dict()).
        model: name, fingerprint, objective, device, and whether the history cache is exact.
        catalog: name, fingerprint, item count, whether its categories were induced.
        labels: for each position, code (as a string) -> readable name, for every code that the trace mentions.
        items: names of every item that is told of: history, results, gold, complete beams.
        titles: row (as a string) -> title, of every other item that is possible in some step.
        elapsed_ms: wall-clock time of the decode.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    config: Free
    levels: Many[LevelName]
    history: Many[Whole]
    steps: Many[DecodeStep]
    results: Many[Result]
    model: Free
    catalog: Free
    labels: Many[dict[str, str]]
    items: Many[ItemName]
    gold: Gold | None = None
    rethink: Rethink | None = None
    votes: Votes | None = None
    elapsed_ms: float | None = None
    version: Literal[1, 2] = VERSION
    notes: Many[str] = ()
    titles: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return orjson.loads(orjson.dumps(self))

    def to_json(self) -> str:
        """The trace as JSON text; `from_json` reads it back to an equal trace."""
        return orjson.dumps(self).decode()

    def to_frame(self) -> "pd.DataFrame":
        """One row for each beam of each step, in order of step and rank.

        Columns: step, beam (rank from 0), parent (rank in the step before, <NA> at the start), score
        (log-probability), items (how many are still possible), item, item_id and title of a complete beam, and for
        each level "position: name" with the readable code, None while it is masked.
        """
        from mindrec.trace.frame import frame_of

        return frame_of(self)

    def to_graph(self) -> "nx.DiGraph":
        """The search as a graph: an edge runs from each beam to each beam and dropped candidate that came of it.

        Nodes are "step.rank" for a beam and "step.lost" and a number for a candidate that was cut. Their attributes:
        step, kind ("beam", "cut", "merged"), score (log-probability), rank and items (possible) of a beam, row and
        title of a complete one, behind (nats under the last kept) of a candidate, and "position: level" with the
        readable code of each filled position. Where several paths reach one state, it has several edges ("merged"), so
        that the graph is no tree. `networkx.ancestors(graph, node)` is the history of an answer;
        `networkx.write_graphml` writes it for other tools.
        """
        from mindrec.trace.graph import graph_of

        return graph_of(self)

    @classmethod
    def from_dict(cls, raw: dict) -> "DecodeTrace":
        """Check plain JSON values as `from_json` checks their text."""
        from mindrec.trace.reading import read_values

        return read_values(raw)

    @classmethod
    def from_json(cls, text: str) -> "DecodeTrace":
        """Check untrusted text: it is bounded in size, and nothing in it is executed or looked up.

        Raises:
            MindRecError: the first field that breaks the form, its value, and what is allowed.
        """
        from mindrec.trace.reading import read_text

        return read_text(text)
