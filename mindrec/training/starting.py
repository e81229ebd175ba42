"""The model that a training starts from: semantic IDs, item vectors, and the dense part of another checkpoint."""

from pathlib import Path

import numpy as np
import torch

from mindrec.checkpoint import load_checkpoint
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import training_sequences
from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.text.features import text_model as open_text_model
from mindrec.tokens.semantic_id import Codebooks, codes_of_vectors, item_vectors, semantic_codes
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer
from mindrec.training.presets import Preset
from mindrec.training.stages import TrainingJob, starting_vectors

SIZES = ("hidden_size", "heads", "intermediate_size", "encoder_layers", "max_history", "dense_encoder")


def make_tokenizer(
    data: PreparedData,
    preset: Preset,
    seed: int = 0,
    *,
    semantic_ids: str = "residual",
    text_model: Path | None = None,
) -> Tokenizer:
    """Semantic IDs by name (residual, product or own) joined with the category tree."""
    sequences = training_sequences(data.interactions)
    embed = None if text_model is None else open_text_model(text_model)
    wanted = Codebooks(semantic_ids, preset.sid_levels, preset.codebook_size, seed)
    codes = semantic_codes(wanted, data, sequences, embed)
    return build_tokenizer(data.catalog, codes, preset.level_names)


def new_model(preset: Preset, tokenizer: Tokenizer, objective: str, device) -> CompactDenoiser:
    """A model of the preset's sizes. The twin, whose positions wait for each other, has no softmax over whole items."""
    settings = dict(preset.model) | {"objective": objective}
    if objective == "ar":
        settings["item_softmax"] = False
    config = CompactConfig(tokenizer.level_sizes, tokenizer.n_items, **settings)
    return CompactDenoiser(config, torch.from_numpy(tokenizer.codes)).to(device)


def first_tokenizer(job: TrainingJob) -> Tokenizer:
    """Semantic IDs made from item texts and co-occurrence, before anything is trained."""
    recipe, embed = job.recipe, job.recipe.embed
    levels, size = job.preset.start_codes or (job.preset.sid_levels, job.preset.codebook_size)
    wanted = Codebooks(recipe.semantic_ids, levels, size, job.preset.train.seed)
    text_width = job.preset.model.get("text_width", 0)
    codes = job.codes("start", lambda: semantic_codes(wanted, job.data, job.sequences, embed, text_width))
    return build_tokenizer(job.data.catalog, codes, job.preset.level_names)


def start_model(job: TrainingJob) -> tuple[CompactDenoiser, Tokenizer]:
    """A new model whose item vectors start from the items' texts and co-occurrence."""
    config, catalog = job.preset.train, job.data.catalog
    tokenizer = first_tokenizer(job)
    model = new_model(job.preset, tokenizer, job.recipe.objective, job.device)
    width = model.config.hidden_size
    known = item_vectors([item.text for item in catalog.items], job.sequences, config.seed, job.recipe.embed, width)
    model.set_item_vectors(torch.from_numpy(starting_vectors(known, width, config.seed)).to(job.device))
    return model, tokenizer


def retokenised(job: TrainingJob, model: CompactDenoiser) -> tuple[CompactDenoiser, Tokenizer]:
    """Semantic IDs made again from the trained item vectors, and the same dense part with a new block on them."""
    preset, vectors = job.preset, model.item_vectors().detach().cpu().numpy()
    weights = job.code_weights()
    wanted = Codebooks(job.recipe.semantic_ids, preset.sid_levels, preset.codebook_size, preset.train.seed)
    codes = job.codes("again", lambda: codes_of_vectors(wanted, vectors, job.data.catalog, weights))
    tokenizer = build_tokenizer(job.data.catalog, codes, preset.level_names)
    return _on_dense(model, preset, tokenizer, model.config.objective, job.device, weights), tokenizer


def _on_dense(
    model: CompactDenoiser,
    preset: Preset,
    tokenizer: Tokenizer,
    objective: str,
    device: torch.device,
    weights: np.ndarray,
) -> CompactDenoiser:
    """A fresh block beside the dense part of `model`, on other codes of the same items."""
    torch.manual_seed(preset.train.seed)
    new = new_model(preset, tokenizer, objective, device)
    new.encoder.load_state_dict(model.encoder.state_dict())
    new.set_item_vectors(model.item_vectors().detach(), torch.from_numpy(weights))
    with torch.no_grad():
        new.item_bias.copy_(model.item_bias)
    return new


def on_trained_dense(job: TrainingJob) -> tuple[CompactDenoiser, Tokenizer]:
    """A fresh block beside the dense part of a checkpoint: on its own codes, or beside a code reader on new ones.

    Raises MindRecError for a checkpoint of another kind, catalog or size.
    """
    folder = job.recipe.dense_from
    source = load_checkpoint(folder, str(job.device))
    if source.catalog.fingerprint != job.data.catalog.fingerprint or source.denoiser.kind != "compact":
        raise MindRecError(
            f"--dense-from {folder} is a {source.denoiser.kind} checkpoint of catalog {source.catalog.fingerprint}; a "
            f"compact one of {job.data.catalog.fingerprint} is needed"
        )
    wanted = CompactConfig(source.tokenizer.level_sizes, source.tokenizer.n_items, **job.preset.model)
    has = source.denoiser.config
    sizes = [name for name in SIZES if getattr(has, name) != getattr(wanted, name)]
    if sizes:
        differing = ", ".join(f"{name} {getattr(has, name)} there and {getattr(wanted, name)} here" for name in sizes)
        raise MindRecError(
            f"--dense-from {folder} is of other sizes than the preset ({differing}); take its own preset"
        )
    tokenizer = source.tokenizer
    if job.preset.model.get("token_encoder") == "codes":
        tokenizer = first_tokenizer(job)
    return _on_dense(
        source.denoiser, job.preset, tokenizer, job.recipe.objective, job.device, job.code_weights()
    ), tokenizer
