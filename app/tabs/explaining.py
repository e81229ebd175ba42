"""The page's question "who did it?": what each item of a cart does to an answer, and what the beams have lost."""

import torch

from app.tabs.asking import config_of, ids_of, plainly
from app.tabs.handlers import Handlers
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.without_beams import is_defined, lost_of_first
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

FIRST = 10
"""How many items of the exact ranking are looked for among the answers."""


class Explaining:
    """Answers it, in turn with the decodes of the same checkpoint."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def why(self, ask: dict) -> dict:
        """Of the answer `item` to a history: each item's pull, strongest first, and two sentences.

        Each pull is {"id", "nats", "words"}: above zero it speaks for the answer, and `words` says how much likelier
        the answer is with the item than without.
        """
        name, ids, item = self.handlers.name(ask), ids_of(ask), ask.get("item")
        config = config_of(self.handlers.opened(name), ask.get("config"))
        if not isinstance(item, str):
            raise MindRecError(text.NOT_UNDERSTOOD.format(what="item"))
        if not is_defined(config):
            raise MindRecError(text.NO_EXACT_RANKING)

        def make(trace: DecodeTrace) -> dict:
            recommender = self.handlers.opened(name)
            explained = recommender.explain(ids, item, config)
            pulls = [{"id": p.item_id, "nats": round(p.nats, 4), "words": text.pull(p.factor)} for p in explained.pulls]
            lost, due = lost_answers(recommender, trace, config)
            return {"pulls": pulls, "words": f"{text.exact_words(explained)} {text.lost_words(lost, due)}"}

        return self.handlers.answer_of(name, ids, config, make)


def lost_answers(recommender: Recommender, trace: DecodeTrace, config: DecodeConfig) -> tuple[list[str], int]:
    """Titles of the exact first items that a trace's beams have lost, best first, and how many were due."""
    r, results = recommender, trace.results
    if not results:
        return [], 0
    rows = torch.tensor([[result.row for result in results]], device=r.torch_device)
    scores = torch.tensor([[result.score for result in results]], dtype=torch.float64, device=r.torch_device)
    ((lost, due),) = lost_of_first(r.denoiser, r.index, [list(trace.history)], config, (rows, scores), FIRST)
    return [r.catalog.items[row].title for row in lost], due
