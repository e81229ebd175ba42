"""The Llama stack under a LLaDA denoiser: loaded from an imported folder or made anew, with LoRA, in 8 or 4 bits.

Shape legend: V text vocabulary, T added tokens, D width.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaModel

from mindrec.errors import MindRecError
from mindrec.files import read_json
from mindrec.model.attention import ATTENTION

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ABOUT = "import.json"
"""Written beside the weights by mindrec.model.llada_import: where they came from, their digest, the mask token."""


class LlamaStack(LlamaModel):
    """LlamaModel that is loaded from a model with a head without a word about it."""

    _keys_to_ignore_on_load_unexpected = (r"^lm_head\.",)


def new_backbone(shape: dict) -> LlamaModel:
    """Random weights; `shape` names LlamaConfig sizes."""
    return LlamaStack(
        LlamaConfig(
            **{"num_key_value_heads": shape["num_attention_heads"]} | shape,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
            attn_implementation=ATTENTION,
            use_cache=False,
        )
    )


def about_base(folder: Path) -> dict:
    """What the import wrote of a base: source, fingerprint, mask_token_id."""
    if not (Path(folder) / ABOUT).is_file():
        raise MindRecError(
            f"base {folder} is no imported LLaDA folder ({ABOUT} is missing); "
            f"make one: python -m mindrec import-llada SRC --out {folder}"
        )
    return read_json(Path(folder) / ABOUT, "base")


def load_backbone(folder: Path, dtype: torch.dtype, quantize: int | None = None) -> LlamaModel:
    """The stack of an imported folder, without its head. `quantize` is 8 or 4 bits, by bitsandbytes."""
    extra = {}
    if quantize is not None:
        if quantize not in (8, 4):
            raise MindRecError(f"quantize={quantize!r} is not one of 8, 4")
        if find_spec("bitsandbytes") is None:
            raise MindRecError(f"quantize={quantize} needs bitsandbytes: pip install bitsandbytes")
        from transformers import BitsAndBytesConfig

        bits = {"load_in_8bit": True} if quantize == 8 else {"load_in_4bit": True, "bnb_4bit_compute_dtype": dtype}
        extra = {"quantization_config": BitsAndBytesConfig(**bits), "device_map": {"": torch.cuda.current_device()}}
    try:
        model = LlamaStack.from_pretrained(folder, dtype=dtype, attn_implementation=ATTENTION, **extra)
    except (OSError, ValueError) as error:
        raise MindRecError(f"base {folder} cannot be loaded ({error}); import it again") from error
    model.config.use_cache = False
    return model


def add_lora(model: LlamaModel, rank: int, alpha: int, dropout: float) -> None:
    """Freeze the stack and put low-rank adapters on its seven projections, in place (arXiv 2106.09685)."""
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(LORA_TARGETS))
    inject_adapter_in_model(settings, model)
    for name, value in model.named_parameters():
        value.requires_grad = "lora_" in name
        if value.requires_grad and not value.is_meta:
            value.data = value.data.float()  # adapters learn in float32 whatever the stack is kept in


def mean_rows(matrix_VD: torch.Tensor, pieces: list[list[int]]) -> torch.Tensor:
    """The mean row of each list of text tokens, float32 (T, D); of the whole matrix where a list is empty."""
    return torch.stack([matrix_VD[ids or slice(None)].float().mean(0) for ids in pieces])


def head_matrix(folder: Path) -> torch.Tensor:
    """The head's weights (V, D) of an imported folder, read without the rest."""
    index = read_json(Path(folder) / "model.safetensors.index.json", "base")
    with safe_open(Path(folder) / index["weight_map"]["lm_head.weight"], "pt") as file:
        return file.get_tensor("lm_head.weight")
