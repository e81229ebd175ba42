"""Files as they are downloaded: gz, bz2, xz, zst, a zip with one table, a workbook; told by their first bytes."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mindrec.errors import MindRecError

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
MAGIC = ((GZIP, gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
ZSTD = b"\x28\xb5\x2f\xfd"
NAMED = ((b"PAR1", "Parquet", "use `prepare parquet`, or .parquet for an item file"),)
NAMED += ((b"\xd0\xcf\x11\xe0", "an old workbook (.xls)", "save it as CSV"), (b"Rar!", "a RAR archive", "unpack it"))
NAMED += ((b"7z\xbc\xaf", "a 7z archive", "unpack it"), (b"%PDF", "a PDF", "export a table"))
NAMED += ((b"SQLite format 3", "an SQLite database", "export a table as CSV"),)
MAX_MEMBER, MAX_RATIO = 4 << 30, 200


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of the table in a file. Raises MindRecError for a file that is named for what it is and not read."""
    with path.open("rb") as stream:
        head = stream.read(16)
    for magic, opener in MAGIC:
        if head.startswith(magic):
            with opener(path, "rb") as stream:
                yield stream
            return
    if head.startswith(ZSTD):
        import pyarrow as pa

        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            yield io.BufferedReader(stream, 1 << 20)
    elif head.startswith(ZIP):
        with _zip(path) as stream:
            yield stream
    else:
        for magic, kind, remedy in NAMED:
            if head.startswith(magic):
                raise MindRecError(f"{path} is {kind}, a text table is needed; {remedy}")
        with path.open("rb") as stream:
            yield stream


@contextmanager
def _zip(path: Path) -> Iterator[BinaryIO]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not _hidden(m.filename)]
        if any(m.filename.startswith("xl/") for m in members):
            yield _workbook(path)
            return
        if len(members) != 1:
            names = ", ".join(sorted(m.filename for m in members)[:8]) or "nothing"
            raise MindRecError(f"{path} is a zip with {len(members)} files ({names}); unpack it and give one of them")
        member = members[0]
        if member.file_size > MAX_MEMBER or (
            member.file_size > 1 << 20 and member.file_size > MAX_RATIO * max(member.compress_size, 1)
        ):
            raise MindRecError(f"{path}: {member.filename!r} would unpack to {member.file_size:,} bytes: a zip bomb")
        with archive.open(member) as inner:
            stream = io.BufferedReader(inner, 1 << 20)
            yield gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == GZIP else stream


def kind_of(head: bytes) -> str:
    """The kind of a file in words, by its first bytes."""
    packed = {GZIP: "a gz file", b"BZh": "a bz2 file", b"\xfd7zXZ": "an xz file", ZSTD: "a zst file", ZIP: "a zip"}
    kinds = packed | {magic: kind for magic, kind, _ in NAMED}
    return next((kind for magic, kind in kinds.items() if head and head.startswith(magic[: len(head)])), "a text table")


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or not parts or parts[-1].startswith(".")


def _workbook(path: Path) -> BinaryIO:
    """The first sheet of a workbook as CSV bytes."""
    try:
        import openpyxl
    except ImportError as error:
        raise MindRecError(
            f"{path} is a workbook (.xlsx), which openpyxl reads and which is not installed; run `pip install "
            "'openpyxl>=3.1,<4'`, or save the sheet as CSV"
        ) from error
    import csv

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (KeyError, ValueError, zipfile.BadZipFile, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise MindRecError(f"{path} is a workbook that cannot be read ({str(error)[:100]}); save it as CSV") from error
    text = io.StringIO()
    writer = csv.writer(text)
    for row in book.worksheets[0].iter_rows(values_only=True):
        if any(cell is not None for cell in row):
            writer.writerow(["" if cell is None else cell for cell in row])
    return io.BytesIO(text.getvalue().encode())
