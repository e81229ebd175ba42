"""The complete record of one decode: frozen, JSON-able, versioned. No torch.

Numbers are kept to 6 significant digits from the moment that they are recorded, so that JSON loses nothing.

It is the API's result, the cache entry, the story, the export and the test fixture.
"""

import dataclasses
import math
import types
from dataclasses import dataclass, field
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

from mindrec.errors import MindRecError

VERSION = 1
MAX_BYTES = 4_000_000
"""A trace read from outside may be this large at most."""
MAX_DEPTH = 8
"""And its free fields (config, model, catalog) this deep."""


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

    code: int
    p: float
    raw: float
    token: float
    evidence: float | None
    items: int
    why: str | None = None


@dataclass(frozen=True)
class OpenPosition:
    """What was thought of one masked position: its entropy in nats, and its likeliest codes.

    `legal` is the share of the denoiser's unconstrained probability that falls on legal codes.
    """

    position: int
    entropy: float
    legal: float
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class Opinion:
    """What the denoiser said of one beam of the step before, and which positions the search chose to branch on."""

    beam: int
    chosen: tuple[int, ...]
    open: tuple[OpenPosition, ...]


@dataclass(frozen=True)
class Reveal:
    """A position filled in this step. `p` is None where several were filled at once and only their product is known."""

    position: int
    code: int
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

    codes: tuple[int | None, ...]
    score: float
    parent: int | None
    revealed: tuple[Reveal, ...]
    items: int
    item: int | None


@dataclass(frozen=True)
class Dropped:
    """A candidate that did not survive the step: why is "cut" (too low a score) or "merged" (another path's state).

    `behind` is how far its score lies under the last kept beam's, in nats.
    """

    codes: tuple[int | None, ...]
    score: float
    parent: int
    position: int
    code: int
    why: str
    behind: float


@dataclass(frozen=True)
class GoldStep:
    """Where the true next item stands: beams that can still become it, the best of them, and the margin.

    `margin` is the worst kept score minus the best gold-consistent candidate's, in nats: positive when it was cut.
    """

    beams: int
    rank: int | None
    margin: float | None


@dataclass(frozen=True)
class DecodeStep:
    """One step: what was seen of the beams before it, and what was kept after it. Step 0 is all masked.

    Attributes:
        coverage: share of the search's own probability on items still possible; None where it is not defined.
        items_left: items possible in any beam.
        nfe: denoiser calls so far.
        rows: beams that the denoiser looked at so far.
    """

    index: int
    opinions: tuple[Opinion, ...]
    beams: tuple[Beam, ...]
    dropped: tuple[Dropped, ...]
    coverage: float | None
    items_left: int
    nfe: int
    rows: int
    gold: GoldStep | None = None


@dataclass(frozen=True)
class LevelName:
    """A position of the answer: kind ("category" or "semantic"), what it is called, how many codes it has."""

    kind: str
    name: str
    size: int


@dataclass(frozen=True)
class ItemName:
    """How a person knows an item. A cold one was added after training: its tokens alone speak for it."""

    row: int
    item_id: str
    title: str
    path: tuple[str, ...]
    brand: str | None = None
    cold: bool = False


@dataclass(frozen=True)
class Result:
    """A recommended item. `probability` is exp(score): the search's own, not a chance of being right."""

    rank: int
    row: int
    score: float
    probability: float


@dataclass(frozen=True)
class Gold:
    """The true next item and its fate. `died_at` is the step after which no beam could become it."""

    row: int
    codes: tuple[int, ...]
    rank: int | None
    died_at: int | None
    margin: float | None
    excluded: bool = False


@dataclass(frozen=True)
class Rethink:
    """A second look at the best answer: re-masked positions, both pseudo-log-likelihoods, whether it was swapped."""

    positions: tuple[int, ...]
    before_row: int
    before: float
    after_row: int
    after: float
    swapped: bool
    nfe: int


@dataclass(frozen=True)
class DecodeTrace:
    """Everything about one decode.

    Attributes:
        config: the decode settings (DecodeConfig.to_dict()).
        model: name, fingerprint, objective, device, and whether the history cache is exact.
        catalog: name, fingerprint, item count, whether its categories were induced.
        labels: for each position, code (as a string) -> readable name, for every code that the trace mentions.
        items: names of every item that the trace mentions: history, results, gold, complete beams.
        elapsed_ms: wall-clock time of the decode.
    """

    config: dict[str, Any]
    levels: tuple[LevelName, ...]
    history: tuple[int, ...]
    steps: tuple[DecodeStep, ...]
    results: tuple[Result, ...]
    model: dict[str, Any]
    catalog: dict[str, Any]
    labels: tuple[dict[str, str], ...]
    items: tuple[ItemName, ...]
    gold: Gold | None = None
    rethink: Rethink | None = None
    elapsed_ms: float | None = None
    version: int = VERSION
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return orjson.loads(orjson.dumps(self))

    def to_json(self) -> str:
        return orjson.dumps(self).decode()

    @classmethod
    def from_dict(cls, raw: dict) -> "DecodeTrace":
        """Raises MindRecError naming the place that breaks the form."""
        if not isinstance(raw, dict):
            raise MindRecError(f"a trace is a JSON object, this is a {type(raw).__name__}")
        if raw.get("version") != VERSION:
            raise MindRecError(f"trace version {raw.get('version')!r}; this release reads version {VERSION}")
        trace = _build(cls, raw, "trace")
        _check(trace)
        return trace

    @classmethod
    def from_json(cls, text: str) -> "DecodeTrace":
        """Parse untrusted text: bounded in size, nothing is executed or looked up."""
        if len(text) > MAX_BYTES:
            raise MindRecError(f"the trace is {len(text):,} characters long; at most {MAX_BYTES:,} are read")
        try:
            raw = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise MindRecError(f"the trace is not JSON ({error}); export it again") from error
        return cls.from_dict(raw)


def _build(kind, raw, where: str):
    """Turn plain JSON into `kind`, checking types all the way down."""
    origin = get_origin(kind)
    if kind is Any:
        return _free(raw, where)
    if origin in (Union, types.UnionType):
        inner = [k for k in get_args(kind) if k is not type(None)]
        return None if raw is None else _build(inner[0], raw, where)
    if origin is tuple:
        if not isinstance(raw, list):
            raise MindRecError(f"{where} is a {type(raw).__name__}; a list is needed")
        return tuple(_build(get_args(kind)[0], v, f"{where}[{n}]") for n, v in enumerate(raw))
    if origin is dict:
        if not isinstance(raw, dict):
            raise MindRecError(f"{where} is a {type(raw).__name__}; an object is needed")
        return {k: _build(get_args(kind)[1], v, f"{where}.{k}") for k, v in raw.items()}
    if dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise MindRecError(f"{where} is a {type(raw).__name__}; an object is needed")
        hints = get_type_hints(kind)
        names = {f.name: f for f in dataclasses.fields(kind)}
        unknown = sorted(set(raw) - set(names))
        if unknown:
            raise MindRecError(f"{where} has an unknown field {unknown[0][:40]!r}")
        missing = [n for n, f in names.items() if n not in raw and f.default is dataclasses.MISSING]
        if missing and not (missing == ["notes"]):
            raise MindRecError(f"{where} lacks the field {missing[0]!r}")
        return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in raw.items()})
    if kind is float and type(raw) is int and abs(raw) < 2**53:
        raw = float(raw)
    if type(raw) is not kind or (kind is float and not math.isfinite(raw)):
        raise MindRecError(f"{where} is {str(raw)[:40]!r}; {kind.__name__} is needed")
    return raw


def _free(raw, where: str, depth: int = 0):
    """Any JSON value that can be written again: finite numbers, a bounded depth."""
    if depth > MAX_DEPTH:
        raise MindRecError(f"{where} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(raw, float) and not math.isfinite(raw):
        raise MindRecError(f"{where} is {raw}; a finite number is needed")
    inner = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    for value in inner:
        _free(value, where, depth + 1)
    return raw


def _check(trace: DecodeTrace) -> None:
    """What the types cannot say: lengths, ranges and references."""
    depth = len(trace.levels)
    if not trace.steps or len(trace.labels) != depth or not 1 <= depth <= 32:
        raise MindRecError("the trace has no steps, or its labels do not match its levels")
    named = {item.row for item in trace.items}
    for row in (*trace.history, *(r.row for r in trace.results)):
        if row not in named:
            raise MindRecError(f"item row {row} is used but not named in the trace's items")
    before = None
    for number, step in enumerate(trace.steps):
        if step.index != number:
            raise MindRecError(f"step {number} carries index {step.index}")
        for beam in step.beams:
            if len(beam.codes) != depth or any(not 0 <= r.position < depth for r in beam.revealed):
                raise MindRecError(f"step {number}: a beam does not have {depth} positions")
            if before is not None and (beam.parent is None or not 0 <= beam.parent < before):
                raise MindRecError(f"step {number}: parent {beam.parent} is not one of {before} beams")
        for lost in step.dropped:
            if len(lost.codes) != depth or not 0 <= lost.parent < (before or 0):
                raise MindRecError(f"step {number}: a dropped candidate needs a parent and {depth} positions")
        for opinion in step.opinions:
            if not 0 <= opinion.beam < (before or 0):
                raise MindRecError(f"step {number}: an opinion of beam {opinion.beam}, there were {before}")
            if any(not 0 <= place.position < depth for place in opinion.open):
                raise MindRecError(f"step {number}: an opinion of a position outside 0..{depth - 1}")
        before = len(step.beams)
