"""From prepared data to a saved LLaDA checkpoint: text tokenizer, prompts, backbone, training, model card."""

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from mindrec.checkpoint import FOLDER, Checkpoint, load_checkpoint, with_map
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import cases, item_counts, training_sequences
from mindrec.decoding.item_index import ItemIndex
from mindrec.errors import MindRecError
from mindrec.evaluation.evaluate import measure, rank
from mindrec.system import distributed as processes
from mindrec.system.files import check_replaceable
from mindrec.system.memory import peak_memory_mb
from mindrec.system.unfinished import Start, begin
from mindrec.text_backbone.backbone import about_base
from mindrec.text_backbone.llada import LladaConfig, LladaDenoiser
from mindrec.text_backbone.prompts import Prompts, load_text_tokenizer, make_text_tokenizer
from mindrec.text_backbone.tuning import samples, train_llada
from mindrec.text_backbone.tuning_presets import LladaPreset, LladaTrainConfig
from mindrec.tokens.tokenizer import Tokenizer
from mindrec.training.model_card import model_card
from mindrec.training.run import NOTES, check_epochs, finished_run, run_identity
from mindrec.training.running import USUAL, Running
from mindrec.training.starting import make_tokenizer
from mindrec.training.weigh import VALIDATION_USERS


@dataclass(frozen=True)
class Base:
    """The language model that a denoiser begins from.

    Attributes:
        folder: as import-llada or import-masked-lm made it; None: a new model of the preset's shape.
        attention: "prefix", where the prompt never sees the answer, or "bidirectional".
        quantize: bits of its weights, 4 or 8; None: as they are.
        whole: whether its layers themselves are trained, instead of LoRA beside them.
    """

    folder: Path | None = None
    attention: str = "prefix"
    quantize: int | None = None
    whole: bool = False


NO_BASE = Base()
"""A new model of the preset's shape."""


def make_denoiser(data: PreparedData, preset: LladaPreset, tokenizer: Tokenizer, base: Base) -> LladaDenoiser:
    """A denoiser before training.

    Raises:
        MindRecError: the base cannot read with its `attention`, or there is none and the preset has no shape.
    """
    titles = [item.title for item in data.catalog.items]
    common = {
        "attention": base.attention,
        "titles": preset.titles,
        "max_history": preset.max_history,
        "dtype": preset.dtype,
        "quantize": base.quantize,
    }
    sizes = (tokenizer.level_sizes, tokenizer.n_items)
    if base.folder is not None:
        about = about_base(base.folder)
        shared = about.get("shared", True)
        if base.attention == "prefix" and not shared:
            raise MindRecError(
                f"base {base.folder} ({about['architecture']}) reads prompt and answer together only; "
                "give --attention bidirectional"
            )
        text = load_text_tokenizer(base.folder)
        config = LladaConfig(
            *sizes,
            about["mask_token_id"],
            start_token_id=about.get("start_token_id"),
            cache=shared,
            base=str(Path(base.folder).resolve()),
            base_fingerprint=about["fingerprint"],
            lora=None if base.whole else preset.lora,
            **common,
        )
    elif preset.shape is None:
        raise MindRecError("this preset needs --base, a folder that import-llada or import-masked-lm made")
    else:
        labels = [label for level in tokenizer.levels for label in level.labels]
        text = make_text_tokenizer([*titles, *labels], preset.shape["vocab_size"])
        config = LladaConfig(*sizes, text.mask_token_id, shape=preset.shape, **common)
    shown = titles if preset.titles else None
    denoiser = LladaDenoiser(config, tokenizer, Prompts(text, tokenizer, shown, config.start_token_id))
    denoiser.start_tokens(tokenizer)
    return denoiser


def train_llada_checkpoint(
    data: PreparedData,
    preset: LladaPreset,
    out: Path,
    base: Base = NO_BASE,
    semantic_ids: str = "residual",
    running: Running = USUAL,
) -> Checkpoint:
    """Train, select on validation, save to `out`; what resuming needs lies in `out`.partial until then.

    Under torchrun or `accelerate launch` every process calls this, and the first one writes.
    """
    config, out = preset.train, check_replaceable(out, FOLDER)
    check_epochs(config)
    torch.manual_seed(config.seed)
    processes.start()
    about = {"base": None if base.folder is None else about_base(base.folder)["fingerprint"]}
    about |= {"attention": base.attention, "quantize": base.quantize, "whole": base.whole}
    about |= {"semantic_ids": semantic_ids, **run_identity(data, preset)}
    state_dir = out.with_name(out.name + ".partial")
    start = (
        None if processes.rank() else begin(state_dir, about, resume=running.resume, finished=lambda: finished_run(out))
    )
    start = processes.gather(start)[0]
    if start is Start.FINISHED:
        return load_checkpoint(out, running.device)
    accelerator = Accelerator(
        cpu=running.device == "cpu", mixed_precision="bf16" if preset.dtype == "bfloat16" else "no"
    )
    tokenizer = make_tokenizer(data, preset, config.seed, semantic_ids=semantic_ids)
    model = make_denoiser(data, preset, tokenizer, base)
    validate = _validation(data, preset, tokenizer, accelerator.device)
    records, first, codes_NL = [], accelerator.is_main_process, torch.from_numpy(tokenizer.codes).long()
    pairs = samples(training_sequences(data.interactions), preset.max_history)
    state = {"state_dir": state_dir / "block", "resume": start is Start.GOES_ON, "progress": running.progress and first}
    for record in train_llada(model, codes_NL, pairs, config, validate, accelerator, **state):
        records.append(record)
        if first:
            running.report(record)
    training = {"command": running.command, **_record(model, config, records, accelerator), **_source(data, about)}
    checkpoint = _checkpoint(out.name, model, tokenizer, data, preset, training)
    if first:
        with_map(checkpoint).save(out)
        shutil.rmtree(state_dir, ignore_errors=True)
    accelerator.wait_for_everyone()
    return checkpoint


def _validation(data: PreparedData, preset: LladaPreset, tokenizer: Tokenizer, device) -> Callable:
    """A function from a model to its validation measures, the score to maximise among them."""
    held_out = cases(data.interactions, "validation", VALIDATION_USERS, preset.train.seed)
    index = ItemIndex(torch.from_numpy(tokenizer.tokens).to(device), tokenizer.layout)

    def validate(model: LladaDenoiser) -> dict:
        measures = measure(rank(model, index, held_out, preset.decode), held_out, tokenizer.codes, tokenizer.n_items)
        return {"score": measures["ndcg@10"], **{k: measures[k] for k in ("hit@1", "hit@10", "ndcg@10")}}

    return validate


def _checkpoint(name: str, model, tokenizer: Tokenizer, data: PreparedData, preset: LladaPreset, training: dict):
    """The trained model with all that its folder holds."""
    return Checkpoint(
        name=name,
        denoiser=model,
        tokenizer=tokenizer,
        catalog=data.catalog,
        decode=preset.decode,
        notes=NOTES.get(data.catalog.name, ()),
        training=training,
        card=model_card(name, data, training),
        popularity=tuple(item_counts(data.interactions).tolist()),
    )


def _source(data: PreparedData, about: dict) -> dict:
    """The data and the choices of a run, and the memory it held, as training.json holds them."""
    return {
        "data": {"name": data.catalog.name, "catalog_fingerprint": data.catalog.fingerprint},
        "semantic_ids": about["semantic_ids"],
        "peak_memory_mb": peak_memory_mb(),
        "run": about,
    }


def _record(model: LladaDenoiser, config: LladaTrainConfig, records: list[dict], accelerator: Accelerator) -> dict:
    """The run's sizes, curve and machine, as training.json holds them."""
    best = max(records, key=lambda r: r["validation"]["score"])
    return {
        "objective": "diffusion",
        "seed": config.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "config": config.to_dict(),
        "processes": accelerator.num_processes,
        "curve": records,
        "best_epoch": best["epoch"],
        "validation": best["validation"],
        "seconds": round(sum(r["seconds"] for r in records), 1),
        "machine": f"{accelerator.device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
        "torch": torch.__version__.split("+")[0],
        "python": sys.version.split()[0],
    }
