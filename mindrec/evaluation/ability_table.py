"""Slates, gaps, odd ones out and behaviour as a person reads them: rows of a table, and a sentence."""

from dataclasses import dataclass

WAYS = {
    "top": "first answers",
    "top_guided": "first answers, guided",
    "slate": "slate",
    "slate_guided": "slate, guided",
    "slate_one_a_category": "slate, one item a category",
}
CHANGES = {
    "last_dropped": "the last item dropped",
    "first_dropped": "the first item dropped",
    "reversed": "the order reversed",
    "swapped": "one item swapped for another of its category",
    "repeated": "one item repeated",
}
"""The changes of mindrec.diagnosis.behaviour in words."""
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
            f"{way['recall']:.4f}",
            "" if name == "top" else _spread(way["recall_minus_top"]),
            f"{way['categories']:.2f}",
            f"{way['items_ever']:,}",
        )
        for name, way in ways.items()
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


def behaviour_table(result: dict) -> Shown:
    """Of each change to a history: how much of the answer stays, and how far the true item moves."""
    rows = [
        (
            CHANGES[change["change"]],
            f"{change['cases']:,}",
            _between(change["overlap@10"], ".1%"),
            _between(change["first"], ".1%"),
            _between(change["places"], ".2f"),
            f"{change['unmoved']:,}",
        )
        for change in result["changes"]
    ]
    head = (
        "change to the history",
        "cases",
        "first ten kept (95 %)",
        "first answer stays",
        "places of the true item",
        "same list",
    )
    return Shown(head, rows, _behaviour_sentence(result))


def _behaviour_sentence(result: dict) -> str:
    kept = {f["change"]: f["overlap@10"]["mean"] for f in result["changes"] if f["overlap@10"] is not None}
    if not kept:
        return "No history could be changed."
    weakest, strongest = min(kept, key=kept.get), max(kept, key=kept.get)
    said = (
        f"Of the first ten answers to {result['users']:,} {result['split']} histories {kept[strongest]:.0%} stay with "
        f"{CHANGES[strongest]}, the most, and {kept[weakest]:.0%} with {CHANGES[weakest]}, the least."
    )
    turned = next(f for f in result["changes"] if f["change"] == "reversed")
    if not turned["cases"] or result["ordered"]:
        return said
    same = turned["unmoved"] == turned["cases"]
    return (
        f"{said} Order carries nothing in this data, so reversing it should move nothing: {turned['unmoved']:,} of "
        f"{turned['cases']:,} lists stay as they are{'.' if same else '; the rest is the model’s own error.'}"
    )


def _between(of: dict | None, form: str) -> str:
    return "" if of is None else f"{of['mean']:{form}} [{of['low']:{form}}, {of['high']:{form}}]"


def _spread(of: dict) -> str:
    return f"{of['mean']:+.4f} [{of['low']:+.4f}, {of['high']:+.4f}]"


def _standing(of: dict) -> str:
    return "is ahead of" if of["low"] > 0 else "is behind" if of["high"] < 0 else "cannot be told from"
