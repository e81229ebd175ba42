"""RecBole atomic files: NAME.inter and NAME.item, tab-separated, each column headed name:type."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from mindrec.data.catalog import Item, PreparedData
from mindrec.errors import MindRecError
from mindrec.sources.interactions_log import assemble, collect, parse_time
from mindrec.sources.readers import Bundle, columns_of, csv_rows
from mindrec.sources.repairs import Repairs

TITLES = ("title", "item_title", "movie_title", "name", "item_name", "product_name")
CATEGORIES = ("categories", "category", "class", "genre", "genres", "item_category")
BRANDS = ("brand", "store", "artist", "publisher")
NOTES = """# {name} (RecBole atomic files)
Read from `{file}`. Category path: {path}.

Licence: that of the data set behind the atomic files; set it down here before you share this folder.
"""


def load(
    path: Path,
    *,
    user_column: str = "user_id",
    item_column: str = "item_id",
    time_column: str | None = "timestamp",
    title_column: str | None = None,
    brand_column: str | None = None,
    category_columns: str | None = None,
    core: int = 1,
    keep_unused: bool = False,
) -> PreparedData:
    """Read a folder or zip with one NAME.inter, and NAME.item where there is one.

    `category_columns` names one column a level, or one whose cell holds the path; by default the first column called
    categories, category, class, genre(s) or item_category.
    """
    bundle, repairs = Bundle(path), Repairs()
    found = [n for n in bundle.names if n.endswith(".inter")]
    if len(found) != 1:
        raise MindRecError(f"{path} holds {len(found)} .inter files ({sorted(found)[:5]}); exactly one is needed")
    name = found[0].removesuffix(".inter")
    events = collect(
        _rows(bundle, found[0], {"user": user_column, "item": item_column, "time": time_column or None}, repairs),
        repairs,
    )
    records, what = (), "none"
    if f"{name}.item" in bundle:
        wanted = {"title": title_column, "brand": brand_column, "category": category_columns}
        records = list(_items(bundle, f"{name}.item", item_column, wanted, repairs))
        what = category_columns or f"the first column of {', '.join(CATEGORIES)}"
    notes = NOTES.format(name=name, file=Path(path).name, path=what)
    return assemble(events, records, repairs, name=name, core=core, keep_unused=keep_unused, notes=notes)


def _open(stream, name: str, repairs: Repairs) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Column names without their types, and the rows below them."""
    rows = csv_rows(stream, name, repairs, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = next(rows, (1, []))[1]
    if not header or not all(re.fullmatch(r"[^:]+:(token|token_seq|float|float_seq)", h.strip()) for h in header):
        raise MindRecError(f"{name}, line 1: {header[:6]} are no atomic columns like user_id:token; check the file")
    return [h.strip().split(":")[0] for h in header], rows


def _rows(bundle: Bundle, name: str, wanted: dict, repairs: Repairs) -> Iterator[tuple[str, str, str, float]]:
    with bundle.open(name) as stream:
        header, rows = _open(stream, name, repairs)
        place = columns_of(header, wanted, name)
        for count, (number, row) in enumerate(rows, 1):
            where = f"{name}, line {number}"
            short = len(row) <= max(place.values())
            time = float(count) if "time" not in place or short else parse_time(row[place["time"]])
            if short:
                repairs.malformed("row_malformed", where, count)
            elif time is None:
                repairs.malformed("bad_time", where, count)
            else:
                yield where, row[place["user"]].strip(), row[place["item"]].strip(), time


def _items(bundle: Bundle, name: str, item_column: str, wanted: dict, repairs: Repairs) -> Iterator[Item]:
    with bundle.open(name) as stream:
        header, rows = _open(stream, name, repairs)
        title = wanted["title"] or next((c for c in TITLES if c in header), None)
        brand = wanted["brand"] or next((c for c in BRANDS if c in header), None)
        chosen = wanted["category"] or next((c for c in CATEGORIES if c in header), "")
        levels = [c.strip() for c in chosen.split(",") if c.strip()]
        place = columns_of(header, {"item": item_column, "title": title, "brand": brand}, name)
        path_places = list(columns_of(header, {f"category {c}": c for c in levels}, name).values())
        for number, row in rows:
            if len(row) < len(header):
                repairs.malformed("row_malformed", f"{name}, line {number}", number)
                continue
            cells = [row[p] for p in path_places]
            names = split_path(cells[0]) if len(cells) == 1 else cells
            yield Item(
                row[place["item"]].strip(),
                row[place["title"]] if title else "",
                tuple(n for n in names if n.strip()),
                row[place["brand"]] if brand else None,
            )


def split_path(cell: str) -> list[str]:
    """Names of a token_seq cell: quoted and comma-separated ("'Books', 'Fiction'"), comma-separated, or blanks."""
    quoted = re.findall(r"'([^']+)'|\"([^\"]+)\"", cell) if cell.strip()[:1] in "'\"[" and cell.strip() else []
    if quoted:
        return [single or double for single, double in quoted]
    return [n.strip() for n in (cell.split(",") if "," in cell else cell.split())]
