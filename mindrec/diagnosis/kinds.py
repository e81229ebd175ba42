"""The kinds that a miss is counted by: its cause, the kind of error, and what would have saved it. No torch."""

CAUSES = ("unknown", "excluded", "not_proposed", "early_category", "sibling", "cut", "outranked")
"""Of a miss, the first that holds: not in the catalog; ruled out by history, bans or pins; never a candidate of a
search that caps its candidates; its last beam died while a category was revealed; died at a semantic-ID position
while a beam in its finest category was kept; any other death; alive at the end but ranked too low."""

CAUSE_NAMES = {
    "unknown": "not in the catalog",
    "excluded": "ruled out",
    "not_proposed": "never proposed",
    "early_category": "wrong category early",
    "sibling": "lost to a sibling",
    "cut": "cut",
    "outranked": "outranked",
}
"""The causes as commands, reports and the page call them."""

HIT = "hit"
"""The outcome of a case that is no miss."""

ERRORS = ("search", "model")
"""Beams lost what the exact ranking has among the first k; or the exact ranking itself has it lower."""

NONE = "none"
"""Of a miss that no change saves, and whose settings define no exact ranking."""

WITHOUT = "without"
"""A rescue's setting where an item of the history was left out."""

RESCUES = ("beams", "step", "order", "level", "votes", "guidance", "evidence", "history", NONE)
"""Kinds of rescue, by what each changes."""

_KIND_OF_SETTING = {
    "beam_size": "beams",
    "steps": "step",
    "resolve": "step",
    "rethink": "step",
    "order": "order",
    "postpone": "level",
    "votes": "votes",
    "guidance": "guidance",
    "evidence": "evidence",
    WITHOUT: "history",
}


def rescue_kind(rescue: str) -> str:
    """The kind of a rescue by its name in the table, "setting=value": one of RESCUES."""
    return NONE if rescue == NONE else _KIND_OF_SETTING[rescue.partition("=")[0]]
