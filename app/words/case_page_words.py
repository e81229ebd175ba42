"""Words of the pages about one item, or one category, in Diagnose."""

_PLURALS = {"case": "cases", "hit": "hits", "time": "times", "trip": "training trips", "item": "items"}
_SINGULARS = {"trip": "training trip"}


def counted(n: int, what: str) -> str:
    """A number with its noun: "1 case", "1,204 training trips"."""
    return f"{n:,} {_SINGULARS.get(what, what) if n == 1 else _PLURALS[what]}"


CASE_PAGE = {
    "unknown": "No item or category “{name}” is in this catalog.",
    "popularity": "In {trips}.",
    "size": "{items} of the catalog.",
    "true": "The truth in {cases}: {hits} ({rate}, 95% interval {low} to {high}).",
    "never_true": "The truth in no case of this table.",
    "given": "The first answer in {cases}, right {right}.",
    "never_given": "The first answer in none.",
    "its_cases": "Show the {cases} in which it is the truth",
    "its_answers": "Show the {cases} in which it is the first answer",
    "causes": "Why it was missed",
    "instead": "What was answered first in its place",
    "in_front_of": "True items that it stood in front of",
    "instead_category": "Categories answered first in its place",
    "in_front_of_category": "True categories that it stood in front of",
    "lost_items": "Its items that were missed most",
    "same_category": "{category}, but another item",
}
"""Sentences and titles that the server fills in."""

PAGE = {
    "item": "Item",
    "category": "Category",
    "close": "Close this page",
    "none": "none",
    "rest": "and {rest} more",
    "line": "{words}: {count}",
    "item_of": "About the item {title}",
    "category_of": "About the category {title}",
}
"""Words of the page's script."""
