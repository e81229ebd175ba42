"""A masked language model to a base folder: any that AutoModelForMaskedLM loads without remote code (ModernBERT,
EuroBERT, BERT, RoBERTa and their kin), from safetensors alone.

What an architecture can do is tried out, not looked up: `probe` compares the model under our attention with the same
model under its own. Where the two agree, prompts are read once and may be hidden from the block; where they do not,
the base is marked as one that reads whole sequences.
"""

import hashlib
import inspect
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from mindrec.errors import MindRecError
from mindrec.system.files import check_replaceable, replace_folder, write_json
from mindrec.text_backbone.backbone import ABOUT, FOLDER, TextBackbone, masked_lm
from mindrec.text_backbone.import_llada import source_folder

NEEDED = ("inputs_embeds", "attention_mask", "position_ids")
TOLERANCE = 1e-3
"""Of the largest state: float32 sums in another order stay far below, another mask or position far above."""


def import_masked_lm(source: str, out: Path) -> dict:
    """Convert a folder or a Hugging Face repository; `out` appears whole or not at all.

    Returns:
        What import.json holds: kind, source, architecture, shared, head, fingerprint, mask_token_id, start_token_id.

    Raises:
        MindRecError: it is no masked language model with a fast tokenizer, or its states depend on padding.
    """
    out = Path(out)
    check_replaceable(out, FOLDER)
    folder = source_folder(source, ("*.safetensors", "*.json", "*.txt", "*.model"))
    model, head = _model(folder)
    text = _text_tokenizer(folder, model.get_input_embeddings().num_embeddings)
    with replace_folder(out, FOLDER) as made:
        model.save_pretrained(made)
        text.save_pretrained(made)
        about = {
            "kind": "masked-lm",
            "source": str(source),
            "architecture": type(model).__name__,
            "shared": shares_prompts(made),
            "head": head,
            "fingerprint": _digest(made),
            "mask_token_id": text.mask_token_id,
            "start_token_id": text.cls_token_id,
        }
        write_json(made / ABOUT, about)
    return about


def _model(folder: Path):
    """The whole model, and the name of its decoder's weights among the stored ones."""
    from transformers import AutoModelForMaskedLM

    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(
            folder,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise MindRecError(f"{folder} holds no masked language model that transformers loads ({error})") from error
    if loading["missing_keys"]:
        some = ", ".join(sorted(loading["missing_keys"])[:3])
        raise MindRecError(f"{folder} lacks weights of a masked language model ({some}); fetch the one with its head")
    takes = inspect.signature(model.forward).parameters
    missing = [name for name in NEEDED if name not in takes]
    decoder = model.get_output_embeddings()
    words = model.get_input_embeddings()
    fits = isinstance(words, nn.Embedding) and isinstance(decoder, nn.Linear)
    if missing or not fits or decoder.in_features != words.embedding_dim:
        why = f"takes no {', '.join(missing)}" if missing else "has no linear decoder of its embeddings' width"
        raise MindRecError(f"{folder}: {type(model).__name__} {why}; ModernBERT, EuroBERT, BERT or RoBERTa do")
    return model, next(name for name, value in model.named_parameters() if value is decoder.weight)


def _text_tokenizer(folder: Path, rows: int):
    """The tokenizer, in its fast form, with a mask token."""
    from transformers import AutoTokenizer

    try:
        text = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise MindRecError(f"{folder}: no tokenizer that can be read ({error}); fetch it with the weights") from error
    if not text.is_fast or text.mask_token_id is None or text.mask_token_id >= rows:
        raise MindRecError(f"{folder}: {type(text).__name__} is no fast tokenizer with a mask token of the model's own")
    return text


def shares_prompts(folder: Path) -> bool:
    """Whether the model of a folder is the same under our attention. Raises MindRecError where padding changes it."""
    unshared = masked_lm(folder, shared=False, dtype=torch.float32).eval()
    try:
        wanted = probe(unshared)
    except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise MindRecError(f"{type(unshared.stack).__name__} does not read embeddings of text ({error})") from error
    try:
        ours = masked_lm(folder, shared=True, dtype=torch.float32).eval()
        return probe_shared(ours, wanted)
    except Exception:  # whatever an architecture of fifty does with a mask or an argument that it does not expect
        return False


PAD, LENGTH, BLOCK = 4, 12, 3


def _embeds(backbone: TextBackbone) -> torch.Tensor:
    """One short made-up text, (1, LENGTH, D)."""
    ids = torch.randint(backbone.words.num_embeddings, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    return backbone.words(ids)


@torch.inference_mode()
def probe(backbone: TextBackbone) -> torch.Tensor:
    """States (1, LENGTH, D) of a text; checked to be the same with padding before it.

    Raises:
        MindRecError: padding changes the states.
    """
    embeds = _embeds(backbone)
    alone = backbone.read(embeds, torch.ones(1, LENGTH, dtype=torch.bool))
    if not _same(_padded(backbone, embeds), alone):
        raise MindRecError(
            f"{type(backbone.stack).__name__} gives other states where padding stands before a text; it cannot be used"
        )
    return alone


def _padded(backbone: TextBackbone, embeds: torch.Tensor, hidden: int = 0) -> torch.Tensor:
    """States of the same text behind PAD positions of padding."""
    longer = torch.cat([embeds[:, :PAD], embeds], 1)
    sees = torch.arange(PAD + LENGTH)[None] >= PAD
    return backbone.read(longer, sees, hidden)[:, PAD:]


@torch.inference_mode()
def probe_shared(backbone: TextBackbone, wanted: torch.Tensor) -> bool:
    """Whether states are `wanted` (1, LENGTH, D), padded or not, and a block after a kept prompt as read at once."""
    embeds, kept = _embeds(backbone), {}
    everything = torch.ones(1, LENGTH, dtype=torch.bool)
    prompt = LENGTH - BLOCK
    if not (_same(backbone.read(embeds, everything), wanted) and _same(_padded(backbone, embeds), wanted)):
        return False
    whole = backbone.read(embeds, everything, hidden=BLOCK)
    before = backbone.read(embeds[:, :prompt], everything[:, :prompt], keep=kept)
    if len(kept) != backbone.stack.config.num_hidden_layers or not _same(whole[:, :prompt], before):
        return False
    block = backbone.read_blocks(embeds[:, None, prompt:], kept, everything[:, :prompt])[:, 0]
    return _same(whole[:, prompt:], block) and _same(_padded(backbone, embeds, BLOCK), whole)


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() <= TOLERANCE * other.abs().max())


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            for key in sorted(file.keys()):
                digest.update(key.encode())
                digest.update(file.get_tensor(key).contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
