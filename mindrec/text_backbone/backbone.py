"""The transformer under a LLaDA denoiser: one interface, `TextBackbone`, and three ways to get one.

An imported LLaDA (`load_base`, a Llama stack), an imported masked language model such as ModernBERT or EuroBERT
(`load_base` too: import.json says which of the two a folder is), or a Llama stack with random weights (`new_backbone`).
A masked language model keeps the layer before its decoder, so that its states are what its decoder would read.

Shape legend: B sequences, S positions, P prompt length, R blocks a sequence, L positions of a block, D width,
V text vocabulary, T added tokens.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoModelForMaskedLM, LlamaConfig, LlamaModel

from mindrec.errors import MindRecError
from mindrec.model.attention import ATTENTION
from mindrec.system.files import FolderKind, read_json

ABOUT = "import.json"
FOLDER = FolderKind(
    "an imported model", (ABOUT,), ("*.safetensors", "*.json", "*.model", "*.jinja", "vocab.txt", "merges.txt")
)
"""Written beside the weights by an import: where they came from, their digest, the mask token."""
KINDS = ("llada", "masked-lm")

Layers = dict[int | nn.Module, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (B, heads, P, D / heads) of every layer, by its number or module."""


class LlamaStack(LlamaModel):
    """LlamaModel that is loaded from a model with a head without a word about it."""

    _keys_to_ignore_on_load_unexpected = (r"^lm_head\.",)


class TextBackbone(nn.Module):
    """Reads embeddings of text in both directions.

    Args:
        stack: of transformers; its first output is states (B, S, D).
        shared: whether its attention is mindrec.model.attention, so that a prompt can be read once for many blocks
            and blocks can be hidden from it. Without, every sequence is read whole and in both directions.
    """

    def __init__(self, stack, *, shared: bool = True):
        super().__init__()
        self.stack, self.shared = stack, shared
        embeddings = (m for name, m in stack.named_modules() if name.endswith("position_embeddings"))
        padding = getattr(next(embeddings, None), "padding_idx", None)
        self.first_place = 0 if padding is None else padding + 1  # where RoBERTa and its kin start to count

    @property
    def words(self) -> nn.Embedding:
        """Of the text vocabulary, (V, D)."""
        return self.stack.get_input_embeddings()

    def check_room(self, length: int) -> None:
        """Raises MindRecError for sequences longer than the stack has positions."""
        limit = getattr(self.stack.config, "max_position_embeddings", None)
        if limit is not None and length > limit - self.first_place:
            raise MindRecError(
                f"prompt and answer take {length} tokens, this backbone reads {limit - self.first_place}; "
                "train with fewer items a history, or without titles"
            )

    def read(
        self, embeds_BSD: torch.Tensor, sees_BS: torch.Tensor, hidden: int = 0, keep: Layers | None = None
    ) -> torch.Tensor:
        """States (B, S, D) of sequences that are padded on the left where `sees_BS` is false.

        The last `hidden` positions are seen by each other alone; `keep` collects keys and values of every position.
        Raises MindRecError for either where the model does not share our attention.
        """
        places = sees_BS.long().cumsum(1).sub(1).clamp(min=0) + self.first_place
        if not self.shared:
            if hidden or keep is not None:
                raise MindRecError("this backbone reads whole sequences only; use attention='bidirectional'")
            return self.stack(inputs_embeds=embeds_BSD, attention_mask=sees_BS.long(), position_ids=places)[0]
        B, S = sees_BS.shape
        mask = sees_BS[:, None, None, :].expand(B, 1, S, S)
        if hidden:
            after = torch.arange(S, device=mask.device) >= S - hidden
            mask = mask & ~(after[None, :] & ~after[:, None])
        return self.stack(inputs_embeds=embeds_BSD, attention_mask=mask, position_ids=places, keep=keep)[0]

    def read_blocks(self, embeds_BRLD: torch.Tensor, layers: Layers, sees_BP: torch.Tensor) -> torch.Tensor:
        """States (B, R, L, D) of R blocks after each of B prompts, whose keys and values were kept."""
        B, R, L, _ = embeds_BRLD.shape
        device = embeds_BRLD.device
        places = sees_BP.sum(1)[:, None, None] + torch.arange(L, device=device) + self.first_place
        states = self.stack(
            inputs_embeds=embeds_BRLD.reshape(B, R * L, -1),
            attention_mask=torch.ones(1, 1, L, L, dtype=torch.bool, device=device),
            position_ids=places.expand(B, R, L).reshape(B, R * L),
            history=layers,
            sees_BRH=sees_BP[:, None],
        )[0]
        return states.view(B, R, L, -1)


def new_backbone(shape: dict, dtype: torch.dtype) -> TextBackbone:
    """A Llama stack with random weights; `shape` names LlamaConfig sizes.

    Weights are made in `dtype`: a model of 8B parameters never stands in float32 first, and rotary frequencies, which
    must not be rounded, stay in float32.
    """
    config = LlamaConfig(
        **{"num_key_value_heads": shape["num_attention_heads"]} | shape,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        attn_implementation=ATTENTION,
        use_cache=False,
    )
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return TextBackbone(LlamaStack(config))
    finally:
        torch.set_default_dtype(usual)


def about_base(folder: Path) -> dict:
    """Read the import's record of a base: source, kind, fingerprint, mask_token_id, and more by its kind.

    Raises MindRecError for a folder that is no imported base.
    """
    if not (Path(folder) / ABOUT).is_file():
        raise MindRecError(
            f"base {folder} is no imported model ({ABOUT} is missing); "
            f"make one: python -m mindrec import-llada SRC --out {folder}, or import-masked-lm"
        )
    about = read_json(Path(folder) / ABOUT, "base")
    if about.get("kind") not in KINDS:
        raise MindRecError(f"base {folder}: {ABOUT} is of kind {about.get('kind')!r}, not {' or '.join(KINDS)}")
    return about


def load_base(folder: Path, dtype: torch.dtype, quantize: int | None = None) -> TextBackbone:
    """The backbone of an imported folder, without its decoder. `quantize` is 8 or 4 bits, by bitsandbytes.

    Raises MindRecError where it cannot be loaded.
    """
    about, settings = about_base(folder), {"dtype": dtype, **_quantized(quantize, dtype)}
    if about["kind"] == "masked-lm":
        return masked_lm(folder, shared=about["shared"], **settings)
    try:
        stack = LlamaStack.from_pretrained(folder, attn_implementation=ATTENTION, **settings)
    except (OSError, ValueError) as error:
        raise MindRecError(f"base {folder} cannot be loaded ({error}); import it again") from error
    stack.config.use_cache = False
    return TextBackbone(stack)


def masked_lm(folder: Path, *, shared: bool, **settings) -> TextBackbone:
    """A masked language model of a local folder, its decoder taken off. No remote code, no pickle.

    Raises MindRecError where it cannot be loaded.
    """
    try:
        model = AutoModelForMaskedLM.from_pretrained(
            folder,
            attn_implementation=ATTENTION if shared else "eager",
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            **settings,
        )
    except (OSError, ValueError, ImportError) as error:
        raise MindRecError(f"base {folder} cannot be loaded as a masked language model ({error})") from error
    decoder = model.get_output_embeddings()
    decoder.requires_grad_(False)  # its bias may stay behind without a use
    name = next((name for name, module in model.named_modules() if module is decoder), None)
    if name is None:
        raise MindRecError(f"base {folder}: {type(model).__name__} has no decoder layer to take off")
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, nn.Identity())
    return TextBackbone(model, shared=shared)


def _quantized(bits: int | None, dtype: torch.dtype) -> dict:
    """Settings of from_pretrained for 8 or 4 bits."""
    if bits is None:
        return {}
    if bits not in (8, 4):
        raise MindRecError(f"quantize={bits!r} is not one of 8, 4")
    if find_spec("bitsandbytes") is None:
        raise MindRecError(f"quantize={bits} needs bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    how = {"load_in_8bit": True} if bits == 8 else four
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": BitsAndBytesConfig(**how), "device_map": {"": device}}


def add_lora(backbone: TextBackbone, rank: int, alpha: int, dropout: float) -> None:
    """Freeze the stack and put low-rank adapters on its linear layers, in place (arXiv 2106.09685).

    On a Llama these are q, k, v, o, gate, up and down, as MindRec's released settings have them.
    """
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, module in backbone.stack.named_modules() if isinstance(module, nn.Linear)]
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=linear)
    inject_adapter_in_model(settings, backbone.stack)
    for name, value in backbone.named_parameters():
        value.requires_grad = "lora_" in name
        if value.requires_grad and not value.is_meta:
            value.data = value.data.float()  # adapters learn in float32 whatever the stack is kept in


def mean_rows(matrix_VD: torch.Tensor, pieces: list[list[int]]) -> torch.Tensor:
    """The mean row of each list of text tokens, float32 (T, D); of the whole matrix where a list is empty."""
    return torch.stack([matrix_VD[ids or slice(None)].float().mean(0) for ids in pieces])


def head_matrix(folder: Path) -> torch.Tensor:
    """The decoder's weights (V, D) of an imported folder, read without the rest."""
    folder, name = Path(folder), about_base(folder)["head"]
    index = folder / "model.safetensors.index.json"
    file = read_json(index, "base")["weight_map"][name] if index.is_file() else "model.safetensors"
    with safe_open(folder / file, "pt") as tensors:
        return tensors.get_tensor(name)
