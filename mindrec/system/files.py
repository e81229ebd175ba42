"""Atomic writing and bounded reading: a reader sees the old file or the new one, never a part of one.

No writer destroys what this project did not make: see `FolderKind`.
"""

import ctypes
import errno
import glob
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from mindrec.errors import MindRecError


def cache_folder() -> Path:
    """Where data that can be made again is kept: MINDREC_CACHE, else the user's cache folder."""
    return Path(os.environ.get("MINDREC_CACHE") or Path.home() / ".cache" / "mindrec")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an error.

    Raises:
        MindRecError: `path` is a folder.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise MindRecError(f"{path} is a folder, and a file is to be written; name a file, e.g. {path / 'result'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_file(path: Path, starts: tuple[bytes, ...], kind: str) -> None:
    """Refuse a path at which something else lies than a file of this kind, known by its first bytes; before any work.

    Raises:
        MindRecError: a folder, or a file that begins with none of `starts`.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise MindRecError(f"{path} is a folder, and a {kind} file is to be written; name a file")
    if path.is_file() and (begins := path.open("rb").read(64).lstrip()) and not begins.startswith(starts):
        raise MindRecError(f"{path} exists and is no {kind} file, so it is not replaced; name another file")


def check_json(path: Path | None) -> Path | None:
    """The path; raises MindRecError where something else than JSON lies at it."""
    if path is not None:
        check_file(path, (b"{", b"["), "JSON")
    return path


def check_graphml(path: Path | None) -> Path | None:
    """The path; raises MindRecError where something else than GraphML lies at it."""
    if path is not None:
        check_file(path, (b"<graphml", b"<?xml"), "GraphML")
    return path


def check_parquet(path: Path) -> Path:
    """The path; raises MindRecError where something else than a Parquet file lies at it."""
    check_file(path, (b"PAR1",), "Parquet")
    return path


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder that this project writes, known by its files; only such a folder is replaced.

    Attributes:
        name: for messages.
        marks: patterns of names; each has to be there, or the folder is of another kind.
        files: patterns of every other name that may be there. A name that fits none belongs to somebody else.
    """

    name: str
    marks: tuple[str, ...]
    files: tuple[str, ...] = ()

    def foreign(self, folder: Path) -> str | None:
        """A name in `folder` that shows that this project did not make it, or not all of it; None where it did."""
        names = sorted(p.name for p in folder.iterdir() if p.name not in OF_THE_SYSTEM)
        strange = [name for name in names if not any(fnmatch(name, known) for known in (*self.marks, *self.files))]
        lacks = any(not any(fnmatch(name, mark) for name in names) for mark in self.marks)
        if not names or not (strange or lacks):
            return None
        return (strange or names)[0]


OF_THE_SYSTEM = (".DS_Store", "Thumbs.db", ".gitattributes")


def check_replaceable(path: Path, kind: FolderKind) -> Path:
    """The true path of a folder to write; nothing, an empty folder, or one of this kind lies there. Before any work.

    Raises:
        MindRecError: a file, or a folder that holds what this project did not write.
    """
    path = Path(path).expanduser().resolve()
    put_back(path)
    if path.is_dir():
        if (name := kind.foreign(path)) is not None:
            raise MindRecError(
                f"{path} exists and holds {name!r}: it is not, or not only, {kind.name} of this project, and is not "
                "replaced; give another --out, or move what it holds away"
            )
    elif path.exists():
        raise MindRecError(f"{path} exists and is no folder; give another --out")
    return path


@contextmanager
def replace_folder(path: Path, kind: FolderKind) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it replaces `path`, whole, when the block ends without an error.

    Whatever happens, a kill too, the old folder or the new one lies whole at `path`: they are exchanged in one system
    call. Where there is none (not Linux, some network drives) the old one is moved away first, and back on an error;
    after a kill in between, the next command that reads or writes `path` puts it back (`put_back`).

    Raises:
        MindRecError: see `check_replaceable`; it is asked again at the end, as another may have written meanwhile.
    """
    path = check_replaceable(path, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        check_replaceable(path, kind)
        if not path.exists():
            os.rename(temporary, path)
        elif not _exchanged(temporary, path):
            _swapped(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Give two folders each other's name in one step; False where the system cannot."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of renameat2(2)
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _swapped(new: Path, path: Path) -> None:
    """Move `new` to `path` in two steps; what was there is put back where the second one fails."""
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    try:
        os.rename(path, aside / "was")
        try:
            os.rename(new, path)
        except BaseException:
            os.rename(aside / "was", path)
            raise
        shutil.rmtree(aside / "was", ignore_errors=True)
    finally:
        with suppress(OSError):
            aside.rmdir()  # never what it holds: if nothing could be put back, this is the only copy


def put_back(path: Path) -> None:
    """Undo a replacement of `path` that was killed between its two steps, and say so; nothing where there was none."""
    path = Path(path)
    if path.exists() or not (asides := _asides(path)):
        return
    time.sleep(0.5)  # another process may be between the two steps at this moment
    if path.exists() or not (asides := _asides(path)):
        return
    was = max(asides, key=lambda aside: aside.stat().st_mtime_ns)
    with suppress(OSError):  # another process was faster
        os.rename(was, path)
        was.parent.rmdir()
        print(f"{path} was being replaced when its command was killed; the old one is put back", file=sys.stderr)


def _asides(path: Path) -> list[Path]:
    """Where `_swapped` keeps what was at `path`."""
    return list(path.parent.glob(f".{glob.escape(path.name)}.old.*/was"))


def refused_by_disk(error: BaseException) -> str | None:
    """A sentence for a person whose disk refused a file; None for an error of another kind."""
    # safetensors puts the system's error into words of its own
    disk = isinstance(error, OSError) or "os error" in str(error).lower()
    if not disk or isinstance(error, ConnectionError):
        return None
    why = " ".join(str(error).split())[:300]
    return (
        f"{why}; nothing that was there is changed: free space, or name a place that can be written, and run it again"
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value, *, indent: int | None = 1) -> None:
    """Write JSON whole or not at all. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path, what: str) -> dict:
    """Read one JSON object; `what` names the file's part in the error.

    Raises:
        MindRecError: the file is missing, unreadable or no JSON object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MindRecError(f"{what}: {path} is missing") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise MindRecError(f"{what}: {path} cannot be read as JSON ({error}); restore the file") from error
    if not isinstance(value, dict):
        raise MindRecError(f"{what}: {path} holds a {type(value).__name__}, a JSON object is needed")
    return value


def write_jsonl_gz(path: Path, rows: Iterator[dict]) -> None:
    """Write one JSON object a line, gzipped; for files inside a folder that is itself written whole."""
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=6) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_jsonl_gz(path: Path, check: Callable[[dict], None] | None = None) -> Iterator[dict]:
    """Yield the objects of a JSON-lines file, gzipped or plain.

    Raises MindRecError naming file and line for a line that is not an object, and for a truncated archive.
    """
    line = 0
    try:
        opener = gzip.open if Path(path).suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as stream:
            for line, text in enumerate(stream, 1):
                if not text.strip():
                    continue
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise MindRecError(f"{path}, line {line}: a JSON object is needed, found {type(row).__name__}")
                if check:
                    check(row)
                yield row
    except FileNotFoundError as error:
        raise MindRecError(f"{path} is missing; `python -m mindrec prepare` writes it") from error
    except json.JSONDecodeError as error:
        raise MindRecError(f"{path}, line {line}: not JSON ({error.msg}); mend or remove the line") from error
    except RecursionError as error:
        raise MindRecError(f"{path}, line {line}: nested too deep; mend or remove the line") from error
    except UnicodeDecodeError as error:
        raise MindRecError(f"{path}, after line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except (EOFError, OSError, zlib.error) as error:
        raise MindRecError(f"{path}, after line {line}: damaged archive ({error}); fetch or make it again") from error
