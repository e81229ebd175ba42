"""Results as people read them, and as JSON where it is asked for: `--json FILE`, or `--json -` for the output alone."""

import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from mindrec.cli.shared import STDOUT

if TYPE_CHECKING:
    from mindrec.evaluation.ability_table import Shown

PIPE_WIDTH = 160
"""Columns of a table where no terminal says how many there are."""


def show(result: dict, json_out: Path | None, table: Table | None, lines: Iterable[str]) -> None:
    """Print a table (if any) and lines below it, or the result as JSON; write the JSON where a file is named."""
    from mindrec.system.files import write_json

    if int(os.environ.get("RANK", "0")):  # under torchrun the first process speaks for all
        return
    result = {"command": "python -m mindrec " + shlex.join(sys.argv[1:])} | result
    if json_out == STDOUT:
        typer.echo(json.dumps(result, indent=1))
        return
    if json_out is not None:
        write_json(json_out, result)
    if table is not None:
        console = Console()
        (console if console.is_terminal else Console(width=PIPE_WIDTH)).print(table)
    for line in lines:
        typer.echo(line)


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)) -> Table:
    """A table of texts, taken as they are; columns not in `left` stand right."""
    from rich.text import Text

    table = Table()
    for n, name in enumerate(head):
        table.add_column(name, justify="left" if n in left else "right", no_wrap=n not in left, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def show_evaluation(result: dict, json_out: Path | None) -> None:
    """One table and one sentence of verdict; of a sweep, a row a setting."""
    from mindrec.evaluation.table import HEAD, SWEEP_HEAD, rows, sentence, sweep_rows

    if "rows" in result:
        show(result, json_out, table_of(SWEEP_HEAD, sweep_rows(result)), ())
    else:
        show(result, json_out, table_of(HEAD, rows(result)), [sentence(result)])


def show_comparison(result: dict, json_out: Path | None) -> None:
    """Every checkpoint of both sides, and which side is ahead."""
    from mindrec.cli.summaries import COMPARE_HEAD, compare_rows, compare_sentence

    show(result, json_out, table_of(COMPARE_HEAD, compare_rows(result)), [compare_sentence(result)])


def show_cold(result: dict, json_out: Path | None) -> None:
    """Cold items asked for among all and alone, and one sentence."""
    from mindrec.cli.summaries import COLD_HEAD, cold_rows, cold_sentence

    show(result, json_out, table_of(COLD_HEAD, cold_rows(result), left=(0, 1)), [cold_sentence(result)])


def show_diagnosis(result: dict, out: Path, json_out: Path | None) -> None:
    """The causes of misses, and where their table is."""
    from mindrec.cli.summaries import DIAGNOSE_HEAD, diagnose_rows, diagnose_sentences

    show(result, json_out, table_of(DIAGNOSE_HEAD, diagnose_rows(result)), diagnose_sentences(result, out))


def show_recommendation(
    recommender, answer, history: Sequence[str], json_out: Path | None, lines: Sequence[str]
) -> None:
    """The ranked items with their ids and paths."""
    show_items(recommender, answer.items, history, json_out, lines, notes=list(answer.notes))


def show_items(
    recommender,
    items,
    history: Sequence[str],
    json_out: Path | None,
    lines: Sequence[str],
    *,
    mass: str = "search mass",
    **more,
) -> None:
    """Ranked items (mindrec.recommendation.Recommended) with ids and paths; `more` goes into the JSON beside them.

    `mass` names the column of probabilities.
    """
    records = [
        {
            "rank": one.rank,
            "item_id": one.item.item_id,
            "title": one.item.title,
            "categories": list(one.item.categories),
            "score": one.score,
            "probability": one.probability,
            "cold": recommender.is_cold(one.row),
        }
        for one in items
    ]
    rows = [
        (
            str(item["rank"]),
            item["item_id"],
            f"{item['title']} (cold)" if item["cold"] else item["title"],
            " > ".join(item["categories"]),
            f"{item['probability']:.4f}",
        )
        for item in records
    ]
    result = about_answer(recommender, history) | {"items": records} | more
    show(result, json_out, table_of(("#", "id", "item", "path", mass), rows, left=(1, 2, 3)), lines)


def about_answer(recommender, history: Sequence[str]) -> dict:
    """The checkpoint and the history, as every answer's JSON names them."""
    return {
        "checkpoint": {"name": recommender.name, "fingerprint": recommender.checkpoint.fingerprint},
        "history": list(history),
    }


def show_ability(result: dict, json_out: Path | None, shown: "Shown") -> None:
    """How well an ability works on test histories: one table and one sentence."""
    show(result, json_out, table_of(shown.head, shown.rows), [shown.sentence])
