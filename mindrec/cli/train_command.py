"""The command that trains a checkpoint: train."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.data_commands import TextModel
from mindrec.cli.shared import Epochs, OwnSeed, load_data

LEARNS_REPEATS = (
    "note: most validation targets are in their own history: people come back to the same items here; the model learns "
    "repeats, and the checkpoint's default is exclude_seen=false"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("train")(train)


def train(
    data: Annotated[Path, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    preset: Annotated[
        str | None, typer.Option(help="Recipe by name; without one, sizes are chosen from the data and printed.")
    ] = None,
    objective: Annotated[str, typer.Option(help="diffusion, or ar: the auto-regressive twin.")] = "diffusion",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    seed: OwnSeed = None,
    epochs: Annotated[int | None, typer.Option(help="Of the target block; overrides the preset's.")] = None,
    dense_epochs: Annotated[int | None, typer.Option(help="Of the dense part before it; overrides.")] = None,
    dense_from: Annotated[
        Path | None, typer.Option(help="Take encoder, item vectors and semantic IDs of this checkpoint; train a block.")
    ] = None,
    mask_floor: Annotated[
        float | None, typer.Option(min=0, max=1, help="Overrides the preset's masking floor.")
    ] = None,
    path_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of states that know the coarsest levels and teach the next; overrides."),
    ] = None,
    views: Annotated[
        int | None, typer.Option(min=1, help="Masked states of a target in a step; overrides. The twin has one.")
    ] = None,
    legal: Annotated[
        bool | None, typer.Option("--legal/--any-code", help="Normalise over legal codes, or over all; overrides.")
    ] = None,
    distil: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the token loss taken against the dense head; overrides."),
    ] = None,
    item_dropout: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Item embeddings dropped a step, so that tokens alone carry cold items."),
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(min=1, help="Train on a seeded sample of sequences: a quick trial.")
    ] = None,
    text_model: TextModel = None,
    semantic_ids: Annotated[
        str, typer.Option(help="residual (k-means), product (parallel codes) or own (the data's semantic_ids.json).")
    ] = "residual",
    sid_levels: Annotated[int | None, typer.Option(min=1, help="Semantic-ID levels; overrides the preset's.")] = None,
    codebook_size: Annotated[int | None, typer.Option(min=2, help="Codes a level; overrides the preset's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    align: Annotated[
        str | None, typer.Option(help="rank or dpo: align the tokens of --from by its own beams; a short phase.")
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The checkpoint that --align starts from.")] = None,
    reward: Annotated[str, typer.Option(help="Of --align: hit, or tail, hits on items that are seldom taken.")] = "hit",
    rounds: Annotated[int, typer.Option(min=1, help="Of --align: how often its beams are mined anew.")] = 3,
) -> None:
    """Train a denoiser and save the epoch that is best on validation: of the block, the likeliest."""
    if align is not None or source is not None:
        return _align(data, out, align, source, reward, rounds, seed, device)
    from mindrec.training.run import for_repeats, train_checkpoint
    from mindrec.training.running import Running
    from mindrec.training.stages import Recipe

    def given(**values) -> dict:
        return {name: value for name, value in values.items() if value is not None}

    prepared_data = load_data(data)
    recipe = _recipe(preset, prepared_data, device)
    masking = given(mask_floor=mask_floor, path_share=path_share, views=views, legal=legal)
    loss = replace(recipe.train.loss, **masking, **given(distil=distil, item_dropout=item_dropout))
    schedule = replace(recipe.train, loss=loss, **given(seed=seed, epochs=epochs, dense_epochs=dense_epochs))
    recipe = replace(recipe, train=schedule, **given(sid_levels=sid_levels, codebook_size=codebook_size))

    if for_repeats(prepared_data, recipe) is not recipe:
        typer.echo(LEARNS_REPEATS, err=True)
    epochs = Epochs()
    made = train_checkpoint(
        prepared_data,
        recipe,
        out,
        Recipe(objective, semantic_ids, text_model, dense_from, sequences),
        Running(device, resume, "python -m mindrec " + shlex.join(sys.argv[1:]), epochs.add),
    )
    typer.echo(epochs.end(out, made))
    typer.echo(_verdict(made, prepared_data))


def _align(data, out, align, source, reward, rounds, seed, device) -> None:
    """Align a trained checkpoint and print each round, and both ends."""
    from mindrec.errors import MindRecError
    from mindrec.training.align import AlignConfig, align_checkpoint
    from mindrec.training.running import Running

    if align is None or source is None:
        raise MindRecError(
            "--align and --from go together: name the loss, rank or dpo, and the checkpoint to start from"
        )
    config = AlignConfig(align, reward, rounds, seed=seed or 0)
    made = align_checkpoint(
        source,
        load_data(data, source),
        out,
        config,
        Running(
            device,
            command="python -m mindrec " + shlex.join(sys.argv[1:]),
            report=lambda record: typer.echo(json.dumps(record)),
        ),
    )
    about = made.training["aligned"]
    first, kept = about["rounds"][0], about["kept"]
    moved = ", ".join(f"{name} {first[name]:.4f} to {kept[name]:.4f}" for name in ("hit@10", "tail_hit@10", "ndcg@10"))
    typer.echo(f"saved {out}: round {kept['round']}, tokens alone on validation: {moved}")


def _recipe(name: str | None, prepared_data, device: str):
    """The preset of a name, or one that fits the data; the choice and the time that it takes are printed."""
    from mindrec.system.devices import pick_device
    from mindrec.training.auto_preset import choose_preset, estimate_seconds
    from mindrec.training.presets import preset

    if name is not None:
        return preset(name)
    chosen = choose_preset(prepared_data)
    for reason in chosen.reasons:
        typer.echo(reason, err=True)
    seconds = estimate_seconds(prepared_data, chosen.preset, pick_device(device))
    took = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    typer.echo(f"training takes about {took} here, besides validation and semantic IDs", err=True)
    return chosen.preset


def _verdict(checkpoint, prepared_data) -> str:
    """Whether the saved model is ahead of counting, on the validation cases of its own record."""
    from mindrec.training.verdict import verdict
    from mindrec.training.weigh import VALIDATION_USERS, validation_cases

    held_out = validation_cases(prepared_data, VALIDATION_USERS, checkpoint.training["seed"])
    ndcg = checkpoint.training["validation"]["ndcg@10"]
    return verdict(prepared_data.interactions, held_out, ndcg, exclude_seen=checkpoint.decode.exclude_seen)[0]
