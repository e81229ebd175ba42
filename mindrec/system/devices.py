"""The torch device that a command runs on."""

import torch

from mindrec.errors import MindRecError


def pick_device(device: str) -> torch.device:
    """ "auto" is CUDA where there is one, else MPS, else CPU. Raises MindRecError for one that this machine lacks."""
    if device != "auto":
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise MindRecError(f"device {device!r} is not known; use auto, cpu, cuda or mps") from error
        try:
            torch.zeros(1, device=chosen).item()
        except Exception as error:  # torch raises AssertionError, RuntimeError or NotImplementedError, by device
            why = str(error).partition("\n")[0][:120]
            raise MindRecError(f"device {device!r} is not there ({why}); use auto, or cpu") from error
        return chosen
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Name of a device as tables of figures give it: the GPU's model, or "cpu" or "mps"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
