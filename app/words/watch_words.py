"""Words of the Watch tab: the player and the settings. Used through app.words.sentences."""

from mindrec.decoding.config import DecodeConfig
from mindrec.system.settings import Choice, declared

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
    "hint_1": "Pick a story, or add items of your own and press Decode.",
    "hint_2": "Space plays; ← and → step. Click any token to see what else it might have been.",
    "hint_3": "Pin or forbid a token to change the answer.",
    "hint_close": "Got it",
    "noscript": "The player needs JavaScript.",
    "starting": "Opening the first story…",
    "failed": "That did not work: the server did not answer. Check that it is still running, then try again.",
    "hood": "Under the hood",
    "hood_help": "Show or hide the beam ladder and what each step cut",
    "about": "About these numbers",
    # history
    "history": "History",
    "cart": "Cart",
    "winner_masked": "The next item: still masked",
    "stories": "Watch a story",
    "carts": "Start from",
    "trip": "A real trip",
    "trip_help": "A shopping trip from the test weeks, with its true next item known.",
    "search": "Add an item",
    "browse": "Browse",
    "browse_label": "Browse the categories",
    "browse_all": "All categories",
    "browse_branch": "{label}, {count} items",
    "browse_item": "Add {title}",
    "browse_has": "{title} is in the history",
    "browse_more": "The first {shown} of {count} items; search finds the others.",
    "browse_help": "Arrow keys move, → or Enter opens, ← goes back, Esc closes.",
    "search_hint": "Type to search {items} items, for example {example}",
    "found": "{count} items found. Use the arrow keys, then Enter.",
    "found_close": "Nothing is called “{query}”. Closest:",
    "found_none": "Nothing found for “{query}”. Try another word.",
    "empty_history": "No items yet. Search above, start from a story, or ask what anyone would take.",
    "items_count": "{count} of {most} items",
    "items_beyond": "{count} items; the model reads the last {most}",
    "full": "The history is full: this checkpoint reads at most {most} items. Remove one first.",
    "twice": "{title} is in the history already.",
    "remove": "Remove {title}",
    "chip_help": "{title}. Delete removes it, Alt with an arrow moves it.",
    "clear": "Clear",
    "undo": "Undo",
    "decode": "Decode",
    "decode_empty": "What would anyone take?",
    "fill": "Fill my cart",
    "fill_stop": "Stop filling",
    "fill_help": (
        "Five times over: decode, put the first answer into the cart, and decode again with it in mind. What is added "
        "goes with what was added before it."
    ),
    "odd": "Odd one out",
    "odd_help": (
        "Each item is scored given the others, and the one that they make least likely, for how often it is taken, is "
        "marked. It is the question where order carries nothing: there a gap could not be filled from its neighbours."
    ),
    "odd_mark": "belongs least",
    "filled": "Put into the cart, one after the other: {titles}. The stage shows what would follow.",
    "decoding": "Decoding…",
    "stop": "Stop",
    "stopped": "Stopped. The steps so far stay; press Decode to begin again.",
    "waiting_place": "Number {place} in the queue…",
    "waiting_first": "Reading the history…",
    "progress": "Step {step} of about {last}…",
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
    # guidance
    "dial": "Answers",
    "dial_label": "Guidance, from usual answers to those of this cart alone",
    "dial_usual": "usual",
    "dial_cart": "only this cart",
    "dial_help": "Guidance: how far the answer leans from everybody's habits to what this cart alone says.",
    "dial_stops": ("as people buy", "more of this cart", "much of this cart", "only this cart"),
    "dial_cost": "on validation NDCG@10 × {ratio}, {coverage} of the items reached",
    # answers and pictures
    "usual_times": "{times} times its usual share",
    "answers": "The three answers in the lead",
    "answer_masked": "Everything masked",
    "views": "Picture",
    "view_beams": "Beams",
    "view_path": "Path",
    "view_map": "Map",
    # grid
    "grid": "Beams: partial answers kept alive",
    "category": "Category, coarse to fine",
    "semantic": "Semantic ID, names one item",
    "beam": "Beam",
    "becomes": "Can become",
    "masked": "masked",
    "guess": "{label}?",
    "follows": "follows",
    "left": "{count} left",
    "left_one": "1 left",
    "code": "code {code}",
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
    "alternatives_given": "Given {given}: how likely each was.",
    "alternatives_cart": "the cart alone",
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
    "help_evidence": "What item evidence adds: likely next items, summed by code.",
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
    "map": "Map of the catalog",
    "map_loading": "Drawing the map…",
    "map_help": "Each point is an item, as bright as the search finds it likely. Hover for its name, click to use it.",
    "map_words": "Step {step}: {count} of {all} items are lit. Brightest: {named}",
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
    "results_all": "Show all {count}",
    "results_skip": "Skip to the answer",
    "results_none": "No complete item was found with these settings.",
    "votes_agree": "All {count} orders put this answer first",
    "votes_differ": "{first} of {count} orders put this answer first",
    "votes_item": "Item",
    "votes_search": "Search",
    "votes_order": "Order {number}",
    "votes_help": (
        "Each item's rank when its positions are filled in another order. The mean of the orders decides; ranks that "
        "stand more than one place apart from it are marked."
    ),
    "gold": "true next item",
    "guilt": "Who did it?",
    "guilt_help": (
        "Leaves each item of the cart out in turn: how much likelier is the answer with it than without? And which of "
        "the exact first ten did the beams lose? Choose another answer first to ask about that one."
    ),
    "pull_for": "{title} is likelier with this item in the cart: {pull}",
    "pull_against": "{title} is less likely with this item in the cart: {pull}",
    "rescue": "Play what would have saved it",
    "rewrite": "Mask again the {count} least certain",
    "rewrite_help": (
        "Dissolve the tokens of the first answer that the model is least sure of, keep the others as pins, and watch "
        "them heal. Lift the pins to be free again."
    ),
    "rewrite_hand": "Mask again by hand",
    "rewrite_hand_help": "Tokens of the first answer that are masked and decoded again; the others stay as pins",
    "rewrite_go": "Decode again",
    "add_on": "Add and go on",
    "add_on_help": "Add and go on: {title} joins the history",
    "show_path": "Show the path to {title}",
    # settings
    "settings": "Settings",
    "settings_more": "Advanced",
    "setting_only": "Only with {reason}.",
    "setting_or": " or ",
    "setting_is": "{name}: {value}",
    "setting_not": "{name} other than {value}",
    "setting_above": "{name} above {value}",
    "setting_set": "Set it",
    "setting_use": "Set {name} to {value}",
    "setting_none": "none",
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
    "save_card": "Share card (PNG)",
    "save_card_film": "Card film (GIF)",
    "card_item": "Item",
    "card_about": "a masked diffusion model names the next item, coarse to fine",
    "save_png": "Picture (PNG)",
    "save_film": "Film (GIF)",
    "filming": "Filming step {step} of {last}…",
    "saving": "Preparing the file…",
    "saved": "Saved {name}.",
    "bad_link": "The link was not understood: {why}. The first story is shown instead.",
    "link_partly": "Not in this catalog and left out: {items}.",
    "link_version": "it is of version {version}, this app reads version 1",
    "too_big": "This file is too large to be a trace (4 MB at most).",
    "replay_title": "MindRec replay",
    "transcript": "All steps in words",
}

SETTINGS = {"checkpoint": ("Checkpoint", "Which trained model decodes.")} | {
    key: (setting.label or key, setting.help) for key, setting in declared(DecodeConfig).items()
}
"""Name and help of every setting."""

CHOICES = {
    value: words
    for setting in declared(DecodeConfig).values()
    if isinstance(setting, Choice)
    for value, words in setting.choices.items()
}
"""Words of every named value of a setting."""
