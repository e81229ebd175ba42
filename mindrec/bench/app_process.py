"""`python app.py` as a subprocess, for measurements and tests that meet it over HTTP."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindrec.errors import MindRecError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180


@contextmanager
def running_app(*arguments: str, log: Path | None = None, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start the app on a free port; yields its address (no slash at the end) and process, and ends it afterwards.

    Args:
        arguments: of app.py, besides host and port.
        log: where its output goes; else nowhere.
        environment: settings laid over this process's own.

    Raises:
        MindRecError: it ended by itself or did not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with open(log or os.devnull, "ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=os.environ | environment)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/healthz", process)
            yield address, process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_for(url: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        if process.poll() is not None:
            raise MindRecError(f"`python app.py` ended with status {process.returncode}; start it by hand to see why")
        try:
            opener.open(url, timeout=2)
            return
        except OSError:
            time.sleep(0.1)
    raise MindRecError(f"`python app.py` did not answer within {PATIENCE} s")


def memory_mb(process: subprocess.Popen) -> float:
    """Resident memory of the app; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
