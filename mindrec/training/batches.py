"""Windows and length-bucketed batches, drawn anew each epoch from a seed.

Shape legend: B sequences, W window length (history + 1).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch


def windows(
    sequences: Sequence[np.ndarray], width: int, rng: np.random.Generator, *, ordered: bool = True
) -> list[np.ndarray]:
    """Cut every sequence into windows (<=width,) at a random offset; shorter tails of two or more items stay.

    Where order carries nothing, each sequence is shuffled first.
    """
    out = []
    for rows in sequences:
        if not ordered:
            rows = rng.permutation(rows)
        if len(rows) <= width:
            out.append(rows)
            continue
        # Ordered windows overlap by half, so that most targets have at least half a window of history.
        step = max(1, width // 2) if ordered else width
        start = -int(rng.integers(0, step))
        while start < len(rows):
            window = rows[max(start, 0) : start + width]
            out.append(window)
            start += step
    return [w for w in out if len(w) >= 2]


def batches(
    sequences: Sequence[np.ndarray], width: int, targets: int, seed: int, *, ordered: bool = True
) -> Iterator[torch.Tensor]:
    """Yield right-padded int64 batches (B, W), padded with -1, of about `targets` next-item targets each."""
    rng = np.random.default_rng(seed)
    cut = windows(sequences, width, rng, ordered=ordered)
    lengths = np.array([len(w) for w in cut])
    order = np.lexsort((rng.random(len(cut)), lengths))
    groups, group, count = [], [], 0
    for n in order:
        group.append(n)
        count += lengths[n] - 1
        if count >= targets:
            groups.append(group)
            group, count = [], 0
    if group:
        groups.append(group)
    for g in rng.permutation(len(groups)):
        yield _pad([cut[n] for n in groups[g]])


def _pad(rows: list[np.ndarray]) -> torch.Tensor:
    out = torch.full((len(rows), max(map(len, rows))), -1, dtype=torch.long)
    for n, row in enumerate(rows):
        out[n, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return out
