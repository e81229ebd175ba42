"""Sizes and choices of a compact denoiser (mindrec.model.compact), as config.json holds them."""

from dataclasses import asdict, dataclass

from mindrec.errors import MindRecError

OBJECTIVES = ("diffusion", "ar")
TOKEN_ENCODERS = ("shared", "codes")
DENSE_ENCODERS = ("llama", "filtered")


@dataclass(frozen=True)
class CompactConfig:
    """Sizes of a compact denoiser. `objective` "ar" makes the auto-regressive twin: causal block, shifted input.

    `block_dropout` is the target block's, which learns from soft targets and needs less, and its code reader's; None is
    `dropout`.
    `token_encoder` says which history the block reads: "shared" is the dense part's, "codes" one of its own over the
    codes of items (mindrec.model.code_reader). With `item_softmax` the block's scores are of whole items: those of
    the open positions add up, normalised over the items that exist (mindrec.model.item_softmax).
    `dense_encoder` is the dense part's: "llama", or "filtered" with a low-pass filter along time beside attention
    (mindrec.model.filtered_encoder).
    `text_width` is the width of the text vectors that codes carry beside a code reader (mindrec.model.likeness); 0:
    none.
    `transitions` is how many pairs of items are kept beside the dense head (mindrec.model.transitions), `item_item`
    how many of what is taken together (mindrec.model.item_item); 0: no such part. `repeats` says that people come back
    to the same items: what is in the history may be the next item too.
    """

    level_sizes: tuple[int, ...]
    n_items: int
    hidden_size: int = 128
    heads: int = 4
    intermediate_size: int = 384
    encoder_layers: int = 2
    decoder_layers: int = 2
    max_history: int = 20
    dropout: float = 0.2
    block_dropout: float | None = None
    objective: str = "diffusion"
    transitions: int = 0
    item_item: int = 0
    repeats: bool = False
    token_encoder: str = "shared"
    item_softmax: bool = False
    dense_encoder: str = "llama"
    text_width: int = 0

    def __post_init__(self):
        if self.objective not in OBJECTIVES:
            raise MindRecError(f"objective {self.objective!r} is not one of {', '.join(OBJECTIVES)}")
        if self.token_encoder not in TOKEN_ENCODERS:
            raise MindRecError(f"token_encoder {self.token_encoder!r} is not one of {', '.join(TOKEN_ENCODERS)}")
        if self.dense_encoder not in DENSE_ENCODERS:
            raise MindRecError(f"dense_encoder {self.dense_encoder!r} is not one of {', '.join(DENSE_ENCODERS)}")
        if not isinstance(self.item_softmax, bool) or (self.item_softmax and self.objective == "ar"):
            raise MindRecError(
                f"item_softmax {self.item_softmax!r} with objective {self.objective!r}: it is true or false, and true "
                'needs "diffusion", whose positions are asked together'
            )
        for name in ("hidden_size", "heads", "intermediate_size", "encoder_layers", "decoder_layers", "max_history"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise MindRecError(f"{name} {getattr(self, name)!r} is not a whole number from 1 up")
        for name in ("transitions", "item_item", "text_width"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 0:
                raise MindRecError(f"{name} {getattr(self, name)!r} is not a whole number from 0 up")
        if self.text_width and self.token_encoder != "codes":
            raise MindRecError(f"text_width {self.text_width} needs token_encoder 'codes', beside which it stands")
        if self.block_dropout is None:
            object.__setattr__(self, "block_dropout", self.dropout)
        for name in ("dropout", "block_dropout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise MindRecError(f"{name} {value!r} is outside 0..1")
        if self.hidden_size % self.heads:
            raise MindRecError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}")
        object.__setattr__(self, "level_sizes", tuple(self.level_sizes))

    def to_dict(self) -> dict:
        """The fields as config.json holds them; a choice that older files lack is left out where it is the old way."""
        raw = asdict(self) | {"level_sizes": list(self.level_sizes)}
        if self.token_encoder == "shared":  # files of such models stay as they were before there was a choice
            del raw["token_encoder"]
        for name in ("item_softmax", "item_item", "text_width"):
            if not raw[name]:
                del raw[name]
        if self.dense_encoder == "llama":
            del raw["dense_encoder"]
        return raw
