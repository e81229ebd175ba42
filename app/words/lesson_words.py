"""Words of the Learn tab: its cards, their questions, and the glossary. Used through app.words.sentences."""

LEARN = {
    "title": "How does it decode?",
    "lede": "Twelve cards in three acts, on the real player. Guess first, then look.",
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
    "class": "Ask the class",
    "class_help": "Phones join by a link, without names, and vote on this card's question",
    "print": "Print a hand-out",
    "booklet": "Booklet",
    "booklet_help": "All cards with their figures, five experiments for the Lab, and the answers at the end, to print",
    "teacher": "Copy teacher link",
    "teacher_help": "Opens this card and its cart in large type, with Back and Next and no menus that distract.",
    "linked": "Link copied.",
    "mask_slider": "t: how far it is dissolved",
    "masked_count": "t = {t}: {count} of {all} tokens and {pixels} of {all_pixels} pixels are masked",
    "heal": "Heal it",
    "acts": "What diffusion is|How an answer is found|What it is worth",
    "act_of": "Act {number}: {title}",
    "formula": "The formula",
    "neutral": "Step {step}. The rest waits for your guess.",
    "states": "The same target under {count} masks",
    "state_loss": "loss {loss}",
    "token_nats": "the model gives the true code {p}: loss {nats}",
    "fall": "{before} → {after} left",
    "score": "{right} of {asked} guesses were right.",
    "see_again": "See again:",
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
    "diffusion": (
        "diffusion",
        "Learning to undo noise that is added bit by bit. Here the noise is masking: tokens vanish one by one.",
    ),
    "schedule": (
        "noise schedule",
        "How likely a token is masked at time t. Here it grows evenly from 0 to 1, in training often from a floor up.",
    ),
    "mask": ("mask", "A place-holder for a token that is not known yet."),
    "token": ("token", "One code of the answer. The first ones name categories, the others single out one item."),
    "denoiser": ("denoiser", "The neural network. It looks at all tokens at once and guesses the masked ones."),
    "evidence": (
        "item evidence",
        "What is known of whole items: which are likely next by a dense model and by counted pairs, summed by code.",
    ),
    "guidance": ("guidance", "How far an answer moves from what anybody takes to what this cart alone makes likely."),
    "votes": ("votes", "Scoring the last items in several unmask orders and ranking by the mean."),
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
    "diffusion": {
        "title": "What diffusion is",
        "body": (
            "[Diffusion|diffusion] adds noise until nothing is left, and learns to undo it. On a picture the noise "
            "takes pixels; here it [masks|mask] the {count} [tokens|token] of an item, “{gold}”. The slider is the "
            "time t of the [noise schedule|schedule]: picture and tokens dissolve together, and both heal."
        ),
        "ask": "What happens to the tokens at t = 0.5?",
        "right": "The right half of them is masked",
        "grey": "Each of them is half hidden",
        "chance": "Each is masked or not, by the toss of a coin",
        "because": (
            "Every token is masked by itself with probability t, as every pixel here. At t = 0.5 about half are gone, "
            "another half each time. Recommending begins at t = 1, where all is masked, and goes back to t = 0."
        ),
        "formula": "q(token masked at time t) = t, each token by itself; t = 0: the item, t = 1: all [MASK]",
    },
    "training": {
        "title": "What the model is asked",
        "body": (
            "Training needs no one to label anything. Take the item that really came next, “{gold}”. [Mask|mask] some "
            "of its [tokens|token], let the [denoiser|denoiser] guess them from the history and from what is left, and "
            "correct it. Below is that target under several masks, judged by this checkpoint: one target gives many "
            "exercises."
        ),
        "ask": "{level} is hidden, and the model gives the true code “{label}” a probability of {p}. What is its loss?",
        "because": (
            "The loss is the surprise, −ln p = {nats}: 0 for one who was sure and right, large for one who gave the "
            "truth little. Over these {count} states the mean is {mean} a token. With much masked it is harder."
        ),
        "formula": "loss = mean over masks of (1 / t) · Σ over masked tokens of −ln p(true code | all that is seen)",
    },
    "step": {
        "title": "All at once, in any order",
        "body": (
            "Everything is masked. In one [step|step] the [denoiser|denoiser] looks at the history and at all places "
            "at "
            "once, and gives every [token|token] that could stand there a probability. Then one place is revealed."
        ),
        "ask": "Which place is revealed first?",
        "because": (
            "{level} comes first. The grey guesses show that the model judges the other places in the same look. "
            "It was trained on every mask, so any order would do: here from coarse to fine."
        ),
        "formula": "one call gives p(code at place l | history, revealed tokens) for every masked place l",
    },
    "keys": {
        "title": "Key tokens, coarse to fine",
        "body": (
            "Some tokens say more than others. The [category|category] tokens come first because they leave the fewest "
            "items for the rest: the catalog has {items}. Categories form a tree, and an answer walks down one path of "
            "it: from section to aisle to category. A thick line carries much of the search's probability."
        ),
        "ask": "After the {depth} category tokens, how many items can the best beam still become?",
        "because": "{left}. The remaining tokens only have to tell these apart.",
        "formula": "coarse to fine: categories in their order, then the place whose best code is the surest",
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
        "formula": "greedy: at each step, the one code of the highest p; the product of its p need not be the highest",
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
        "formula": "score of a beam = Σ ln p of its revealed codes; the best k of all children stay",
    },
    "semantic": {
        "title": "Semantic IDs, and what is legal",
        "body": (
            "Below its category an item is named by a [semantic ID|semantic], a short row of codes: the first names a "
            "cluster of similar items, each further one a smaller cluster inside it. Below, “{title}” falls through "
            "{categories} category levels and the {codes} codes of its semantic ID, until of {items} items it alone is "
            "left. Most rows of codes name nothing. MindRec only allows [legal|legal] codes; the published search "
            "allows any, and asks only at the end whether the item exists."
        ),
        "ask": "What happens to the published search's beams?",
        "same": "Nothing, the model knows the catalog by heart",
        "impossible": "Some end on codes that no item has",
        "steps": "They need more steps",
        "because": (
            "{bad} of {all} beams end on “no such item”: each is a place in the list that a real item could have had. "
            "Under MindRec's rule it is never any."
        ),
        "formula": "code 1 = centre nearest to the item's vector; code 2 = centre nearest to what is left; and so on",
    },
    "guidance": {
        "title": "Guidance: usual, or only this cart",
        "body": (
            "Milk goes with everything. [Guidance|guidance] asks how much more likely an item is after this cart than "
            "for anybody, and moves the answer that way. This decode was guided with strength {strength}; its first "
            "answer is “{answer}”."
        ),
        "ask": "Without guidance, is the first answer the same?",
        "yes": "Yes, the same",
        "no": "No, another item",
        "because": (
            "Without guidance “{one}” is first; {shared} of the first ten items are in both lists.{moved} Guidance "
            "moves an answer away from what anybody takes and towards what this cart alone makes likely."
        ),
        "moved": " With it “{come}” comes among them and “{gone}” goes.",
        "formula": "log p ← log p(item | cart) + w · (log p(item | cart) − log p(item | anybody))",
    },
    "worth": {
        "title": "Where the quality comes from",
        "body": (
            "Does all this find the right item? The bars are NDCG@10 of the shipped {name} checkpoint on {users} test "
            "trips, each time with one part of it alone: 1 if the right item always came first, less the further down "
            "it comes, 0 if it is never among the first ten. The tokens' [denoiser|denoiser] is one part, the "
            "[item evidence|evidence] that joins it at each step another; [votes|votes] could add a third."
        ),
        "ask": "Which part does the default answer owe its quality to?",
        "tokens_do": "The tokens' denoiser",
        "evidence_does": "Item evidence",
        "both_do": "Both alike",
        "default": "default",
        "evidence": "item evidence alone",
        "dense": "dense part alone",
        "popularity": "popularity",
        "tokens": "tokens alone",
        "because": (
            "Evidence alone reaches {evidence}, the default {default}: a ratio of {ratio} [{low}, {high}], so that "
            "here the tokens add nothing that can be measured. Tokens alone reach {tokens}, popularity {popularity}. "
            "What diffusion brings is the way: any order, pins, gaps, and an answer that can be watched. Votes are off "
            "by default."
        ),
        "formula": "logit of a code = β · denoiser + log(evidence of its items); NDCG@10 = 1 / log₂(1 + rank)",
    },
    "onepass": {
        "title": "Few steps against many",
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
        "formula": "one look: p(item) ∝ Π p(code at l | history); many: Π p(code at l | history, codes before)",
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
            "pinned further to the right. Three ways to generate: left to right, unmask, flow. Compare shows the "
            "third, where FMRec is offered: a point walks from noise to an item."
        ),
        "measured": (
            " By tokens alone and without guidance, on {users} test trips and three trainings each, diffusion reached "
            "an NDCG@10 of {left} and the twin {right}."
        ),
        "formula": "twin: p(item) = Π p(code l | history, codes 1 … l−1), in this one order",
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
        "formula": "lost at step s: no beam of the best k at s can still become the item",
    },
}
