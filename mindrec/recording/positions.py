"""Opinions on every open position, for all beams of a batch at once: from tables to the trace's records.

Shape legend: A beams expanded, R open positions of one size, K codes listed, L levels, T tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, repeat

import numpy as np
import torch

from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.recording.many_records import maker
from mindrec.recording.possible_items import PossibleItems
from mindrec.recording.rounding import six_digits_all
from mindrec.tokens.levels import Levels
from mindrec.trace.records import Alternative, OpenPosition, Sides

ALTERNATIVES = 8
"""Legal codes listed at each open position."""
ILLEGAL = 2
"""Illegal ones among the likeliest that are listed beside them."""
_alternatives, _open_positions, _sides = maker(Alternative), maker(OpenPosition), maker(Sides)


@dataclass(frozen=True)
class Tables:
    """Scores of some steps, tensors (A, T) on the CPU: see mindrec.decoding.scoring.BeamScores.

    Attributes:
        user: (A,), whose beam each row is.
        codes: (A, L), -1 where masked.
        evidence: None without evidence.
        legal: items possible on each token.
        sides: those of guidance; none where nothing was guided.
        excluded: what may not be recommended; None where nothing was taken off.
        beams: (A,), the number of each row's beam in `possible`.
        possible: the items that each beam can still become.
    """

    user: np.ndarray
    codes: np.ndarray
    logp: torch.Tensor
    logits: torch.Tensor
    evidence: torch.Tensor | None
    legal: torch.Tensor
    sides: tuple[torch.Tensor, ...]
    excluded: Excluded | None
    beams: np.ndarray
    possible: PossibleItems


@dataclass(frozen=True)
class Opened:
    """The open positions of each expanded beam, in order: A tuples each.

    Attributes:
        positions: their records.
        sides: of guidance at each; none where nothing was guided.
        possible: of each, for each alternative, rows of the first items behind it.
    """

    positions: list[tuple[OpenPosition, ...]]
    sides: list[tuple[Sides, ...]]
    possible: list[tuple[tuple[tuple[int, ...], ...], ...]]


def open_positions(index: ItemIndex, tables: Tables) -> Opened:
    """The records of each expanded beam."""
    reasons, levels = _Reasons(index, tables), index.levels
    lists: tuple[list[list], ...] = tuple([[] for _ in tables.user] for _ in range(3))
    for alike in _alike(levels):
        level, rows = np.nonzero(tables.codes[:, alike].T < 0)
        if len(rows):
            columns = _opened(index, tables, reasons, level + alike.start, rows)
            for of_beams, column in zip(lists, columns, strict=True):
                for row, value in zip(rows.tolist(), column, strict=False):  # no sides where nothing was guided
                    of_beams[row].append(value)
    return Opened(*(list(map(tuple, of_beams)) for of_beams in lists))


def _alike(levels: Levels) -> Iterator[slice]:
    """Neighbouring levels of one size and one kind: their open positions are recorded together."""
    for _, run in groupby(range(len(levels)), lambda level: (levels.sizes[level], level in levels.categories)):
        run = list(run)
        yield slice(run[0], run[-1] + 1)


def _opened(
    index: ItemIndex, tables: Tables, reasons: "_Reasons", positions: np.ndarray, rows: np.ndarray
) -> tuple[list[OpenPosition], list[Sides], list[tuple[tuple[int, ...], ...]]]:
    """Of positions (R,), ascending, of the beams `rows` (R,): records, sides, and the items behind their codes."""
    size, first = index.levels.sizes[positions[0]], np.array(index.levels.offsets)[positions][:, None]
    beam, line = torch.from_numpy(rows)[:, None], np.arange(len(rows))[:, None]
    cells = beam, torch.from_numpy(first + np.arange(size))
    logits, held = tables.logits[cells], tables.legal[cells]
    p, raw, legal = _numbers(tables.logp[cells].exp()), _numbers(logits.softmax(1)), held.numpy()
    token = _numbers(Levels((size,)).legal_log_softmax(logits, held > 0).exp())
    listed, n_best = _listed(p, raw, legal)
    columns, cells = [each[line, listed] for each in (p, raw, token)], (beam, torch.from_numpy(first + listed))
    columns += [] if tables.evidence is None else [_numbers(tables.evidence[cells])]
    columns += [_numbers(side[cells].exp()) for side in tables.sides]
    # One rounding for all: (R, columns, K), and the two numbers of each position behind them.
    entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0).sum(1)
    legal_share = np.where(legal > 0, raw, 0.0).sum(1)
    rounded = six_digits_all(np.concatenate([np.stack(columns, 1).reshape(len(rows), -1).T, [entropy, legal_share]]))
    values = rounded[:-2].T.reshape(len(rows), len(columns), -1)
    items = legal[line, listed]
    kept = np.concatenate([values[:, 0, :n_best] > 0, items[:, n_best:] == 0], 1)
    # From here on, all codes that are kept in one list; those of a position end where `ends` says.
    (at, column), codes, counts = np.nonzero(kept), listed[kept], items[kept]
    ps, raws, tokens, *others = (values[:, number][kept].tolist() for number in range(len(columns)))
    evidence = repeat(None) if tables.evidence is None else others.pop(0)
    why = reasons.why(positions[at], rows[at], codes, counts, column >= n_best)
    made = _alternatives(codes.tolist(), ps, raws, tokens, evidence, counts.tolist(), why)
    ends = kept.sum(1).cumsum().tolist()
    cuts = list(map(slice, [0, *ends[:-1]], ends))

    def cut(values: list) -> list[tuple]:
        return [tuple(values[cut_slice]) for cut_slice in cuts]

    opened = _open_positions(positions.tolist(), *rounded[-2:].tolist(), cut(made))
    sides = _sides(*map(cut, others)) if others else []
    behind = [()] * len(rows)
    if positions[0] not in index.levels.categories:
        behind = cut(tables.possible.with_codes(positions[at], tables.beams[rows[at]], codes))
    return opened, sides, behind


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.double().numpy()


def _listed(p: np.ndarray, raw: np.ndarray, legal: np.ndarray) -> tuple[np.ndarray, int]:
    """Codes that may be listed (R, K): the likeliest, and behind those the likeliest by `raw` with the illegal first.

    Returns the codes, and how many of each row are of the first kind.
    """
    best, likely = _largest(p, ALTERNATIVES), _largest(raw, ALTERNATIVES)
    line = np.arange(len(p))[:, None]
    illegal = np.argsort(legal[line, likely] > 0, axis=1, kind="stable")[:, :ILLEGAL]
    return np.concatenate([best, likely[line, illegal]], 1), best.shape[1]


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Columns of the `count` largest values of each row (R, K), the first of equals first; those of zeros in any order.

    A sort that is not stable takes a fraction of the time, and does where no two of them are equal.
    """
    order = np.argsort(-values, axis=1)[:, : count + 1]
    ranked = np.take_along_axis(values, order, 1)
    if ((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] > 0)).any():
        order = np.argsort(-values, axis=1, kind="stable")
    return order[:, :count]


class _Reasons:
    """Why a code is illegal: the catalog has no such item ("illegal"), or only items that were ruled out have it.

    What a user has seen is short and looked through; where bans rule out more, the items with the code are.
    """

    def __init__(self, index: ItemIndex, tables: Tables):
        self.index, self.codes = index, tables.codes
        self.banned = tables.excluded is not None and tables.excluded.banned is not None
        self.seen: set[int] = set()  # row * T + token of what was ruled out and agrees with the beam
        if tables.excluded is None or self.banned:
            return
        excluded = tables.excluded.item.cpu().numpy()
        held = index.codes_NL[excluded]
        same_user = tables.user[:, None] == tables.excluded.user.cpu().numpy()
        codes = tables.codes[:, None]
        row, item = np.nonzero(same_user & ((codes < 0) | (codes == held)).all(2))
        self.seen.update((row[:, None] * index.n_tokens + index.levels.tokens(held[item])).ravel().tolist())

    def why(
        self, positions: np.ndarray, rows: np.ndarray, codes: np.ndarray, items: np.ndarray, illegal: np.ndarray
    ) -> list[str | None]:
        """Of some codes, each at a position of a beam: None where items are left, else why not.

        Args:
            illegal: which are listed to be explained; the others of those without items are "illegal".
        """
        why: list[str | None] = [None] * len(codes)
        for n in np.flatnonzero(items == 0).tolist():
            excluded = bool(illegal[n]) and self._is_excluded(int(rows[n]), int(positions[n]), int(codes[n]))
            why[n] = "excluded" if excluded else "illegal"
        return why

    def _is_excluded(self, row: int, position: int, code: int) -> bool:
        """Whether items that were ruled out have a code that no item left to beam `row` has."""
        if not self.banned:
            return row * self.index.n_tokens + self.index.levels.offsets[position] + code in self.seen
        codes, holders = self.codes[row], self.index.holders(position, code)
        known = np.flatnonzero(codes >= 0)
        return bool((self.index.codes_NL[holders[:, None], known] == codes[known]).all(1).any())
