"""Words of the booklet: what stands around the cards, and the five experiments of the exercise sheet."""

BOOKLET = {
    "title": "How MindRec decodes",
    "lede": (
        "Twelve cards and five experiments, from checkpoint {checkpoint}. Guess first; the answers are at the end. The "
        "trips are from the test split of simulated grocery data. The same cards, with the player, are in Learn."
    ),
    "act": "Act {number}: {title}",
    "given": "In the cart",
    "empty": "nothing",
    "mine": "My guess, and why:",
    "formula": "Formula",
    "step": "After step {step} of {steps}: the best {count} of {beams} partial answers",
    "start": "At the start, before step 1: one partial answer, everything masked",
    "mask": "masked",
    "masked_at": "t = {t}",
    "masks": "The target under {count} masks",
    "loss": "loss",
    "codebook": "Code",
    "left": "Items left",
    "some": "Some of them",
    "bars": "NDCG@10",
    "glossary": "Words",
    "sheet": "Exercise sheet: five experiments in the Lab",
    "sheet_lede": "Open each link, press Train, and write down what you see before you turn to the answers.",
    "dials": "Dials",
    "defaults": "the defaults",
    "open": "Open in the Lab",
    "seen": "What I saw:",
    "answers": "Answers",
    "answer": "Answer: {option}.",
    "experiment": "Experiment {number}",
    "should": "What should be seen:",
}

EXPERIMENTS = {
    "default": "How many epochs does the distance to the law need to halve? When does the first beam stay the same?",
    "little": "Does the loss still tell how good the model is? Compare it, and the distance, with experiment 1.",
    "path": "The decode goes coarse to fine, but no training state does. What becomes of the distance to the law?",
    "overfit": "At which epoch would you stop? Which of the two curves tells you?",
    "noise": "What does the best possible model do here, and how far do the beams come out of the fog?",
}
"""The question of each experiment, by the name of its story in the Lab; lab_words says what should be seen."""
