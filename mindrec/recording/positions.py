"""What was thought of every open position, for all beams of a batch at once: from tables to the trace's records.

Shape legend: A beams expanded, R those of them where a position is open, K codes listed, L levels, T tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.recording.possible_items import PossibleItems
from mindrec.trace.records import Alternative, OpenPosition, Sides

ALTERNATIVES = 8
"""Legal codes listed at each open position."""
ILLEGAL = 2
"""Illegal ones among the likeliest that are listed beside them."""
_TENS = np.array([float(f"1e{power}") for power in range(309)])


def six_digits_all(values) -> np.ndarray:
    """mindrec.trace.records.six_digits of every number of an array."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 5 - np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(digits), digits, 0).astype(np.int64)
    up, down = _TENS[np.minimum(np.maximum(digits, 0), 308)], _TENS[np.minimum(np.maximum(-digits, 0), 308)]
    return np.rint(values * up / down) / up * down


@dataclass(frozen=True)
class Tables:
    """A step's scores as arrays (A, T): see mindrec.trace.records.Alternative for what each holds.

    Attributes:
        user: (A,), whose beam each row is.
        codes: (A, L), -1 where masked.
        legal: items possible on each token.
        sides: those of guidance, see mindrec.trace.records.Sides; none where nothing was guided.
        excluded: what may not be recommended; None where nothing was taken off.
        beams: (A,), the number of each row's beam in `possible`.
        possible: the items that each beam can still become.
    """

    user: np.ndarray
    codes: np.ndarray
    p: np.ndarray
    raw: np.ndarray
    token: np.ndarray
    evidence: np.ndarray | None
    legal: np.ndarray
    sides: tuple[np.ndarray, ...]
    excluded: Excluded | None
    beams: np.ndarray
    possible: PossibleItems


@dataclass(frozen=True)
class Opened:
    """The open positions of one expanded beam in order.

    Attributes:
        sides: of guidance at each; none where nothing was guided.
        possible: of each, for each alternative, rows of the first items behind it.
    """

    positions: tuple[OpenPosition, ...]
    sides: tuple[Sides, ...]
    possible: tuple[tuple[tuple[int, ...], ...], ...]


def open_positions(index: ItemIndex, tables: Tables) -> list[Opened]:
    """The records of each expanded beam."""
    found: list[list[tuple]] = [[] for _ in tables.user]
    reasons = _Reasons(index, tables)
    for position in range(index.n_levels):
        rows = np.flatnonzero(tables.codes[:, position] < 0)
        if len(rows):
            for row, opened in zip(rows.tolist(), _position(index, tables, reasons, position, rows), strict=True):
                found[row].append(opened)
    return [
        Opened(
            tuple([opened for opened, _, _ in own]),
            tuple([sides for _, sides, _ in own]) if tables.sides else (),
            tuple([possible for _, _, possible in own]),
        )
        for own in found
    ]


def _position(
    index: ItemIndex, tables: Tables, reasons: "_Reasons", position: int, rows: np.ndarray
) -> Iterator[tuple[OpenPosition, Sides | None, tuple[tuple[int, ...], ...]]]:
    """One position of the beams `rows`, in which it is open: its record, its sides, the items behind its codes."""
    own = index.levels.slices[position]
    p, raw, legal = tables.p[rows, own], tables.raw[rows, own], tables.legal[rows, own]
    entropy = six_digits_all(-np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(1)).tolist()
    legal_share = six_digits_all(np.where(legal > 0, raw, 0.0).sum(1)).tolist()
    best = np.argsort(-p, axis=1, kind="stable")[:, :ALTERNATIVES]
    likely = np.argsort(-raw, axis=1, kind="stable")[:, :ALTERNATIVES]
    line = np.arange(len(rows))[:, None]
    illegal = np.argsort(legal[line, likely] > 0, axis=1, kind="stable")[:, :ILLEGAL]
    listed = np.concatenate([best, likely[line, illegal]], 1)
    more = tables.sides if tables.evidence is None else (tables.evidence, *tables.sides)
    shares = [table[line, listed] for table in (p, raw)]
    shares += [table[rows[:, None], own.start + listed] for table in (tables.token, *more)]
    values = six_digits_all(np.stack(shares, 1)).tolist()
    items, n_best, behind = legal[line, listed].tolist(), best.shape[1], None
    if position not in index.levels.categories:
        behind = tables.possible.with_codes(position, tables.beams[rows], listed)
    nothing = [None] * listed.shape[1]
    for n, (row, codes, counts) in enumerate(zip(rows.tolist(), listed.tolist(), items, strict=True)):
        ps, raws, tokens, *more = values[n]
        evidence = nothing if tables.evidence is None else more.pop(0)
        kept = [k for k in range(n_best) if ps[k] > 0]
        others = [
            Alternative(codes[k], ps[k], raws[k], tokens[k], evidence[k], counts[k], None if counts[k] else "illegal")
            for k in kept
        ]
        for k in [k for k in range(n_best, len(codes)) if not counts[k]]:
            why = reasons.why(row, position, codes[k])
            others.append(Alternative(codes[k], ps[k], raws[k], tokens[k], evidence[k], 0, why))
            kept.append(k)
        sides = Sides(*(tuple([side[k] for k in kept]) for side in more)) if more else None
        possible = tuple([tuple(behind[n][k]) for k in kept]) if behind else ()
        yield OpenPosition(position, entropy[n], legal_share[n], tuple(others)), sides, possible


class _Reasons:
    """Why a code is illegal: the catalog has no such item ("illegal"), or only items that were ruled out have it.

    What a user has seen is short and looked through; where bans rule out more, the items with the code are.
    """

    def __init__(self, index: ItemIndex, tables: Tables):
        self.index, self.codes = index, tables.codes
        self.banned = tables.excluded is not None and tables.excluded.banned is not None
        self.seen: dict[int, list[list[int]]] = {}
        if tables.excluded is None or self.banned:
            return
        held = index.codes_NL[tables.excluded.item.cpu().numpy()]
        own = tables.user[:, None] == tables.excluded.user.cpu().numpy()
        codes = tables.codes[:, None]
        for row, item in zip(*np.nonzero(own & ((codes < 0) | (codes == held)).all(2)), strict=True):
            self.seen.setdefault(int(row), []).append(held[item].tolist())

    def why(self, row: int, position: int, code: int) -> str:
        """Of a code that no item left to beam `row` has."""
        if self.banned:
            codes, holders = self.codes[row], self.index.holders(position, code)
            known = np.flatnonzero(codes >= 0)
            excluded = bool((self.index.codes_NL[holders[:, None], known] == codes[known]).all(1).any())
        else:
            excluded = any(held[position] == code for held in self.seen.get(row, ()))
        return "excluded" if excluded else "illegal"
