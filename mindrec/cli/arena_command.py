"""The command that compares related methods on one's own data: arena."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import JsonOut, emit, load_data


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("arena")(arena)


def arena(
    data: Annotated[Path, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")],
    methods: Annotated[
        str | None,
        typer.Option(help="Names with commas between them (`--methods ?` lists them); default: all."),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Wall-clock minutes of each training, at most.")] = 10.0,
    epochs: Annotated[int, typer.Option(help="Epochs of each training, at most.")] = 100,
    seeds: Annotated[int, typer.Option(help="Trainings of each method; the table gives the mean.")] = 1,
    users: Annotated[int | None, typer.Option(help="A seeded sample of test cases; default: 5,000 at most.")] = 5000,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen/--any-item", help="Rule out items of the history, or not.")
    ] = True,
    base: Annotated[
        Path | None, typer.Option(help="An imported text backbone: method 'backbone' joins, adapters on it.")
    ] = None,
    base_minutes: Annotated[
        float | None, typer.Option(help="Minutes of that method's training; default: those of the others.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of finished rows; the same one goes on.")] = Path("arena"),
    json_out: JsonOut = None,
) -> None:
    """Train related methods within one budget, measure them on the same test cases, and print one table."""
    from mindrec.arena.contest import FOLDER, PICTURE, Plan, hold_contest
    from mindrec.arena.method import Budget
    from mindrec.arena.methods import METHODS, NEEDS_BASE
    from mindrec.arena.picture import accuracy_against_time
    from mindrec.system.files import check_replaceable, write_text

    known = [name for name in METHODS if base is not None or name != NEEDS_BASE]
    names = tuple(known) if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    plan = Plan(names, Budget(minutes, epochs), seeds, users, exclude_seen, base, base_minutes)
    out = check_replaceable(out, FOLDER)
    result = hold_contest(load_data(data), plan, out, lambda line: typer.echo(line, err=True))
    picture = out / PICTURE
    write_text(picture, accuracy_against_time(result))
    _print_table(result)
    typer.echo(f"picture in {picture}", err=True)
    if json_out:
        emit(result, json_out)


def _print_table(result: dict) -> None:
    """One row a method, the best NDCG@10 first."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['dataset']}: {result['users']:,} test cases, {result['seeds']} seed(s)")
    for column in ("method", "Hit@1", "Hit@10", "Hit@50", "NDCG@10", "to MindRec", "coverage@10", "tail Hit@10"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for column in ("train s", "ms a user", "parameters", "calls"):
        table.add_column(column, justify="right")
    for row in result["rows"]:
        measures, ratio = row["metrics"], row["against"]
        accuracy = [f"{measures[key]:.4f}" for key in ("hit@1", "hit@10", "hit@50", "ndcg@10")]
        against = "" if ratio is None else f"{ratio['ratio']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"
        tail = "" if measures["tail_hit@10"] is None else f"{measures['tail_hit@10']:.4f}"
        size = [f"{row['seconds']:.0f}", f"{row['ms_a_user']:.2f}", f"{row['parameters']:,}", f"{row['calls']:.1f}"]
        table.add_row(row["title"], *accuracy, against, f"{measures['coverage@10']:.3f}", tail, *size)
    Console(width=None).print(table)
