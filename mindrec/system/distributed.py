"""Several processes started by torchrun or `accelerate launch`: a process's rank, and gathering their results."""

import atexit
import os

import torch


def start() -> None:
    """Join the others where a launcher set the environment; does nothing for a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not together():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def together() -> bool:
    """Whether this process runs beside others."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def rank() -> int:
    """The number of this process, 0 where it is alone."""
    return torch.distributed.get_rank() if together() else 0


def world() -> int:
    """How many processes run together, 1 where there is one."""
    return torch.distributed.get_world_size() if together() else 1


def gather(value) -> list:
    """`value` of every process, in rank order; the values must be plain data or numpy arrays."""
    if not together():
        return [value]
    out = [None] * world()
    torch.distributed.all_gather_object(out, value)
    return out
