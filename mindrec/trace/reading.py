"""Reads untrusted traces: pydantic checks them against mindrec.trace.records, and our words say what is wrong."""

import json
import re
from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from mindrec.errors import MindRecError
from mindrec.trace.records import VERSION, DecodeStep, DecodeTrace

MAX_BYTES = 4_000_000
"""A trace read from outside has at most this many characters."""
MAX_FAULTS = 1000
"""Faults are listed, to name the first, where there are at most this many; listing a million takes seconds."""
UNVERSIONED = f"the trace lacks the field 'version'; this release reads versions 1 to {VERSION}"
NEEDED = {
    "dataclass_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "float_type": "a float",
    "int_type": "an int",
    "string_type": "a str",
    "bool_type": "a bool",
    "finite_number": "a finite number, neither infinity nor NaN,",
}
"""The value that was needed, for each kind of fault of pydantic."""


@cache
def adapter() -> TypeAdapter:
    """The reader of traces; made on first use, which takes some milliseconds."""
    return TypeAdapter(DecodeTrace)


def read_text(text: str) -> DecodeTrace:
    """Read a trace's JSON. Raises MindRecError naming the first bad field, its value and what is allowed."""
    if len(text) > MAX_BYTES:
        raise MindRecError(f"the trace is {len(text):,} characters long; at most {MAX_BYTES:,} are read")
    try:
        trace = adapter().validate_json(text)
    except ValidationError as error:
        raise MindRecError(_in_words(error, text)) from None
    if '"version"' not in text:  # the field has a default for those who make a trace, not for files
        raise MindRecError(UNVERSIONED)
    _check(trace)
    return trace if trace.version == VERSION else replace(trace, version=VERSION)


def read_values(raw: dict) -> DecodeTrace:
    """Read a trace that is plain JSON values already. Raises MindRecError: the values are no trace."""
    try:
        text = json.dumps(raw, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise MindRecError(f"the trace is not made of JSON values ({error}); export it again") from error
    return read_text(text)


def _in_words(error: ValidationError, text: str) -> str:
    """One sentence on the first fault; a version that is not read explains all others, so it comes before them."""
    if error.error_count() > MAX_FAULTS:
        return f"the trace has {error.error_count():,} wrong or unknown fields; export it again"
    faults = error.errors(include_url=False)
    fault = next((f for f in faults if f["loc"] == ("version",)), faults[0])
    kind, path, value = fault["type"], fault["loc"], fault["input"]
    if kind == "json_invalid":
        return f"the trace is not JSON ({fault['ctx']['error']}); export it again"
    if kind == "missing" and '"version"' not in text:
        return UNVERSIONED
    if path == ("version",):
        return f"trace version {_short(value)}; this release reads versions 1 to {VERSION}"
    if kind == "unexpected_keyword_argument":
        return f"{_where(path[:-1])} has an unknown field {_short(path[-1])}"
    if kind == "missing":
        return f"{_where(path[:-1])} lacks the field {path[-1]!r}"
    if kind == "value_error":
        return f"{_where(path)} is {fault['ctx']['error']}"
    if kind in NEEDED:
        return f"{_where(path)} is {_short(value)}; {NEEDED[kind]} is needed"
    return f"{_where(path)} is {_short(value)}; {fault['msg'].lower()}"


def _where(path: tuple[str | int, ...]) -> str:
    return "trace" + "".join(f"[{part}]" if isinstance(part, int) else f".{part[:40]}" for part in path)


def _short(value) -> str:
    text = type(value).__name__ if isinstance(value, (dict, list)) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check(trace: DecodeTrace) -> None:
    """Check lengths, ranges and references, which the types do not express."""
    depth = len(trace.levels)
    if not trace.steps or len(trace.labels) != depth or not 1 <= depth <= 32:
        raise MindRecError("the trace has no steps, or its labels do not match its levels")
    named = {item.row for item in trace.items}
    if odd := next((row for row in trace.titles if not re.fullmatch("[0-9]{1,15}", row)), None):
        raise MindRecError(f"the trace has a title for {_short(odd)}; an item row is needed")
    titled = set(map(int, trace.titles))
    for row in (*trace.history, *(r.row for r in trace.results)):
        if row not in named:
            raise MindRecError(f"item row {row} is used but not named in the trace's items")
    if trace.votes is not None:
        _check_votes(trace, named, depth)
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
            if any(not 0 <= opened.position < depth for opened in opinion.open):
                raise MindRecError(f"step {number}: an opinion of a position outside 0..{depth - 1}")
        if step.possible is not None:
            _check_possible(step, named | titled)
        before = len(step.beams)


def _check_possible(step: DecodeStep, named: set[int]) -> None:
    """Each beam, alternative and dropped candidate of a step has one list of rows, and each row has a name.

    The alternatives of a category level have none.
    """
    possible = step.possible
    pairs = [(len(possible.beams), len(step.beams)), (len(possible.dropped), len(step.dropped))]
    pairs.append((len(possible.alternatives), len(step.opinions)))
    for opinion, places in zip(step.opinions, possible.alternatives, strict=False):
        pairs.append((len(places), len(opinion.open)))
        pairs += ((len(a), len(o.alternatives)) for a, o in zip(places, opinion.open, strict=False) if a)
    if any(there != needed for there, needed in pairs):
        raise MindRecError(f"step {step.index}: its possible items are not one list for each of its answers")
    for listed in (*possible.beams, *possible.dropped, *(a for o in possible.alternatives for p in o for a in p)):
        for row in listed:
            if row not in named:
                raise MindRecError(f"item row {row} is possible but not named in the trace's items or titles")


def _check_votes(trace: DecodeTrace, named: set[int], depth: int) -> None:
    orders, items = trace.votes.orders, trace.votes.items
    if not items or not trace.results:
        raise MindRecError("the trace has votes and no items that they are on")
    if any(not 0 <= position < depth for order in orders for position in order):
        raise MindRecError(f"an order of the votes has a position outside 0..{depth - 1}")
    for item in items:
        if item.row not in named or len(item.ranks) != len(orders):
            raise MindRecError(f"votes on item row {item.row}: a named item and {len(orders)} ranks are needed")
