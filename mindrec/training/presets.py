"""Named recipes: sizes, codebooks and schedules that go together, each found on validation."""

from dataclasses import dataclass, field, replace
from typing import Any

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.training.loop import TrainConfig
from mindrec.training.objectives import LossConfig


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        sid_levels, codebook_size: shape of the semantic IDs.
        start_codes: that of the ones that the dense part is trained with, which are then made again; the same without.
        model: CompactConfig settings beyond the vocabulary.
        train: the schedule.
        decode: default decode settings of the checkpoint.
        level_names: what a person calls the category levels.
    """

    sid_levels: int = 4
    codebook_size: int = 64
    start_codes: tuple[int, int] | None = None
    model: dict[str, Any] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    level_names: tuple[str, ...] = ("Category", "Sub-category", "Finest category")


BEAUTY = Preset(
    # Tokens alone can hardly rank better than the vectors that their codes add up to.
    sid_levels=3,
    codebook_size=1024,
    start_codes=(4, 16),
    # The block learns from soft targets, which need little dropout besides.
    model={"hidden_size": 256, "intermediate_size": 768, "decoder_layers": 1, "dropout": 0.4, "block_dropout": 0.1},
    train=TrainConfig(
        dense_epochs=10,
        epochs=6,
        batch_targets=1000,
        learning_rate=1e-3,
        weight_decay=0.05,
        dense_rate=0.0,
        loss=LossConfig(mask_floor=0.2, path_share=0.75, views=4, legal=True, distil=0.9),
    ),
    # The path states that the block learns from are of this order: tokens alone are ahead in it on validation.
    decode=DecodeConfig(beam_size=20, order="left_to_right"),
)

PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        sid_levels=2,
        codebook_size=8,
        model={
            "hidden_size": 48,
            "heads": 4,
            "intermediate_size": 96,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "max_history": 10,
            "dropout": 0.0,
        },
        train=TrainConfig(dense_epochs=6, epochs=10, batch_targets=800, learning_rate=5e-3, warmup_steps=10),
    ),
    "small": Preset(
        train=TrainConfig(
            dense_epochs=10,
            epochs=6,
            dense_rate=0.3,
            loss=LossConfig(mask_floor=0.2, path_share=0.75, views=2, distil=0.9),
        )
    ),
    "base": Preset(
        codebook_size=256,
        model={
            "hidden_size": 512,
            "heads": 8,
            "intermediate_size": 1536,
            "encoder_layers": 4,
            "decoder_layers": 4,
            "max_history": 50,
        },
        train=TrainConfig(dense_epochs=10, epochs=10, batch_targets=4000, learning_rate=5e-4, weight_decay=0.05),
        decode=DecodeConfig(beam_size=20),
    ),
    "grocery": Preset(
        # A finest category holds 6.6 items: four codes a level split it evenly and leave few positions forced.
        codebook_size=4,
        model={"dropout": 0.1},
        train=TrainConfig(
            dense_epochs=6,
            epochs=4,
            batch_targets=2000,
            learning_rate=2e-3,
            dense_rate=0.3,
            loss=LossConfig(mask_floor=0.2, path_share=0.75, views=2, distil=0.9),
        ),
        decode=DecodeConfig(beam_size=20),
        level_names=("Section", "Aisle", "Category"),
    ),
    "beauty": BEAUTY,
    # A larger block that learns for longer and from more states: hours on a CPU, minutes on a GPU.
    "beauty-gpu": replace(
        BEAUTY,
        model=BEAUTY.model | {"decoder_layers": 2},
        train=replace(BEAUTY.train, epochs=12, loss=replace(BEAUTY.train.loss, views=6)),
    ),
}


# A block that reads codes by an encoder of its own and learns whole items: no teacher, no states of the dense part. The
# dense part has the size and the regime of published dense models: narrow, much dropout, many epochs.
PRESETS["beauty-codes"] = replace(
    BEAUTY,
    sid_levels=4,
    codebook_size=512,
    start_codes=None,
    model={
        "hidden_size": 64,
        "heads": 2,
        "intermediate_size": 256,
        "decoder_layers": 1,
        "max_history": 50,
        "dropout": 0.5,
        "block_dropout": 0.3,
        "dense_encoder": "filtered",
        "token_encoder": "codes",
        "item_softmax": True,
        "text_width": 256,
    },
    train=replace(
        BEAUTY.train,
        dense_epochs=20,
        reader_epochs=8,
        epochs=2,
        batch_targets=500,
        learning_rate=2e-3,
        weight_decay=0.0,
        loss=LossConfig(mask_floor=0.2, path_share=0.75, views=2, block_targets=4, rivals=1500),
    ),
)


def preset(name: str) -> Preset:
    """Raises MindRecError for an unknown name."""
    if name not in PRESETS:
        raise MindRecError(f"preset {name!r} is not one of {', '.join(PRESETS)}")
    return PRESETS[name]
