"""Words of "Beat the machine". Used through app.words.tab_words, and by the game itself."""

NOT_DUE = "This guess is not due: it was made before, or another comes first. Go on with what the page shows."
NO_OPTION = "A guess is the number of one of the {options} options."
GONE = "This game is no longer here: an hour passed since its last guess, or the app was started again. Begin another."
NO_SUCH_DAY = "There is no daily cart for “{day}”: give a day up to today, {today}, as in {today}."
CLASS_ASK = "In the cart: {items}. Which item comes next?"
NO_SUCH_KIND = "A game is one, daily or run, not “{kind}”."

GAME = {
    "title": "Beat the machine",
    "lede": (
        "One item of this shopping trip is hidden. Guess its aisle, then the item out of nine. Greedy search, beam "
        "search and the auto-regressive twin choose from the same options beside you. The trips are from the test "
        "split, which no model was trained on; the grocery data is simulated."
    ),
    "none": "No checkpoint with test trips is open here, so there is nothing to guess.",
    "one": "Play a cart",
    "daily": "Today's cart",
    "run": "A run of ten",
    "clock": "20-second clock",
    "clock_help": "Off where your system asks for reduced motion; a guess without a clock counts as much.",
    "class": "Ask the class",
    "class_help": "Put a cart to phones in the room",
    "begin": "Choose a game. Keys 1 to 9 choose an option.",
    "kind_one": "A cart",
    "kind_daily": "Daily cart, {day}",
    "kind_run": "Cart {number} of {count}",
    "cart": "In the cart",
    "ask_aisle": "In which aisle is the hidden item?",
    "ask_item": "Which of these is it?",
    "left": "{seconds} s left",
    "no_clock": "No clock",
    "late": "Time is up.",
    "pass": "I don't know",
    "you": "You",
    "greedy": "Greedy, 1 beam",
    "beams": "Beams",
    "twin": "Auto-regressive twin",
    "no_twin": "No twin of this checkpoint is open, so it does not play.",
    "thinking": "thinking…",
    "sealed": "has chosen",
    "absent": "could not choose, the machine was busy",
    "player": "Player",
    "aisle": "Aisle",
    "item": "Item",
    "points": "Points",
    "right": "right",
    "wrong": "wrong",
    "none_made": "no guess",
    "aisle_right": "Right, {aisle}.",
    "aisle_wrong": "It is {aisle}.",
    "item_right": "Right: “{item}”.",
    "item_wrong": "It was “{item}”.",
    "outcome_won": "You are ahead of every machine.",
    "outcome_level": "You are level with the best machine.",
    "outcome_lost": "The best machine is ahead of you.",
    "score": "Points: an aisle 1, an item 2.",
    "watch": "Watch how they got there",
    "watch_help": "Opens the trip in Watch with its true item marked",
    "next": "Next cart",
    "again": "Another cart",
    "share": "Copy the result",
    "shared": "Result copied. It does not say what the item was.",
    "share_field": "Your result, without the answer",
    "copy_failed": "The browser did not allow copying. The result is selected below.",
    "played": "You played this day's cart before; its first result was {result}.",
    "share_line": "{who}: aisle {aisle}, item {item}",
    "share_run": "{who}: {points} of {most}",
    "share_title": "MindRec · {kind}",
    "untimed": "without a clock",
}
