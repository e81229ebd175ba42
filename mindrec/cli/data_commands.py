"""The commands that make and change a catalog: prepare, add-items."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindrec.errors import MindRecError

if TYPE_CHECKING:
    from mindrec.data.catalog import PreparedData

TextModel = Annotated[
    Path | None, typer.Option("--text-model", help="A sentence-transformers folder that reads texts; TF-IDF without.")
]

Lift = Annotated[float, typer.Option(help="Added to cold items' logits: 1 shows them e times as often; 0 as they are.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(prepare)
    app.command("add-items")(add_items)


def prepare(
    source: Annotated[
        str,
        typer.Argument(help="grocery, jsonl, csv, parquet, amazon, movielens, mindrec-official, recbole or synthetic."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to write; prepared data in it is replaced whole.")] = None,
    look: Annotated[bool, typer.Option("--look", help="csv, parquet: show what is found; nothing is written.")] = False,
    path: Annotated[str | None, typer.Option(help="The source's file or folder, or its https address.")] = None,
    checksum: Annotated[str | None, typer.Option(help="Of --path: sha256:DIGEST or md5:DIGEST.")] = None,
    metadata: Annotated[str | None, typer.Option(help="amazon: the meta_ file, or its https address.")] = None,
    item_file: Annotated[str | None, typer.Option(help="csv, parquet: the file with a row an item.")] = None,
    user_column: Annotated[str | None, typer.Option(help="Default: by its name (user_id, CustomerID ...).")] = None,
    item_column: Annotated[str | None, typer.Option(help="Default: by its name (item_id, asin, sku ...).")] = None,
    time_column: Annotated[str | None, typer.Option(help="Default: by its name (timestamp, date ...).")] = None,
    no_time: Annotated[bool, typer.Option("--no-time", help="Rows are in order; no time is read.")] = False,
    day_first: Annotated[bool | None, typer.Option("--day-first/--month-first", help="Of dates like 1/2/2011.")] = None,
    time_format: Annotated[str | None, typer.Option(help="strptime codes, e.g. '%d.%m.%Y %H:%M'.")] = None,
    item_file_id: Annotated[str | None, typer.Option(help="The id's column in the item file.")] = None,
    separator: Annotated[str | None, typer.Option(help="csv: comma, semicolon, tab, pipe, '::', blanks.")] = None,
    encoding: Annotated[str | None, typer.Option(help="csv: e.g. cp1252, gb18030; default: detected.")] = None,
    no_header: Annotated[bool, typer.Option("--no-header", help="csv: no line of names; columns 1, 2 ...")] = False,
    min_rating: Annotated[float | None, typer.Option(help="csv, parquet: keep ratings from this on.")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE,... or COLUMN>NUMBER: rows that count.")] = None,
    depth: Annotated[int | None, typer.Option(help="Levels of a category path that are used; default 3.")] = None,
    labels: Annotated[str | None, typer.Option(help="Categories in no order: first, rarest or sorted.")] = None,
    title_column: Annotated[
        str | None, typer.Option(help="Of the items; default by its name (title, name ...).")
    ] = None,
    brand_column: Annotated[
        str | None, typer.Option(help="Of the items; default by its name (brand, author ...).")
    ] = None,
    description_column: Annotated[str | None, typer.Option(help="Of the items.")] = None,
    category_columns: Annotated[str | None, typer.Option(help="Coarse to fine, comma-separated.")] = None,
    category_separator: Annotated[str | None, typer.Option(help="Splits a cell into a path, e.g. '>'.")] = None,
    core: Annotated[int | None, typer.Option(help="k-core; default 5 for amazon, movielens, else 1.")] = None,
    keep_unused: Annotated[bool, typer.Option("--keep-unused", help="Keep items that no sequence holds.")] = False,
    induce_tree: Annotated[bool, typer.Option("--induce-tree", help="Make a category tree by clustering.")] = False,
    text_model: TextModel = None,
    report: Annotated[bool, typer.Option("--report", help="Judge semantic IDs; also in report.json.")] = False,
    hold_out: Annotated[float | None, typer.Option(help="Leave out this share of items; see evaluate --cold.")] = None,
    items: Annotated[int | None, typer.Option(help="synthetic: catalog size, default 60.")] = None,
    users: Annotated[int | None, typer.Option(help="synthetic: sequences, default 400.")] = None,
    length: Annotated[int | None, typer.Option(help="synthetic: items a sequence, default 10.")] = None,
    predictability: Annotated[float | None, typer.Option(help="synthetic: 1 is predictable, 0 noise.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="synthetic: default 0.")] = None,
) -> None:
    """Write a source in the prepared form: items, sequences, README. Nothing is fetched but what you name."""
    from mindrec.sources.prepare import prepare as run

    options = {
        "path": path,
        "metadata": metadata,
        "item_file": item_file,
        "user_column": user_column,
        "item_column": item_column,
        "time_column": time_column,
        "no_time": no_time or None,
        "day_first": day_first,
        "time_format": time_format,
        "item_file_id": item_file_id,
        "separator": separator,
        "encoding": encoding,
        "no_header": no_header or None,
        "min_rating": min_rating,
        "keep": keep or None,
        "labels": labels,
        "depth": depth,
        "title_column": title_column,
        "brand_column": brand_column,
        "description_column": description_column,
        "category_columns": category_columns,
        "category_separator": category_separator,
        "core": core,
        "keep_unused": keep_unused or None,
        "n_items": items,
        "n_users": users,
        "length": length,
        "predictability": predictability,
        "seed": seed,
    }
    if look:
        return _look(source, options, checksum)
    _named(out)
    data = run(
        source,
        out,
        options,
        command="python -m mindrec " + shlex.join(sys.argv[1:]),
        induce=induce_tree,
        report=report,
        held_out=hold_out,
        text_model=text_model,
        checksum=checksum,
        say=typer.echo,
    )
    _tell(data, out)


def _named(out: Path | None) -> None:
    if out is None:
        raise MindRecError("--out is missing: name the folder to write, or give --look for a first look at the file")


def _tell(data: "PreparedData", out: Path) -> None:
    kind = "; its category tree is induced" if data.catalog.induced else ""
    typer.echo(f"{len(data.catalog):,} items and {len(data.interactions):,} sequences in {out}{kind}")


def _look(source: str, options: dict, checksum: str | None) -> None:
    """Print what is found in a file, and write nothing."""
    from mindrec.sources.look import look as first_look
    from mindrec.sources.prepare import local_options

    typer.echo(first_look(source, local_options(source, options, checksum)))


def add_items(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint folder.")],
    items: Annotated[Path, typer.Option(help="The new items: items.jsonl.gz, .jsonl, .csv, .tsv or .parquet.")],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write; the old one may be replaced.")],
    item_column: Annotated[str | None, typer.Option(help="Default: by its name (item_id, asin ...).")] = None,
    title_column: Annotated[str | None, typer.Option(help="Default title if there.")] = None,
    brand_column: Annotated[str | None, typer.Option(help="Default brand if there.")] = None,
    category_columns: Annotated[str | None, typer.Option(help="Coarse to fine, comma-separated.")] = None,
    category_separator: Annotated[str | None, typer.Option(help="Splits a cell into a path, e.g. '>'.")] = None,
    lift: Lift = 0.0,
) -> None:
    """Add cold items to a trained checkpoint without training: old weights and old codes stay as they are."""
    from mindrec.checkpoint import FOLDER, load_checkpoint
    from mindrec.cold.add_items import add_items as run
    from mindrec.sources.itemfile import ItemColumns, item_records
    from mindrec.sources.repairs import Repairs, clean_items
    from mindrec.system.files import check_replaceable
    from mindrec.text.text_search import text_embedder

    check_replaceable(out, FOLDER)
    loaded, repairs = load_checkpoint(checkpoint), Repairs()
    columns = ItemColumns(item_column, title_column, brand_column, None, category_columns, category_separator)
    cleaned = clean_items(item_records(items, columns, repairs), repairs)
    new = [item for item_id, item in cleaned.items() if loaded.catalog.ids.row(item_id) is None]
    if not new:
        why = (
            f"all its {len(cleaned):,} items are in the checkpoint already (first: {next(iter(cleaned))})"
            if cleaned
            else ""
        )
        raise MindRecError(f"{items} brings no items to add: {why or 'it has no rows'}; nothing is written")
    embed = text_embedder((loaded.training or {}).get("text_model"))
    added = run(loaded, new, embed, lift=lift)
    added.checkpoint.save(out)
    for line in repairs.lines():
        typer.echo(f"mended: {line}")
    if len(cleaned) > len(new):
        typer.echo(f"left out: {len(cleaned) - len(new):,} items that the checkpoint has already")
    if added.refiled:
        typer.echo(
            f"filed elsewhere: {len(added.refiled):,} items whose category the checkpoint does not have stand under "
            f"the nearest one it has (first: {added.refiled[0]})"
        )
    typer.echo(f"{len(new):,} cold items added: {len(added.checkpoint.catalog):,} items in {out}")
