"""Commands of `python -m mindrec` in a process of their own: their output as it comes, and a way to end them."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES, MAX_LINE = 200, 400
PATIENCE = 5.0
"""Seconds that a process which is ended may take before it is killed."""


class Commands:
    """Commands that run one after another until one fails, and the work that is done after the last one.

    Attributes:
        at: number of the command that runs; the number of commands once all are done.
        epochs: epochs of a training that are finished.
        error: why it failed, as the command said it; None while all is well.
        result: what `then` gave.
    """

    def __init__(self, commands: Sequence[Sequence[str]], then: Callable[[], dict], unexplained: str):
        self.commands, self.then, self.unexplained = commands, then, unexplained
        self.at = self.epochs = 0
        self.error: str | None = None
        self.result: dict | None = None
        self.cancelled = False
        self.ended = threading.Event()
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def lines(self) -> list[str]:
        """The last lines that the commands printed, without the records of epochs."""
        return list(self._lines)

    def cancel(self) -> None:
        """End the command that runs, and begin no other."""
        with self._lock:
            self.cancelled, process = True, self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self.ended.wait(PATIENCE)

    def _run(self) -> None:
        try:
            for arguments in self.commands:
                if not self._command(arguments):
                    return
                self.at += 1
            self.result = self.then()
        except Exception as error:  # a person waits for an answer, whatever it is
            self.error = str(error)
        finally:
            self.ended.set()

    def _command(self, arguments: Sequence[str]) -> bool:
        """Run one command to its end; whether all is well."""
        command = [sys.executable, "-m", "mindrec", *arguments]
        quiet = {"OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self.cancelled:
                return False
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | quiet | {"PYTHONPATH": path},
                encoding="utf-8",
                errors="replace",
            )
        with self._process as process:
            for line in process.stdout:
                self._hear(line.rstrip())
            status = process.wait()
        if status and not self.cancelled:
            said = [line for line in self._lines if line.startswith("error: ")]
            self.error = said[-1].removeprefix("error: ") if said else self.unexplained.format(status=status)
        return not status and not self.cancelled

    def _hear(self, line: str) -> None:
        if line.startswith('{"stage"'):
            with suppress(ValueError):
                self.epochs = int(json.loads(line)["epoch"]) + 1
        elif line:
            self._lines.append(line[:MAX_LINE])
