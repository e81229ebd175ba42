"""Published LLaDA weights to a folder that transformers' own Llama reads: tensors are renamed, no code is run.

The published naming is OLMo's, with separate projections (GSAI-ML/LLaDA-8B-Instruct). Shards are read and written one
by one; at most one is in memory, mapped from its file.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig

from mindrec.errors import MindRecError
from mindrec.system.files import check_replaceable, read_json, replace_folder, write_json
from mindrec.system.progress import progress_bar
from mindrec.text_backbone.backbone import ABOUT, FOLDER

OUTSIDE = {
    "model.transformer.wte.weight": "model.embed_tokens.weight",
    "model.transformer.ln_f.weight": "model.norm.weight",
    "model.transformer.ff_out.weight": "lm_head.weight",
}
INSIDE = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
# Settings that a Llama cannot express, or that this import was never checked with.
NEEDED = {
    "block_type": "llama",
    "layer_norm_type": "rms",
    "activation_type": "silu",
    "rope": True,
    "alibi": False,
    "attention_layer_norm": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "input_emb_norm": False,
    "scale_logits": False,
    "weight_tying": False,
    "block_group_size": 1,
}
TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def import_llada(source: str, out: Path, *, progress: bool = True) -> dict:
    """Convert a folder or a Hugging Face repository; `out` appears whole or not at all.

    Returns:
        What import.json holds: kind, head, source, fingerprint, mask_token_id, tensors.

    Raises:
        MindRecError: the config is not LLaDA's, a tensor is missing, unknown or of another shape.
    """
    out = Path(out)
    check_replaceable(out, FOLDER)
    folder = source_folder(source, ("*.safetensors", "*.json"))
    config, mask_token_id = llama_config(read_json(folder / "config.json", "LLaDA config"), folder)
    expected = expected_shapes(config)
    shards = _shards(folder)
    _check_names(shards, expected, folder)
    if not (folder / "tokenizer.json").is_file():
        raise MindRecError(f"{folder}: tokenizer.json is missing; fetch it with the weights")
    digest, weight_map, size = hashlib.sha256(), {}, 0
    with replace_folder(out, FOLDER) as made:
        for number, shard in enumerate(progress_bar(shards, desc="shards", shown=progress), 1):
            name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            tensors = dict(_converted(shard))
            for key in sorted(tensors):
                digest.update(key.encode())
                digest.update(tensors[key].contiguous().view(torch.uint8).numpy())
                weight_map[key] = name
                size += tensors[key].nbytes
            save_file(tensors, made / name, {"format": "pt"})
            del tensors
        write_json(made / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": weight_map})
        config.save_pretrained(made)
        _copy_text(folder, made)
        about = {
            "kind": "llada",
            "head": OUTSIDE["model.transformer.ff_out.weight"],
            "source": str(source),
            "fingerprint": digest.hexdigest()[:16],
            "mask_token_id": mask_token_id,
            "tensors": len(weight_map),
        }
        write_json(made / ABOUT, about)
    return about


def llama_config(raw: dict, where: Path) -> tuple[LlamaConfig, int]:
    """LlamaConfig and mask token id from LLaDA's config.json. Raises MindRecError for another architecture."""
    for key, value in NEEDED.items():
        if raw.get(key, value) != value:
            raise MindRecError(f"{where}: config.json has {key} {raw[key]!r}; LLaDA-8B has {value!r}, import that")
    try:
        config = LlamaConfig(
            vocab_size=raw.get("embedding_size") or raw["vocab_size"],
            hidden_size=raw["d_model"],
            intermediate_size=raw["mlp_hidden_size"],
            num_hidden_layers=raw["n_layers"],
            num_attention_heads=raw["n_heads"],
            num_key_value_heads=raw.get("n_kv_heads") or raw["n_heads"],
            max_position_embeddings=raw.get("max_sequence_length", 4096),
            rms_norm_eps=raw["rms_norm_eps"],
            rope_parameters={"rope_type": "default", "rope_theta": float(raw["rope_theta"])},
            bos_token_id=None,
            eos_token_id=raw.get("eos_token_id"),
            pad_token_id=raw.get("pad_token_id"),
            tie_word_embeddings=False,
            architectures=["LlamaForCausalLM"],
        )
        return config, int(raw["mask_token_id"])
    except KeyError as error:
        raise MindRecError(f"{where}: config.json lacks {error}; LLaDA's own config.json is needed") from error


def expected_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Published name -> shape of every tensor."""
    D, F, V = config.hidden_size, config.intermediate_size, config.vocab_size
    kv = D // config.num_attention_heads * config.num_key_value_heads
    inside = {
        "attn_norm": (D,), "ff_norm": (D,), "q_proj": (D, D), "k_proj": (kv, D), "v_proj": (kv, D),
        "attn_out": (D, D), "ff_proj": (F, D), "up_proj": (F, D), "ff_out": (D, F),
    }  # fmt: skip
    out = {"model.transformer.wte.weight": (V, D), "model.transformer.ln_f.weight": (D,)}
    out["model.transformer.ff_out.weight"] = (V, D)
    for layer in range(config.num_hidden_layers):
        out |= {f"model.transformer.blocks.{layer}.{part}.weight": shape for part, shape in inside.items()}
    return out


def llama_name(published: str) -> str:
    """model.transformer.blocks.3.ff_proj.weight -> model.layers.3.mlp.gate_proj.weight.

    Raises MindRecError for a tensor that LLaDA does not have.
    """
    if published in OUTSIDE:
        return OUTSIDE[published]
    match = re.fullmatch(r"model\.transformer\.blocks\.(\d+)\.(\w+)\.weight", published)
    if not match or match[2] not in INSIDE:
        raise MindRecError(f"tensor {published!r} is none of LLaDA's; its blocks have {', '.join(INSIDE)}")
    return f"model.layers.{match[1]}.{INSIDE[match[2]]}.weight"


def source_folder(source: str, patterns: tuple[str, ...]) -> Path:
    """A folder as it is, or the files of a Hugging Face repository that fit the patterns.

    Raises MindRecError where the source is neither, or the Hub does not give it.
    """
    if Path(source).is_dir():
        return Path(source)
    if Path(source).exists() or source.count("/") != 1:
        raise MindRecError(f"{source!r} is no folder, nor a Hugging Face repository such as GSAI-ML/LLaDA-8B-Base")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(patterns)))
    except Exception as error:  # the hub has a dozen kinds, for a name, a right, a network
        raise MindRecError(f"{source!r} is no folder, and the hub did not give it ({error})") from error


def _shards(folder: Path) -> list[Path]:
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise MindRecError(f"{folder} holds no .safetensors file; LLaDA's weights are needed")
    return shards


def _check_names(shards: list[Path], expected: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Every tensor once, none else, each of its shape: read from the headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for shard in shards:
        try:
            with safe_open(shard, "pt") as file:
                shapes |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise MindRecError(f"{shard} is damaged ({error}); fetch it again") from error
    for key in sorted(shapes.keys() - expected.keys()):
        raise MindRecError(f"{folder}: tensor {key!r} is none that config.json asks for; files of two models are mixed")
    for key, shape in expected.items():
        if shapes.get(key) != shape:
            has = f"is {shapes[key]}" if key in shapes else "is missing"
            raise MindRecError(f"{folder}: tensor {key!r} {has}, config.json asks for {shape}; fetch all shards again")


def _converted(shard: Path) -> Iterator[tuple[str, torch.Tensor]]:
    with safe_open(shard, "pt") as file:
        for key in file.keys():  # noqa: SIM118
            yield llama_name(key), file.get_tensor(key)


def _copy_text(folder: Path, out: Path) -> None:
    """Tokenizer files, less what would make transformers look for code."""
    for name in TEXT_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    path = out / "tokenizer_config.json"
    if path.is_file():
        write_json(path, {k: v for k, v in read_json(path, "text tokenizer").items() if k != "auto_map"})
