"""The command that fits a trained checkpoint's item evidence and weights again: refit."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import load_data


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("refit")(refit)


def refit(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder to start from.")],
    out: Annotated[Path, typer.Option("--out", help="Checkpoint folder to write; it may be the same one.")],
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder that it was trained on.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Count pairs of items and weigh every part again, without training anything neural.

    For a checkpoint made before a kind of item evidence existed, or before there were more validation cases.
    """
    from mindrec.training.refit import refit_checkpoint

    prepared = load_data(data, checkpoint)
    command = "python -m mindrec " + shlex.join(sys.argv[1:])
    made = refit_checkpoint(checkpoint, prepared, out, device=device, command=command, progress=True)
    typer.echo(f"saved {out}; validation NDCG@10 {made.training['validation']['ndcg@10']:.4f}")
