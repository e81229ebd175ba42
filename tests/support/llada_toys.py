"""What the tests of text backbones share: data to learn by heart, a recipe, and beams to ask about."""

from dataclasses import replace

import numpy as np
import torch

from mindrec.data.catalog import Interactions, PreparedData
from mindrec.sources.synthetic import load as synthetic
from mindrec.text_backbone.tuning_presets import LladaTrainConfig, llada_preset
from mindrec.text_backbone.tuning_run import Base, make_denoiser
from mindrec.training.starting import make_tokenizer

RECIPE = replace(
    llada_preset("tiny"),
    lora={"rank": 8, "alpha": 32, "dropout": 0.0},
    train=LladaTrainConfig(epochs=30, batch=64, learning_rate=1e-2, warmup_steps=5, patience=30),
)


HISTORIES = [[3, 1, 4, 15, 9], [2], [6, 5, 3]]


def walks() -> PreparedData:
    """64 histories, and the next item of each is a function of the last one; validation asks the same ones."""
    made = synthetic(n_items=30, n_users=64, length=5, predictability=1.0)
    walks = [np.asarray(rows) for rows in made.interactions.sequences]
    names = tuple(f"{split}{n}" for split in ("train", "validation") for n in range(64))
    splits = ("train",) * 64 + ("validation",) * 64
    return PreparedData(made.catalog, Interactions(names, tuple(walks) * 2, 30, splits), notes="Made up.\n")


def close(one, other, tolerance=1e-5) -> bool:
    return torch.allclose(one, other, atol=tolerance, rtol=0)


def untrained(data, base, **settings):
    """A denoiser on `base` whose adapters and added tokens are far from their start, so that all of it matters."""
    tokenizer = make_tokenizer(data, RECIPE)
    torch.manual_seed(1)
    denoiser = make_denoiser(data, RECIPE, tokenizer, Base(base, **settings))
    with torch.no_grad():
        for value in denoiser.parameters():
            if value.requires_grad:
                value.add_(0.05 * torch.randn_like(value))
    return denoiser.eval()


def some_beams(denoiser, users: int) -> torch.Tensor:
    """Every second code masked, (users, 4, L)."""
    generator = torch.Generator().manual_seed(3)
    codes = torch.stack([torch.randint(s, (users, 4), generator=generator) for s in denoiser.level_sizes], -1)
    codes[torch.rand(codes.shape, generator=generator) < 0.5] = -1
    codes[:, 0] = -1
    return codes


def without_cache(denoiser, histories, beams) -> torch.Tensor:
    kept = denoiser.config
    denoiser.config = replace(kept, cache=False)
    try:
        assert denoiser.cache_exact
        return denoiser.token_logits(denoiser.encode(histories), beams)
    finally:
        denoiser.config = kept
