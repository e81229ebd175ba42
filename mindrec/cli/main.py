"""`python -m mindrec`: prepare, train, evaluate, diagnose, recommend.

Bad input ends with a clear line and exit status 2.
"""

import json
import math
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli import (
    ability_commands,
    arena_command,
    backbone_commands,
    behaviour_command,
    bench_commands,
    compare_cases_command,
    data_commands,
    guidance_commands,
    job_commands,
    map_command,
    refit_command,
    report_command,
    train_command,
)
from mindrec.cli.printed import show_cold, show_comparison, show_diagnosis, show_evaluation, show_recommendation
from mindrec.cli.shared import Batch, Decoder, JsonOut, Seed, load_data, open_with_items, settings_of
from mindrec.errors import MindRecError
from mindrec.evaluation.protocol import Protocol
from mindrec.system.files import check_graphml, check_json

app = typer.Typer(help="Recommend by masked diffusion, coarse to fine.", no_args_is_help=True, add_completion=False)
data_commands.register(app)
train_command.register(app)

Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")]
Data = Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: Data = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    users: Annotated[
        int | None, typer.Option(help="A seeded sample of cases; default 5,000 on grocery, else all.")
    ] = None,
    decoder: Decoder = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: popularity, covisit, dense (these by default), one_pass, left_to_right, "
            "evidence_off, evidence_only, published; none for none."
        ),
    ] = None,
    twin: Annotated[
        Path | None, typer.Option(help="Another checkpoint of the same catalog, on the same cases.")
    ] = None,
    sweep: Annotated[Path | None, typer.Option(help="JSON list of decode settings; one result row each.")] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Ask for the items of --data that were not trained on; TF-IDF beside it.")
    ] = False,
    lift: Annotated[
        str, typer.Option(help="--cold: added to cold items' logits; of several, comma-separated, validation chooses.")
    ] = "0",
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Measure a checkpoint: strict item level, the whole catalog ranked, seen items excluded."""
    from mindrec.evaluation.report import evaluate_checkpoint

    protocol = Protocol(split, users, settings_of(decoder or []), seed, batch, device)
    if cold:
        from mindrec.checkpoint import load_checkpoint
        from mindrec.cold.cold_evaluation import evaluate_cold
        from mindrec.text.text_search import text_embedder

        if baseline or sweep or twin:
            raise MindRecError("--cold brings its own baselines and one decoder; leave --baseline, --twin, --sweep out")
        cold_result = evaluate_cold(
            checkpoint,
            load_data(data, checkpoint),
            protocol,
            lifts=_numbers("--lift", lift),
            embed=text_embedder((load_checkpoint(checkpoint).training or {}).get("text_model")),
        )
        return show_cold(cold_result, json_out)
    if lift != "0":
        raise MindRecError("--lift is for cold items; give --cold")
    result = evaluate_checkpoint(
        checkpoint,
        load_data(data, checkpoint),
        protocol,
        baselines=None if baseline is None else [b for b in baseline.split(",") if b not in ("", "none")],
        twin=twin,
        sweep=_sweep(sweep) if sweep else None,
        say=partial(typer.echo, err=True),
    )
    show_evaluation(result, json_out)


@app.command()
def compare(
    left: Annotated[list[Path], typer.Option(help="A checkpoint; repeat it, one a training seed.")],
    right: Annotated[list[Path], typer.Option(help="Its counterpart; as many as --left.")],
    data: Data = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    users: Annotated[int | None, typer.Option(help="A seeded sample of cases; default as evaluate.")] = None,
    decoder: Decoder = None,
    seed: Seed = 0,
    batch: Batch = 64,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """The ratio of two kinds of checkpoint over seeds, with a paired bootstrap interval over users."""
    from mindrec.evaluation.paired import compare_checkpoints

    protocol = Protocol(split, users, settings_of(decoder or []), seed, batch, device)
    result = compare_checkpoints(left, right, load_data(data, left[0]), protocol)
    show_comparison(result, json_out)


@app.command()
def diagnose(
    checkpoint: Checkpoint,
    out: Annotated[Path, typer.Option(help="Table of cases to write, Parquet; replaced whole.")],
    data: Data = None,
    split: Annotated[str, typer.Option(help="test or validation.")] = "test",
    users: Annotated[
        int | None, typer.Option(help="A seeded sample of cases; default 5,000 on grocery, else all.")
    ] = None,
    decoder: Decoder = None,
    k: Annotated[int, typer.Option("--k", help="A true item ranked below the first k is a miss.")] = 10,
    seed: Seed = 0,
    rescue: Annotated[
        bool, typer.Option("--rescue", help="Look for the smallest change that saves each miss: some 30 decodes each.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the pulls, and the exact ranks of items far down.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished chunk.")] = False,
    workers: job_commands.Workers = 0,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Find for every case the step at which the true item was lost, and why."""
    from mindrec.diagnosis.diagnose import diagnose_checkpoint
    from mindrec.diagnosis.why import Depth

    result = diagnose_checkpoint(
        checkpoint,
        load_data(data, checkpoint),
        out,
        Protocol(split, users, settings_of(decoder or []), seed, device=device),
        k=k,
        depth=Depth(ranks=not quick, pulls=not quick, rescue=rescue),
        resume=resume,
        workers=workers,
        command="python -m mindrec " + shlex.join(sys.argv[1:]),
    )
    show_diagnosis(result, out, json_out)


@app.command()
def recommend(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("checkpoints/grocery"),
    item: Annotated[
        list[str] | None,
        typer.Option(
            help="An item's id, its title, or words that find it; oldest first, repeatable. None: what anybody takes."
        ),
    ] = None,
    decoder: Decoder = None,
    trace: Annotated[
        Path | None, typer.Option(callback=check_json, help="Write the complete trace here as JSON.")
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            callback=check_graphml, help="Write the search as a graph here, GraphML: for Gephi, Cytoscape or networkx."
        ),
    ] = None,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Recommend the next item of a history and print the ranked items with their ids and category paths."""
    from mindrec.system.files import write_text

    recommender, ids = open_with_items(checkpoint, item, device)
    answer = recommender.recommend(ids, settings_of(decoder or []))
    lines = list(answer.notes)
    if recommender.checkpoint.cold:
        lines.append(
            f"cold: added after training, {recommender.checkpoint.cold:,} of {len(recommender.catalog):,} items"
        )
    show_recommendation(recommender, answer, ids, json_out, lines)
    if trace:
        write_text(trace, answer.trace.to_json())
        typer.echo(f"trace in {trace}", err=True)
    if graph:
        from networkx import generate_graphml

        write_text(graph, "\n".join(generate_graphml(answer.trace.to_graph())) + "\n")
        typer.echo(f"graph in {graph}", err=True)


@app.command()
def stories(
    checkpoint: Checkpoint,
    data: Data = None,
    users: Annotated[int, typer.Option(help="Test cases to look through.")] = 1500,
    opening: Annotated[list[str] | None, typer.Option(help="Item ids of the opening history; repeatable.")] = None,
    avoid: Annotated[list[str] | None, typer.Option(help="Category name kept out of stories; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; replaced whole.")] = Path("assets/stories"),
) -> None:
    """Find decodes worth telling (a clear hit, a near miss, a wrong turn …) and store their traces for the app."""
    from mindrec.data.splits import cases, item_counts
    from mindrec.recommender import Recommender
    from mindrec.stories import FOLDER, find_stories, write_stories
    from mindrec.system.files import check_replaceable

    check_replaceable(out, FOLDER)
    prepared_data = load_data(data, checkpoint)
    recommender = Recommender.from_pretrained(checkpoint)
    popularity = item_counts(prepared_data.interactions)
    chosen = find_stories(recommender, cases(prepared_data.interactions, "test", users), popularity, avoid=avoid or ())
    for path in write_stories(recommender, chosen, opening or [], out):
        typer.echo(path)


def _numbers(name: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("not finite")
        return numbers
    except ValueError as error:
        raise MindRecError(f"{name} {text[:60]!r} is not a number, or several with commas between them") from error


def _sweep(path: Path) -> list[dict]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MindRecError(f"--sweep {path} cannot be read as JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MindRecError(f'--sweep {path}: a list of decode settings is needed, e.g. [{{"beam_size": 20}}]')
    return rows


job_commands.register(app)
guidance_commands.register(app)
ability_commands.register(app)
refit_command.register(app)
map_command.register(app)
report_command.register(app)
compare_cases_command.register(app)
behaviour_command.register(app)
arena_command.register(app)
backbone_commands.register(app)
app.add_typer(bench_commands.bench, name="bench")


def main() -> None:
    """Run the command line; a MindRecError, or a refusal of the disk, is one line on stderr and exit status 2."""
    from mindrec.system.files import refused_by_disk

    # A shell reads `~` at the start of a word alone, and leaves it in --data=~/x.
    sys.argv[1:] = [re.sub(r"^(--[a-z-]+=)?~(?=/|$)", rf"\1{Path.home()}", word) for word in sys.argv[1:]]
    try:
        app(standalone_mode=True)
    except Exception as error:
        words = str(error) if isinstance(error, MindRecError) else refused_by_disk(error)
        if words is None:
            raise
        typer.echo(f"error: {words}", err=True)
        sys.exit(2)
