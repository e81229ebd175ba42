"""Whose history leaves anything to recommend: one user without must not stop a batch."""

from collections.abc import Sequence

import numpy as np

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.exclusions import rule_out
from mindrec.decoding.item_index import ItemIndex


def answerable(index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig) -> np.ndarray:
    """Whether an item is left to recommend after each history of item rows, bool (B,).

    Raises:
        MindRecError: the pins and bans leave no item, whatever the history.
    """
    out = np.ones(len(histories), dtype=bool)
    if config.algorithm == "published" or config.constraint == "level":
        return out  # nothing is ruled out there
    allowed_N = rule_out(index, [()], config).table()[0].cpu().numpy()
    if config.exclude_seen:
        left = int(allowed_N.sum())
        for user, history in enumerate(histories):
            if len(history) >= left:  # only a history as long as what is allowed can hold all of it
                out[user] = left > allowed_N[np.unique(np.asarray(history, dtype=np.int64))].sum()
    return out
