"""Batches that fit: where memory runs out, the batch is halved once and for all, and a person is told."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from tqdm import tqdm

from mindrec.system.failures import OutOfMemory, out_of_memory

Result = TypeVar("Result")


def peak_memory_mb() -> int:
    """The most memory that this process has held so far, in MiB."""
    import resource  # not on Windows, where nothing else of this module is missing

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes / (2**20 if sys.platform == "darwin" else 2**10))


def say(words: str) -> None:
    """To the error stream, above any progress bar."""
    tqdm.write(words, file=sys.stderr)


def in_fitting_parts(
    run: Callable[[range], Result], parts: Iterable[range], tell: Callable[[str], None] = say
) -> Iterator[tuple[int, Result]]:
    """(start, run(part)) for consecutive parts that cover `parts`, each as large as memory holds.

    Every failure makes the part smaller and every success moves on, so it ends: a batch of n is tried again at most
    log2(n) times in all.

    Raises:
        OutOfMemory: one case alone does not fit.
    """
    size = None
    for whole in parts:
        start = whole.start
        while start < whole.stop:
            part = range(start, whole.stop if size is None else min(start + size, whole.stop))
            fits, result = _tried(run, part)
            if fits:
                yield start, result
                start = part.stop
                continue
            if len(part) == 1:
                raise OutOfMemory(
                    "one case alone does not fit into memory; take fewer beams (beam_size), "
                    "a shorter history, or load the base in 8 or 4 bits"
                )
            size = len(part) // 2
            tell(f"out of memory at {len(part)} cases a batch; going on with {size}")


def _tried(run: Callable[[range], Result], part: range) -> tuple[bool, Result | None]:
    """Whether it fitted, and the result. What the failed run held is free again on return."""
    try:
        return True, run(part)
    except Exception as error:
        if not out_of_memory(error):
            raise
    gc.collect()  # the traceback's frames held the run's tensors
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False, None
