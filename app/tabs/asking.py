"""How a question of the page is read and answered: JSON in, JSON out, and every refusal a sentence."""

import traceback
from collections.abc import Callable
from functools import wraps

from app.server.lanes import Busy, Gone
from app.server.observing import CALLER, COUNTERS, log
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

MAX_IDS = 1000


def plainly(method: Callable) -> Callable:
    """Turn a MindRecError into {"error": its message}, which is meant for a person; "busy" or "gone" say more."""

    @wraps(method)
    def call(self, ask):
        try:
            if not isinstance(ask, dict):
                raise MindRecError(text.NOT_UNDERSTOOD.format(what="no object"))
            return method(self, ask)
        except (Busy, Gone) as error:
            return {"error": str(error), type(error).__name__.lower(): True}
        except MindRecError as error:
            return {"error": str(error)}
        except Exception:
            COUNTERS.count("failed")
            log("failed", question=method.__name__, why=traceback.format_exc(limit=-4))
            return {"error": text.FAILED.format(request=CALLER.get().request)}

    return call


def config_of(recommender: Recommender, raw) -> DecodeConfig:
    """The checkpoint's own settings with those given laid over them. Raises MindRecError for a bad one."""
    if raw is None:
        return recommender.default_config
    if not isinstance(raw, dict):
        raise MindRecError(text.NOT_UNDERSTOOD.format(what="config"))
    return recommender.default_config.laid_over(raw)


def ids_of(ask: dict) -> list[str]:
    """The item ids that a question names. Raises MindRecError where they are no list of few enough texts."""
    ids = ask.get("ids")
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(isinstance(i, str) for i in ids):
        raise MindRecError(text.NOT_UNDERSTOOD.format(what="ids"))
    return ids
