"""A process that decodes beside the app: batches of histories in, bundles for the page out as JSON. No gradio.

Messages go through a pipe as bytes. A message to the process is a JSON object: an order ({"number", "name", "rows",
"config", "golds", "watch": users}), or news of the order of that number ({"number", "drop": users, "watch": users}),
which it reads between two steps. A message from it is one of the kinds below and its content.
"""

import gc
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
import torch

from app.bundles import bundle_of
from app.server.json_bytes import to_json
from mindrec.decoding.config import DecodeConfig
from mindrec.recommender import Decoding, Recommender

READY = b"r"
"""Once, at the start: {name: fingerprint of the checkpoint}."""
STEP = b"s"
"""After each step: {user: the DecodeSteps since the last such message} of the users who are watched."""
ANSWER = b"a"
"""After the last step: 4 bytes that hold a user's number, the lowest first, and the bundle."""
DONE = b"d"
"""The order is done: every user who is still wanted has an answer."""
FAILED = b"f"
"""The order failed, and why, in UTF-8; users without an answer get none."""


def calm_collector() -> None:
    """Collect cycles among what answers make, seldom; what is loaded by now stays and is not looked through again.

    A trace is some thousand objects without a cycle, and each pass over all of them cost a quarter of a decode.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def serve(pipe: Connection, folders: Mapping[str, Path]) -> None:
    """Open checkpoints on the CPU and decode what comes through the pipe, until its other end is closed.

    Args:
        folders: of the checkpoints, by the names that orders have for them.

    Raises:
        MindRecError: a checkpoint is missing or damaged.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the app closes the pipe
    torch.set_num_threads(1)
    recommenders = {name: Recommender.from_pretrained(folder, "cpu") for name, folder in folders.items()}
    calm_collector()
    fingerprints = {name: recommender.checkpoint.fingerprint for name, recommender in recommenders.items()}
    with suppress(EOFError, OSError):
        pipe.send_bytes(READY + orjson.dumps(fingerprints))
        while True:
            message = orjson.loads(pipe.recv_bytes())
            if "rows" in message:
                _answer(pipe, message, recommenders[message["name"]])


def _answer(pipe: Connection, order: dict, recommender: Recommender) -> None:
    """Decode one order and send its answers; an error is sent, and raised only where the pipe is closed."""
    try:
        config = DecodeConfig.from_dict(order["config"])
        run = recommender.decoding_rows(order["rows"], config, gold=order["golds"])
        _run(pipe, order, run)
        for user in sorted(run.users):
            bundle = bundle_of(run.result(user).trace, recommender, order["name"])
            pipe.send_bytes(ANSWER + user.to_bytes(4, "big") + to_json(bundle))
    except Exception as error:
        pipe.send_bytes(FAILED + repr(error).encode())
    else:
        pipe.send_bytes(DONE)


def _run(pipe: Connection, order: dict, run: Decoding) -> None:
    """Run the search to its end, or until nobody is left who wants it."""
    sent = dict.fromkeys(order["watch"], 0)
    for _ in run:
        while pipe.poll():
            news = orjson.loads(pipe.recv_bytes())
            if news["number"] == order["number"]:
                run.users -= set(news["drop"])
                sent = dict.fromkeys(news["watch"], 0) | sent
        if not run.users:
            return
        new = {str(user): run.recorded[user][since:] for user, since in sent.items() if user in run.users}
        sent = {user: len(run.recorded[user]) for user in sent}
        pipe.send_bytes(STEP + to_json(new))
