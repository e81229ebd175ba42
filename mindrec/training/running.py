"""How a training runs: what decides where and how it is told, and not what it learns."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Running:
    """The circumstances of one training.

    Attributes:
        device: "auto", "cpu", "cuda" or "mps".
        resume: go on after the last finished epoch; where the run is finished, its checkpoint is opened.
        command: the command line, for training.json.
        report: called with each epoch's record.
        progress: whether progress bars are shown.
    """

    device: str = "auto"
    resume: bool = False
    command: str = ""
    report: Callable[[dict], None] = lambda record: None
    progress: bool = True


USUAL = Running()
"""A new training with progress bars, which nobody is told of."""
