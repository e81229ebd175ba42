"""The commands for answers that popularity does not decide: count-popularity."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import load_data


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("count-popularity")(count_popularity)


def count_popularity(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder; its catalog.json is written.")],
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder that it was trained on.")] = None,
) -> None:
    """Keep in a checkpoint how often training took each item: for an empty history, and for guidance.

    Training does it by itself; a checkpoint made before it did needs it once.
    """
    from mindrec.checkpoint import add_popularity

    counted = add_popularity(checkpoint, load_data(data, checkpoint))
    never = counted.popularity.count(0)
    typer.echo(f"counted {len(counted.popularity):,} items in {checkpoint}; {never:,} of them were never taken")
