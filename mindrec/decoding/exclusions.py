"""Which items a search may not recommend: pins, bans and what a user has seen.

Shape legend: B users, N items.
"""

from collections.abc import Sequence

import torch

from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import Excluded, ItemIndex
from mindrec.errors import MindRecError


def rule_out(index: ItemIndex, histories: Sequence[Sequence[int]], config: DecodeConfig) -> Excluded:
    """The items that the search of `config` cannot recommend, and the only rule for it.

    Pins and forbidden tokens rule items out for all users, in every search that knows them. Forbidden items and, if
    asked, each user's history do so where the catalog constrains the search: not under constraint="level", nor in the
    published search, which refuses pins and bans.

    Raises:
        MindRecError: no item is left for some history.
    """
    device, exact = index.tokens_NL.device, config.constraint == "exact" and config.algorithm != "published"
    forbidden = list(config.forbid_items) if exact else []
    banned = None
    if config.pins or config.forbid_tokens or forbidden:
        banned = torch.zeros(index.n_items, dtype=torch.bool, device=device)
        codes = index.levels.codes(index.tokens_NL)
        for position, code in config.pins:
            banned |= codes[:, position] != code
        for position, code in config.forbid_tokens:
            banned |= codes[:, position] == code
        banned[forbidden] = True
    seen = [sorted(set(h)) for h in histories] if config.exclude_seen and exact else []
    excluded = Excluded(
        torch.tensor([u for u, rows in enumerate(seen) for _ in rows], dtype=torch.int64, device=device),
        torch.tensor([row for rows in seen for row in rows], dtype=torch.int64, device=device),
        banned,
        len(histories),
        index.n_items,
    )
    left = excluded.counts()
    if not (left > 0).all():
        user = int((left <= 0).nonzero()[0, 0])
        raise MindRecError(
            f"no item is left to recommend (history {user}): the pins, bans and seen items rule all out; lift one"
        )
    return excluded
