"""A probability in words, as Python says it."""

from math import floor


def percent(p: float) -> str:
    """A probability in words. `percent` of page/js/words.js keeps the same rule with signs: ">99%", "<0.1%"."""
    if 0.995 <= p < 1:
        return "over 99%"
    if p == 0 or p >= 0.0095:
        return f"{floor(p * 100 + 0.5)}%"
    return f"{p * 100:.1f}%" if p >= 0.001 else "under 0.1%"
