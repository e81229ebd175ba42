"""Words of the tabs beside Watch: Diagnose, Compare and Learn. Used through app.words.sentences."""

TABS = {"watch": "Watch", "compare": "Compare", "diagnose": "Diagnose", "learn": "Learn"}

CAUSES = {
    "unknown": ("not in the catalog", "The true next item is not in the catalog, so nothing could have named it."),
    "excluded": ("ruled out", "The settings ruled the item out, for instance because it is in the history."),
    "not_proposed": ("never proposed", "The search looks at a few candidates only, and the item was never one."),
    "early_category": (
        "wrong category early",
        "The last beam that could become the item died while a category was revealed.",
    ),
    "sibling": (
        "lost to a sibling",
        "The right category was found; the item lost to its neighbours inside it.",
    ),
    "cut": ("cut", "The last beam that could become the item died at its semantic ID, and so did its category."),
    "outranked": ("outranked", "The item was still there at the end, but too far down the list."),
}
CAUSE_NAMES = {key: name for key, (name, _) in CAUSES.items()}

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
    "confusion": "Which category was answered instead",
    "slices": "Hit rate by",
    "calibration": "Path probability against the truth",
    "survival_help": "The band is the 95% interval.",
    "confusion_help": "Rows add up to 100%. Click a square to see its cases.",
    "calibration_help": "On the dashed line the number would be a chance of being right. It need not be.",
    "slices_help": "Bars are 95% intervals.",
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
}

PART_TOKEN = "They part at step {left_step} | {right_step}: {level} is “{left}” on the left and “{right}” on the right."
PART_ORDER = "They part in their order at step {left_step} | {right_step}: left has revealed {left}, right {right}."
PART_NONE = "The leading answer is the same on both sides at every step; they differ at most in what else they keep."
PART_SAME = "Up to there both lead with the same tokens."
LEARN = {
    "title": "How does it decode?",
    "lede": "Short cards on the real player. Guess first, then look.",
    "cards": "Cards",
    "guess": "Your guess",
    "right": "Right.",
    "wrong": "Not quite.",
    "answer": "Answer: {option}.",
    "back": "Back",
    "next": "Next card",
    "again": "Start again",
    "of": "{number} of {count}",
    "done": "That was the last card.",
    "print": "Print a hand-out",
    "teacher": "Copy teacher link",
    "teacher_help": "Opens this card alone, without menus and buttons that distract.",
    "linked": "Link copied.",
    "mask_slider": "Masked tokens",
    "masked_count": "{count} of {all} tokens masked",
    "look": "The player is unlocked: step through it with the arrow keys.",
    "locked": "The player waits for your guess.",
    "live": "Decoding…",
    "none": "No stories are there to learn from: assets/stories is empty.",
    "handout": "MindRec hand-out",
    "given": "Given",
    "all_steps": "What happens, step by step",
    "my_answer": "My guess and why:",
    "glossary": "Words",
}

GLOSSARY = {
    "mask": ("mask", "A place-holder for a token that is not known yet."),
    "token": ("token", "One code of the answer. The first ones name categories, the others single out one item."),
    "denoiser": ("denoiser", "The neural network. It looks at all tokens at once and guesses the masked ones."),
    "step": ("step", "One look of the denoiser, after which one or more tokens are revealed."),
    "beam": ("beam", "A partial answer that the search keeps alive beside the others."),
    "greedy": ("greedy", "Keeping only the best partial answer at every step."),
    "semantic": ("semantic ID", "Tokens that single out one item in its category. Similar items share some of them."),
    "category": ("category", "A shelf of the shop. The tree goes from sections to aisles to categories."),
    "autoregressive": ("auto-regressive", "Writing tokens one after the other, each from those before it."),
    "legal": ("legal", "A token is legal if some item in the catalog has it together with the tokens before."),
    "search": ("beam search", "Keeping the few best partial answers at every step instead of one."),
    "true": ("true next item", "What the shopper really bought next. The model does not see it."),
}

LESSONS = {
    "mask": {
        "title": "What masking is",
        "body": (
            "To the model an item is a row of {count} tokens: its [category|category] from coarse to fine, then its "
            "[semantic ID|semantic]. In training some tokens are hidden behind a [mask|mask] and the "
            "[denoiser|denoiser] "
            "learns to fill them in. Move the slider: this is “{gold}”."
        ),
        "ask": "Only the first token, “{first}”, is left. How many of the {items} items can still be meant?",
        "because": (
            "{left} items are in {level} “{first}”. Every further token rules out more of them, until one is left."
        ),
    },
    "step": {
        "title": "One denoising step",
        "body": (
            "Everything is masked. In one [step|step] the [denoiser|denoiser] looks at the history and at all places "
            "at "
            "once, and gives every [token|token] that could stand there a probability. Then one place is revealed."
        ),
        "ask": "Which place is revealed first?",
        "because": (
            "{level} comes first. The grey guesses show that the model has an opinion about the other places too."
        ),
    },
    "keys": {
        "title": "Key tokens first",
        "body": (
            "Some tokens say more than others. The [category|category] tokens come first because they leave the fewest "
            "items for the rest: the catalog has {items}."
        ),
        "ask": "After the {depth} category tokens, how many items can the best beam still become?",
        "because": "{left}. The remaining tokens only have to tell these apart.",
    },
    "tree": {
        "title": "The category tree",
        "body": (
            "Categories form a tree, and every [beam|beam] walks down one path of it. A thick line carries much of the "
            "search's probability. After the first step several branches are still open."
        ),
        "ask": "Which section will the final answer come from?",
        "because": (
            "It is “{answer}”, in “{section}”. At the first step that section had {p} of the probability; later tokens "
            "can change the order of the beams."
        ),
    },
    "greedy": {
        "title": "Why greedy fails",
        "body": (
            "A [greedy|greedy] decoder keeps only the best partial answer. The [true next item|true] of this "
            "shopping trip "
            "is “{gold}”."
        ),
        "ask": "Does a greedy decoder find it?",
        "lost": (
            "At step {step} “{best}” ({best_p}) is ahead of “{gold_label}” ({gold_p}). Greedy takes it, and there is "
            "no "
            "way back: a revealed token stays."
        ),
        "kept": "Here the true path is the best one at every step, so greedy finds it too.",
        "yes": "Yes, the best next token leads there",
        "no": "No, it takes a wrong turn",
    },
    "beams": {
        "title": "Diffusion beam search",
        "body": (
            "Same trip. [Beam search|search] keeps {beams} partial answers alive. After step 1 the true path (★) is "
            "only "
            "number {rank}."
        ),
        "ask": "Where does “{gold}” end up?",
        "first": "First",
        "listed": "Among the answers, but not first",
        "lost": "Lost on the way",
        "because": "{fate} A path that looks second best early can win once more tokens are known.",
    },
    "legal": {
        "title": "Legality",
        "body": (
            "Most rows of tokens name nothing: the catalog has far fewer items than there are combinations. MindRec "
            "only "
            "allows [legal|legal] tokens. The published search allows any code and looks at the end whether the item "
            "exists."
        ),
        "ask": "What happens to its beams?",
        "same": "Nothing, the model knows the catalog by heart",
        "impossible": "Some end on tokens that no item has",
        "steps": "They need more steps",
        "because": (
            "{bad} of {all} beams end on “no such item”: each is a place in the list that a real item could have had. "
            "Under MindRec's rule it is never any."
        ),
    },
    "onepass": {
        "title": "One look or many",
        "body": (
            "Each step costs one look of the [denoiser|denoiser]. Could it not fill in all tokens at once, in a single "
            "look? With {steps} steps the answer was “{answer}”."
        ),
        "ask": "Is the first answer still the same with one look?",
        "yes": "Yes, the same",
        "no": "No, another item",
        "because": (
            "With one look it is “{one}”. Many steps can do better because every revealed token is taken into "
            "account in "
            "the next look; one look is {times} times fewer calls."
        ),
    },
    "twin": {
        "title": "Left to right only",
        "body": (
            "Most generative recommenders are [auto-regressive|autoregressive]: every [token|token] sees only those "
            "before it, so they are written from left to right and in no other order. One was trained here on the same "
            "data, with the same size and number of steps. MindRec's first answer was “{answer}”."
        ),
        "ask": "Does its twin name the same item first?",
        "yes": "Yes, the same",
        "no": "No, another item",
        "because": (
            "The twin's first answer is “{one}”; {shared} of the first ten items are in both lists. What the twin "
            "cannot do: reveal the surest token first, fill in several at once, or take account of a token that you "
            "pinned further to the right. The README says which of the two is right more often."
        ),
    },
    "fails": {
        "title": "When it fails",
        "body": (
            "No search is perfect. Here the [true next item|true] is “{gold}”, and sooner or later the last "
            "[beam|beam] "
            "that could become it is cut."
        ),
        "ask": "At which step is it lost?",
        "option": "Step {step}",
        "kept": "It is not lost",
        "because": (
            "At step {step}, where {level} was revealed. Once the right category is gone, no later step can bring it "
            "back. "
            "The Diagnose tab counts how often that happens."
        ),
    },
}

PAGE = {
    "diagnose": DIAGNOSE,
    "causes": CAUSES,
    "charts": CHARTS,
    "compare": COMPARE,
    "learn": LEARN,
    "glossary": GLOSSARY,
}
"""What the tabs' scripts say; the stage's own words are in app.words.sentences."""
