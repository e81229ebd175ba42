"""MovieLens as published: 100K, 1M, 10M, 20M, 25M, 32M and latest, from the zip or the folder it unpacks to.

The tree: genre, second genre, decade. Genres stand in the order of the file.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mindrec.data.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import assemble, collect, parse_time
from mindrec.sources.readers import Bundle, csv_rows, text_lines
from mindrec.sources.repairs import Repairs

LICENCE = (
    "MovieLens, GroupLens: for research, not to be passed on or sold without permission; cite Harper & Konstan 2015"
)
NOTES = """# MovieLens ({release})
Read from `{file}` as published. Every rating counts as one interaction, whatever its stars. Levels: first genre, second
genre ("… only" where a film has one), decade.

Licence: {licence}.
"""
_YEAR = re.compile(r"^(.*?)\s*\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_ARTICLE = re.compile(r"^(.*), (The|A|An|Les|La|Le|L'|Il|Das|Der|Die|El)$")


def load(path: Path, *, core: int = 5, keep_unused: bool = False) -> PreparedData:
    """Read a MovieLens zip or folder; the files in it tell the release.

    Raises:
        MindRecError: it is no MovieLens release, or damaged.
    """
    bundle, repairs = Bundle(path), Repairs()
    if "u.data" in bundle:
        release, ratings, films = "100K", _tabs(bundle, repairs), _films_100k(bundle, repairs)
    elif "ratings.dat" in bundle:
        release, ratings, films = "1M or 10M", _colons(bundle, repairs), _films_colons(bundle, repairs)
    elif "ratings.csv" in bundle:
        release, ratings, films = "20M, 25M, 32M or latest", _commas(bundle, repairs), _films_commas(bundle, repairs)
    else:
        raise MindRecError(
            f"{path} holds none of u.data, ratings.dat and ratings.csv: no MovieLens release; it has "
            f"{', '.join(sorted(bundle.names)[:10]) or 'nothing'}"
        )
    events = collect(ratings, repairs)
    notes = NOTES.format(release=release, file=Path(path).name, licence=LICENCE)
    return assemble(events, films, repairs, name="movielens", core=core, keep_unused=keep_unused, notes=notes)


def _ratings(rows: Iterable[tuple[int, list[str]]], name: str, repairs: Repairs) -> Iterator[tuple]:
    for count, (number, row) in enumerate(rows, 1):
        where = f"{name}, line {number}"
        time = parse_time(row[3]) if len(row) >= 4 else None
        if len(row) < 4:
            repairs.malformed("row_malformed", where, count)
        elif time is None:
            repairs.malformed("bad_time", where, count)
        else:
            yield where, row[0].strip(), row[1].strip(), time


def _tabs(bundle: Bundle, repairs: Repairs) -> Iterator[tuple]:
    with bundle.open("u.data") as stream:
        rows = csv_rows(stream, "u.data", repairs, delimiter="\t", quoting=csv.QUOTE_NONE)
        yield from _ratings(rows, "u.data", repairs)


def _colons(bundle: Bundle, repairs: Repairs) -> Iterator[tuple]:
    with bundle.open("ratings.dat") as stream:
        yield from _ratings(_split(stream, "ratings.dat", repairs, "::"), "ratings.dat", repairs)


def _commas(bundle: Bundle, repairs: Repairs) -> Iterator[tuple]:
    with bundle.open("ratings.csv") as stream:
        rows = csv_rows(stream, "ratings.csv", repairs)
        _check_header(next(rows, (1, []))[1], ["userId", "movieId", "rating", "timestamp"], "ratings.csv")
        yield from _ratings(rows, "ratings.csv", repairs)


def _split(stream, name: str, repairs: Repairs, mark: str, encoding: str = "utf-8") -> Iterator[tuple[int, list[str]]]:
    for number, text in text_lines(stream, name, repairs, encoding=encoding):
        if text.strip():
            yield number, text.rstrip("\r\n").split(mark)


def _films_100k(bundle: Bundle, repairs: Repairs) -> Iterator[Item]:
    """u.item: id|title|date|video date|address|19 genre flags, Latin-1 as published."""
    with bundle.open("u.genre") as stream:
        genres = [r[0] for _, r in _split(stream, "u.genre", repairs, "|", "latin-1")]
    with bundle.open("u.item") as stream:
        for number, row in _split(stream, "u.item", repairs, "|", "latin-1"):
            if len(row) < 5 + len(genres):
                repairs.malformed("row_malformed", f"u.item, line {number}", number)
                continue
            yield film(row[0], row[1], [g for g, flag in zip(genres, row[5:], strict=False) if flag.strip() == "1"])


def _films_colons(bundle: Bundle, repairs: Repairs) -> Iterator[Item]:
    """movies.dat: id::title::genre|genre; Latin-1 in the 1M release, UTF-8 in the 10M one."""
    with bundle.open("movies.dat") as stream:
        for number, row in _split(stream, "movies.dat", Repairs(), "::"):
            if len(row) < 3:
                repairs.malformed("row_malformed", f"movies.dat, line {number}", number)
                continue
            yield film(row[0], "::".join(row[1:-1]), row[-1].split("|"))


def _films_commas(bundle: Bundle, repairs: Repairs) -> Iterator[Item]:
    with bundle.open("movies.csv") as stream:
        rows = csv_rows(stream, "movies.csv", repairs)
        _check_header(next(rows, (1, []))[1], ["movieId", "title", "genres"], "movies.csv")
        for number, row in rows:
            if len(row) < 3:
                repairs.malformed("row_malformed", f"movies.csv, line {number}", number)
                continue
            yield film(row[0], row[1], row[2].split("|"))


def _check_header(header: list[str], wanted: list[str], name: str) -> None:
    if header[: len(wanted)] != wanted:
        raise MindRecError(
            f"{name} begins with the columns {header[:6]}, a MovieLens file has {wanted}; fetch it again"
        )


def film(item_id: str, title: str, genres: list[str]) -> Item:
    """Genre, second genre and decade as path; "Matrix, The (1999)" becomes "The Matrix (1999)"."""
    year = _YEAR.match(title.strip())
    name, when = (year[1], year[2]) if year else (title.strip(), None)
    article = _ARTICLE.match(name)
    if article:
        name = f"{article[2]} {article[1]}"
    genres = [g.strip() for g in genres if g.strip() and g.strip() not in ("(no genres listed)", "unknown")]
    first = genres[0] if genres else "No genre listed"
    second = genres[1] if len(genres) > 1 else f"{first} only"
    decade = f"{when[:3]}0s" if when else "Year unknown"
    return Item(item_id.strip(), f"{name} ({when})" if when else name, (first, second, decade))
