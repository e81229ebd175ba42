"""The command that changes histories a little and measures how far the answers move: behaviour."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.printed import show_ability
from mindrec.cli.shared import Batch, Decoder, JsonOut, Seed, load_data, settings_of
from mindrec.evaluation.protocol import Protocol


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("behaviour")(behaviour)


def behaviour(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")],
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")] = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    users: Annotated[int, typer.Option(min=1, help="A seeded sample of cases.")] = 1000,
    decoder: Decoder = None,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_out: JsonOut = None,
) -> None:
    """Drop, swap, repeat or reverse items of histories: how far do the answers move? Six decodes a case."""
    from mindrec.diagnosis.behaviour import measure_behaviour
    from mindrec.evaluation.ability_table import behaviour_table

    protocol = Protocol(split, users, settings_of(decoder or []), seed, batch, device)
    result = measure_behaviour(checkpoint, load_data(data, checkpoint), protocol)
    show_ability(result, json_out, behaviour_table(result))
