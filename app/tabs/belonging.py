"""The page's questions beside the next item: which one does not belong, and which tokens are least certain."""

from collections.abc import Sequence
from math import exp

from app.tabs.asking import config_of, ids_of, plainly
from app.tabs.handlers import Handlers
from app.words.sentences import belonging_words
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace


class Belonging:
    """Answers them, in turn with the decodes of the same checkpoint."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def odd_one_out(self, ask: dict) -> dict:
        """Each item of a cart given the others, the one that belongs least marked, and a sentence about it."""
        name, ids = self.handlers.name(ask), ids_of(ask)
        config = config_of(self.handlers.opened(name), ask.get("config"))

        def make(_) -> list[dict]:
            return belonging(self.handlers.opened(name), ids, config)

        items = self.handlers.answer_of(name, ids, config, make)
        return {"items": items, "words": belonging_words(items)}

    @plainly
    def least_certain(self, ask: dict) -> dict:
        """The pins under which the least certain tokens of a history's best answer are decoded anew: `k` of them."""
        name, ids, k = self.handlers.name(ask), ids_of(ask), ask.get("k")
        config = config_of(self.handlers.opened(name), ask.get("config"))

        def make(trace: DecodeTrace) -> list[list[int]]:
            recommender = self.handlers.opened(name)
            changed = recommender.rewritten_config(trace, None, least_certain=k, rank=1)
            return [list(pin) for pin in changed.pins]

        return {"pins": self.handlers.answer_of(name, ids, config, make)}


def belonging(recommender: Recommender, item_ids: Sequence[str], config) -> list[dict]:
    """How each item of a history goes with the others, as plain JSON."""
    return [
        {
            "item_id": scored.item.item_id,
            "title": scored.item.title,
            "probability": scored.probability,
            "lift": None if scored.lift is None else exp(scored.lift),
            "odd": scored.odd,
        }
        for scored in recommender.odd_one_out(item_ids, config)
    ]
