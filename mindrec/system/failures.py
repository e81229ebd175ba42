"""Exceptions of the machine and their meaning: memory that ran out, or a device that is gone."""

import torch

from mindrec.errors import MindRecError

MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
DEVICE_WORDS = ("cuda error", "cuda driver", "nvml", "hip error", "no cuda gpus", "device-side", "mps backend")


class OutOfMemory(MindRecError):
    """A decode or a training step did not fit into memory."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or on a device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in MEMORY_WORDS)


def device_lost(error: BaseException) -> bool:
    """Whether the accelerator failed under a running program; nothing on it can be used again."""
    if out_of_memory(error):
        return False
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in DEVICE_WORDS)
