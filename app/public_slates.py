"""More public endpoints (slate, fill_gap, odd_one_out, rewrite): what a masked model answers beside the next item."""

from collections.abc import Callable

from app.server.named_settings import by_number
from app.tabs.asking import config_of
from app.tabs.belonging import belonging
from app.tabs.handlers import Handlers
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

MAX_SLOTS = 10


def more_api(handlers: Handlers) -> dict[str, Callable]:
    """Functions of these endpoints, by name; each raises MindRecError with words for a person."""

    def answer(item_ids: list[str], settings: dict | None, make: Callable):
        name, recommender = next(iter(handlers.recommenders.items()))
        config = config_of(recommender, by_number(recommender, settings))
        return handlers.answer_of(name, item_ids, config, lambda _: make(handlers.recommenders[name], config))

    def slate(
        item_ids: list[str], n: int = 5, max_per_category: int | None = None, settings: dict | None = None
    ) -> list[dict]:
        """Choose n items (1 to 10) that go together after a history of item ids; later ones know the earlier ones.

        `max_per_category` limits the items of one finest category, `settings` is as for `recommend`. Each item has slot
        (from 1), item_id, title, path and probability, given the history and the slots before it.
        """
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MAX_SLOTS:
            raise MindRecError(f"n {n!r} is not a whole number from 1 to {MAX_SLOTS}")

        def make(recommender: Recommender, config) -> list[dict]:
            slate = recommender.slate(item_ids, n, config, max_per_category=max_per_category)
            return _ranked(slate.items, "slot")

        return answer(item_ids, settings, make)

    def fill_gap(item_ids: list[str], position: int, settings: dict | None = None) -> list[dict]:
        """Rank which item stood in a gap of a history: `position` items stand before the gap, the others after it.

        It is for data in which order means something, and an approximation: the first answers of the left side are
        weighed by the two nearest items of the right side. Each has rank, item_id, title, path and probability, over
        the ten that are told and the others that were weighed.
        """
        return answer(
            item_ids, settings, lambda r, config: _ranked(r.fill_gap(item_ids, position, config)[:10], "rank")
        )

    def odd_one_out(item_ids: list[str], settings: dict | None = None) -> list[dict]:
        """Score each item of a history given the others, and mark the one that belongs least (odd).

        `lift` is how many times as likely the others make it as it is by itself; the lowest one is odd.
        """
        return answer(item_ids, settings, lambda r, config: belonging(r, item_ids, config))

    return {"slate": slate, "fill_gap": fill_gap, "odd_one_out": odd_one_out} | {"rewrite": _rewriting(handlers)}


def _rewriting(handlers: Handlers) -> Callable:
    """The endpoint `rewrite`."""

    def rewrite(
        item_ids: list[str],
        positions: list[int] | None = None,
        least_certain: int | None = None,
        rank: int = 1,
        settings: dict | None = None,
    ) -> list[dict]:
        """Mask some tokens of an answer to a history again and decode them anew; the rest of its tokens is pinned.

        Give the positions, from 0, or `least_certain`, how many of those that the model is least sure of. `rank` tells
        which answer, 1 the best. Each result has rank, item_id, title, path and probability.
        """
        name, recommender = next(iter(handlers.recommenders.items()))
        config = config_of(recommender, by_number(recommender, settings))

        def make(trace: DecodeTrace) -> list[dict]:
            again = handlers.recommenders[name].rewrite(trace, positions, least_certain=least_certain, rank=rank)
            return _ranked(again.items, "rank")

        return handlers.answer_of(name, item_ids, config, make)

    return rewrite


def _ranked(items, number: str) -> list[dict]:
    return [
        {
            number: ranked.rank,
            "item_id": ranked.item.item_id,
            "title": ranked.item.title,
            "path": list(ranked.item.categories),
            "probability": ranked.probability,
        }
        for ranked in items
    ]
