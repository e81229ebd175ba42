"""Words for why an item was lost and what would have saved it."""

ERRORS = {
    "search": ("search error", "The same scores without beams have the item among the first {k}: the search lost it."),
    "model": ("model error", "Without beams the same scores have it no higher than rank {rank}: no search finds it."),
}
"""Name of each kind of error, and its meaning."""

MODEL_ERROR_UNRANKED = "The same scores without beams do not have it among the first {k} either: no search finds it."

RESCUES = {
    "beams": "more beams",
    "step": "one more step",
    "order": "another order",
    "level": "a level left open",
    "votes": "votes of several orders",
    "guidance": "another guidance",
    "evidence": "evidence off, or alone",
    "history": "one item left out",
    "none": "nothing that was tried",
}
"""Kinds of rescue, by mindrec.diagnosis.kinds.RESCUES."""

RESCUED = "With {change} it would have been among the first {k}; found by hindsight, which is no method."
NOT_RESCUED = "No change that was tried would have saved it."
LEFT_OUT = "“{title}” left out of the history"
NO_EXACT_RANKING = (
    "With these settings beams compete or orders vote, so that no exact ranking is defined: who did it can be told "
    "with one vote, and each beam branching on one position."
)
EXACT = "“{title}” has {share} of the exact probability, at rank {rank}."
LOST_NONE = "None of the exact top {due} were lost by the beams."
LOST_ONE = "1 of the exact top {due} was lost by the beams: {titles}."
LOST_SOME = "{count} of the exact top {due} were lost by the beams: {titles}."
RESCUE_NAME = "the rescue: {change}"
CHANGED = "{setting} {value}"
