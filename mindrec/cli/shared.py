"""Parts that several commands share: opening prepared data, and printing a result."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.system.files import check_json
from mindrec.system.settings import summary

STDOUT = Path("-")


def _json_path(path: Path | None) -> Path | None:
    return path if path == STDOUT else check_json(path)


JsonOut = Annotated[
    Path | None,
    typer.Option("--json", callback=_json_path, help="Write the result here as JSON; - prints the JSON alone."),
]
Decoder = Annotated[
    list[str] | None,
    typer.Option("--decoder", help=f"A decode setting, name=value; repeatable. {summary(DecodeConfig)}."),
]
MAX_SEED = 2**31 - 1
Seed = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Start of the random numbers.")]
OwnSeed = Annotated[int | None, typer.Option("--seed", min=0, max=MAX_SEED, help="Overrides the preset's.")]
Batch = Annotated[int, typer.Option(min=1, help="Cases that are decoded at once.")]


def load_data(folder: Path | None, checkpoint: Path | None = None):
    """Prepared data from a folder, or the default data by name, made on first use.

    Raises:
        MindRecError: there is no folder, and the checkpoint was not trained on the default data.
    """
    from mindrec.data.catalog import load_prepared
    from mindrec.sources import is_prepared, prepared
    from mindrec.system.files import read_json

    if folder is None and checkpoint is not None:
        about = checkpoint / "catalog.json"
        if not about.exists() or read_json(about, "catalog").get("name") != "grocery":
            raise MindRecError(f"{checkpoint}: give --data, the prepared folder it was trained on")
        folder = Path("grocery")
    if folder is not None and str(folder) == "grocery" and not folder.exists():
        if not is_prepared("grocery"):
            typer.echo("preparing grocery: once, some 20 s on a quiet machine …", err=True)
        folder = prepared("grocery")
    return load_prepared(folder)


def emit(result: dict, path: Path | None) -> None:
    """Print a result with the command that made it, and write it to `path` where one is given."""
    from mindrec.system.files import write_json

    if int(os.environ.get("RANK", "0")):  # under torchrun the first process speaks for all
        return
    result = {"command": "python -m mindrec " + shlex.join(sys.argv[1:])} | result
    typer.echo(json.dumps(result, indent=1))
    if path and path != STDOUT:
        write_json(path, result)


class Epochs:
    """Prints each epoch of a training, and knows whether there was one."""

    def __init__(self):
        self.count = 0

    def add(self, record: dict) -> None:
        """Print an epoch's record."""
        self.count += 1
        typer.echo(json.dumps(record), err=True)

    def end(self, out: Path, checkpoint) -> str:
        """The line that ends a training; a finished one, resumed, has saved nothing."""
        done = "saved" if self.count else "left as it is:"
        return f"{done} {out}; the training held {checkpoint.training['peak_memory_mb']:,} MB of memory at most"


def settings_of(pairs: list[str]) -> dict:
    """Decode settings given as name=value, the values read as JSON where they are. Raises MindRecError without "="."""
    out = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise MindRecError(f"--decoder {pair!r} is not name=value, e.g. beam_size=20")
        try:
            out[name] = json.loads(value)
        except json.JSONDecodeError:
            out[name] = value
    return out


def open_with_items(checkpoint: Path, items: list[str] | None, device: str) -> tuple:
    """The recommender of a checkpoint, and the ids of items given by id, title or words."""
    from mindrec.recommender import Recommender

    recommender = Recommender.from_pretrained(checkpoint, device)
    return recommender, [resolve(recommender, words, lambda line: typer.echo(line, err=True)) for words in items or []]


def resolve(recommender, words: str, say=lambda line: None) -> str:
    """An item id from an id, a title, or free text; what free text was read as is told through `say`.

    Raises MindRecError for a title that several items have, and for words that fit nothing.
    """
    catalog = recommender.catalog
    if (row := catalog.ids.row(words)) is not None:
        return catalog.items[row].item_id
    same = [i.item_id for i in catalog.items if i.title.casefold() == words.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        raise MindRecError(f"{words!r} is the title of {len(same)} items; give one id: {', '.join(same)}")
    near = [catalog.items[row] for row in recommender.search(words, 5) if recommender.fits(words, row)]
    if not near:
        hint = catalog.ids.hint(words) or "search the catalog for its title"
        raise MindRecError(f"unknown item {words!r}: no id, title or words of an item of {catalog.name!r}; {hint}")
    named = [f"{i.title} ({i.item_id})" for i in near]
    paths = [" > ".join(path) for path in recommender.search_paths(words, 3)]
    say(
        f"{words!r} is read as {named[0]}"
        + (f"; near it: {', '.join(named[1:])}" if named[1:] else "")
        + (f"; categories: {', '.join(paths)}" if paths else "")
    )
    return near[0].item_id
