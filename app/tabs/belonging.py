"""The page's question "which one does not belong?": JSON in, JSON out."""

from app.server.public_slates import belonging
from app.tabs.handlers import Handlers, config_of, plainly
from app.words.sentences import belonging_words


class Belonging:
    """Answers it, in turn with the decodes of the same checkpoint."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def odd_one_out(self, ask: dict) -> dict:
        """Each item of a cart given the others, the one that belongs least marked, and a sentence about it."""
        name, ids = self.handlers.name(ask), self.handlers.ids(ask)
        config = config_of(self.handlers.recommenders[name], ask.get("config"))

        def make(_) -> list[dict]:
            return belonging(self.handlers.recommenders[name], ids, config)

        items = self.handlers.answer_of(name, ids, config, make)
        return {"items": items, "words": belonging_words(items)}
