"""`bench decode --llada`: a LLaDA-shaped model, ours with and without the prompt cache against the published search.

Random weights: the three take the same model, catalog and histories, and what they cost does not depend on what the
model knows.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from mindrec.bench.decode_speed import _interleaved, _rounded
from mindrec.data.catalog import Catalog, Item
from mindrec.decoding.beam_search import final
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.dispatch import decode
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.system.devices import device_name, pick_device
from mindrec.text_backbone.llada import LladaConfig, LladaDenoiser
from mindrec.text_backbone.prompts import Prompts, make_text_tokenizer
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer

HISTORY, ITEMS, TEXT_VOCABULARY = 10, 5000, 4096
SHAPES = {
    "small": {
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "intermediate_size": 768,
        "vocab_size": TEXT_VOCABULARY,
    },
    "llada-8b": {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 12288,
        "vocab_size": 126464,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    },
}


def bench_llada(
    size: str = "small", device: str = "auto", batches: tuple[int, ...] = (1, 16), repeats: int = 3
) -> dict:
    """Milliseconds a user, 10 beams, history of 10 with titles, 3 category levels and 4 semantic-ID levels.

    Raises MindRecError for another size.
    """
    if size not in SHAPES:
        raise MindRecError(f"size {size!r} is not one of {', '.join(SHAPES)}")
    torch_device = pick_device(device)
    tokenizer, titles = _catalog()
    denoiser = random_llada(size, torch_device, tokenizer, titles)
    index = ItemIndex(torch.from_numpy(tokenizer.tokens).to(torch_device), tokenizer.layout)
    rng = np.random.default_rng(0)
    histories = [rng.choice(ITEMS, HISTORY, replace=False).tolist() for _ in range(max(batches))]
    ours = DecodeConfig(evidence="off")
    runs = {"ours": (True, ours), "no_cache": (False, ours), "published": (True, DecodeConfig(algorithm="published"))}
    out = {
        "model": size,
        "parameters": sum(p.numel() for p in denoiser.parameters()),
        "dtype": denoiser.config.dtype,
        "device": device_name(torch_device),
        "threads": torch.get_num_threads(),
        "beams": ours.beam_size,
        "history": HISTORY,
        "prompt_tokens": int(denoiser.prompts(histories)[1].sum(1).float().mean()),
        "positions": index.n_levels,
        "weights_mb": sum(p.nbytes for p in denoiser.parameters()) / 2**20,
        "prompt_cache_mb_per_user": prompt_cache_mb(denoiser, histories[:1]),
        **{f"ms_per_user{tail}": {} for tail in ("", "_no_cache", "_published")},
        **{f"peak_mb{tail}": {} for tail in ("", "_no_cache", "_published")},
        "ratio_vs_published": {},
        "ratio_vs_no_cache": {},
    }
    for batch in batches:
        some, key = histories[:batch], str(batch)
        timed = {name: _run(denoiser, index, some, *how) for name, how in runs.items()}
        times = _interleaved(timed, repeats, torch_device)
        for name, tail in (("ours", ""), ("no_cache", "_no_cache"), ("published", "_published")):
            out[f"ms_per_user{tail}"][key] = times[name] / batch
            if torch_device.type == "cuda":
                out[f"peak_mb{tail}"][key] = _peak_mb(timed[name])
        out["ratio_vs_published"][key] = times["published"] / times["ours"]
        out["ratio_vs_no_cache"][key] = times["no_cache"] / times["ours"]
    return _rounded(out)


def _run(denoiser: LladaDenoiser, index: ItemIndex, histories, cache: bool, config: DecodeConfig) -> Callable[[], None]:
    def run() -> None:
        denoiser.config = replace(denoiser.config, cache=cache)
        final(decode(denoiser, index, histories, config, full_trace=False))

    return run


def _peak_mb(run: Callable[[], None]) -> float:
    torch.cuda.reset_peak_memory_stats()
    run()
    return torch.cuda.max_memory_allocated() / 2**20


def prompt_cache_mb(denoiser: LladaDenoiser, histories) -> float:
    """Memory of the prompts' keys and values, in MB; the beams of a user share them."""
    layers = denoiser.encode(histories).state["layers"]
    return sum(kept.nbytes for pair in layers.values() for kept in pair) / 2**20


def random_llada(size: str, torch_device: torch.device, tokenizer: Tokenizer, titles: list[str]) -> LladaDenoiser:
    """Of a shape in SHAPES, in bfloat16 on a GPU. Only the added tokens have a head, as nothing else is scored."""
    text = make_text_tokenizer(titles[:1000], TEXT_VOCABULARY)
    config = LladaConfig(
        tokenizer.level_sizes,
        tokenizer.n_items,
        text.mask_token_id,
        shape=SHAPES[size],
        titles=True,
        max_history=HISTORY,
        dtype="float32" if torch_device.type == "cpu" else "bfloat16",
    )
    torch.manual_seed(0)
    with torch_device:  # 8B weights are drawn where they stay
        denoiser = LladaDenoiser(config, tokenizer, Prompts(text, tokenizer, titles))
    return denoiser.to(torch_device).eval()


def _catalog() -> tuple[Tokenizer, list[str]]:
    """Random items on a tree of 10 x 6 x 5, with codes of 4 x 256."""
    rng = np.random.default_rng(0)
    words = ["red", "oak", "mini", "organic", "classic", "spare", "string", "kit", "large", "soft", "dual", "pro"]
    items = tuple(
        Item(
            f"i{n}",
            " ".join(rng.choice(words, 6)) + f" {n}",
            (f"A{n % 10}", f"B{n % 10}.{n // 10 % 6}", f"C{n % 10}.{n // 10 % 6}.{n // 60 % 5}"),
        )
        for n in range(ITEMS)
    )
    catalog = Catalog(items, name="random")
    return build_tokenizer(catalog, rng.integers(0, 256, (ITEMS, 4))), [item.title for item in items]
