"""Named recipes for LLaDA denoisers. With a base they train LoRA on it; without, a new model of `shape`, whole."""

from dataclasses import asdict, dataclass, field

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError


@dataclass(frozen=True)
class LladaTrainConfig:
    """How long and how hard to train.

    Attributes:
        batch: samples a step, on all processes together.
        learning_rate: peak; linear warm-up over `warmup_steps`, a tenth of it over the last tenth of the steps.
        mask_floor: eps of the masking p = (1 - eps) t + eps.
        checkpointing: whether to compute activations again in the backward pass, to save memory.
        patience: epochs without a better validation score before stopping.
        minutes: wall-clock time of steps, validation beside it, after which the epoch is cut short and is the last;
            None for no limit.
    """

    epochs: int = 3
    batch: int = 8
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_steps: int = 50
    mask_floor: float = 0.4
    checkpointing: bool = False
    patience: int = 2
    seed: int = 0
    minutes: float | None = None

    def to_dict(self) -> dict:
        """The fields as training.json holds them."""
        return asdict(self)


@dataclass(frozen=True)
class LladaPreset:
    """A recipe.

    Attributes:
        sid_levels, codebook_size: shape of the semantic IDs.
        shape: LlamaConfig sizes of a new model, `vocab_size` being that of the text tokenizer it learns; None: this
            recipe needs a base.
        lora: adapters on a base, as MindRec's released settings have them.
        max_history, titles, dtype: see mindrec.text_backbone.llada.LladaConfig.
    """

    sid_levels: int = 4
    codebook_size: int = 256
    shape: dict | None = None
    lora: dict = field(default_factory=lambda: {"rank": 8, "alpha": 32, "dropout": 0.05})
    max_history: int = 10
    titles: bool = False
    dtype: str = "float32"
    train: LladaTrainConfig = field(default_factory=LladaTrainConfig)
    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(evidence="off"))
    level_names: tuple[str, ...] = ("Category", "Sub-category", "Finest category")


def _shape(width: int, layers: int, heads: int, feed_forward: int, vocabulary: int) -> dict:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": feed_forward,
        "vocab_size": vocabulary,
    }


LLADA_PRESETS: dict[str, LladaPreset] = {
    "tiny": LladaPreset(
        sid_levels=2,
        codebook_size=8,
        shape=_shape(64, 2, 4, 128, 512),
        train=LladaTrainConfig(epochs=30, batch=64, learning_rate=3e-3, warmup_steps=10, patience=30),
    ),
    "small": LladaPreset(
        codebook_size=64,
        shape=_shape(256, 6, 8, 768, 4096),
        train=LladaTrainConfig(epochs=20, batch=64, learning_rate=1e-3, patience=4),
    ),
    "base": LladaPreset(
        shape=_shape(768, 12, 12, 2048, 16384),
        train=LladaTrainConfig(epochs=10, batch=64, learning_rate=3e-4, patience=3),
    ),
    "llada-8b": LladaPreset(dtype="bfloat16", train=LladaTrainConfig(checkpointing=True)),
}


def llada_preset(name: str) -> LladaPreset:
    """Raises MindRecError for an unknown name."""
    if name not in LLADA_PRESETS:
        raise MindRecError(f"preset {name!r} is not one of {', '.join(LLADA_PRESETS)}")
    return LLADA_PRESETS[name]
