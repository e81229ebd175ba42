"""The command that writes a diagnosis as one page: report."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import load_data
from mindrec.evaluation.protocol import Protocol


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("report")(report)


def report(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")],
    out: Annotated[Path, typer.Option("--out", help="Page to write, HTML; replaced whole.")],
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")] = None,
    users: Annotated[int | None, typer.Option(help="A seeded sample of cases; default as diagnose.")] = None,
    rescue: Annotated[bool, typer.Option("--rescue", help="Look for what would have saved each miss, too.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Write a checkpoint's diagnosis as one page with tables, figures and ten cases; it needs no network."""
    from mindrec.diagnosis.case_report import write_report

    command = "python -m mindrec " + shlex.join(sys.argv[1:])
    prepared = load_data(data, checkpoint)
    made = write_report(checkpoint, prepared, out, Protocol(users=users, device=device), rescue=rescue, command=command)
    typer.echo(f"wrote {out}: {len(made.cases):,} cases")
