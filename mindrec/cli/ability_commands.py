"""The commands for what only a masked model answers: slate, evaluate-slates."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import Decoder, JsonOut, emit, load_data, settings_of
from mindrec.system.files import check_json

Shipped = Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", help="An item's id, its title, or words that find it; oldest first, repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Width = Annotated[int, typer.Option(min=1, help="Slates kept after each slot; 1 takes the first answer each time.")]
SHIPPED = Path("checkpoints/grocery")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("slate")(slate)
    app.command("evaluate-slates")(evaluate_slates)


def slate(
    checkpoint: Shipped = SHIPPED,
    item: Items = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many items go together.")] = 5,
    max_per_category: Annotated[int | None, typer.Option(min=1, help="Items of one finest category, at most.")] = None,
    width: Width = 4,
    decoder: Decoder = None,
    trace: Annotated[
        Path | None, typer.Option(callback=check_json, help="Write the trace of each slot here, a JSON list.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Choose several items that go together after a history, later ones knowing earlier ones."""
    from rich.console import Console
    from rich.table import Table

    from mindrec.system.files import write_text

    recommender, ids = _opened(checkpoint, item, device)
    found = recommender.slate(
        ids, n, settings_of(decoder or []), max_per_category=max_per_category, width=width, trace=trace is not None
    )
    table = Table("slot", "item", "path", "search mass")
    for chosen in found.items:
        path = " > ".join(chosen.item.categories)
        table.add_row(str(chosen.rank), chosen.item.title, path, f"{chosen.probability:.4f}")
    Console().print(table)
    if trace:
        write_text(trace, json.dumps([one.to_dict() for one in found.traces]))
        typer.echo(f"traces in {trace}")


def evaluate_slates(
    checkpoint: Shipped = SHIPPED,
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Items hidden at the end of each history, and chosen.")] = 5,
    users: Annotated[int | None, typer.Option(min=1, help="A seeded sample of test histories.")] = None,
    guidance: Annotated[float, typer.Option(min=0, max=2, help="Of the guided rows.")] = 0.5,
    width: Width = 4,
    decoder: Decoder = None,
    seed: int = 0,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Hide the last items of each test history: which share of them comes back in a slate, and in separate answers."""
    from mindrec.evaluation.slate_recall import evaluate_slates as evaluate

    found = evaluate(
        checkpoint,
        load_data(data, checkpoint),
        n=n,
        users=users,
        settings=settings_of(decoder or []),
        guidance=guidance,
        width=width,
        seed=seed,
        device=device,
    )
    emit(found, json_out)


def _opened(checkpoint: Path, items: list[str] | None, device: str):
    """The recommender of a checkpoint, and the ids of items given by id, title or words."""
    from mindrec.cli.main import resolve
    from mindrec.recommender import Recommender

    recommender = Recommender.from_pretrained(checkpoint, device)
    return recommender, [resolve(recommender, words, lambda line: typer.echo(line, err=True)) for words in items or []]
