"""Words of the tabs beside Watch: Diagnose, Compare and Learn. Used through app.words.sentences."""

from app.words.case_page_words import PAGE as CASE_PAGE
from app.words.game_words import GAME
from app.words.lab_words import LAB
from app.words.lesson_words import GLOSSARY, LEARN
from app.words.method_words import METHODS_PAGE
from app.words.room_words import ROOM
from app.words.why_words import ERRORS, RESCUES
from mindrec.diagnosis.kinds import CAUSE_NAMES, HIT

TABS = {"watch": "Watch", "compare": "Compare", "diagnose": "Diagnose", "learn": "Learn", "play": "Play", "lab": "Lab"}

_CAUSE_MEANINGS = {
    "unknown": "The true next item is not in the catalog, so nothing could have named it.",
    "excluded": "The settings ruled the item out, for instance because it is in the history.",
    "not_proposed": "The search looks at a few candidates only, and the item was never one.",
    "early_category": "The last beam that could become the item died while a category was revealed.",
    "sibling": "The right category was found; the item lost to its neighbours inside it.",
    "cut": "The last beam that could become the item died at its semantic ID, and so did its category.",
    "outranked": "The item was still there at the end, but too far down the list.",
}
OUTCOMES = {HIT: "hit", **CAUSE_NAMES}
"""Outcomes of a case, by name."""
CAUSES = {key: (name, _CAUSE_MEANINGS[key]) for key, name in CAUSE_NAMES.items()}

CHARTS = {
    "step": "Step",
    "cases": "Cases",
    "misses": "Misses",
    "still_alive": "True item still possible",
    "survival_hover": "Step {step}: {alive:,} of {users:,} cases ({share}). Click: those lost at this step",
    "lost_hover": "Step {step}, {level}: {lost:,} lost",
    "first_answer": "First answer",
    "true_category": "True item",
    "confusion_hover": "True {gold}, answered {top}: {cases:,} cases",
    "slice_hover": "{hits:,} of {users:,} ({rate})",
    "hit_rate": "Hit rate",
    "path_probability": "Path probability of the first answer",
    "right_rate": "How often it is right",
    "transition_hover": "{left} on the left, {right} on the right: {cases} cases",
    "fate_left": "On the left",
    "fate_right": "On the right",
    "slice_cases": "Cases",
    "slice_rate": "Hits among the first {k}",
    "slice_ndcg": "NDCG@{k}",
    "slice_answers": "Different first answers",
    "slice_popular": "First answers that are popular",
    "slice_p": "p against the rest",
    "by_history_length": "Items in the history",
    "by_item_popularity": "Training trips with the item",
    "by_category_popularity": "Training trips with its category",
    "by_entropy": "Uncertainty at the first step (entropy, nats)",
    "by_cold_item": "Item never seen in training",
    "by_repeated_category": "Its category is in the history",
    "yes": "yes",
    "no": "no",
}

DIAGNOSE = {
    "title": "Why was the right item lost?",
    "lede": (
        "Each line is a test trip whose true next item is known. A miss has one cause: the first thing that went "
        "wrong. Click a bar, a point or a square to filter; open a case to watch it at the step where its item was "
        "lost."
    ),
    "none_open": (
        "No cases are open. Diagnose a sample here, or start the app with --cases FILE, written by "
        "`python -m mindrec diagnose`."
    ),
    "table": "Cases",
    "table_line": (
        "{cases} cases of checkpoint {checkpoint}, split {split} · hit means among the first {k} · decoder: {decoder}"
    ),
    "own_settings": "the checkpoint's own settings",
    "kept_name": "{checkpoint}: {cases} test trips",
    "kept_origin": "These cases came with the checkpoint: a sample drawn with seed {seed}, made by: {command}",
    "sample_name": "sample of {size}, seed {seed}",
    "sample": "Diagnose a sample now",
    "sample_help": "Test trips, decoded here with the settings of the Watch tab. At most {most}.",
    "sample_size": "Trips",
    "sample_working": "Diagnosing: {done} of {total} trips…",
    "sample_done": "{name}: {total} trips diagnosed.",
    "sample_busy": "Another sample is being diagnosed. Try again when it is done.",
    "sample_failed": "The sample could not be diagnosed ({why}).",
    "search": "Search",
    "search_hint": "a trip, an item, a category",
    "outcome": "Outcome",
    "hit": "hit",
    "miss": "miss",
    "cause": "Cause",
    "step": "Lost at step",
    "level": "Lost at level",
    "gold": "True category",
    "top": "Answered category",
    "item": "True item",
    "history_length": "History length",
    "item_popularity": "Item popularity",
    "category_popularity": "Category popularity",
    "entropy": "Entropy",
    "cold_item": "Never seen",
    "repeated_category": "Category repeated",
    "probability": "Path probability",
    "only": "Chosen cases",
    "starred": "Bookmarked only",
    "any": "any",
    "from": "from",
    "to": "to",
    "clear": "Clear filters",
    "chip": "{name}: {value}",
    "chip_lift": "Lift the filter {name}",
    "range_all": "{low} to {high}",
    "range_from": "from {low}",
    "range_to": "up to {high}",
    "one_case": "one case",
    "found": "{found} of {cases} cases · {hits} hits ({rate})",
    "nothing": "No case passes these filters.",
    "user_id": "Trip",
    "title_col": "True next item",
    "answer": "First answer",
    "gold_rank": "Rank",
    "died_step": "Lost at",
    "margin": "Margin",
    "margin_help": "How far below the last kept beam the item's best candidate was, in nats",
    "popularity_help": "Training trips that hold the item",
    "history": "History",
    "popularity": "Popularity",
    "top_probability": "Path p",
    "lost_at": "step {step} · {level}",
    "not_lost": "kept",
    "open": "Open {title} in Watch",
    "open_short": "Watch",
    "star": "Bookmark",
    "unstar": "Remove the bookmark",
    "note": "Note",
    "rescue_play": "⇄ rescue",
    "rescue_of": "Play {title} beside what would have saved it",
    "note_of": "Note on {title}",
    "note_help": "Bookmarks and notes stay in this browser.",
    "page_of": "Page {page} of {pages}",
    "previous": "Previous",
    "next": "Next",
    "export": "Export these cases",
    "link": "Copy link to this view",
    "linked": "Link copied. It opens this table with these filters.",
    "saved": "Saved {name}.",
    "survival": "Is the true item still possible?",
    "lost": "Where it was lost",
    "causes": "Why it was lost",
    "errors": "Search error or model error",
    "errors_help": "Would the same scores without beams have the true item among the first?",
    "rescues": "What would have saved them",
    "rescues_help": "The smallest of some thirty changes, chosen knowing the true item: an explanation, no method.",
    "confusion": "Which category was answered instead",
    "slices": "Hit rate by",
    "calibration": "Path probability against the truth",
    "survival_help": "The band is the 95% interval.",
    "confusion_help": "Rows add up to 100%. Click a square to see its cases.",
    "calibration_help": "On the dashed line the number would be a chance of being right. It need not be.",
    "slices_help": (
        "Bars and brackets are 95% intervals. Different first answers: how many items are "
        "the first answer to some case of the slice. A table keeps no more than the first answer of a case, so this is "
        "not the coverage of the first ten that `evaluate` tells, and a larger slice has more of them. Popular: of the "
        "tenth of the items that most training trips hold. p: "
        "Fisher's exact test of a slice's hits against all others', by Benjamini and Hochberg corrected for the number "
        "of slices."
    ),
    "behaviour": "What if the history were a little different?",
    "behaviour_help": (
        "Measured on test trips by `python -m mindrec behaviour`. Brackets are 95% intervals over trips. Places: how "
        "far the true item's rank moves where it is listed at all. Same list: the first ten stay, in their order."
    ),
    "save_svg": "Save the picture",
    "save_csv": "Save the numbers",
    "transitions": "Where the cases went",
    "runs": "All open tables",
    "run": "Table",
    "run_cases": "Cases",
    "causes_share": "Causes, of all cases",
    "versus": "Compare two tables",
    "versus_help": "Pairs the cases of two tables and tests the difference. Both must hold the same trips.",
    "left": "Left",
    "right": "Right",
    "versus_do": "Compare",
    "versus_line": "{cases} paired cases, {flipped} of them a hit on one side only",
    "measure": "Measure",
    "difference": "Right minus left",
    "only_left": "Only left better",
    "only_right": "Only right better",
    "p": "p",
    "test": "Test",
    "better": "Better",
    "rank_at": "rank {rank}",
    "no_rank": "not listed",
    "case_title": "Trip {user} ({table})",
    "no_item": "(not in the catalog)",
    "bad_filter": "The filter {name} = “{value}” was not understood.",
    "no_table": "No table “{name}” is open here.",
    "chart_of": "Chart: {name}",
}

COMPARE = {
    "title": "Two ways to decode, side by side",
    "lede": (
        "Both sides start from the same history and share one timeline: where one needs fewer steps, they are laid "
        "over each other by progress."
    ),
    "case": "History",
    "case_watch": "as in Watch",
    "left": "Left",
    "right": "Right",
    "swap": "Swap the sides",
    "link": "Copy link",
    "linked": "Link copied. It opens this comparison.",
    "deck": "Shared player. Space plays, arrows step.",
    "first": "First step",
    "back": "One step back",
    "play": "Play or pause",
    "forward": "One step forward",
    "last": "Last step",
    "scrub": "Progress of both",
    "jump": "Go to where they part",
    "parting": "the two part here",
    "steps": "Step {left} | {right}",
    "history": "Given: {items}.",
    "lists": "Recommended items",
    "shared": "In both ({count})",
    "only_left": "Only left ({count})",
    "only_right": "Only right ({count})",
    "rank": "rank {rank}",
    "ranks": "rank {left} | {right}",
    "group_ways": "Decoder",
    "group_watch": "Settings",
    "group_checkpoints": "Another checkpoint",
    "group_history": "Another history",
    "without": "without {title}",
    "way_watch": "the settings of the Watch tab",
    "way_back": "Back to the case",
    "way_ours": "MindRec, this checkpoint's settings",
    "way_published": "the published search",
    "way_left_to_right": "left to right",
    "way_confidence": "surest token first",
    "way_greedy": "greedy: 1 beam",
    "way_two_beams": "2 beams",
    "way_ten_beams": "10 beams",
    "way_one_pass": "one pass: all tokens at once",
    "way_evidence_off": "without item evidence",
    "way_level": "without legality: any code of a level",
} | METHODS_PAGE

PART_TOKEN = "They part at step {left_step} | {right_step}: {level} is “{left}” on the left and “{right}” on the right."
PART_ORDER = "They part in their order at step {left_step} | {right_step}: left has revealed {left}, right {right}."
PART_NONE = "The leading answer is the same on both sides at every step; they differ at most in what else they keep."
PART_SAME = "Up to there both lead with the same tokens."

PAGE = {
    "diagnose": DIAGNOSE,
    "case_page": CASE_PAGE,
    "causes": CAUSES,
    "error": {kind: name for kind, (name, _) in ERRORS.items()},
    "rescue": RESCUES,
    "charts": CHARTS,
    "compare": COMPARE,
    "learn": LEARN,
    "lab": LAB,
    "game": GAME,
    "room": ROOM,
    "glossary": GLOSSARY,
}
"""Words of the tabs' scripts; the stage's own words are in app.words.sentences."""
