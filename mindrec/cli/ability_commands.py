"""The commands for what only a masked model answers: slates, gaps, items that do not belong, rewrites."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.printed import about_answer, show, show_ability, show_items, table_of
from mindrec.cli.shared import Decoder, JsonOut, load_data, open_with_items, settings_of
from mindrec.evaluation.protocol import Protocol
from mindrec.system.files import check_json

Shipped = Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder.")]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", help="An item's id, its title, or words that find it; oldest first, repeatable."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Prepared data folder, or the name 'grocery'.")]
Users = Annotated[int | None, typer.Option(min=1, help="A seeded sample of test histories.")]
Candidates = Annotated[int, typer.Option(min=1, help="Answers on the left side that the right side weighs.")]
Right = Annotated[int, typer.Option(min=0, help="Items right of the gap that are weighed; 0 is the left side alone.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Width = Annotated[int, typer.Option(min=1, help="Slates kept after each slot; 1 takes the first answer each time.")]
SHIPPED = Path("checkpoints/grocery")
UNORDERED = "order carries nothing in the data of this checkpoint: a gap means little here; ask odd-one-out instead"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("slate")(slate)
    app.command("evaluate-slates")(evaluate_slates)
    app.command("fill-gap")(fill_gap)
    app.command("evaluate-gaps")(evaluate_gaps)
    app.command("rewrite")(rewrite)
    app.command("odd-one-out")(odd_one_out)
    app.command("evaluate-odd")(evaluate_odd)


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
    json_out: JsonOut = None,
) -> None:
    """Choose several items that go together after a history, later ones knowing earlier ones."""
    from mindrec.system.files import write_text

    recommender, ids = open_with_items(checkpoint, item, device)
    chosen = recommender.slate(
        ids, n, settings_of(decoder or []), max_per_category=max_per_category, width=width, trace=trace is not None
    )
    lines = [f"the slate in this order: log-probability {chosen.score:.3f}"]
    show_items(recommender, chosen.items, ids, json_out, lines, score=chosen.score)
    if trace:
        write_text(trace, json.dumps([one.to_dict() for one in chosen.traces]))
        typer.echo(f"traces in {trace}", err=True)


def evaluate_slates(
    checkpoint: Shipped = SHIPPED,
    data: Data = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Items hidden at the end of each history, and chosen.")] = 5,
    users: Users = None,
    guidance: Annotated[float, typer.Option(min=0, max=2, help="Of the guided rows.")] = 0.5,
    width: Width = 4,
    decoder: Decoder = None,
    seed: int = 0,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Hide the last items of each test history: which share of them comes back in a slate, and in separate answers."""
    from mindrec.evaluation.ability_table import slate_table
    from mindrec.evaluation.slate_recall import evaluate_slates as evaluate

    result = evaluate(
        checkpoint,
        load_data(data, checkpoint),
        Protocol(users=users, settings=settings_of(decoder or []), seed=seed, device=device),
        n=n,
        guidance=guidance,
        width=width,
    )
    show_ability(result, json_out, slate_table(result))


def fill_gap(
    position: Annotated[int, typer.Option(min=0, help="How many of the items stand before the gap.")],
    checkpoint: Shipped = SHIPPED,
    item: Items = None,
    candidates: Candidates = 50,
    right: Right = 2,
    first: Annotated[int, typer.Option(min=1, help="How many answers are printed.")] = 10,
    decoder: Decoder = None,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Rank which item stood in a gap of a history, by both sides: for data in which order means something."""
    recommender, ids = open_with_items(checkpoint, item, device)
    fillings = recommender.fill_gap(ids, position, settings_of(decoder or []), candidates=candidates, right=right)
    words = (
        f"probabilities are over {len(fillings)} candidates from the left side, weighed by {right} items right of it"
    )
    lines = [words] if _ordered(recommender) else [words, UNORDERED]
    about = {"position": position, "candidates": len(fillings), "right": right, "notes": lines[1:]}
    show_items(recommender, fillings[:first], ids, json_out, lines, mass="probability", **about)


def evaluate_gaps(
    checkpoint: Shipped = SHIPPED,
    data: Data = None,
    users: Users = None,
    candidates: Candidates = 50,
    right: Right = 2,
    decoder: Decoder = None,
    seed: int = 0,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Take an item out of each test history: Hit@10 by both sides, and by the left side alone."""
    from mindrec.evaluation.ability_table import gap_table
    from mindrec.evaluation.inside_histories import evaluate_gaps as evaluate

    protocol = Protocol(users=users, settings=settings_of(decoder or []), seed=seed, device=device)
    result = evaluate(checkpoint, load_data(data, checkpoint), protocol, candidates=candidates, right=right)
    show_ability(result, json_out, gap_table(result))


def rewrite(
    checkpoint: Shipped = SHIPPED,
    item: Items = None,
    position: Annotated[list[int] | None, typer.Option(help="A position that is masked again; repeatable.")] = None,
    least_certain: Annotated[
        int | None, typer.Option(min=1, help="Mask instead so many tokens that the denoiser is least sure of.")
    ] = None,
    rank: Annotated[int, typer.Option(min=1, help="The answer that is rewritten.")] = 1,
    decoder: Decoder = None,
    trace: Annotated[
        Path | None, typer.Option(callback=check_json, help="Write the rewrite's trace here as JSON.")
    ] = None,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Recommend, mask some tokens of an answer again, and decode them anew with the rest pinned."""
    from mindrec.system.files import write_text

    recommender, ids = open_with_items(checkpoint, item, device)
    first = recommender.recommend(ids, settings_of(decoder or []))
    again = recommender.rewrite(first, position or None, least_certain=least_certain, rank=rank)
    kept = len(again.trace.config["pins"])
    words = f"{first.items[rank - 1].item.title}: {kept} of {len(again.trace.levels)} tokens stay"
    show_items(recommender, again.items, ids, json_out, [words], pins=again.trace.config["pins"])
    if trace:
        write_text(trace, again.trace.to_json())
        typer.echo(f"trace in {trace}", err=True)


def odd_one_out(
    checkpoint: Shipped = SHIPPED,
    item: Items = None,
    decoder: Decoder = None,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Score each item of a history given the others, and mark the one that belongs least."""
    recommender, ids = open_with_items(checkpoint, item, device)
    items = [
        {
            "item_id": one.item.item_id,
            "title": one.item.title,
            "probability": one.probability,
            "lift": None if one.lift is None else math.exp(one.lift),
            "odd": one.odd,
        }
        for one in recommender.odd_one_out(ids, settings_of(decoder or []))
    ]
    rows = [
        (
            one["item_id"],
            one["title"],
            f"{one['probability']:.5f}",
            "" if one["lift"] is None else f"{one['lift']:.2f}",
            "belongs least" if one["odd"] else "",
        )
        for one in items
    ]
    head = ("id", "item", "given the others", "times its usual share", "")
    show(about_answer(recommender, ids) | {"items": items}, json_out, table_of(head, rows, left=(0, 1, 4)), ())


def evaluate_odd(
    checkpoint: Shipped = SHIPPED,
    data: Data = None,
    users: Users = None,
    decoder: Decoder = None,
    seed: int = 0,
    device: Device = "auto",
    json_out: JsonOut = None,
) -> None:
    """Put an item of another test history into each one: how often it is the one that belongs least."""
    from mindrec.evaluation.ability_table import odd_table
    from mindrec.evaluation.inside_histories import evaluate_odd as evaluate

    protocol = Protocol(users=users, settings=settings_of(decoder or []), seed=seed, device=device)
    result = evaluate(checkpoint, load_data(data, checkpoint), protocol)
    show_ability(result, json_out, odd_table(result))


def _ordered(recommender) -> bool:
    """Whether the order of a history means something in the data that the checkpoint was trained on."""
    return (recommender.checkpoint.training or {}).get("data", {}).get("ordered", True)
