"""A decoding process that waits at a gate before each step, for tests that look at it in the middle of a decode."""

import os
import time
from pathlib import Path

from gates import Gate

from app.server import decoding_process
from mindrec import recommender
from mindrec.recommender import Recommender

FOLDER = "GATE_FOLDER"
"""The variable of the environment that names the gate's folder."""


def serve(pipe, folders) -> None:
    """As the app's own, with the gate, and each step recorded as it comes."""
    gate, steps = Gate(Path(os.environ[FOLDER])), Recommender.steps

    def held(*args, **kwargs):
        for step in steps(*args, **kwargs):
            while not gate.passes():
                time.sleep(0.005)
            yield step

    Recommender.steps, recommender.SOON = held, 0.0
    decoding_process.serve(pipe, folders)
