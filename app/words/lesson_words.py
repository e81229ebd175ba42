"""Words of the Learn tab: its cards, their questions, and the glossary. Used through app.words.sentences."""

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
