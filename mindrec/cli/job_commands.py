"""The command for many users at once: recommend-many; and what it shares with diagnose."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import Decoder, JsonOut, settings_of

Workers = Annotated[
    int, typer.Option(help='Processes of a Ray cluster; 0: this one alone. Needs `pip install "ray[data]"`.')
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("recommend-many")(recommend_many)


def recommend_many(
    histories: Annotated[Path, typer.Option(help="Parquet, CSV or JSON lines: user_id, item_ids (oldest first).")],
    out: Annotated[Path, typer.Option(help="Parquet to write: a row for each user and rank.")],
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("checkpoints/grocery"),
    top: Annotated[int, typer.Option(help="Items for each user.")] = 10,
    decoder: Decoder = None,
    workers: Workers = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished chunk.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_out: JsonOut = None,
) -> None:
    """Recommend for every history of a file."""
    from mindrec.cli.printed import show
    from mindrec.jobs.recommend_job import recommend_many as run

    started = time.perf_counter()
    counts = run(
        checkpoint,
        histories,
        out,
        settings=settings_of(decoder or []),
        top=top,
        workers=workers,
        resume=resume,
        device=device,
        say=partial(typer.echo, err=True),
    )
    seconds = round(time.perf_counter() - started, 1)
    line = f"{counts['rows']:,} rows for {counts['users']:,} users in {out}, after {seconds:,} s"
    show(counts | {"seconds": seconds}, json_out, None, [line])
