"""Words of other methods beside MindRec in the Compare tab, and where the true item ends on both sides of it."""

from mindrec.trace.records import DecodeTrace

METHOD_TITLES = {"popularity": "popularity", "votes": "co-visit: votes of the history"}
EMPTY = "The history is empty: add an item, or choose another history."
METHOD_ABOUT = {
    "popularity": "Counts alone: how many training histories hold each item. Nobody's history is read.",
    "votes": (
        "Each item of the history votes for what training took with it. The votes are the counted pairs that this "
        "checkpoint keeps beside its network."
    ),
    "fmrec": (
        "Flow matching: a point walks straight from noise to an item. The picture is a plane through the space of item "
        "vectors, laid along the walk: what is near in it may be far in the other directions."
    ),
}
METHOD_ONE_PASS = "One pass of a network over the history scores every item at once."
METHOD_TRAINED = (
    "{paper}. Trained by the command arena on the training histories of {data}, {seconds:,} processor seconds{score}."
)
METHOD_SCORE = "; test NDCG@10 {value:.3f}"
METHOD_NOTHING_YET = "Nothing is scored yet."
METHOD_AT_ONCE = "Every item is scored at once. First is “{title}”."
METHOD_NOISE = "The point starts at noise. Nearest by chance: {titles}."
METHOD_WALK = "Step {step} of {steps}: nearest are {titles}."
METHOD_VOTE = "“{voter}” votes. In the lead: {titles}."
METHOD_NO_VOTES = "No item of this history was counted with another one."
METHOD_FACTS = ("Network passes", "Trained numbers", "Time", "Steps")
SHARED_OF = "{count} of the first {k} answers are the same."
GOLD_BOTH = "★ True next item “{title}” — left: {left}; right: {right}."
GOLD_RANK = "rank {rank:,}"
GOLD_EXCLUDED = "ruled out"

METHODS_PAGE = {
    "group_methods": "Another method",
    "agree": "All methods on this history",
    "agree_help": "How many of the first {k} answers each two methods share, and where the true next item stands.",
    "agree_gold": "true item",
    "agree_none": "–",
    "agree_title": "True next item: {title}.",
    "step_list": "First answers at this step",
    "picture": "Items as points: the brighter, the better they stand at this step",
    "no_picture": "This checkpoint has no map of its items.",
}
"""Words of the page's script; merged into app.words.tab_words.COMPARE."""


def rank_words(rank: int | None) -> str:
    """Where the true item stands in a ranking of all items; None: it is ruled out."""
    return GOLD_EXCLUDED if rank is None else GOLD_RANK.format(rank=rank)


def outcome_words(trace: DecodeTrace) -> str:
    """How the true item of a search ended."""
    gold = trace.gold
    if gold.excluded:
        return GOLD_EXCLUDED
    if gold.rank is not None:
        return GOLD_RANK.format(rank=gold.rank + 1)
    return "not among the answers" if gold.died_at is None else f"lost at step {gold.died_at}"


def gold_words(left: DecodeTrace, right: DecodeTrace) -> str | None:
    """Where the true next item ends on both sides; None where it is not known."""
    if left.gold is None or right.gold is None:
        return None
    title = next(item.title for item in left.items if item.row == left.gold.row)
    return GOLD_BOTH.format(title=title, left=outcome_words(left), right=outcome_words(right))
