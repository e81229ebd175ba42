"""From prepared data to a saved checkpoint: tokens, model, training, model card."""

import platform
import shutil
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from mindrec.checkpoint import FOLDER, Checkpoint, load_checkpoint, weights_digest, with_map
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import MOSTLY, cases, item_counts, repeat_share, sampled, training_sequences
from mindrec.errors import MindRecError
from mindrec.model.compact import CompactDenoiser
from mindrec.system.devices import device_name, pick_device
from mindrec.system.failures import OutOfMemory
from mindrec.system.files import check_replaceable, read_json
from mindrec.system.memory import peak_memory_mb
from mindrec.system.unfinished import Start, begin
from mindrec.text.features import text_model_digest
from mindrec.tokens.tokenizer import Tokenizer
from mindrec.training.model_card import model_card
from mindrec.training.presets import Preset
from mindrec.training.resumable import STATE_FORMAT
from mindrec.training.running import USUAL, Running
from mindrec.training.stages import USUAL_RECIPE, Recipe, TrainingJob
from mindrec.training.starting import on_trained_dense, retokenised, start_model
from mindrec.training.weigh import CALIBRATION_USERS, weigh

NOTES = {
    "grocery": (
        "Histories are shopping carts: order inside a trip carries nothing.",
        "The data is simulated and meant for teaching, says its package; names and the upper two category levels are "
        "this project's.",
    )
}


def train_checkpoint(
    data: PreparedData,
    preset: Preset,
    out: Path,
    recipe: Recipe = USUAL_RECIPE,
    running: Running = USUAL,
) -> Checkpoint:
    """Train, select on validation, save to `out`; the state for resuming lies in `out`.partial until then.

    Raises:
        MindRecError: the run cannot be made or went wrong before any weights were kept; a run to resume was another.
            Work that this very call began is then removed, except where memory ran out.
    """
    out = check_replaceable(out, FOLDER)
    preset = for_repeats(data, preset)
    check_epochs(preset.train)
    about = _identity(recipe) | run_identity(data, preset)
    state_dir = out.with_name(out.name + ".partial")
    start = begin(state_dir, about, resume=running.resume, finished=lambda: finished_run(out))
    if start is Start.FINISHED:
        return load_checkpoint(out, running.device)
    sequences = sampled(training_sequences(data.interactions), recipe.max_sequences, preset.train.seed)
    try:
        job = TrainingJob(
            data,
            preset,
            recipe,
            sequences,
            pick_device(running.device),
            state_dir,
            start is Start.GOES_ON,
            running.report,
            running.progress,
        )
        checkpoint = with_map(_trained(job, out.name, about, running.command))
        checkpoint.save(out)
    except MindRecError as error:
        if start is Start.AFRESH and not isinstance(error, OutOfMemory):
            shutil.rmtree(state_dir, ignore_errors=True)
        raise
    shutil.rmtree(state_dir, ignore_errors=True)
    return checkpoint


def _identity(recipe: Recipe) -> dict:
    """The recipe's part of what decides the result: other checkpoints and text models by what they hold."""
    text_model, dense_from = recipe.text_model, recipe.dense_from
    return {
        "objective": recipe.objective,
        "semantic_ids": recipe.semantic_ids,
        "text_model": None if text_model is None else text_model_digest(text_model),
        "dense_from": None if dense_from is None else weights_digest(dense_from),
        "sequences": recipe.max_sequences,
    }


def check_epochs(config) -> None:
    """Raises MindRecError for a schedule without an epoch of the target block."""
    if config.epochs < 1:
        raise MindRecError(f"--epochs {config.epochs} trains no block; a whole number from 1 up is needed")
    if getattr(config, "dense_epochs", 0) < 0:
        raise MindRecError(f"--dense-epochs {config.dense_epochs} cannot be; a whole number from 0 up is needed")


def run_identity(data: PreparedData, preset) -> dict:
    """All that decides the result of a training: data, the recipe with its seed, and the format of saved states."""
    return {"state": STATE_FORMAT, "data": data.fingerprint, "preset": asdict(preset)}


def finished_run(out: Path) -> dict | None:
    """The identity of the training of the checkpoint at `out`; None without one."""
    path = out / "training.json"
    return read_json(path, "training record").get("run", {}) if path.exists() else None


def _trained(job: TrainingJob, name: str, about: dict, command: str) -> Checkpoint:
    """All stages, item evidence weighed against the denoiser, and the record of the run."""
    started = time.perf_counter()
    torch.manual_seed(job.preset.train.seed)
    model, tokenizer, records = _first_stages(job)
    ar = job.recipe.objective == "ar"
    decode = replace(job.preset.decode, order="left_to_right") if ar else job.preset.decode
    records += job.block(model, tokenizer, decode, len(records))
    seed = job.preset.train.seed
    measured = weigh(model, tokenizer, job.data, job.sequences, decode, seed, progress=job.progress)
    training = {
        "command": command,
        **_choices(job.recipe),
        **_record(job, model, records),
        **measured,
        "seconds_in_all": round(time.perf_counter() - started, 1),
        "peak_memory_mb": peak_memory_mb(),
        "run": about,
    }
    return Checkpoint(
        name=name,
        denoiser=model,
        tokenizer=tokenizer,
        catalog=job.data.catalog,
        decode=decode,
        notes=NOTES.get(job.data.catalog.name, ()),
        training=training,
        card=model_card(name, job.data, training),
        popularity=tuple(item_counts(job.data.interactions).tolist()),
    )


def _first_stages(job: TrainingJob) -> tuple[CompactDenoiser, Tokenizer, list[dict]]:
    """The model before its target block is trained, its final semantic IDs, and the epochs so far."""
    records: list[dict] = []
    if job.recipe.dense_from is not None:
        model, tokenizer = on_trained_dense(job)
    else:
        model, tokenizer = start_model(job)
        if job.preset.train.dense_epochs:
            records += job.dense(model)
            if job.recipe.semantic_ids != "own" and model.reader is None:
                model, tokenizer = retokenised(job, model)
    if model.reader is not None:
        records += job.reader(model, len(records))
    return model, tokenizer, records


def _choices(recipe: Recipe) -> dict:
    """The recipe as training.json holds it."""
    return {
        "objective": recipe.objective,
        "semantic_ids": recipe.semantic_ids,
        "text_model": None if recipe.text_model is None else str(recipe.text_model),
        "dense_from": None if recipe.dense_from is None else recipe.dense_from.name,
    }


def _record(job: TrainingJob, model: CompactDenoiser, records: list[dict]) -> dict:
    """The run's data, sizes, curve and machine, as training.json holds them."""
    data, config = job.data, job.preset.train
    best = max((r for r in records if r["stage"] == "block"), key=lambda r: r["validation"]["score"])
    return {
        "data": {
            "name": data.catalog.name,
            "catalog_fingerprint": data.catalog.fingerprint,
            "sequences": len(job.sequences),
            "ordered": data.interactions.ordered,
        },
        "seed": config.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "config": config.to_dict(),
        "curve": records,
        "best_epoch": best["epoch"],
        "seconds": round(sum(r["seconds"] for r in records), 1),
        "machine": f"{device_name(job.device)}, {torch.get_num_threads()} threads, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "python": sys.version.split()[0],
    }


def for_repeats(data: PreparedData, preset: Preset) -> Preset:
    """The preset, made to learn and recommend repeats where more than half of the validation targets are repeats.

    The rule is mindrec.data.splits.MOSTLY. Other data keep the preset as it is, so nothing changes for them.
    """
    held_out = cases(data.interactions, "validation", CALIBRATION_USERS, preset.train.seed)
    if repeat_share(held_out) <= MOSTLY:
        return preset
    return replace(
        preset, model=dict(preset.model) | {"repeats": True}, decode=replace(preset.decode, exclude_seen=False)
    )
