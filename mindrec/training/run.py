"""From prepared data to a saved checkpoint: tokens, model, training, model card."""

import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mindrec.catalog import PreparedData
from mindrec.checkpoint import Checkpoint, pick_device
from mindrec.evaluation.evaluate import dense_ranking, measure, rank
from mindrec.evaluation.metrics import accuracy, gold_ranks
from mindrec.evaluation.protocol import cases, training_sequences
from mindrec.model.compact import CompactConfig, CompactDenoiser
from mindrec.tokens.item_index import ItemIndex
from mindrec.tokens.semantic_id import semantic_codes
from mindrec.tokens.text import text_model as open_text_model
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer
from mindrec.training.loop import train
from mindrec.training.presets import Preset

VALIDATION_USERS = 1500
NOTES = {
    "grocery": (
        "Histories are shopping carts: order inside a trip carries nothing.",
        "The data is simulated and meant for teaching, says its package; names and the upper two category levels are "
        "this project's.",
    )
}


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
    codes = semantic_codes(semantic_ids, data, sequences, preset.sid_levels, preset.codebook_size, seed, embed)
    return build_tokenizer(data.catalog, codes, preset.level_names)


def train_checkpoint(
    data: PreparedData,
    preset: Preset,
    out: Path,
    *,
    objective: str = "diffusion",
    device: str = "auto",
    semantic_ids: str = "residual",
    text_model: Path | None = None,
    most_sequences: int | None = None,
    resume: bool = False,
    command: str = "",
    report: Callable[[dict], None] = lambda record: None,
    progress: bool = True,
) -> Checkpoint:
    """Train, select on validation, save to `out`; what resuming needs lies in `out`.partial until then.

    Args:
        text_model: sentence-transformers folder that reads texts for the semantic IDs; TF-IDF without.
        most_sequences: train on a seeded sample of this many sequences, for a quick trial.
    """
    config = preset.train
    torch.manual_seed(config.seed)
    place = pick_device(device)
    tokenizer = make_tokenizer(data, preset, config.seed, semantic_ids=semantic_ids, text_model=text_model)
    settings = dict(preset.model) | {"objective": objective}
    model = CompactDenoiser(
        CompactConfig(tokenizer.level_sizes, tokenizer.n_items, **settings), torch.from_numpy(tokenizer.codes)
    ).to(place)
    decode = replace(preset.decode, order="left_to_right") if objective == "ar" else preset.decode
    validate = make_validation(data, tokenizer, decode, config.seed, place)
    state_dir = out.with_name(out.name + ".partial")
    records = []
    sequences, ordered = training_sequences(data.interactions), data.interactions.ordered
    if most_sequences is not None and most_sequences < len(sequences):
        chosen = np.sort(np.random.default_rng(config.seed).choice(len(sequences), most_sequences, replace=False))
        sequences = [sequences[n] for n in chosen]
    stream = train(
        model, sequences, config, validate, ordered=ordered, state_dir=state_dir, resume=resume, progress=progress
    )
    for record in stream:
        records.append(record)
        report(record)
    training = {
        "command": command,
        "data": {
            "name": data.catalog.name,
            "catalog_fingerprint": data.catalog.fingerprint,
            "sequences": len(sequences),
            "ordered": ordered,
        },
        "objective": objective,
        "semantic_ids": semantic_ids,
        "text_model": None if text_model is None else str(text_model),
        "seed": config.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "config": config.to_dict(),
        "curve": records,
        "best_epoch": max(records, key=lambda r: r["validation"]["score"])["epoch"],
        "seconds": round(sum(r["seconds"] for r in records), 1),
        "machine": f"{place.type}, {torch.get_num_threads()} threads, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "python": sys.version.split()[0],
    }
    checkpoint = Checkpoint(
        name=out.name,
        denoiser=model,
        tokenizer=tokenizer,
        catalog=data.catalog,
        decode=decode,
        notes=NOTES.get(data.catalog.name, ()),
        training=training,
        card=model_card(out.name, data, training),
    )
    checkpoint.save(out)
    _remove(state_dir)
    return checkpoint


def make_validation(data: PreparedData, tokenizer: Tokenizer, decode, seed: int, device) -> Callable:
    """model -> validation metrics of the default decode and of the dense head; "score" is the decode's NDCG@10."""
    asked = cases(data.interactions, "validation", VALIDATION_USERS, seed)
    targets = np.array([c.target for c in asked])
    index = ItemIndex(torch.from_numpy(tokenizer.tokens).to(device), tokenizer.level_sizes)

    def validate(model: CompactDenoiser) -> dict:
        ranking = rank(model, index, asked, decode, n_categories=tokenizer.n_category_levels)
        found = measure(ranking, asked, tokenizer.codes, tokenizer.n_items)
        dense = accuracy(gold_ranks(dense_ranking(model, asked, exclude_seen=decode.exclude_seen), targets))
        keys = ("hit@1", "hit@10", "ndcg@10")
        return {
            "score": found["ndcg@10"],
            **{k: found[k] for k in keys},
            **{f"dense_{k}": dense[k] for k in keys},
            "evidence_weight": [round(w, 3) for w in model.evidence_weight().tolist()],
            "opinion_weight": [round(w, 3) for w in model.opinion_weight().tolist()],
        }

    return validate


def model_card(name: str, data: PreparedData, training: dict) -> str:
    """README.md of the checkpoint: source, limits, how it was made."""
    best = next(r for r in training["curve"] if r["epoch"] == training["best_epoch"])
    return f"""---
library_name: mindrec
tags: [recommendation, masked-diffusion, semantic-ids]
---
# {name}
A MindRec denoiser ({training["objective"]}, {training["parameters"]:,} parameters) trained on `{data.catalog.name}`
by `{training["command"]}` (seed {training["seed"]}, {training["seconds"]:.0f} s of training steps on
{training["machine"]}). Validation NDCG@10 {best["validation"]["ndcg@10"]:.4f} at epoch {training["best_epoch"] + 1};
`training.json` has the whole curve. Test figures are in the project's README with their command.

## Data
{_without_title(data.notes)}

## Known failings
- Popular items win too often; items with few training sequences are seldom named.
- A probability shown is the search's own mass, not a measured chance of being right.
- It knows only the items of its catalog.
"""


def _without_title(notes: str) -> str:
    """A prepared folder's README without its first heading."""
    lines = notes.strip().splitlines()
    return "\n".join(lines[1:] if lines and lines[0].startswith("# ") else lines) or "No notes came with the data."


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
