"""Words of the Lab tab. Used through app.words.sentences where the page says them."""

LAB = {
    "title": "Train it live",
    "lede": (
        "A toy shop of 36 items whose next-item law is known exactly, or a slice of the grocery carts. Train a small "
        "masked diffusion model on histories drawn from it, and watch the same cart decoded after every epoch."
    ),
    "stories": "Stories",
    "dials": "Dials",
    "train": "Train",
    "stop": "Stop",
    "reset": "Back to the defaults",
    "link": "Copy link",
    "linked": "Link copied. It restores all dials and the seed.",
    "waiting": "In the queue at place {place}. One run at a time trains here.",
    "starting": "Starting…",
    "running": "Epoch {epoch} of {epochs} · {seconds} s",
    "done": "Done in {seconds} s: {models}.",
    "time": "Out of time after {seconds} s: {models}. Fewer histories, views or epochs fit.",
    "stopped": "Stopped. What was trained stays below.",
    "off": "The Lab is turned off on this server. `python -m mindrec.lab` trains on your machine.",
    "diffusion": "diffusion",
    "ar": "twin",
    "loss": "Training loss (nats a level)",
    "loss_help": "How surprised the model is by the masked tokens that it is asked for. The two models are asked "
    "different questions: compare what stands on the left, not losses.",
    "measures": {
        "distance": {
            "title": "Distance to the law (nats)",
            "help": "KL divergence from the true law to the model's exact item distribution. 0 is perfect; the dashed "
            "line is an even guess.",
            "chance": "chance",
            "of": "{model} ends {value} nats from the law, {share} of the way from chance",
            "fog": "Each row is an item that may follow the cart, each column an epoch; the stronger the colour, the "
            "surer. The last column is the law.",
            "gold": "★ is the likeliest next item by the law.",
        },
        "hit": {
            "title": "Hit@10 on held-out trips",
            "help": "Share of 300 trips that no training sees whose hidden item is among the model's first ten. The "
            "dashed line names the ten most taken items instead.",
            "chance": "most taken",
            "of": "{model} has the hidden item of a held-out trip among its first ten in {value}, the most taken items "
            "in {chance}",
            "fog": "Each row is an item that may follow the cart, each column an epoch; the stronger the colour, the "
            "surer. ★ is the item that was taken.",
            "gold": "★ is the item that was taken on this trip.",
        },
    },
    "fog": "From fog to certainty",
    "law": "law",
    "cart": "Cart: {items}",
    "scrub": "Training time",
    "epoch_of": "Epoch {epoch} of {epochs}",
    "untrained": "Before training",
    "model": "Model",
    "stage": "The same cart, decoded after this epoch",
    "download": "Download checkpoint ({model})",
    "watch": "Open in Watch ({model})",
    "open": "Play this epoch's decode in Watch",
    "item_at": "{item}: {share} after epoch {epoch}",
    "curve_at": "{model}, epoch {epoch}: {value}",
    "table": "Numbers",
    "epoch": "Epoch",
}

PRESETS = {
    "default": {
        "title": "It learns",
        "about": "The defaults: a world with habits.",
        "seen": "The model comes near the law in a few epochs: an even guess is 1.58 nats away, one epoch leaves about "
        ".34, six leave .03.",
    },
    "little": {
        "title": "Too little masking",
        "about": "The masking probability may come near 0, where a state asks for one token and its loss is divided by "
        "that probability.",
        "seen": "A few easy states outweigh the rest, so that the loss jumps and tells little, and a blank answer is "
        "seldom practised: about .20 nats are left.",
    },
    "all": {
        "title": "Always all masked",
        "about": "Every training state hides every token.",
        "seen": "The model never learns how one token depends on another. It knows each level well and their "
        "combinations badly: about .13 nats are left.",
    },
    "path": {
        "title": "No path states",
        "about": "States are masked at random only, while a decode goes coarse to fine.",
        "seen": "The states that a decode meets are practised less: about .06 nats are left, where the defaults reach "
        ".03.",
    },
    "overfit": {
        "title": "Overfits",
        "about": "Sixty histories, thirty epochs.",
        "seen": "The loss goes on falling, from 1.4 to .7, while the distance to the law turns after some eleven "
        "epochs, at about .74 nats, and ends near .97: the model learns its few histories by heart. The distance tells "
        "when to stop, the loss does not.",
    },
    "noise": {
        "title": "Nothing to learn",
        "about": "The next item is pure chance.",
        "seen": "The best that a model can do is an even guess: the loss stays where chance is, at 1.3, and the beams "
        "stay in the fog. The distance still falls to 0, for here an even guess is the law.",
    },
    "certain": {
        "title": "No doubt left",
        "about": "The last item decides the next one.",
        "seen": "Beams become certain within two epochs.",
    },
    "pantry": {
        "title": "Grocery carts",
        "about": "No law is known here: 3,000 trips of the grocery data as far as they hold 100 items of the pantry. "
        "The source calls its data simulated.",
        "seen": "The model passes the most taken items after five epochs or so: it ends with the hidden item of 29 % "
        "of the held-out trips among its first ten, and they have 21 %.",
    },
    "twin": {
        "title": "Diffusion beside its twin",
        "about": "The same data and sizes. The twin writes left to right only.",
        "seen": "Both come about as near to the law: .04 nats for diffusion, .03 for the twin, which is asked for "
        "every token of a target once, always in the same order.",
    },
}
"""Of each story its dials in words, and what is seen once a run with them and seed 0 has ended."""

BUSY = "All places in the Lab's queue are taken. Try again in a minute."
GONE = "This run is over or was ended because nobody asked for it. Press Train to begin again."
OFF = "the Lab is turned off here; start the app without MINDREC_LAB=0, or run `python -m mindrec.lab` yourself"
MODEL_TITLE = "Lab: {model} ({code})"
MODEL_GONE = (
    "This model of the Lab is gone: one is kept for half an hour after its last use, and not beyond a restart of the "
    "server. Train it again in the Lab."
)
FAILED = "The run could not be made ({why}). Try other dials."
CUT_SHORT = "The run was ended before it was done: it took too long or too much memory. Take fewer epochs or histories."
