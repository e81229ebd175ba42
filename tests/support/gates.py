"""A gate between two processes: one waits at it, a test lets it pass. A folder holds its state."""

import itertools
from pathlib import Path


class Gate:
    """Open for all, or shut but for the calls that were let through."""

    def __init__(self, folder: Path):
        self.folder, self.wide = folder, folder / "open"
        self._names = itertools.count()

    def open(self) -> None:
        """Let everything pass from now on."""
        self.wide.touch()

    def shut(self) -> None:
        """Let nothing pass from now on."""
        for ticket in self.folder.iterdir():
            ticket.unlink(missing_ok=True)

    def let_through(self, calls: int = 1) -> None:
        """Let some calls pass; those that come later wait again."""
        for _ in range(calls):
            (self.folder / f"ticket-{next(self._names)}").touch()

    def passes(self) -> bool:
        """Whether the caller may pass now; takes a ticket where the gate is shut."""
        if self.wide.exists():
            return True
        for ticket in self.folder.glob("ticket-*"):
            try:
                ticket.unlink()
            except FileNotFoundError:
                continue
            return True
        return False
