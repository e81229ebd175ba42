"""The options of `python app.py`: its arguments, or the environment where a hosted Space has no arguments."""

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.server.lanes import MAX_WAITING
from app.server.rates import RATE
from mindrec.errors import MindRecError
from mindrec.lab.dials import SECONDS

LOOPBACK = {None, "", "127.0.0.1", "localhost", "::1", "[::1]"}
"""Hosts that are this machine alone."""
AUTO, MAX_AUTO, MAX_PROCESSES = "auto", 3, 64
"""As many decoding processes as fit the machine's cores; the most of them then, and the most that may be asked for."""
MCP = 'the MCP server needs an optional package: `pip install "gradio[mcp]==6.31.0"`'


@dataclass(frozen=True)
class Options:
    """Attributes:
    checkpoints, data, cases, arena: what is opened; the shipped ones where none is named.
    host, port: where the page is served; None leaves it to Gradio (this machine, the first free port from 7860).
    operator: whether there is an operator page; its address, with a key made at the start, is printed.
    mcp: whether the public endpoints are MCP tools too.
    waiting: places in the queue of each checkpoint.
    rate: questions a second from one address; 0 is no limit.
    proxies: proxies in front that append the client's address to x-forwarded-for; 1 on a Space.
    lab_seconds: what a person may train in the Lab, on one core; 0: there is no Lab.
    own_data: whether the page has the "Your data" dialog, which takes files and trains; only where the page is
        served to this machine alone, unless it is asked for.
    processes: decoding processes beside the app's own; where the page is served to this machine alone there are none,
        unless they are asked for.
    """

    checkpoints: tuple[Path, ...]
    data: Path | None = None
    cases: tuple[Path, ...] = ()
    arena: Path | None = None
    host: str | None = None
    port: int | None = None
    operator: bool = False
    mcp: bool = False
    waiting: int = MAX_WAITING
    rate: float = RATE
    proxies: int = 0
    lab_seconds: float = SECONDS
    own_data: bool = False
    processes: int = 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description="Watch MindRec decode the next item, step by step.")
    parser.add_argument("--checkpoint", type=Path, action="append", help="a folder, repeatable; MINDREC_CHECKPOINTS")
    parser.add_argument("--data", type=Path, help="prepared data, for real test trips; MINDREC_DATA")
    parser.add_argument("--cases", type=Path, action="append", help="written by diagnose, repeatable; MINDREC_CASES")
    parser.add_argument("--arena", type=Path, help="methods to compare with, `arena --out` of them; MINDREC_ARENA")
    parser.add_argument("--host", help="address to listen on; default this machine only")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--operator", action="store_true", help="add an operator page; its address is printed")
    parser.add_argument("--mcp", action="store_true", help="offer the public endpoints as MCP tools; MINDREC_MCP=1")
    parser.add_argument(
        "--own-data",
        action=argparse.BooleanOptionalAction,
        help="the dialog that trains on your own file; on where the page is served to this machine alone",
    )
    parser.add_argument(
        "--processes",
        help="decoding processes beside the app's own, or `auto`: one fewer than the cores, at most "
        f"{MAX_AUTO}; auto where others may reach the page, else 0; MINDREC_PROCESSES",
    )
    return parser


def read_options(arguments: Sequence[str], environment: Mapping[str, str], shipped: Sequence[Path]) -> Options:
    """Arguments go before the environment. Raises MindRecError for a setting that cannot be."""
    parsed = _parser().parse_args(arguments)

    def paths(variable: str) -> list[Path]:
        return [Path(part) for part in environment.get(variable, "").split(os.pathsep) if part]

    def home(path: Path) -> Path:
        """The path with `~` as the home folder; a shell leaves it alone in --data=~/x and in a variable."""
        try:
            return path.expanduser()
        except RuntimeError as error:
            raise MindRecError(f"{path}: there is no such home folder; give the whole path") from error

    mcp = parsed.mcp or environment.get("MINDREC_MCP") == "1"
    if mcp and find_spec("mcp") is None:
        raise MindRecError(MCP)
    _check_port(parsed.port)
    data, arena = parsed.data or environment.get("MINDREC_DATA"), parsed.arena or environment.get("MINDREC_ARENA")
    proxies = int(_number(environment, "MINDREC_PROXIES", 1 if environment.get("SPACE_ID") else 0, 0, 16))
    alone = not proxies and {parsed.host, environment.get("GRADIO_SERVER_NAME")} <= LOOPBACK
    return Options(
        checkpoints=tuple(map(home, parsed.checkpoint or paths("MINDREC_CHECKPOINTS") or shipped)),
        data=home(Path(data)) if data else None,
        cases=tuple(map(home, parsed.cases or paths("MINDREC_CASES"))),
        arena=home(Path(arena)) if arena else None,
        host=parsed.host,
        port=parsed.port,
        operator=parsed.operator,
        mcp=mcp,
        waiting=int(_number(environment, "MINDREC_QUEUE", MAX_WAITING, 1, 10_000)),
        rate=_number(environment, "MINDREC_RATE", RATE, 0, 1_000_000),
        lab_seconds=_lab_seconds(environment),
        proxies=proxies,
        own_data=alone if parsed.own_data is None else parsed.own_data,
        processes=_processes(parsed.processes, environment, "0" if alone else AUTO),
    )


def _processes(argument: str | None, environment: Mapping[str, str], default: str) -> int:
    """The number of decoding processes: the argument, the environment or the default, each a number or `auto`."""
    name = "--processes" if argument else "MINDREC_PROCESSES"
    raw = argument or environment.get(name) or default
    if raw == AUTO:
        return min(MAX_AUTO, _cores() - 1)
    return int(_number({name: raw}, name, 0, 0, MAX_PROCESSES))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_port(port: int | None) -> None:
    if port is not None and not 1 <= port <= 65_535:
        raise MindRecError(f"--port {port} is not a number in 1..65,535")


def check_address(host: str | None, port: int | None) -> None:
    """Try the address before anything large is opened. Raises MindRecError where it is taken or not of this machine."""
    host = (host or "127.0.0.1").strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: a port just left is free
            probe.bind(address)
    except OSError as error:
        where = host if port is None else f"{host}, port {port},"
        raise MindRecError(
            f"{where} cannot be listened on ({error.strerror}); give another --port, or leave it out for the first "
            "free one from 7860, and for --host an address of this machine"
        ) from error


def _lab_seconds(environment: Mapping[str, str]) -> float:
    if environment.get("MINDREC_LAB", "1") == "0":
        return 0.0
    return _number(environment, "MINDREC_LAB_SECONDS", SECONDS, 1, 3600)


def _number(environment: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    raw = environment.get(name) or str(default)
    try:
        value = float(raw)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise MindRecError(f"{name}={raw[:40]!r} is not a number in {low:,}..{high:,}")
    return value
