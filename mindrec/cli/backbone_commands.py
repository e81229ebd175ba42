"""The commands of the text backbones: import-llada, import-masked-lm, train-llada."""

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import Epochs, OwnSeed, load_data


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("import-llada")(import_llada)
    app.command("import-masked-lm")(import_masked_lm)
    app.command("train-llada")(train_llada)


def import_llada(
    source: Annotated[str, typer.Argument(help="A folder, or a Hugging Face repository: GSAI-ML/LLaDA-8B-Instruct.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an import in it is replaced whole.")],
) -> None:
    """Rename published LLaDA weights to transformers' Llama, shard by shard. No remote code is run."""
    from mindrec.text_backbone.import_llada import import_llada as run

    about = run(source, out, progress=True)
    typer.echo(f"{about['tensors']} tensors in {out}, fingerprint {about['fingerprint']}")


def import_masked_lm(
    source: Annotated[str, typer.Argument(help="A folder, or a Hugging Face repository: ModernBERT, EuroBERT, BERT.")],
    out: Annotated[Path, typer.Option(help="Folder to write; an import in it is replaced whole.")],
) -> None:
    """Make a base of any masked language model that transformers loads. No remote code is run, no pickle read."""
    from mindrec.text_backbone.import_masked_lm import import_masked_lm as run

    about = run(source, out)
    how = (
        "prompts are read once"
        if about["shared"]
        else "train it with --attention bidirectional, which reads every beam whole"
    )
    typer.echo(f"{about['architecture']} in {out}, fingerprint {about['fingerprint']}: {how}")


def train_llada(
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    preset: Annotated[str, typer.Option(help="tiny, small, base or llada-8b.")] = "small",
    base: Annotated[Path | None, typer.Option(help="Folder of an import: LoRA on it. Without: a new model.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Train the base's own layers instead of LoRA.")] = False,
    attention: Annotated[str, typer.Option(help="prefix: exact cache; bidirectional: as published.")] = "prefix",
    titles: Annotated[bool, typer.Option("--titles", help="Show titles beside tokens in the prompt.")] = False,
    quantize: Annotated[int | None, typer.Option(help="8 or 4 bits for the base; needs bitsandbytes.")] = None,
    checkpointing: Annotated[bool | None, typer.Option(help="Compute activations twice to save memory.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Overrides the preset's.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples a step over all processes; overrides the preset's.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-12, help="Overrides the preset's.")] = None,
    mask_floor: Annotated[float | None, typer.Option(min=0, max=1, help="Overrides the preset's.")] = None,
    seed: OwnSeed = None,
    semantic_ids: Annotated[str, typer.Option(help="residual, product or own.")] = "residual",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    device: Annotated[str, typer.Option(help="auto or cpu; accelerate picks the rest.")] = "auto",
) -> None:
    """Train a LLaDA denoiser. Several processes: torchrun --nproc-per-node N -m mindrec train-llada …"""
    from mindrec.text_backbone.tuning_presets import llada_preset
    from mindrec.text_backbone.tuning_run import Base, train_llada_checkpoint
    from mindrec.training.running import Running

    recipe = llada_preset(preset)
    given = {
        "checkpointing": checkpointing,
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "mask_floor": mask_floor,
        "seed": seed,
    }
    schedule = replace(recipe.train, **{name: value for name, value in given.items() if value is not None})
    epochs = Epochs()
    made = train_llada_checkpoint(
        load_data(data),
        replace(recipe, train=schedule, titles=titles),
        out,
        Base(base, attention, quantize, whole),
        semantic_ids,
        Running(device, resume, "python -m mindrec " + shlex.join(sys.argv[1:]), epochs.add),
    )
    if not int(os.environ.get("RANK", "0")):  # under torchrun the first process speaks for all
        typer.echo(epochs.end(out, made))
