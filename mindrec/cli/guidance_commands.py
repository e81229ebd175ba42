"""The commands for answers that popularity does not decide: count-popularity, choose-guidance."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import Decoder, JsonOut, emit, load_data, settings_of
from mindrec.evaluation.protocol import Protocol


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("count-popularity")(count_popularity)
    app.command("choose-guidance")(choose_guidance)


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


def choose_guidance(
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="Checkpoint folder; its config.json is written.")],
    data: Annotated[Path | None, typer.Option("--data", help="Prepared data folder that it was trained on.")] = None,
    users: Annotated[int | None, typer.Option(help="A seeded sample of validation cases; default as evaluate.")] = None,
    decoder: Decoder = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_out: JsonOut = None,
) -> None:
    """Make the strongest guidance that costs no accuracy on validation a checkpoint's default.

    Of 0, 0.25, 0.5, 0.6, 0.7, 0.8, 1 and 1.5 the largest whose NDCG@10 is not behind that of 0, by a paired interval
    over users.
    """
    from mindrec.evaluation.guidance_choice import sweep_guidance

    protocol = Protocol(users=users, settings=settings_of(decoder or []), device=device)
    result = sweep_guidance(checkpoint, load_data(data, checkpoint), protocol)
    for row in result["rows"]:
        m, ratio = row["metrics"], row.get("ndcg@10_to_first", {"ratio": 1.0, "low": 1.0, "high": 1.0})
        typer.echo(
            f"guidance {row['decoder']['guidance']:<4} NDCG@10 {m['ndcg@10']:.4f}, {ratio['ratio']:.3f} "
            f"[{ratio['low']:.3f}, {ratio['high']:.3f}] of none; coverage@10 {m['coverage@10']:.1%}, "
            f"tail_hit@10 {m['tail_hit@10']:.4f}, popular_share {m['popular_share']:.1%}"
        )
    typer.echo(f"default guidance of {checkpoint}: {result['chosen']}")
    if json_out:
        emit(result, json_out)
