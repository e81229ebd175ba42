"""From prepared data to a saved checkpoint: tokens, model, training, model card."""

import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mindrec.checkpoint import FOLDER, Checkpoint, load_checkpoint, weights_digest
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import MOSTLY, cases, item_counts, repeat_share, training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.system.devices import device_name, pick_device
from mindrec.system.failures import OutOfMemory
from mindrec.system.files import check_replaceable, read_json, write_json
from mindrec.system.memory import peak_memory_mb
from mindrec.system.unfinished import Start, begin
from mindrec.text.features import Embed, text_vectors
from mindrec.text.features import text_model as open_text_model
from mindrec.tokens.semantic_id import codes_of_vectors, item_vectors, semantic_codes
from mindrec.tokens.tokenizer import Tokenizer, build_tokenizer
from mindrec.training.batches import some_sequences
from mindrec.training.calibrate import token_likelihood
from mindrec.training.loop import Stage, train
from mindrec.training.model_card import model_card
from mindrec.training.objectives import block_loss, dense_loss, reader_loss
from mindrec.training.presets import Preset
from mindrec.training.resumable import STATE_FORMAT
from mindrec.training.weigh import (
    CALIBRATION_USERS,
    VALIDATION_USERS,
    code_table,
    dense_validation,
    make_validation,
    validation_cases,
    weigh,
)

START_NORM = 0.6
SIZES = ("hidden_size", "heads", "intermediate_size", "encoder_layers", "max_history", "dense_encoder")
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
    dense_from: Path | None = None,
    resume: bool = False,
    command: str = "",
    report: Callable[[dict], None] = lambda record: None,
    progress: bool = True,
) -> Checkpoint:
    """Train, select on validation, save to `out`; what resuming needs lies in `out`.partial until then.

    Args:
        text_model: sentence-transformers folder that reads texts for the semantic IDs; TF-IDF without.
        most_sequences: train on a seeded sample of this many sequences, for a quick trial.
        dense_from: a checkpoint of the same catalog whose encoder, item vectors and semantic IDs are taken as they
            are; only the block is trained. So two objectives differ in nothing else. A code reader, which learns apart
            from the dense part, gets semantic IDs that are not made of it.
        resume: go on after the last finished epoch; where the run is finished, its checkpoint is opened.

    Raises:
        MindRecError: the run cannot be made or went wrong before any weights were kept; a run to resume was another.
            Work that this very call began is then removed, except where memory ran out.
    """
    out = check_replaceable(out, FOLDER)
    preset = for_repeats(data, preset)
    check_epochs(preset.train)
    about = {
        "objective": objective,
        "semantic_ids": semantic_ids,
        "text_model": None if text_model is None else str(Path(text_model).expanduser().resolve()),
        "dense_from": None if dense_from is None else weights_digest(dense_from),
        "sequences": most_sequences,
        **run_identity(data, preset),
    }
    state_dir = out.with_name(out.name + ".partial")
    start = begin(state_dir, about, resume=resume, finished=lambda: finished_run(out))
    if start is Start.FINISHED:
        return load_checkpoint(out, device)
    sequences = some_sequences(training_sequences(data.interactions), most_sequences, preset.train.seed)
    try:
        job = _Job(data, preset, sequences, pick_device(device), state_dir, start is Start.GOES_ON, report, progress)
        checkpoint = _trained(job, out.name, objective, semantic_ids, text_model, dense_from, about, command)
        checkpoint.save(out)
    except MindRecError as error:
        if start is Start.AFRESH and not isinstance(error, OutOfMemory):
            shutil.rmtree(state_dir, ignore_errors=True)
        raise
    shutil.rmtree(state_dir, ignore_errors=True)
    return checkpoint


def check_epochs(config) -> None:
    """Raises MindRecError for a schedule without an epoch of the target block."""
    if config.epochs < 1 or getattr(config, "dense_epochs", 0) < 0:
        raise MindRecError(
            f"--epochs {config.epochs} trains no block; a whole number from 1 up is needed (--dense-epochs: from 0 up)"
        )


def run_identity(data: PreparedData, preset) -> dict:
    """What decides the result of every kind of training: data, the recipe with its seed, and how states are written."""
    return {"state": STATE_FORMAT, "data": data.fingerprint, "preset": asdict(preset)}


def finished_run(out: Path) -> dict | None:
    """What the checkpoint at `out` was trained with; None where there is none."""
    path = out / "training.json"
    return read_json(path, "training record").get("run", {}) if path.exists() else None


def _trained(
    job: "_Job",
    name: str,
    objective: str,
    semantic_ids: str,
    text_model: Path | None,
    dense_from: Path | None,
    about: dict,
    command: str,
) -> Checkpoint:
    """Both stages, evidence weighed, and the record of it all."""
    data, preset, started = job.data, job.preset, time.perf_counter()
    config = preset.train
    torch.manual_seed(config.seed)
    records: list[dict] = []
    embed = None if text_model is None else open_text_model(text_model)
    if dense_from is not None:
        model, tokenizer = _from_dense(dense_from, job, objective, semantic_ids, embed)
    else:
        model, tokenizer = _start(job, objective, semantic_ids, embed)
        if config.dense_epochs:
            records += job.dense(model)
            if semantic_ids != "own" and model.reader is None:
                model, tokenizer = _retokenised(job, model, semantic_ids)
    if model.reader is not None:
        records += job.reader(model, embed, len(records))
    decode = replace(preset.decode, order="left_to_right") if objective == "ar" else preset.decode
    records += job.block(model, tokenizer, decode, len(records))
    measured = weigh(model, tokenizer, data, job.sequences, decode, config.seed, progress=job.progress)
    training = {
        "command": command,
        "objective": objective,
        "semantic_ids": semantic_ids,
        "text_model": None if text_model is None else str(text_model),
        "dense_from": None if dense_from is None else dense_from.name,
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
        catalog=data.catalog,
        decode=decode,
        notes=NOTES.get(data.catalog.name, ()),
        training=training,
        card=model_card(name, data, training),
        popularity=tuple(item_counts(data.interactions).tolist()),
    )


@dataclass(frozen=True)
class _Job:
    """What every stage of one run shares."""

    data: PreparedData
    preset: Preset
    sequences: Sequence[np.ndarray]
    place: torch.device
    state_dir: Path
    resume: bool
    report: Callable[[dict], None]
    progress: bool

    def dense(self, model: CompactDenoiser) -> list[dict]:
        """The dense part alone, in place."""
        config = self.preset.train

        def loss(model, rows, generator):
            return dense_loss(model, rows, config.loss, generator)

        return self._stage(model, Stage("dense", config.dense_epochs, loss), dense_validation(self.data, config.seed))

    def reader(self, model: CompactDenoiser, embed: Embed | None, epochs_before: int) -> list[dict]:
        """The code reader alone, in place: its codes begin with the texts of their items."""
        config, table, width = self.preset.train, code_table(model), model.config.hidden_size
        known = text_vectors([item.text for item in self.data.catalog.items], width, config.seed, embed)
        model.set_code_vectors(torch.from_numpy(starting_vectors(known, width, config.seed)))
        asked = cases(self.data.interactions, "validation", VALIDATION_USERS, config.seed)

        def loss(model, rows, generator):
            return reader_loss(model, rows, config.loss, generator)

        def validate(model: CompactDenoiser) -> dict:
            return {"score": token_likelihood(model, table, asked)}

        return self._stage(model, Stage("reader", config.reader_epochs, loss, epochs_before, 0.0), validate)

    def block(self, model: CompactDenoiser, tokenizer: Tokenizer, decode: DecodeConfig, epochs_before: int):
        """The target block, in place; beside it the dense part at its own rate."""
        config, table = self.preset.train, code_table(model)

        def loss(model, rows, generator):
            return block_loss(model, table, rows, config.loss, generator, dense=config.dense_rate > 0)

        if decode.evidence == "on":
            decode = replace(decode, evidence="off")  # evidence is weighed afterwards; until then tokens are judged
        of_decode = make_validation(self.data, tokenizer, decode, config.seed)
        asked = validation_cases(self.data, CALIBRATION_USERS, config.seed)

        def validate(model: CompactDenoiser) -> dict:
            """Epochs differ by less than the NDCG@10 of a thousand users errs; by likelihood they can be told apart."""
            return of_decode(model) | {"score": token_likelihood(model, table, asked)}

        return self._stage(model, Stage("block", config.epochs, loss, epochs_before, config.dense_rate), validate)

    def code_weights(self) -> np.ndarray:
        """How often each item is taken, and one: codes tell those items apart that people ask for."""
        return 1.0 + np.bincount(np.concatenate(self.sequences), minlength=len(self.data.catalog))

    def codes(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Semantic IDs of this run: made once. Another number of threads would not make the same ones again."""
        path = self.state_dir / f"codes-{name}.json"
        if self.resume and path.exists():
            return np.array(read_json(path, "codes of an interrupted training")["codes"], dtype=np.int32)
        codes = make()
        write_json(path, {"codes": codes.tolist()}, indent=None)
        return codes

    def _stage(self, model, stage: Stage, validate) -> list[dict]:
        records = []
        for record in train(
            model,
            self.sequences,
            self.preset.train,
            stage,
            validate,
            ordered=self.data.interactions.ordered,
            state_dir=self.state_dir / stage.name,
            resume=self.resume,
            progress=self.progress,
        ):
            records.append(record)
            self.report(record)
        return records


def _record(job: _Job, model: CompactDenoiser, records: list[dict]) -> dict:
    """What training.json tells of a run beyond how it was asked for."""
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
        "machine": f"{device_name(job.place)}, {torch.get_num_threads()} threads, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "python": sys.version.split()[0],
    }


def _new_model(preset: Preset, tokenizer: Tokenizer, objective: str, place) -> CompactDenoiser:
    config = CompactConfig(tokenizer.level_sizes, tokenizer.n_items, **(dict(preset.model) | {"objective": objective}))
    return CompactDenoiser(config, torch.from_numpy(tokenizer.codes)).to(place)


def _first_tokenizer(job: _Job, semantic_ids: str, embed) -> Tokenizer:
    """Semantic IDs of what is known of items before anything is trained."""
    levels, size = job.preset.start_codes or (job.preset.sid_levels, job.preset.codebook_size)
    seed = job.preset.train.seed
    codes = job.codes("start", lambda: semantic_codes(semantic_ids, job.data, job.sequences, levels, size, seed, embed))
    return build_tokenizer(job.data.catalog, codes, job.preset.level_names)


def _start(job: _Job, objective: str, semantic_ids: str, embed) -> tuple[CompactDenoiser, Tokenizer]:
    """A model whose item vectors begin with what is known of the items: their texts and what they are taken with."""
    config, catalog = job.preset.train, job.data.catalog
    tokenizer = _first_tokenizer(job, semantic_ids, embed)
    model = _new_model(job.preset, tokenizer, objective, job.place)
    width = model.config.hidden_size
    known = item_vectors([item.text for item in catalog.items], job.sequences, config.seed, embed, width)
    model.set_item_vectors(torch.from_numpy(starting_vectors(known, width, config.seed)).to(job.place))
    return model, tokenizer


def starting_vectors(known_ND: np.ndarray, width: int, seed: int) -> np.ndarray:
    """Features of items in the model's space, (N, width): centred, turned by a random rotation, START_NORM long."""
    centred = known_ND - known_ND.mean(0)
    norm = np.sqrt((centred**2).sum(1).mean())
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0][: known_ND.shape[1]]
    return (centred @ turn * (START_NORM / max(norm, 1e-12))).astype(np.float32)


def _retokenised(job: _Job, model: CompactDenoiser, semantic_ids: str) -> tuple[CompactDenoiser, Tokenizer]:
    """Semantic IDs made again from the trained item vectors, and the same dense part with a new block on them."""
    preset, vectors = job.preset, model.item_vectors().detach().cpu().numpy()
    weights = job.code_weights()
    shape = (preset.sid_levels, preset.codebook_size, preset.train.seed)
    codes = job.codes("again", lambda: codes_of_vectors(semantic_ids, vectors, job.data.catalog, *shape, weights))
    tokenizer = build_tokenizer(job.data.catalog, codes, preset.level_names)
    return _on_dense(model, preset, tokenizer, model.config.objective, job.place, weights), tokenizer


def _on_dense(
    model: CompactDenoiser,
    preset: Preset,
    tokenizer: Tokenizer,
    objective: str,
    place,
    weights: np.ndarray,
) -> CompactDenoiser:
    """A fresh block beside the dense part of `model`, on other codes of the same items."""
    torch.manual_seed(preset.train.seed)
    new = _new_model(preset, tokenizer, objective, place)
    new.encoder.load_state_dict(model.encoder.state_dict())
    new.set_item_vectors(model.item_vectors().detach(), torch.from_numpy(weights))
    with torch.no_grad():
        new.item_bias.copy_(model.item_bias)
    return new


def _from_dense(folder: Path, job: _Job, objective: str, semantic_ids: str, embed) -> tuple[CompactDenoiser, Tokenizer]:
    """A fresh block beside the dense part of a checkpoint: on its own codes, or beside a code reader on new ones."""
    source = load_checkpoint(folder, str(job.place))
    if source.catalog.fingerprint != job.data.catalog.fingerprint or source.denoiser.kind != "compact":
        raise MindRecError(
            f"--dense-from {folder} is a {source.denoiser.kind} checkpoint of catalog {source.catalog.fingerprint}; a "
            f"compact one of {job.data.catalog.fingerprint} is needed"
        )
    wanted = CompactConfig(source.tokenizer.level_sizes, source.tokenizer.n_items, **job.preset.model)
    has = source.denoiser.config
    sizes = [name for name in SIZES if getattr(has, name) != getattr(wanted, name)]
    if sizes:
        told = ", ".join(f"{name} {getattr(has, name)} there and {getattr(wanted, name)} here" for name in sizes)
        raise MindRecError(f"--dense-from {folder} is of other sizes than the preset ({told}); take its own preset")
    tokenizer = source.tokenizer
    if job.preset.model.get("token_encoder") == "codes":
        tokenizer = _first_tokenizer(job, semantic_ids, embed)
    return _on_dense(source.denoiser, job.preset, tokenizer, objective, job.place, job.code_weights()), tokenizer


def for_repeats(data: PreparedData, preset: Preset) -> Preset:
    """The preset, made to learn and recommend repeats where more than half of the validation targets are repeats.

    The rule is mindrec.data.splits.MOSTLY. Other data keep the preset as it is, so nothing changes for them.
    """
    asked = cases(data.interactions, "validation", CALIBRATION_USERS, preset.train.seed)
    if repeat_share(asked) <= MOSTLY:
        return preset
    return replace(
        preset, model=dict(preset.model) | {"repeats": True}, decode=replace(preset.decode, exclude_seen=False)
    )
