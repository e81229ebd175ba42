"""`python app.py` as a subprocess, for measurements and tests that meet it over HTTP."""

import json
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
PATIENCE = 600


@contextmanager
def running_app(
    *arguments: str, script: str = "app.py", log: Path | None = None, **environment: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start the app on a free port; yields its address (no slash at the end) and process, and ends it afterwards.

    Args:
        arguments: of the script, besides host and port.
        script: another one than app.py that takes --host and --port, by its path from the repository's root.
        log: where its output goes; else nowhere.
        environment: settings laid over this process's own.

    Raises:
        MindRecError: it ended by itself or did not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, script, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with open(log or os.devnull, "ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=os.environ | environment)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/healthz", process, log)
            yield address, process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _wait_for(url: str, process: subprocess.Popen, log: Path | None) -> None:
    end = time.monotonic() + PATIENCE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        if process.poll() is not None:
            why = log.read_text(errors="replace")[-2000:] if log else "start it by hand to see why"
            raise MindRecError(f"`{' '.join(process.args[1:])}` ended with status {process.returncode}; {why}")
        try:
            opener.open(url, timeout=2)
            return
        except OSError:
            time.sleep(0.05)
    raise MindRecError(f"`{' '.join(process.args[1:])}` did not answer within {PATIENCE} s")


def wait_for_processes(address: str) -> int:
    """Wait until all decoding processes of the app are ready; the number of them.

    Raises:
        MindRecError: they are not ready within `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        with opener.open(f"{address}/healthz", timeout=60) as answer:
            processes = json.load(answer)["processes"]
        if processes["ready"] == processes["wanted"]:
            return processes["wanted"]
        time.sleep(0.05)
    raise MindRecError(f"the app's decoding processes were not ready within {PATIENCE} s")


async def stage_component(client) -> int:
    """The id of the page's component, read off the page's configuration as the browser does.

    Args:
        client: an httpx.AsyncClient whose base is the app's address.
    """
    config = (await client.get("/config")).json()
    return next(c["id"] for c in config["components"] if "decode" in (c["props"].get("server_fns") or ()))


def children(pid: int) -> list[int]:
    """The ids of the processes that a process has started; none where the system does not tell."""
    started: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started += map(int, listing.read_text().split())
        except OSError:  # the thread ended just now
            continue
    return started


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken, without its children's; 0 where the system does not tell."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    except (OSError, ValueError, IndexError):
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
