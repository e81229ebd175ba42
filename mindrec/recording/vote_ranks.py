"""From the votes on a search's last items to the trace's record, for one user of a batch.

Shape legend: S beams of all users, K orders.
"""

import torch

from mindrec.decoding.beam_search import Step
from mindrec.trace.records import ItemVotes, Votes


def record_votes(last: Step, user: int) -> Votes | None:
    """The votes on one user's items; None where there were none, or fewer than two items."""
    votes, beams = last.votes, last.beams
    if votes is None:
        return None
    item = torch.full_like(beams.user, -1)
    item[beams.members.state] = beams.members.item
    mine = ((beams.user == user) & votes.logp[:, 0].isfinite()).nonzero()[:, 0]
    if len(mine) < 2:
        return None
    ranks = votes.logp[mine].argsort(dim=0, descending=True, stable=True).argsort(dim=0).tolist()
    lists = (item[mine].tolist(), beams.rank[mine].tolist(), ranks)
    items = [
        ItemVotes(row, searched, tuple(ranks_of_item)) for row, searched, ranks_of_item in zip(*lists, strict=True)
    ]
    return Votes(votes.orders, tuple(items), int(votes.calls[user]), int(votes.rows[user]))
