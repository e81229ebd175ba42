"""Atomic writing and bounded reading: a reader sees the old file or the new one, never a part of one."""

import gzip
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mindrec.errors import MindRecError


def cache_folder() -> Path:
    """Where data that can be made again is kept: MINDREC_CACHE, else the user's cache folder."""
    return Path(os.environ.get("MINDREC_CACHE") or Path.home() / ".cache" / "mindrec")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an error."""
    path = Path(path)
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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it replaces `path`, whole, when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        old = None
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            os.replace(path, old / "was")
        os.replace(temporary, path)
        if old:
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refused_by_disk(error: BaseException) -> str | None:
    """What a person reads when the disk refused a file; None for an error of another kind."""
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
    """Read one JSON object; `what` names the file's part in the error."""
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
