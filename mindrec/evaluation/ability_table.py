"""Slates, gaps and odd ones out as a person reads them: rows of a table, and a sentence."""

from dataclasses import dataclass

WAYS = {
    "top": "first answers",
    "top_guided": "first answers, guided",
    "slate": "slate",
    "slate_guided": "slate, guided",
    "slate_one_a_category": "slate, one item a category",
}
SIDES = {"both_sides": "both sides", "left_alone": "left side alone"}


@dataclass(frozen=True)
class Shown:
    """A table and what is said below it. `head` names the columns, the first one of texts."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    sentence: str


def slate_table(result: dict) -> Shown:
    """Of each way to choose items: what share of the hidden ones it names, and how various it is."""
    ways = result["ways"]
    rows = [
        (
            WAYS[name],
            f"{found['recall']:.4f}",
            "" if name == "top" else _spread(found["recall_minus_top"]),
            f"{found['categories']:.2f}",
            f"{found['items_ever']:,}",
        )
        for name, found in ways.items()
    ]
    n = result["hidden"]
    said = (
        f"Of {result['histories']:,} test histories the last {n} items were hidden and {n} were chosen: a slate "
        f"{_standing(ways['slate']['recall_minus_top'])} the first {n} answers. Guidance is {result['guidance']:g} in "
        "the guided rows."
    )
    return Shown(
        ("chosen as", "hidden items found", "more than the first row (95 %)", "categories", "items ever"), rows, said
    )


def gap_table(result: dict) -> Shown:
    """Of both sides and of the left one: how often the item of a gap is among the first ten."""
    rows = [(words, f"{result[name]['hit@10']:.4f}", f"{result[name]['ndcg@10']:.4f}") for name, words in SIDES.items()]
    more = result["hit@10_both_minus_left"]
    said = (
        f"In {result['gaps']:,} test histories an item was taken out: knowing both sides {_standing(more)} knowing the "
        f"left one, Hit@10 {_spread(more)}. The item is among the {result['candidates']} candidates in "
        f"{result['among_candidates']:.1%}."
    )
    return Shown(("an item that was taken out, by", "Hit@10", "NDCG@10"), rows, said)


def odd_table(result: dict) -> Shown:
    """How often an item of another history is the one that belongs least."""
    rows = [
        (words, f"{result[name]:.4f}")
        for name, words in (
            ("by_lift", "times its usual share, the rule of the page"),
            ("by_probability", "probability alone"),
            ("chance", "chance"),
        )
    ]
    said = f"Into {result['histories']:,} test histories an item of another one was put, in the place of one of theirs."
    return Shown(("the item that belongs least, by", "is the stranger"), rows, said)


def _spread(of: dict) -> str:
    return f"{of['mean']:+.4f} [{of['low']:+.4f}, {of['high']:+.4f}]"


def _standing(of: dict) -> str:
    return "is ahead of" if of["low"] > 0 else "is behind" if of["high"] < 0 else "cannot be told from"
