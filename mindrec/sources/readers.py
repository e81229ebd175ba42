"""Reading files that others wrote: line by line, in bounded memory, each fault named with its file and line."""

import ast
import csv
import gzip
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mindrec.errors import MindRecError
from mindrec.sources.packing import GZIP, unpacked
from mindrec.sources.repairs import Repairs
from mindrec.system.progress import progress_bar

MAX_LINE = 8 << 20
"""A longer line is refused: no record of any source comes near it, and a bomb would fill the memory."""
MAX_JSON, MAX_LITERAL = 2 << 30, 200_000
MAX_ZIP_MEMBER, MAX_ZIP_RATIO = 4 << 30, 200


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """A file's bytes, unpacked as its first bytes ask for. Faults while reading become a MindRecError."""
    path = Path(path)
    try:
        with unpacked(path) as stream:
            yield stream
    except FileNotFoundError as error:
        raise MindRecError(f"{path} is missing; check --path") from error
    except IsADirectoryError as error:
        raise MindRecError(f"{path} is a folder, a file is needed; check --path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise MindRecError(f"{path}: damaged or truncated archive ({error}); fetch it again") from error
    except OSError as error:
        raise MindRecError(f"{path} cannot be read ({error}); check the file and its permissions") from error


def text_lines(
    stream: BinaryIO, name: str, repairs: Repairs, *, encoding: str = "utf-8", progress: bool = True
) -> Iterator[tuple[int, str]]:
    """(line number, text) of every line. A line that is not UTF-8 is read as Windows-1252 and counted.

    Raises MindRecError for a damaged archive and for a line beyond `MAX_LINE`, with its number.
    """
    number = 0
    with progress_bar(unit=" lines", unit_scale=True, desc=Path(name).name, shown=progress, leave=False) as bar:
        while True:
            try:
                raw = stream.readline(MAX_LINE)
            except (EOFError, OSError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
                raise MindRecError(
                    f"{name}, after line {number}: damaged or truncated archive ({error}); fetch it again"
                ) from error
            if not raw:
                return
            number += 1
            if number % 10_000 == 0:
                bar.update(10_000)
            if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
                raise MindRecError(
                    f"{name}, line {number}: longer than {MAX_LINE >> 20} MiB; this is no text table or JSON-lines file"
                )
            try:
                yield number, raw.decode(encoding)
            except UnicodeDecodeError:
                repairs.count("not_utf8", f"{name}, line {number}")
                yield number, raw.decode("cp1252", errors="replace")


def csv_rows(
    stream: BinaryIO,
    name: str,
    repairs: Repairs,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quoting: int = csv.QUOTE_MINIMAL,
) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of every row that is not empty. Raises MindRecError for a row that cannot be read."""
    texts = (text for _, text in text_lines(stream, name, repairs, encoding=encoding))
    reader = csv.reader(texts, delimiter=delimiter, quoting=quoting)
    try:
        for row in reader:
            if row:
                if reader.line_num == 1:
                    row[0] = row[0].removeprefix("\ufeff")
                yield reader.line_num, row
    except csv.Error as error:
        raise MindRecError(
            f"{name}, line {reader.line_num}: {error}; look for a quotation mark that is never closed"
        ) from error


def columns_of(header: Sequence[str], wanted: dict[str, str | None], name: str) -> dict[str, int]:
    """Indices of the wanted columns, {use: index}; a use mapped to None is left out.

    Raises MindRecError for a column that is not there, before any row is read.
    """
    places = {}
    for use, column in wanted.items():
        if column is None:
            continue
        if column not in header:
            raise MindRecError(
                f"{name} has no column {column!r} for the {use}; it has {', '.join(map(repr, header[:40]))}: "
                f"name the right one with --{use.replace('_', '-')}-column"
            )
        places[use] = list(header).index(column)
    return places


def json_lines(path: Path, repairs: Repairs, parse=json.loads) -> Iterator[tuple[int, dict]]:
    """(line number, object) of a JSON-lines file; lines that `parse` refuses are dropped, counted, and few."""
    with open_binary(path) as stream:
        for number, text in text_lines(stream, str(path), repairs):
            if not text.strip():
                continue
            try:
                row = parse(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                row = None
            if isinstance(row, dict):
                yield number, row
            else:
                repairs.malformed("row_malformed", f"{path}, line {number}", number)


def parse_record(text: str) -> dict:
    """A record: JSON, or a Python literal as older sets are published, which is read as data and never run."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if len(text) > MAX_LITERAL:
            raise
        return ast.literal_eval(text.strip())


def json_object(path: Path) -> dict:
    """One JSON object that fills a file. Raises MindRecError for another content and beyond `MAX_JSON` bytes."""
    with open_binary(path) as stream:
        raw = stream.read(MAX_JSON + 1)
    if len(raw) > MAX_JSON:
        raise MindRecError(f"{path} is larger than {MAX_JSON >> 30} GiB; split it or use the jsonl source")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MindRecError(f"{path} is not JSON ({str(error)[:200]}); fetch or write it again") from error
    if not isinstance(value, dict):
        raise MindRecError(f"{path} holds a {type(value).__name__}, a JSON object is needed")
    return value


class Bundle:
    """Files of a published set, from its zip as downloaded or from the folder it unpacks to. Nothing is unpacked."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.zip: zipfile.ZipFile | None = None
        if self.path.is_dir():
            names = [p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()]
        elif self.path.is_file():
            names = self._open_zip()
        else:
            raise MindRecError(f"{path} is missing; give the zip or the folder it unpacks to with --path")
        self.names = {PurePosixPath(name).name: name for name in sorted(names, key=lambda n: -n.count("/"))}

    def _open_zip(self) -> list[str]:
        try:
            self.zip = zipfile.ZipFile(self.path)
            members = self.zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise MindRecError(f"{self.path} is no readable zip ({error}); fetch it again") from error
        for member in members:
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if ".." in parts or member.filename[:1] in "/\\" or ":" in member.filename[:2]:
                raise MindRecError(
                    f"{self.path}: member {member.filename!r} points outside the archive; do not trust this file, "
                    "fetch it from its publisher"
                )
            ratio = member.file_size / max(member.compress_size, 1)
            if member.file_size > MAX_ZIP_MEMBER or (member.file_size > 1 << 20 and ratio > MAX_ZIP_RATIO):
                raise MindRecError(
                    f"{self.path}: member {member.filename!r} would unpack to {member.file_size:,} bytes "
                    f"({ratio:.0f} times its size; at most {MAX_ZIP_MEMBER:,} and {MAX_ZIP_RATIO} times are allowed): "
                    "a zip bomb or a damaged file; fetch it from its publisher"
                )
        return [m.filename for m in members if not m.is_dir()]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """One file by its base name. Raises MindRecError where there is none."""
        if name not in self.names:
            raise MindRecError(f"{self.path} has no {name}; it has {', '.join(sorted(self.names)[:20]) or 'nothing'}")
        if self.zip is None:
            with open_binary(self.path / self.names[name]) as stream:
                yield stream
            return
        try:
            with self.zip.open(self.names[name]) as member:
                stream = io.BufferedReader(member, 1 << 20)
                yield gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == GZIP else stream
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise MindRecError(f"{self.path}, {name}: damaged or locked ({error}); fetch it again") from error
