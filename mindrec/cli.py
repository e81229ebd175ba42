"""`python -m mindrec`: prepare, train, evaluate, recommend. Bad input ends with a clear line and exit status 2."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mindrec.errors import MindRecError

app = typer.Typer(help="Recommend by masked diffusion, coarse to fine.", no_args_is_help=True, add_completion=False)

Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")]
Data = Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
JsonOut = Annotated[Path | None, typer.Option("--json", help="Write the result here as JSON.")]


@app.command()
def prepare(
    source: Annotated[str, typer.Argument(help="grocery, jsonl or synthetic.")],
    out: Annotated[Path, typer.Option(help="Folder to write; replaced whole.")],
    path: Annotated[Path | None, typer.Option(help="Where the source's files are, for jsonl.")] = None,
    items: Annotated[int, typer.Option(help="synthetic: catalog size.")] = 60,
    users: Annotated[int, typer.Option(help="synthetic: sequences.")] = 400,
    predictability: Annotated[float, typer.Option(help="synthetic: 1 is fully predictable, 0 is noise.")] = 1.0,
    seed: int = 0,
) -> None:
    """Write a source in the prepared form: items, sequences, README."""
    from mindrec.catalog import save_prepared
    from mindrec.sources import source as find

    load = find(source)
    if source == "jsonl":
        if path is None:
            raise MindRecError("prepare jsonl needs --path, a folder with items.jsonl.gz and sequences.jsonl.gz")
        data = load(path)
    elif source == "synthetic":
        data = load(n_items=items, n_users=users, predictability=predictability, seed=seed)
    else:
        data = load()
    save_prepared(data, out)
    typer.echo(f"{len(data.catalog):,} items and {len(data.interactions):,} sequences in {out}")


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    preset: Annotated[str, typer.Option(help="Recipe; see the README.")] = "small",
    objective: Annotated[str, typer.Option(help="diffusion, or ar: the auto-regressive twin.")] = "diffusion",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
    seed: Annotated[int | None, typer.Option(help="Overrides the preset's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Overrides the preset's.")] = None,
    mask_floor: Annotated[float | None, typer.Option(help="Overrides the preset's masking floor.")] = None,
    evidence_share: Annotated[float | None, typer.Option(help="Targets that see item evidence; 0 trains none.")] = None,
    own_ids: Annotated[bool, typer.Option("--own-ids", help="Use the data's semantic_ids.json.")] = False,
    device: Device = "auto",
) -> None:
    """Train a denoiser and save the epoch with the best validation NDCG@10."""
    from mindrec.training.presets import preset as find
    from mindrec.training.run import train_checkpoint

    recipe = find(preset)
    schedule, loss = recipe.train, recipe.train.loss
    if mask_floor is not None:
        loss = replace(loss, mask_floor=mask_floor)
    if evidence_share is not None:
        loss = replace(loss, evidence_share=evidence_share)
        if evidence_share == 0:
            recipe = replace(recipe, decode=replace(recipe.decode, evidence="off"))
    schedule = replace(
        schedule,
        loss=loss,
        seed=schedule.seed if seed is None else seed,
        epochs=schedule.epochs if epochs is None else epochs,
    )

    def report(record: dict) -> None:
        typer.echo(json.dumps(record), err=True)

    train_checkpoint(
        load_data(data),
        replace(recipe, train=schedule),
        out,
        objective=objective,
        device=device,
        own_ids=own_ids,
        resume=resume,
        command="python -m mindrec " + shlex.join(sys.argv[1:]),
        report=report,
        progress=sys.stderr.isatty(),
    )
    typer.echo(f"saved {out}")


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: Data = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    users: Annotated[
        int | None, typer.Option(help="A seeded sample of cases; default 5,000 on grocery, else all.")
    ] = None,
    decoder: Annotated[list[str] | None, typer.Option(help="A decode setting, name=value; repeatable.")] = None,
    baseline: Annotated[str, typer.Option(help="Comma-separated: popularity, covisit, dense.")] = "",
    sweep: Annotated[Path | None, typer.Option(help="JSON list of decode settings; one result row each.")] = None,
    seed: int = 0,
    batch: int = 64,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Measure a checkpoint: strict item level, the whole catalog ranked, seen items excluded."""
    from mindrec.evaluation.report import evaluate_checkpoint

    result = evaluate_checkpoint(
        checkpoint,
        load_data(data, checkpoint),
        split=split,
        users=users,
        settings=_settings(decoder or []),
        baselines=[b for b in baseline.split(",") if b],
        sweep=json.loads(sweep.read_text()) if sweep else None,
        seed=seed,
        batch=batch,
        device=device,
    )
    _emit(result, json_out)


@app.command()
def recommend(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("checkpoints/grocery"),
    item: Annotated[
        list[str] | None, typer.Option(help="An item's id or exact title, oldest first; repeatable.")
    ] = None,
    decoder: Annotated[list[str] | None, typer.Option(help="A decode setting, name=value; repeatable.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write the complete trace here as JSON.")] = None,
    device: Device = "auto",
) -> None:
    """Recommend the next item of a history and print the ranked items with their category paths."""
    from rich.console import Console
    from rich.table import Table

    from mindrec.decoding.config import DecodeConfig
    from mindrec.files import write_text
    from mindrec.recommender import Recommender

    recommender = Recommender.from_pretrained(checkpoint, device)
    ids = [resolve(recommender, words) for words in item or []]
    config = DecodeConfig.from_dict(recommender.default_config.to_dict() | _settings(decoder or []))
    answer = recommender.recommend(ids, config)
    table = Table("#", "item", "path", "search mass")
    for found in answer.items:
        table.add_row(
            str(found.rank + 1), found.item.title, " > ".join(found.item.categories), f"{found.probability:.4f}"
        )
    Console().print(table)
    if trace:
        write_text(trace, answer.trace.to_json())
        typer.echo(f"trace in {trace}")


def resolve(recommender, words: str) -> str:
    """An item id from an id or an exact title. An ambiguous or unknown one is an error that lists what fits."""
    catalog = recommender.catalog
    if words in catalog.row_of:
        return words
    same = [i.item_id for i in catalog.items if i.title.casefold() == words.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        raise MindRecError(f"{words!r} is the title of {len(same)} items; give one id: {', '.join(same)}")
    near = [catalog.items[row] for row in recommender.search(words, 5)]
    hint = "; nearest: " + ", ".join(f"{i.item_id} ({i.title})" for i in near) if near else ""
    raise MindRecError(f"unknown item {words!r}: neither an id nor a title of {catalog.name!r}{hint}")


def load_data(folder: Path | None, checkpoint: Path | None = None):
    """Prepared data from a folder, or the default data by name, made on first use."""
    from mindrec.catalog import load_prepared
    from mindrec.sources import prepared

    if folder is None and checkpoint is not None:
        name = (
            json.loads((checkpoint / "catalog.json").read_text())["name"]
            if (checkpoint / "catalog.json").exists()
            else ""
        )
        if name != "grocery":
            raise MindRecError(f"{checkpoint}: give --data, the prepared folder it was trained on")
        folder = Path("grocery")
    if folder is not None and str(folder) == "grocery" and not folder.exists():
        typer.echo("preparing grocery (once, about 20 s) …", err=True)
        folder = prepared("grocery")
    return load_prepared(folder)


def _settings(pairs: list[str]) -> dict:
    out = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found:
            raise MindRecError(f"--decoder {pair!r} is not name=value, e.g. beam_size=20")
        try:
            out[name] = json.loads(value)
        except json.JSONDecodeError:
            out[name] = value
    return out


def _emit(result: dict, path: Path | None) -> None:
    from mindrec.files import write_json

    text = json.dumps(result, indent=1)
    typer.echo(text)
    if path:
        write_json(path, result)


def main() -> None:
    """Run the command line; a MindRecError is one line on stderr and exit status 2."""
    try:
        app(standalone_mode=True)
    except MindRecError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
