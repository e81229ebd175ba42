"""Every word that a person reads. Curly braces hold values; plain functions below put sentences together."""

from math import exp

from mindrec.decoding.trace import DecodeStep, DecodeTrace

TITLE = "MindRec"
WATCH = "Watch"

STAGE = {
    # page
    "brand": "MindRec",
    "tagline": (
        "Watch a diffusion model name the next item: everything starts masked, then it is revealed step by step."
    ),
    "runs_on": (
        "Checkpoint {name} on {device} · {items} items · the percentages are the search's own, not chances "
        "of being right."
    ),
    "hint_1": "Pick a story, or put a few items of your own in the cart and press Decode.",
    "hint_2": "Press Space to play. ← and → step, a click on any token shows what else it might have been.",
    "hint_3": "Pin or forbid a token to change the answer.",
    "hint_close": "Got it",
    "noscript": "The player needs JavaScript.",
    "starting": "Opening the first story…",
    "failed": "That did not work: the server did not answer. Check that it is still running, then try again.",
    # history
    "history": "History",
    "stories": "Watch a story",
    "carts": "Start from",
    "trip": "A real trip",
    "trip_help": "A shopping trip from the test weeks, with its true next item known.",
    "search": "Add an item",
    "search_hint": "Type to search {items} items, for example {example}",
    "found": "{count} items found. Use the arrow keys, then Enter.",
    "found_none": "Nothing found for “{query}”. Try another word.",
    "empty_history": "No items yet. Search above, or start from a story.",
    "items_count": "{count} of at most {most} items",
    "full": "The history is full: this checkpoint reads at most {most} items. Remove one first.",
    "twice": "{title} is in the history already.",
    "remove": "Remove {title}",
    "chip_help": "{title}. Delete removes it, Alt with an arrow moves it.",
    "clear": "Clear",
    "undo": "Undo",
    "decode": "Decode",
    "decoding": "Decoding…",
    "changed": "The history has changed. Press Decode.",
    "target_known": "True next item: {title}",
    "forget_target": "Forget the true next item",
    "read_only": "This trace comes from another catalog: it can be watched, not decoded again.",
    # player
    "player": "Player. Space plays, arrows step, question mark lists the keys.",
    "first": "First step",
    "back": "One step back",
    "play": "Play",
    "pause": "Pause",
    "forward": "One step forward",
    "last": "Last step",
    "scrub": "Step",
    "speed": "Speed",
    "step_of": "Step {step} of {last}",
    "present": "Present",
    "present_end": "Leave Present",
    "fullscreen": "Full screen",
    "keys": "Keys",
    "keys_list": (
        "Space: play or pause|← →: one step|Home End: first or last step|[ ]: slower or faster|↑ ↓ or 1 to "
        "9: choose a beam|T: tree on or off|P: Present mode|Esc: leave Present, close panels|?: this list"
    ),
    "close": "Close",
    "mark_first": "first token",
    "mark_category": "category settled",
    "mark_item": "first item named",
    "mark_lost": "true item lost",
    # grid
    "grid": "Beams: partial answers kept alive",
    "category": "Category, coarse to fine",
    "semantic": "Semantic ID, names one item",
    "beam": "Beam",
    "becomes": "Can become",
    "masked": "masked",
    "guess": "{label}?",
    "revealed": "just revealed",
    "pinned": "pinned",
    "forced": "only one",
    "items": "{count} items",
    "item_one": "1 item",
    "off_catalog": "no such item",
    "cut": "cut",
    "merged": "merged",
    "more_beams": "and {count} more beams",
    "more_cut": "and {count} more cut",
    "kept": "kept",
    "cell": "{beam}, {level}, {state}: ",
    "legend_masked": "masked",
    "legend_new": "just revealed",
    "legend_kept": "kept",
    "legend_cut": "cut",
    "legend_gold": "can still become the true item",
    "share": "{value} of the search's probability",
    # alternatives
    "alternatives": "{level}: what else it might have been",
    "alternatives_of": (
        "For beam {beam} before step {step}. Entropy {entropy} nats; {legal} of the model's own probability "
        "was on possible codes."
    ),
    "alternatives_none": "Nothing else was possible: this followed from the tokens before it.",
    "alternatives_pinned": "You pinned this token.",
    "alternatives_end": "This beam is complete; it was not looked at again.",
    "col_code": "Token",
    "col_p": "Used",
    "col_raw": "Model, before rules",
    "col_token": "Model alone",
    "col_evidence": "Item evidence",
    "col_items": "Items",
    "help_p": "The probability that the search used: possible codes only, model and item evidence together.",
    "help_raw": "The denoiser's own probability over the level's whole vocabulary.",
    "help_token": "The denoiser's own probability over possible codes.",
    "help_evidence": "What the next-item head adds: its items summed by code.",
    "illegal": "no such item",
    "excluded": "only items that are ruled out",
    "pin": "Pin",
    "forbid": "Forbid",
    "pin_help": "Pin {label} and decode again",
    "forbid_help": "Forbid {label} and decode again",
    "interventions": "Your changes",
    "pin_chip": "Pinned: {level} = {label}",
    "forbid_chip": "Forbidden: {level} = {label}",
    "lift": "Lift: {label}",
    # tree
    "tree": "Category tree",
    "tree_help": "The live path is thick; what the search has left is thin. Click a node to use it.",
    "tree_start": "Start",
    "tree_node": "{label}: {beams} of {all} beams, {mass} of the kept probability",
    "tree_dead": "{label}: no beam goes here now",
    "tree_considered": "considered at {p}",
    "tree_only": "Decode only in here",
    "tree_forbid": "Not in here",
    "tree_more": "+{count}",
    "tree_loading": "Drawing the tree…",
    "tree_show": "Show tree",
    "tree_hide": "Hide tree",
    # ladder
    "ladder": "Beam ladder",
    "ladder_help": "Each line is a beam and its rank after every step. Crosses were cut.",
    "coverage": "Search mass kept",
    "coverage_none": "not defined for these settings",
    "coverage_help": (
        "The share of the search's own probability on items that are still possible. It is not the chance of "
        "being right."
    ),
    "items_left": "Items still possible",
    "calls": "Denoiser calls",
    "lost_here": "Cut in this step",
    "lost_none": "Nothing was cut in this step.",
    "lost_line": "{label}, from beam {beam}: {behind} nats below the last kept",
    "merged_line": "{label}, from beam {beam}: another path reached the same state",
    "complete_one": "A complete answer",
    "from_beam": "from beam {beam}",
    # gold
    "gold_alive": "True next item “{title}”: best beam ranks {rank}, {beams} of {all} beams can become it.",
    "gold_lost": "True next item “{title}”: lost at step {step}, {margin} nats below the last kept beam.",
    "gold_never": "True next item “{title}”: lost at step {step}.",
    "gold_excluded": "True next item “{title}” is ruled out by these settings.",
    # results
    "results": "Recommended next",
    "results_wait": "The ranked items appear at the last step.",
    "results_skip": "Skip to the answer",
    "results_none": "No complete item was found with these settings.",
    "gold": "true next item",
    "add_on": "Add and go on",
    "add_on_help": "Add and go on: {title} joins the history",
    "show_path": "Show the path to {title}",
    # settings
    "settings": "Settings",
    "reset": "Reset all",
    "auto": "one a position",
    # share
    "share_menu": "Share and export",
    "copy_link": "Copy link",
    "copied": "Link copied. It opens this history, these settings and this step.",
    "copy_failed": "Copy this link:",
    "save_trace": "Trace (JSON)",
    "open_trace": "Open a trace…",
    "save_replay": "Replay (HTML)",
    "save_png": "Picture (PNG)",
    "saving": "Preparing the file…",
    "saved": "Saved {name}.",
    "bad_link": "The link was not understood: {why}. The first story is shown instead.",
    "link_version": "it is of version {version}, this app reads version 1",
    "too_big": "This file is too large to be a trace (4 MB at most).",
    "replay_title": "MindRec replay",
    "transcript": "All steps in words",
}

SETTINGS = {
    "checkpoint": ("Checkpoint", "Which trained model decodes."),
    "beam_size": ("Beams", "Partial answers kept after each step. One is greedy."),
    "order": ("Unmask order", "Which masked position is filled next."),
    "steps": ("Steps", "Fewer steps fill several positions at once."),
    "scoring": ("Scoring", "Token: probabilities of a position's codes. Item: those of whole items, summed by code."),
    "evidence": ("Item evidence", "Whether the next-item head's opinion joins the denoiser's."),
    "expansion": ("Expansion", "Partition: each beam branches on one position. Joint: all positions compete."),
    "merge": ("Merge", "Joint only: how one state reached by two orders is scored."),
    "diversity": ("Diversity", "Joint only: penalty on beams that look like a kept one."),
    "temperature": ("Temperature", "0 always takes the best; above it beams are sampled."),
    "seed": ("Seed", "Start of the random numbers, for sampling and the random order."),
    "constraint": ("Constraint", "Exact: every beam can become an item. Level: any code of the level, as published."),
    "exclude_seen": ("Leave out seen items", "Items of the history are not recommended."),
    "rethink": ("Second look", "Re-mask the least certain tokens of the best answer and decode them again."),
    "algorithm": ("Algorithm", "MindRec's search, or the published one."),
}

CHOICES = {
    "coarse_to_fine": "coarse to fine",
    "confidence": "surest first",
    "left_to_right": "left to right",
    "margin": "clearest lead first",
    "random": "random",
    "partition": "partition",
    "joint": "joint",
    "max": "best path",
    "logsumexp": "sum of paths",
    "token": "token",
    "item": "item",
    "on": "on",
    "off": "off",
    "only": "only evidence",
    "exact": "exact",
    "level": "level",
    "mindrec": "MindRec",
    "published": "published",
}

EXAMPLES = (
    ("Taco night", ("Taco & tostada shells", "Taco & Mexican seasoning mix", "Head lettuce")),
    ("Pasta dinner", ("Spaghetti", "Italian or French bread", "Strawberries")),
    ("Campfire", ("Marshmallows", "Graham crackers", "Hot dog buns")),
    ("New baby", ("Baby diapers", "Baby wipes", "Infant formula, milk-based")),
    ("Breakfast", ("Family cereal", "Eggs, large", "Bananas", "Chocolate milk")),
    ("Barbecue", ("Hamburger buns", "Ketchup", "Yellow mustard", "Potato chips")),
)
"""Named histories by title, for a catalog whose checkpoint names none."""

SEARCH_EXAMPLE = "pasta"

PREPARING = "Preparing the test trips (once, about 20 seconds)…"
NO_TRIPS = "This checkpoint has no test trips here. Start the app with --data DIR, the prepared data it was trained on."
OTHER_DATA = (
    "The data in {folder} is another catalog than the checkpoint's ({found}, not {wanted}); give the "
    "data it was trained on."
)
BUSY = "The machine is busy with other decodes. Try again in a moment."
NOT_UNDERSTOOD = "The request was not understood ({what})."
UNKNOWN_CHECKPOINT = "Checkpoint “{name}” is not open here; these are: {names}."
DAMAGED_STORY = "{path}: a story needs title, about and trace ({why})."
NO_SUCH_STORY = "There is no story with this number."
EXAMPLE_ABOUT = "A made-up history. What comes next?"
TRIP_ABOUT = "A real shopping trip; its true next item is “{title}”. Will the search find it?"


def percent(p: float) -> str:
    """A probability as a person says it."""
    if p >= 0.995 and p < 1:
        return "over 99%"
    if 0 < p < 0.01:
        return f"{p * 100:.1g}%" if p >= 0.0001 else "under 0.01%"
    return f"{p * 100:.0f}%"


def captions(trace: DecodeTrace) -> list[str]:
    """One plain sentence or two for every step; together they are the transcript."""
    return [_opening(trace), *(_caption(trace, step) for step in trace.steps[1:])]


def _opening(trace: DecodeTrace) -> str:
    start = trace.steps[0]
    masked = sum(code is None for code in start.beams[0].codes)
    plan = {
        "coarse_to_fine": "the category first, from coarse to fine, then the tokens that name one item",
        "left_to_right": "from left to right",
        "random": "in a random order",
    }.get(trace.config.get("order"), "the surest first")
    pins = len(trace.levels) - masked
    fixed = f" You fixed {pins} of them." if pins and trace.config.get("pins") else ""
    return (
        f"All {len(trace.levels)} tokens of the answer start masked, and {_items(start.items_left)} possible."
        f"{fixed} The next {_steps(len(trace.steps) - 1)} will reveal them, {plan}."
    )


def _caption(trace: DecodeTrace, step: DecodeStep) -> str:
    if not step.beams:
        return f"Step {step.index}: no beam is left."
    best = step.beams[0]
    parts = [f"Step {step.index}: {_reveal(trace, step)}"]
    if best.parent and best.revealed:
        parts.append(f"Beam {best.parent + 1} takes the lead.")
    before = trace.steps[step.index - 1].beams
    dead = len(before) - len({beam.parent for beam in step.beams})
    if dead > 0:
        parts.append(f"{dead} of {_count(len(before), 'beam')} {'dies' if dead == 1 else 'die'}.")
    if trace.gold is not None and trace.gold.died_at == step.index:
        parts.append("The true next item is lost here.")
    parts.append(
        f"{_items(step.items_left).capitalize()} possible." if best.item is None else f"{_ending(trace, step)}"
    )
    return " ".join(parts)


def _reveal(trace: DecodeTrace, step: DecodeStep) -> str:
    best = step.beams[0]
    own = [r for r in best.revealed if not r.forced]
    if not own:
        return "the best answer is complete." if best.item is not None else "the rest follows from what is known."
    names = [f"“{label(trace, r.position, r.code)}”" for r in own]
    if len(own) > 1:
        return f"{len(own)} tokens at once for the best beam: {', '.join(names)}."
    level, p = trace.levels[own[0].position].name, own[0].p
    if p is None:
        return f"{level} is {names[0]}."
    if p > 0.99999:
        return f"{level} can only be {names[0]}."
    mood = "sure of" if p >= 0.6 else "leans to" if p >= 0.25 else "its best guess is"
    return f"{level}: {mood} {names[0]} ({percent(p)})."


def _ending(trace: DecodeTrace, step: DecodeStep) -> str:
    titles = {item.row: item.title for item in trace.items}
    best = step.beams[0]
    if step.index < len(trace.steps) - 1:
        return f"It names “{titles[best.item]}”; {_items(step.items_left)} still possible."
    text = (
        f"The answer is “{titles[best.item]}”, with {percent(exp(min(best.score, 0.0)))} of the search's probability."
    )
    if trace.rethink is not None:
        text = f"{text} {_second_look(trace, titles)}"
    if trace.gold is None:
        return text
    if trace.gold.rank is not None:
        return f"{text} The true next item is number {trace.gold.rank + 1}."
    return f"{text} The true next item is not among the answers."


def _second_look(trace: DecodeTrace, titles: dict[int, str]) -> str:
    tokens = _count(len(trace.rethink.positions), "token")
    if not trace.rethink.swapped:
        return f"A second look re-masked {tokens} and kept the answer."
    first = titles.get(trace.rethink.after_row, trace.rethink.after_row)
    return f"A second look re-masked {tokens} and put “{first}” first."


def label(trace: DecodeTrace, position: int, code: int) -> str:
    """A readable name for a token, also where the trace has none."""
    return trace.labels[position].get(str(code), f"{trace.levels[position].name} {code}")


def _items(count: int) -> str:
    return f"{count:,} items are" if count != 1 else "one item is"


def _steps(count: int) -> str:
    return f"{count} steps" if count != 1 else "one step"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
