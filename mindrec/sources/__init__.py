"""One file a data source; each turns what it reads into `PreparedData`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from mindrec.data.catalog import save_prepared
from mindrec.errors import MindRecError
from mindrec.system.files import cache_folder

SOURCES = (
    "grocery",
    "jsonl",
    "csv",
    "parquet",
    "amazon",
    "movielens",
    "mindrec-official",
    "recbole",
    "synthetic",
)


def source(name: str) -> Callable:
    """The `load` function of a source. Raises MindRecError for an unknown name."""
    if name not in SOURCES:
        raise MindRecError(f"source {name!r} is not one of {', '.join(SOURCES)}")
    return import_module(f"mindrec.sources.{name.replace('-', '_')}").load


def prepared(name: str) -> Path:
    """The prepared form of a source that needs no path, made on first use and cached."""
    folder = cache_folder() / name
    if not is_prepared(name):
        save_prepared(source(name)(), folder)
    return folder


def is_prepared(name: str) -> bool:
    """Whether `prepared` finds its folder in the cache, and so answers at once."""
    return (cache_folder() / name / "sequences.jsonl.gz").exists()
