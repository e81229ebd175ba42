"""Work that was cut off and may go on: it lies in a folder beside its output, with everything that decides its result.

`--resume` goes on with it only where all of that is the same, so that a resumed run is the run.
"""

import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from mindrec.errors import MindRecError
from mindrec.system.files import FolderKind, put_back, read_json, replace_folder, write_json
from mindrec.system.memory import say as to_stderr

ABOUT = "about.json"
FOLDER = FolderKind("unfinished work", (ABOUT,))
NAMED = 6
"""Differences that a refusal names; another preset brings many."""


class Start(Enum):
    """How a run begins."""

    AFRESH = "afresh"
    GOES_ON = "goes on"
    FINISHED = "finished"


def begin(
    folder: Path,
    about: dict[str, Any],
    *,
    resume: bool,
    finished: Callable[[], dict | None] = lambda: None,
    say: Callable[[str], None] = to_stderr,
) -> Start:
    """Begin a folder of unfinished work, or go on in it. A stale one is moved aside at a fresh start, never deleted.

    Args:
        about: everything that decides the result, as plain data.
        finished: what the output at hand was made with; None where there is no output.

    Raises:
        MindRecError: `resume`, and what is there was made with something else; the message names what differs.
    """
    put_back(folder)
    if resume and folder.exists():
        known = (folder / ABOUT).exists()
        _check_same(folder, read_json(folder / ABOUT, "unfinished work") if known else {}, about)
        return Start.GOES_ON
    if resume and (made := finished()) is not None:
        _check_same(folder.with_suffix(""), made, about)
        say(f"nothing is left to do: {folder.with_suffix('')} is finished, and of these very settings")
        return Start.FINISHED
    if resume:
        say(f"there is nothing to resume at {folder}; the run begins afresh")
    elif folder.exists():
        say(f"{folder} is the unfinished work of an earlier run; it is moved to {_moved_aside(folder)}")
    with replace_folder(folder, FOLDER) as made:
        write_json(made / ABOUT, about)
    return Start.AFRESH


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line for each value that differs, with its dotted name and both values."""
    was, is_now = _flat(_plain(before)), _flat(_plain(now))
    return [
        f"{name} {_short(was.get(name))}, this run has {_short(is_now.get(name))}"
        for name in sorted(was.keys() | is_now.keys())
        if was.get(name) != is_now.get(name)
    ]


def _check_same(path: Path, before: dict, now: dict) -> None:
    if not before:
        raise MindRecError(
            f"{path} does not record what it was begun with: an earlier release wrote it, and nothing tells whether "
            "this run is the same; run it without --resume to begin afresh"
        )
    if changed := differences(before, now):
        more = f"; {len(changed) - NAMED} more settings differ" if len(changed) > NAMED else ""
        raise MindRecError(
            f"{path} was begun with {'; with '.join(changed[:NAMED])}{more}; "
            "run it with the same settings and data, or without --resume to begin afresh"
        )


def _plain(value):
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def _flat(value, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{name}.{key}" if name else key).items()}


def _short(value) -> str:
    words = repr(value)
    return words if len(words) <= 80 else words[:77] + "..."


def _moved_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside
