"""A Lab run as a stream of plain JSON objects, which a process of its own writes and the app reads."""

import base64
import io
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mindrec.lab.dials import SECONDS, Dials
from mindrec.lab.live import Epoch, Lab
from mindrec.recommender import Recommender


def events(dials: Dials, seconds: float = SECONDS) -> Iterator[dict]:
    """One "start", an "epoch" for each model after each epoch, a "model" for each model, and one "end".

    * start: `items` (titles), and `cart` (rows), `likeliest` (a row), `law` (N shares or null), `measure` and `chance`
      as in `mindrec.lab.problem.Problem`.
    * epoch: the fields of `mindrec.lab.live.Epoch`, and `trace`, the decode of the cart as a trace's JSON object. Its
      gold is the likeliest next item.
    * model: `objective`, `name`, and `zip`, the checkpoint folder as a base64 text.
    * end: `why`, "done" or "time", and `seconds`.

    Raises:
        MindRecError: the first epoch diverges, or the data of the world is not here and cannot be made.
    """
    started, why = time.perf_counter(), "done"
    lab = Lab(dials)
    problem, items = lab.problem, lab.catalog.items
    best = items[problem.likeliest].item_id
    cart = [items[row].item_id for row in problem.cart]
    yield {
        "event": "start",
        "items": [item.title for item in items],
        "cart": list(problem.cart),
        "likeliest": problem.likeliest,
        "law": None if problem.law is None else _rounded(problem.law),
        "measure": problem.measure,
        "chance": problem.chance,
    }
    models: dict[str, Recommender] = {}
    for epoch in lab.epochs():
        models[epoch.objective] = epoch.model
        yield _epoch_event(epoch, cart, best)
        if time.perf_counter() - started > seconds:
            why = "time"
            break
    for objective, model in models.items():
        yield {"event": "model", "objective": objective, "name": model.name, "zip": zipped(model)}
    yield {"event": "end", "why": why, "seconds": round(time.perf_counter() - started, 2)}


def _epoch_event(epoch: Epoch, cart: list[str], best: str) -> dict:
    return {
        "event": "epoch",
        "objective": epoch.objective,
        "epoch": epoch.epoch,
        "loss_token": epoch.loss_token,
        "loss_dense": epoch.loss_dense,
        "measured": round(epoch.measured, 5),
        "shares": _rounded(epoch.shares),
        "seconds": epoch.seconds,
        "trace": epoch.model.recommend(cart, target=best).trace.to_dict(),
    }


def _rounded(values_N: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values_N]


def zipped(model: Recommender) -> str:
    """The checkpoint folder of a model as a zip file, in base64."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / model.name
        model.save_pretrained(saved)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(saved.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
    return base64.b64encode(packed.getvalue()).decode()
