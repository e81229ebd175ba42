"""`python -m mindrec.lab`: one Lab run in this process, a JSON object a line on standard output."""

import argparse
import json
import os
import sys

from mindrec.errors import MindRecError
from mindrec.lab.dials import SECONDS, Dials
from mindrec.system.settings import summary

MEMORY_MB = 1024
"""Memory that a run may add to what the interpreter and its libraries hold."""
REMEDY = 'write an object such as {"epochs": 3}'
KERNELS_KEPT = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}
"""oneDNN keeps a kernel for each shape, by default 1,024 of them: half a gigabyte where no two steps are alike."""
SPARE_SECONDS = 10
"""Processor seconds beyond the limit, after which the system ends a run that did not end itself."""


def main(arguments: list[str]) -> int:
    """Run; 0 at its end, 2 where the dials or the run were wrong, as an "error" object says."""
    os.environ.update(KERNELS_KEPT)  # read when torch is imported
    _be_last()  # importing takes some seconds of a core too
    parser = argparse.ArgumentParser(prog="python -m mindrec.lab", description=__doc__)
    parser.add_argument("--dials", default="{}", help=f"a JSON object; {summary(Dials)}")
    parser.add_argument("--wait", action="store_true", help="import all that a run needs, then read the dials' line")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the run ends after so long, with what it has")
    parsed = parser.parse_args(arguments)
    try:
        raw = json.loads(_awaited() if parsed.wait else parsed.dials)
        if raw is None:
            return 0
        if not isinstance(raw, dict):
            raise MindRecError(f"--dials {str(raw)[:40]!r} is no JSON object; {REMEDY}")
        _run(Dials.from_dict(raw), parsed.seconds)
    except json.JSONDecodeError as error:
        _write({"event": "error", "message": f"--dials is not JSON ({error}); {REMEDY}"})
        return 2
    except MindRecError as error:
        _write({"event": "error", "message": str(error)})
        return 2
    except BrokenPipeError:  # whoever read is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return 0


def _awaited() -> str:
    """The dials' line from standard input, read once a run's imports are done; "null" where none comes any more."""
    import torch  # noqa: F401

    import mindrec.lab.run_events  # noqa: F401

    return sys.stdin.readline() or "null"


def _run(dials: Dials, seconds: float) -> None:
    import torch

    from mindrec.lab.run_events import events
    from mindrec.system.failures import OutOfMemory, out_of_memory

    torch.set_num_threads(1)
    _limit(seconds)
    try:
        for event in events(dials, seconds):
            _write(event)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(f"the run needs more than {MEMORY_MB} MiB; lower width, views or histories") from error


def _write(event: dict) -> None:
    print(json.dumps(event), flush=True)


def _limit(seconds: float) -> None:
    """Let the system refuse memory and time beyond the limits."""
    try:
        import resource
    except ImportError:  # Windows: time alone is limited, by the run itself
        return
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds += spent.ru_utime + spent.ru_stime  # importing is no part of the run
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + SPARE_SECONDS,) * 2)
    held = _data_bytes()
    if held:
        resource.setrlimit(resource.RLIMIT_DATA, (held + MEMORY_MB * 2**20,) * 2)


def _be_last() -> None:
    """Get the processor after everybody else; where the system has no such thing, nothing changes."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, 10)


def _data_bytes() -> int:
    """Private writable memory of this process, which RLIMIT_DATA counts; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    except (OSError, StopIteration):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
