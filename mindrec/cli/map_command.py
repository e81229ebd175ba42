"""The command that draws the map of a checkpoint's items: draw-map."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("draw-map")(draw_map)


def draw_map(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder; its map.json is written.")],
) -> None:
    """Draw every item of a checkpoint as a point on one plane, alike ones near to each other, and keep the map in it.

    Training does it by itself; a checkpoint made before it did needs it once.
    """
    from mindrec.checkpoint import add_map

    drawn = add_map(checkpoint)
    typer.echo(f"drew {len(drawn.item_map):,} items into {checkpoint}")
