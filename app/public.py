"""The public endpoints (recommend, trace, search, explain): plain functions whose types Gradio's API page shows."""

import json
from collections.abc import Callable

from app.public_slates import more_api
from app.server.named_settings import by_number
from app.tabs.asking import config_of
from app.tabs.handlers import Handlers
from app.words.sentences import captions, percent, pulls_line
from mindrec.decoding.without_beams import is_defined
from mindrec.errors import MindRecError
from mindrec.trace.records import ItemName

MAX_FOUND = 50


class PublicApi:
    """The endpoints about one history; each raises MindRecError with words for a person."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    def recommend(self, item_ids: list[str], settings: dict | None = None) -> list[dict]:
        """Recommend the next item of a history of item ids, oldest first.

        For example item_ids ["tortilla-chips", "refried-beans"]. `settings` lays decode settings over the checkpoint's
        own: {"beam_size": 20, "forbid_items": ["milk-store-brand"], "pins": {"Section": "Pantry"}}. Each result has
        rank (1 is the best), item_id, title, path and probability, which is the search's own and no chance of being
        right.
        """
        name, recommender = next(iter(self.handlers.recommenders.items()))
        trace = self.handlers.trace_of(name, item_ids, config_of(recommender, by_number(recommender, settings)), None)
        named: dict[int, ItemName] = {item.row: item for item in trace.items}
        return [
            {
                "rank": r.rank + 1,
                "item_id": named[r.row].item_id,
                "title": named[r.row].title,
                "path": list(named[r.row].path),
                "probability": r.probability,
            }
            for r in trace.results
        ]

    def trace(self, item_ids: list[str], settings: dict | None = None, target: str | None = None) -> dict:
        """Decode a history of item ids and return the complete trace: every step, beam and dropped candidate.

        `settings` as for `recommend`; `target` is the id of the true next item, to be followed through the steps.
        """
        name, recommender = next(iter(self.handlers.recommenders.items()))
        done = self.handlers.trace_of(
            name, item_ids, config_of(recommender, by_number(recommender, settings)), target or None
        )
        return json.loads(done.to_json())

    def search(self, query: str, limit: int = 10) -> list[dict]:
        """Items of the catalog that fit the words, best first: item_id, title, path and brand of each.

        `limit` is a whole number from 1 to 50.

        Raises:
            MindRecError: the query is not text, or the limit out of range.
        """
        if not isinstance(query, str):
            raise MindRecError(f"query {query!r} is not text")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_FOUND:
            raise MindRecError(f"limit {limit!r} is not a whole number from 1 to {MAX_FOUND}")
        recommender = next(iter(self.handlers.recommenders.values()))
        return [_named(Handlers.item(recommender, row)) for row in recommender.search(query, limit)]

    def explain(self, item_ids: list[str], settings: dict | None = None, item_id: str | None = None) -> str:
        """Tell in some ten lines how the answer to a history was found: a line a step, then the first three answers.

        The last line tells how each item of the history pulls towards the first answer, or `item_id`, or away from it:
        how much likelier the answer is with the item than without. It is short enough for an assistant; `trace` has
        everything.
        """
        name, recommender = next(iter(self.handlers.recommenders.items()))
        done = self.handlers.trace_of(name, item_ids, config_of(recommender, by_number(recommender, settings)), None)
        named = {item.row: item for item in done.items}
        answers = [f"{r.rank + 1}. {named[r.row].title} ({percent(r.probability)})" for r in done.results[:3]]
        lines = [*captions(done), "The first answers: " + "; ".join(answers)]
        about = item_id or (named[done.results[0].row].item_id if done.results else None)
        config = config_of(recommender, by_number(recommender, settings))
        if about is not None and is_defined(config):
            lines.append(pulls_line(recommender.explain(item_ids, about, config)))
        return "\n".join(lines)


def api(handlers: Handlers) -> dict[str, Callable]:
    """Functions of the public endpoints, by name."""
    one = PublicApi(handlers)
    about_one = {"recommend": one.recommend, "trace": one.trace, "search": one.search, "explain": one.explain}
    return about_one | more_api(handlers)


def _named(item: dict) -> dict:
    """An item of the page as the endpoints name it."""
    return {"item_id": item["id"], **{key: value for key, value in item.items() if key != "id"}}
