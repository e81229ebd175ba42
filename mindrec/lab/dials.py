"""The settings of a Lab run, each declared once: the world, the objective and the schedule."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from mindrec.errors import MindRecError
from mindrec.system.settings import Choice, Number, Whole, clean_settings, declare

HEADS = 4
SECONDS = 60.0
"""A run ends after so many seconds, with the models as they are."""
OBJECTIVES = {"diffusion": ("diffusion",), "ar": ("ar",), "both": ("diffusion", "ar")}
"""The models that each value of the `objective` dial trains."""


@dataclass(frozen=True)
class Dials:
    """The settings of one Lab run. A field's declaration gives its meaning and range.

    Raises:
        MindRecError: a value out of its range.
    """

    world: str = declare(
        "toy",
        Choice(
            label="World",
            help="A shop whose law is known, or trips of the grocery data as far as they hold items of the pantry.",
            choices={"toy": "toy shop, 36 items", "pantry": "grocery carts, 100 items"},
        ),
    )
    sharpness: float = declare(
        0.6,
        Number(
            label="Sharpness of the toy shop's law",
            help="How much the last item says of the next: 0 is chance, 1 leaves no doubt.",
            needs={"world": "toy"},
            low=0,
            high=1,
            slider=1,
            step=0.05,
        ),
    )
    histories: int = declare(
        3000,
        Whole(
            label="Histories",
            help="Training histories of at most eight items.",
            low=20,
            high=3000,
            slider=3000,
            step=20,
        ),
    )
    objective: str = declare(
        "diffusion",
        Choice(
            label="Model",
            help="Masked diffusion, the auto-regressive twin, or both side by side.",
            choices={"diffusion": "diffusion", "ar": "the twin", "both": "both"},
        ),
    )
    mask_floor: float = declare(
        0.4,
        Number(
            label="Masking floor",
            help="Least probability that a token is masked; at 1 every token always is.",
            low=0,
            high=1,
            slider=1,
            step=0.05,
        ),
    )
    path_share: float = declare(
        0.5,
        Number(
            label="Path states",
            help="Share of the training states that are masked as a coarse-to-fine decode meets them.",
            low=0,
            high=1,
            slider=1,
            step=0.05,
        ),
    )
    views: int = declare(
        2, Whole(label="Views", help="Masked states of each target in one training step.", low=1, high=8, slider=8)
    )
    sid_levels: int = declare(
        1, Whole(label="Semantic-ID levels", help="Codes below an item's shelf.", low=1, high=3, slider=3)
    )
    width: int = declare(
        32, Whole(label="Width", help="Size of the model's states.", low=8, high=96, slider=96, step=8)
    )
    learning_rate: float = declare(
        0.02,
        Number(
            label="Learning rate",
            help="Its peak: a short warm-up goes before, a cosine to a tenth comes after.",
            low=0.005,
            high=0.1,
            slider=0.1,
            step=0.005,
        ),
    )
    epochs: int = declare(
        6, Whole(label="Epochs", help="Passes over the training histories.", low=1, high=40, slider=40)
    )
    seed: int = declare(
        0, Whole(label="Seed", help="Start of the random numbers of world and training.", low=0, high=9999)
    )

    def __post_init__(self):
        clean_settings(self)
        if self.width % HEADS:
            raise MindRecError(f"width={self.width!r} is not a multiple of {HEADS}, the number of attention heads")

    @property
    def objectives(self) -> tuple[str, ...]:
        """The models to train, in order."""
        return OBJECTIVES[self.objective]

    def to_dict(self) -> dict:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping) -> "Dials":
        """Raises MindRecError for an unknown key as for a bad value."""
        known = [f.name for f in fields(cls)]
        unknown = sorted(str(key) for key in set(raw) - set(known))
        if unknown:
            raise MindRecError(f"unknown dial {unknown[0][:40]!r}; dials are {', '.join(known)}")
        return cls(**raw)
