"""The protocol of a measurement: which cases a checkpoint is asked, and how it decodes them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """Cases and decode of one measurement; the same protocol on the same data asks the same cases.

    Attributes:
        split: "test" or "validation".
        users: size of a seeded sample of the split's cases; None: all, or of grocery report.GROCERY_USERS.
        settings: changes to the checkpoint's own decode settings, by name.
        seed: of the sample and of bootstrap intervals.
        batch: histories that are decoded at once.
        device: "auto", "cpu", "cuda" or "mps".
    """

    split: str = "test"
    users: int | None = None
    settings: dict | None = None
    seed: int = 0
    batch: int = 64
    device: str = "auto"


USUAL = Protocol()
"""The protocol where nobody asks for another."""
