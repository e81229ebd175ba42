"""Run `python -m mindrec prepare`: read a source, induce a tree if asked, judge the tokens, write the folder."""

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mindrec.data.catalog import FOLDER, PreparedData, save_prepared
from mindrec.data.splits import repeats_in_test, training_sequences
from mindrec.errors import MindRecError
from mindrec.sources import source
from mindrec.sources.data_card import readme
from mindrec.sources.fetch import local
from mindrec.sources.holdout import hold_out
from mindrec.sources.look import look
from mindrec.sources.repairs import NOTE, WARNING
from mindrec.system.files import cache_folder, check_replaceable

PLACES = ("path", "item_file", "metadata")
"""Options that name a file: a local path, or an https address that is fetched because the person gave it."""

HELD_OUT = (
    "\n**{held:,} of {whole:,} items are held out**, drawn at random (seed 0): they are in no sequence and not in the "
    "item file, so that `evaluate --cold` on the whole data can ask for them.\n"
)


def prepare(
    name: str,
    out: Path,
    options: dict[str, object],
    *,
    command: str,
    induce: bool = False,
    report: bool = False,
    held_out: float | None = None,
    text_model: Path | None = None,
    checksum: str | None = None,
    say: Callable[[str], None] = print,
) -> PreparedData:
    """Write source `name` to `out`, whole or not at all. Options that are None were not given.

    Raises:
        MindRecError: an option does not belong to the source, one is missing, or the data cannot be used.
    """
    check_replaceable(Path(out), FOLDER)
    embed = _embedder(text_model, induce or report)
    data, extra, quality = _loaded(name, local_options(name, options, checksum)), "", None
    if held_out is not None:
        whole = len(data.catalog)
        data = hold_out(data, held_out)
        extra = HELD_OUT.format(held=whole - len(data.catalog), whole=whole)
    if induce:
        from mindrec.tokens.induce import induce_tree

        induced = induce_tree(data.catalog, training_sequences(data.interactions), embed=embed)
        data = replace(data, catalog=induced.catalog)
        extra += _induced_notes(induced.report)
    _say_first(data, say)
    if report:
        from mindrec.tokens.quality import as_text, quality_report

        quality = quality_report(data, training_sequences(data.interactions), embed=embed)
        say(as_text(quality))
    save_prepared(replace(data, notes=readme(data, command, extra)), out, quality)
    return data


def _say_first(data: PreparedData, say: Callable[[str], None]) -> None:
    """Print first what limits the use of the data: repeats, then repairs."""
    if line := repeats_in_test(data.interactions):
        say(line)
    for line in data.repairs:
        say(line if line.startswith((WARNING, NOTE)) else f"mended: {line}")


def local_options(name: str, options: dict[str, object], checksum: str | None = None) -> dict[str, object]:
    """The options that were given, checked, with files at hand where addresses were named."""
    given = checked_options(name, source(name), options)
    for key in PLACES:
        if key in given:
            given[key] = local(str(given[key]), checksum if key == "path" else None, cache_folder())
    return given


def _loaded(name: str, given: dict[str, object]) -> PreparedData:
    """The data of a source with two items or more; on a refusal a first look at the file is printed before it."""
    try:
        data = source(name)(**given)
    except MindRecError:
        with suppress(MindRecError, OSError):
            print(look(name, given), file=sys.stderr)
        raise
    if len(data.catalog) < 2:
        raise MindRecError(
            f"the data has {len(data.catalog)} item; a catalog of two or more is needed, so that something is left to "
            "recommend to those who have one"
        )
    return data


def _embedder(folder: Path | None, used: bool):
    if folder is None:
        return None
    if not used:
        raise MindRecError(
            "prepare reads texts for --induce-tree and --report alone: give one, or `train --text-model`"
        )
    from mindrec.text.features import text_model

    return text_model(folder)


def checked_options(name: str, load: Callable, options: dict[str, object]) -> dict[str, object]:
    """Return the options that were given.

    Raises MindRecError for one that `load` does not take, and where one is missing that it needs.
    """
    takes = inspect.signature(load).parameters
    given = {key: value for key, value in options.items() if value is not None}
    flag = {key: "--" + key.removeprefix("n_").replace("_", "-") for key in {*takes, *given}}
    for key in given:
        if key not in takes:
            allowed = ", ".join(flag[k] for k in takes) or "none"
            raise MindRecError(f"prepare {name} does not take {flag[key]}; its options are {allowed}")
    for key, parameter in takes.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise MindRecError(f"prepare {name} needs {flag[key]}: {parameter_help(name)}")
    return given


def parameter_help(name: str) -> str:
    """The meaning of --path to a source."""
    return {
        "jsonl": "a folder with items.jsonl.gz and sequences.jsonl.gz",
        "csv": "a CSV or TSV file with one row an interaction",
        "parquet": "a Parquet file, or a folder of them, with one row an interaction",
        "amazon": "the review file (.json.gz or .jsonl.gz), or a folder with it and its meta_ file",
        "movielens": "the zip as downloaded, or the folder it unpacks to",
        "mindrec-official": "the folder with NAME.inter.json and NAME.index.json",
        "recbole": "a folder or zip with NAME.inter and NAME.item",
    }.get(name, "see --help")


def _induced_notes(report: dict) -> str:
    return (
        "\n**The category tree is induced**, not the source's: items were clustered by the words of their titles and "
        "by what they are taken with in training sequences; the number of children comes from the silhouette, "
        f"nodes are named by keywords. {report['levels']} levels, {' > '.join(map(str, report['nodes']))} nodes, "
        f"silhouette of the first split {report['silhouette_first_split']}; {report['padded_items']:,} items end above "
        f"the deepest level and are padded, {report['items_nothing_known']:,} have nothing to be clustered by.\n"
    )
