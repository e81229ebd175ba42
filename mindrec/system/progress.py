"""Progress of long work: a bar on a terminal, a line every so often where there is none."""

import sys
from collections.abc import Iterable

from tqdm import tqdm

EVERY = 10.0
"""Seconds between two lines; work that is done sooner has none."""
BAR_EVERY = 2.0


class _Lines:
    """A stream that passes tqdm's output on as whole lines to the error stream, without carriage returns."""

    def write(self, text: str) -> None:
        """Write the text of one state; moves of the cursor are left out."""
        if words := text.replace("\r", "").replace("\x1b[A", "").strip():
            sys.stderr.write(words + "\n")

    def flush(self) -> None:
        """Show what is written."""
        sys.stderr.flush()


def progress_bar(iterable: Iterable | None = None, *, shown: bool = True, **options) -> tqdm:
    """Progress over an iterable, or up to a `total` by `update`.

    Args:
        shown: False for none at all.
        options: of tqdm: total, initial, desc, unit, unit_scale, leave.
    """
    if not shown or sys.stderr.isatty():
        return tqdm(iterable, disable=not shown, mininterval=BAR_EVERY, **options)
    known = options.get("total") is not None or hasattr(iterable, "__len__")
    count = "{n_fmt} of {total_fmt} ({percentage:.0f} %)" if known else "{n_fmt}{unit}"
    left = ", {remaining} left" if known else ""
    return tqdm(
        iterable,
        file=_Lines(),
        mininterval=EVERY,
        maxinterval=max(EVERY, 0.1),
        delay=EVERY,
        bar_format=f"{{desc}}: {count}, {{elapsed}} gone{left}",
        **options,
    )
