"""A file named by the person: a path as it is, an https address fetched into the cache. Nothing else is fetched."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tqdm import tqdm

from mindrec.errors import MindRecError
from mindrec.system.progress import progress_bar

CHUNK = 1 << 20


def local(address: str, checksum: str | None, cache: Path, open_url: Callable = urllib.request.urlopen) -> Path:
    """The path behind an address, its checksum verified where one is given ("sha256:…" or "md5:…").

    A broken download is kept beside the cache entry and resumed by the next call.

    Raises:
        MindRecError: another checksum, an address that cannot be fetched, a checksum for something that is no file.
    """
    if "://" not in address:
        path = Path(address).expanduser()
        if checksum:
            if not path.is_file():
                raise MindRecError(f"--checksum needs a file, {address} is none")
            verify(path, checksum)
        return path
    if urlsplit(address).scheme != "https" or not urlsplit(address).hostname:
        raise MindRecError(f"{address!r} is no https address; give one, or a local path")
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    path = cache / "downloads" / f"{digest}-{PurePosixPath(urlsplit(address).path).name or 'data'}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        _download(address, part, open_url)
        if checksum:
            verify(part, checksum, remove=True)
        os.replace(part, path)
    elif checksum:
        verify(path, checksum, remove=True)
    return path


def _download(url: str, part: Path, open_url: Callable) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with open_url(request, timeout=60) as answer:
            if urlsplit(answer.geturl()).scheme != "https":
                raise MindRecError(f"{url} leads to {answer.geturl()}, which is not https; it is not fetched")
            resumed = answer.status == 206
            length = answer.headers.get("Content-Length")
            total = int(length) + have * resumed if length and length.isdigit() else None
            with part.open("ab" if resumed else "wb") as out, _bar(part.name, total, have * resumed) as bar:
                while chunk := answer.read(CHUNK):
                    out.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch: the last call ended between the last byte and the rename
            return
        raise MindRecError(f"{url}: the server answers {error.code} {error.reason}; check the address") from error
    except (OSError, ValueError) as error:
        raise MindRecError(f"{url}: the download broke off ({error}); run the command again, it resumes") from error
    if total is not None and part.stat().st_size != total:
        raise MindRecError(
            f"{url}: {part.stat().st_size:,} of {total:,} bytes arrived; run the command again, it resumes"
        )


def _bar(name: str, total: int | None, start: int) -> tqdm:
    return progress_bar(total=total, initial=start, unit="B", unit_scale=True, desc=name)


def verify(path: Path, checksum: str, *, remove: bool = False) -> None:
    """Raises MindRecError where the file's digest is not `checksum`; `remove` deletes what was fetched wrong."""
    kind, _, wanted = checksum.partition(":")
    if kind not in ("sha256", "md5") or not wanted:
        raise MindRecError(f"checksum {checksum!r} is not sha256:DIGEST or md5:DIGEST")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, kind).hexdigest()
    if digest != wanted.lower():
        if remove:
            path.unlink()
        raise MindRecError(
            f"{path.name}: {kind} is {digest}, {wanted} was asked for; "
            + ("the fetched file was deleted: run the command again" if remove else "fetch the file again")
        )
