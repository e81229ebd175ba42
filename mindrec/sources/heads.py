"""The head of a text table: which lines stand above the header, what separates fields, and what is no table at all."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mindrec.errors import MindRecError

BLANKS, COLONS = "blanks", "::"
USUAL = ("\t", ";", COLONS, "|", ",", BLANKS)
RARE = ("\x01", "\x1f", "\x1e", "^", "~", "¦", "§", "#")
"""Separators that are looked for where none of the usual ones cuts the lines."""

MAX_ABOVE = 20
LEAST_BELOW = 3
_SHEET = re.compile(r'^"?sep=(.)"?[\r\n]*$')
_DRAWN = re.compile(r"^\s*[+|][-+=]{3,}")
_MARKUP = re.compile(r"(?i)^\s*<(!doctype|html|head|body|table|\?xml|[a-z]+[ >/])")
_MARK_AFTER_BLANK = re.compile(r'[,;\t|] +"')


class Head(NamedTuple):
    """How the first lines are read.

    Attributes:
        above: lines above the header that belong to no row.
        separator: named by such a line; None where none is.
    """

    above: int = 0
    separator: str | None = None


def refuse_markup(first: str, path: Path) -> None:
    """Raise MindRecError where the first line is that of a web page, or of a table that a database's client drew."""
    if _MARKUP.match(first):
        kind = "XML" if first.lstrip().lower().startswith("<?xml") else "a web page (HTML) or XML"
        raise MindRecError(
            f"{path} is {kind}, a text table is needed; fetch the file itself (a page comes where a download needs a "
            "login), or export CSV"
        )
    if _DRAWN.match(first):
        raise MindRecError(
            f"{path} is a table drawn with lines; export it with separators (mysql --batch, psql --csv, a data frame's "
            "to_csv)"
        )


def head_of(lines: list[str]) -> Head:
    """Find the lines above the header: a sheet's `sep=;`, comments that begin with #, or free text (a title, a date).

    Lines of free text are fewer fields than half of those of the table below them.

    Args:
        lines: the first lines of the file, blank ones as well.
    """
    if not lines:
        return Head()
    if named := _SHEET.match(lines[0].lstrip("\ufeff")):
        return Head(1, named[1])
    body = [line for line in lines[MAX_ABOVE:] if line.strip()] or [line for line in lines if line.strip()][1:]
    if len(body) < LEAST_BELOW:
        return Head()
    separator = separator_of(body, Path())
    width = Counter(fields_in(line, separator) for line in body).most_common(1)[0][0]
    above = 0
    for line in lines[:MAX_ABOVE]:
        comment = line.startswith("#") and fields_in(line, separator) != width
        whole = line.count('"') % 2 == 0  # else a name or a text goes on in the next line
        fewer = width > 2 and separator != BLANKS and whole and 2 * fields_in(line, separator) <= width
        if line.strip() and not comment and not fewer:
            break
        above += 1
    fits = [fields_in(line, separator) == width for line in lines[above:] if line.strip()]
    # A table whose rows differ in width is no table below a text, and the text may be its header.
    return Head(above) if len(fits) > LEAST_BELOW and sum(fits) >= 0.8 * len(fits) else Head()


def separator_of(lines: list[str], path: Path) -> str:
    """The separator that cuts most lines into as many fields as the first one has."""
    best, score = ("\t" if {".tsv", ".tab"} & set(path.suffixes) else ","), 0.0
    for separator in USUAL:
        counts = [fields_in(line, separator) for line in lines]
        if counts[0] < 2:
            continue
        wanted = Counter(counts).most_common(1)[0][0]
        same = sum(count in (counts[0], wanted) for count in counts) / len(counts) if abs(wanted - counts[0]) < 2 else 0
        # A header's own names hold no separators: its fields count most; blanks stand inside of names and dates.
        value = same + 0.02 * min(counts[0], 10) - (0.35 if separator == BLANKS else 0)
        if value > score:
            best, score = separator, value
    if not score or best == BLANKS:
        even = (sign for sign in RARE if len({fields_in(line, sign) for line in lines}) == 1)
        return next((sign for sign in even if fields_in(lines[0], sign) > 2), best)
    return best


def fields_in(line: str, separator: str) -> int:
    """How many fields a line has; a separator between quotation marks is none."""
    text = re.sub(r'"[^"]*"', "q", line.rstrip("\r\n"))
    return len(text.split()) if separator == BLANKS else text.count(separator) + 1


def quote_of(lines: list[str], separator: str) -> str:
    """The mark that encloses fields: ' where all names of the first line stand in it and no " is there, else "."""
    names = lines[0].strip().lstrip("\ufeff").split(separator) if separator else []
    single = all(len(name) > 2 and name[0] == name[-1] == "'" for name in map(str.strip, names))
    return "'" if single and names and '"' not in "".join(lines) else '"'


def blank_before_marks(lines: list[str]) -> bool:
    """Whether a blank stands between a separator and an opening quotation mark, so that the blank is no text."""
    return bool(lines) and 2 * sum(bool(_MARK_AFTER_BLANK.search(line)) for line in lines) > len(lines)
