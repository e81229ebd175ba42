"""Everything the page needs before its first question: checkpoints, settings, stories and examples."""

from app.server.lab_models import PREFIX
from app.tabs.handlers import Handlers
from app.words import lab_words
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.orders import ORDERS
from mindrec.recommender import Recommender
from mindrec.system.settings import links, menu, rules


def opening(handlers: Handlers) -> dict:
    """Checkpoints, settings with their rules and their place in links, stories and the words of an example search."""
    return {
        "checkpoints": [about(handlers, name) for name in handlers.recommenders],
        "stories": [story.card() for story in handlers.stories],
        "settings": setting_fields(),
        "rules": rules(DecodeConfig),
        "links": links(DecodeConfig),
        "example": text.SEARCH_EXAMPLE,
    }


def about(handlers: Handlers, name: str) -> dict:
    """An open checkpoint as the page knows it: its size, device, settings, notes and examples."""
    recommender = handlers.opened(name)
    return {
        "name": name,
        "title": title_of(name, recommender),
        "device": recommender.device,
        "items": len(recommender.catalog),
        "max_history": recommender.max_history,
        "config": recommender.default_config.to_dict(),
        "fingerprint": recommender.catalog.fingerprint,
        "notes": list(recommender.notes),
        "examples": examples(recommender),
        "trips": handlers.has_trips(name),
    }


def title_of(name: str, recommender: Recommender) -> str:
    """The page's name of a checkpoint; a model of the Lab is named by its world and the start of its code."""
    if not name.startswith(PREFIX):
        return name
    model = lab_words.LAB[recommender.checkpoint.training["objective"]]
    return lab_words.MODEL_TITLE.format(model=model, code=name.removeprefix(PREFIX)[:4])


def examples(recommender: Recommender) -> list[dict]:
    """Named histories: the checkpoint's own, else ours where the catalog has all their titles."""
    catalog = recommender.catalog
    if recommender.examples:
        named = [(e["name"], e["item_ids"]) for e in recommender.examples]
    else:
        ids = {item.title: item.item_id for item in catalog.items}
        named = [(name, [ids[t] for t in titles]) for name, titles in text.EXAMPLES if all(t in ids for t in titles)]
    return [
        {"title": name, "about": text.EXAMPLE_ABOUT, "items": [Handlers.item(recommender, r) for r in catalog.rows(i)]}
        for name, i in named
    ]


def setting_fields() -> list[dict]:
    """The settings menu: the checkpoint, whose choices the page knows, then every setting that has a label."""
    name, about = text.SETTINGS["checkpoint"]
    first = {"key": "checkpoint", "name": name, "help": about, "basic": True, "kind": "checkpoint"}
    return [first, *menu(DecodeConfig, {"order": {name: name for name in ORDERS}})]
