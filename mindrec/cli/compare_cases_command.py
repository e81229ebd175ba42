"""The command that sets diagnoses of the same cases side by side: compare-cases."""

from pathlib import Path
from typing import Annotated

import typer

from mindrec.cli.shared import JsonOut


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("compare-cases")(compare_cases)


def compare_cases(
    files: Annotated[list[Path], typer.Argument(help="Tables of `diagnose`, two or more; all face the first.")],
    k: Annotated[int, typer.Option(help="A true item ranked below the first k is a miss.")] = 10,
    json_out: JsonOut = None,
) -> None:
    """Set diagnoses of the same cases side by side: hits, causes, paired tests, and where the cases went."""
    from mindrec.cli.printed import show, table_of
    from mindrec.cli.summaries import RUN_HEAD, run_rows, transition_sentences
    from mindrec.diagnosis.case_pairs import compare, side_by_side, transitions
    from mindrec.diagnosis.cases import read_cases
    from mindrec.errors import MindRecError

    if len(files) < 2:
        raise MindRecError("compare-cases needs two tables or more; give the files of two runs of `diagnose`")
    if len({str(file) for file in files}) < len(files):
        raise MindRecError("compare-cases: one file is given twice; a table differs from itself in nothing")
    runs = {str(file): read_cases(file) for file in files}
    first, *others = runs
    pairs = [
        {
            "left": first,
            "right": other,
            "tests": compare(runs[first], runs[other], k).tests.to_dict(orient="records"),
            "transitions": transitions(runs[first], runs[other], k).to_dict(orient="records"),
        }
        for other in others
    ]
    result = {"k": k, "runs": side_by_side(runs, k).to_dict(orient="records"), "pairs": pairs}
    show(result, json_out, table_of(RUN_HEAD, run_rows(result)), transition_sentences(result))
