"""The page's questions for the map: the points of a checkpoint's items, and how a trace lights them."""

from app.bundles import lights, points
from app.tabs.asking import plainly
from app.tabs.handlers import Handlers
from mindrec.trace.records import DecodeTrace


class Mapping:
    """Answers them from the checkpoint and the trace alone: no model runs."""

    def __init__(self, handlers: Handlers):
        self.handlers = handlers

    @plainly
    def item_map(self, ask: dict) -> dict:
        """Everything of a checkpoint's map that no decode changes (app.views.map.map_view)."""
        return points(self.handlers.recommender(ask), self.handlers.name(ask))

    @plainly
    def item_masses(self, ask: dict) -> dict:
        """How the trace `text` lights the map: {"steps"} of app.views.map.masses_view."""
        recommender = self.handlers.recommender(ask)
        return {"steps": lights(DecodeTrace.from_json(str(ask.get("text", ""))), recommender)}
