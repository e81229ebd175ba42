"""`python -m mindrec bench …`: measurements as ratios against a named alternative in the same run."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.printed import show, table_of
from mindrec.cli.shared import JsonOut, emit, load_data

Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Llada = Annotated[str | None, typer.Option("--llada", help="No checkpoint but a random LLaDA: small or llada-8b.")]
Repeats = Annotated[int, typer.Option(min=1, help="Timed runs of each side; their median counts.")]
SHIPPED = Path("checkpoints/grocery")


bench = typer.Typer(help="Measurements as ratios against a named alternative.", no_args_is_help=True)


@bench.command("decode")
def decode(
    checkpoint: Checkpoint = SHIPPED,
    repeats: Repeats = 7,
    llada: Llada = None,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Our search against the published one and against the bare matrix products of the same decode."""
    from mindrec.bench.backbone_speed import bench_llada
    from mindrec.bench.decode_speed import bench_decode

    result = bench_llada(llada, device, repeats=repeats) if llada else bench_decode(checkpoint, device, repeats)
    emit(result, json_out)


@bench.command("train")
def train(
    data: Annotated[Path, typer.Option("--data", help="Prepared data folder, or 'grocery'.")] = Path("grocery"),
    preset: Annotated[str, typer.Option(help="Recipe whose steps are timed.")] = "grocery",
    busy: Annotated[
        bool, typer.Option("--busy", help="Also a step beside a process that keeps every core busy.")
    ] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Also the peak memory of a short, whole training.")] = False,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Training samples a second, and the share of the machine's matrix throughput that is reached."""
    from mindrec.bench.train_beside import bench_busy, bench_memory
    from mindrec.bench.train_speed import bench_train
    from mindrec.training.presets import preset as find

    prepared, recipe = load_data(data), find(preset)
    result = bench_train(prepared, recipe, device)
    if busy:
        result["busy"] = bench_busy(prepared, recipe, device)
    if memory:
        result["memory"] = bench_memory(data, preset, device)
    emit(result, json_out)


@bench.command("app")
def page(checkpoint: Checkpoint = SHIPPED, json_out: JsonOut = None) -> None:
    """Measure how long a person waits on the page, in a real browser; needs playwright and a Chromium."""
    from mindrec.bench.page_speed import bench_app

    emit(bench_app(checkpoint.resolve()), json_out)


@bench.command("map")
def item_map(checkpoint: Checkpoint = SHIPPED, json_out: JsonOut = None) -> None:
    """A step of the map, of the checkpoint's catalog and of 12,000 items, in a real browser; needs playwright."""
    from mindrec.bench.map_speed import bench_map

    emit(bench_map(checkpoint.resolve()), json_out)


@bench.command("scale")
def scale(repeats: Repeats = 9, json_out: JsonOut = None) -> None:
    """Search and legality on made catalogs of 1k to 1M items."""
    from mindrec.bench.scale_speed import bench_scale

    emit(bench_scale(repeats=repeats), json_out)


@bench.command("prepare")
def prepare(
    rows: Annotated[int, typer.Option(help="Interactions of the made-up log.")] = 10_000_000,
    sources: Annotated[str, typer.Option(help="Comma-separated.")] = "parquet,amazon,synthetic",
    json_out: JsonOut = None,
) -> None:
    """Rows a second and peak memory of `prepare` on a large log, each source in a process of its own."""
    from mindrec.bench.prepare_speed import bench_prepare

    emit(bench_prepare(rows, sources.split(",")), json_out)


@bench.command("load")
def load(
    checkpoint: Checkpoint = SHIPPED,
    people: Annotated[int, typer.Option(min=1, help="Who decode every 5 s, each with a session of their own.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="How long; memory is judged from 150 on.")] = 180,
    api_people: Annotated[int, typer.Option(min=0, help="More people, through the public endpoint.")] = 2,
    browsers: Annotated[int, typer.Option(min=0, help="More people, in real browsers; needs playwright.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="Of the app, to decode; default: as many as where it is served to others."),
    ] = None,
    json_out: JsonOut = None,
) -> None:
    """The app under many people at once; every answer is checked against a single-user decode."""
    from mindrec.bench.load_test import bench_load

    result = bench_load(
        checkpoint.resolve(),
        people=people,
        seconds=seconds,
        api_people=api_people,
        browsers=browsers,
        processes=processes,
    )
    emit(result, json_out)


@bench.command("lab")
def lab(
    checkpoint: Checkpoint = SHIPPED,
    people: Annotated[int, typer.Option(min=1, help="Who decode every 2 s, first alone.")] = 4,
    learners: Annotated[int, typer.Option(min=2, max=25, help="Who press Train in the Lab, all at once.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="How long alone, and how long beside the Lab.")] = 45,
    json_out: JsonOut = None,
) -> None:
    """Measure how a class that presses Train slows those who decode: places, times, memory, and what is left of it."""
    from mindrec.bench.lab_crowd import HEAD, bench_lab, rows, sentence

    result = bench_lab(checkpoint.resolve(), people=people, learners=learners, seconds=seconds)
    show(result, json_out, table_of(HEAD, rows(result)), [sentence(result)])
