"""The public endpoints: recommend, trace and search, as plain functions with types that Gradio's API page shows."""

import json
from collections.abc import Callable

from app.tabs.handlers import Handlers, config_of
from mindrec.trace.records import ItemName


def api(handlers: Handlers) -> dict[str, Callable]:
    """Functions of the public endpoints, by name; each raises MindRecError with words for a person."""

    def recommend(item_ids: list[str], settings: dict | None = None) -> list[dict]:
        """Recommend the next item of a history of item ids, oldest first."""
        name, recommender = next(iter(handlers.recommenders.items()))
        found = handlers.trace_of(name, item_ids, config_of(recommender, settings), None)
        named: dict[int, ItemName] = {item.row: item for item in found.items}
        return [
            {
                "rank": r.rank + 1,
                "item_id": named[r.row].item_id,
                "title": named[r.row].title,
                "path": list(named[r.row].path),
                "probability": r.probability,
            }
            for r in found.results
        ]

    def trace(item_ids: list[str], settings: dict | None = None, target: str | None = None) -> dict:
        """Decode a history of item ids and return the complete trace."""
        name, recommender = next(iter(handlers.recommenders.items()))
        done = handlers.trace_of(name, item_ids, config_of(recommender, settings), target or None)
        return json.loads(done.to_json())

    def search(query: str, limit: int = 10) -> list[dict]:
        """Items of the catalog that fit the words, best first."""
        recommender = next(iter(handlers.recommenders.values()))
        rows = recommender.search(query, max(1, min(int(limit), 50)))
        return [Handlers.item(recommender, row) for row in rows]

    return {"recommend": recommend, "trace": trace, "search": search}
