"""How far answers move when a history changes: the table that `behaviour` wrote, as the page shows it."""

import logging

from app.tabs.handlers import Handlers
from mindrec.checkpoint import BEHAVIOUR_FILE
from mindrec.diagnosis.behaviour import read_behaviour
from mindrec.errors import MindRecError
from mindrec.evaluation.ability_table import behaviour_table


def kept_behaviour(handlers: Handlers) -> dict[str, dict]:
    """{checkpoint: {"head", "lines", "said"}} of the open checkpoints that keep such a table of their own weights."""
    out = {}
    for name, folder in handlers.folders.items():
        if not (folder / BEHAVIOUR_FILE).is_file():
            continue
        try:
            shown = behaviour_table(read_behaviour(folder / BEHAVIOUR_FILE, handlers.recommenders[name]))
        except (MindRecError, KeyError, TypeError, ValueError) as error:
            logging.getLogger(__name__).warning("left out: %s", error)
            continue
        out[name] = {"head": shown.head, "lines": shown.rows, "said": shown.sentence}
    return out
