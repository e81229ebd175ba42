"""The state of a training between epochs: weights, optimizer, records and the best weights so far, on disk and back."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mindrec.errors import MindRecError
from mindrec.system.files import FolderKind, put_back, read_json, replace_folder, write_json

STATE_FORMAT = 1
"""Part of what a run is known by: a state that another release wrote is not gone on with."""
FOLDER = FolderKind("a training state", ("state.json", "state.safetensors"))
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class Progress:
    """How far a stage has come.

    Attributes:
        records: one an epoch.
        best: score and epoch of the best weights.
        best_weights: name -> tensor; empty until an epoch has a score.
    """

    records: list[dict] = field(default_factory=list)
    best: dict = field(default_factory=lambda: {"score": -math.inf})
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def add(self, record: dict, trained: dict[str, torch.Tensor]) -> None:
        """Take in an epoch; its weights, tensors by name, are kept where none before had a better validation score."""
        self.records.append(record)
        if record["validation"]["score"] > self.best["score"]:
            self.best = {"score": record["validation"]["score"], "epoch": record["epoch"]}
            self.best_weights = {name: value.detach().clone() for name, value in trained.items()}

    def is_patient(self, epoch: int, patience: int) -> bool:
        """Whether `epoch` is worth training: a better score is no further back than `patience` epochs."""
        return epoch - self.best.get("epoch", epoch) <= patience

    def diverged(self, epoch: int) -> str:
        """Note that the loss is no number any more; returns the sentence for a person.

        Raises:
            MindRecError: there are no earlier weights to keep.
        """
        if not self.best_weights:
            raise MindRecError(
                f"the training diverged in epoch {epoch + 1}, before any weights were kept: the loss is not a number; "
                "lower the learning rate"
            )
        self.records[-1]["stopped"] = f"epoch {epoch + 1} diverged"
        kept = self.best["epoch"] + 1
        return f"epoch {epoch + 1} diverged (the loss is not a number); the best so far, epoch {kept}, is kept"


def is_sound(trained: dict[str, torch.Tensor]) -> bool:
    """Whether every weight of every tensor (any shape) is a finite number."""
    return all(bool(torch.isfinite(value).all()) for value in trained.values())


def save_progress(
    folder: Path, progress: Progress, trained: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write the state whole or not at all; `trained` are the weights by name, of any shape."""
    names = _names(trained, optimizer)
    tensors = {f"model.{k}": v for k, v in trained.items()}
    tensors |= {f"best.{k}": v for k, v in progress.best_weights.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{key}.{names[number]}": value for key, value in state.items()}
    with replace_folder(folder, FOLDER) as made:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, made / "state.safetensors")
        write_json(made / "state.json", {"records": progress.records, "best": progress.best})


def load_progress(folder: Path, trained: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> Progress:
    """Put a saved state into weights (any shape, by name) and optimizer; a fresh Progress where there is none."""
    put_back(folder)
    if not (folder / "state.json").exists():
        return Progress()
    state = read_json(folder / "state.json", "training state")
    device = next(iter(trained.values())).device
    tensors = load_file(folder / "state.safetensors", device=str(device))
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(tensors[f"model.{name}"])
    saved = optimizer.state_dict()
    saved["state"] = {
        n: {key: tensors[f"{key}.{name}"] for key in MOMENTS}
        for n, name in enumerate(_names(trained, optimizer))
        if f"step.{name}" in tensors  # a parameter that never had a gradient has no state
    }
    optimizer.load_state_dict(saved)
    best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
    return Progress(state["records"], state["best"], best)


def _names(trained: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> list[str]:
    """Parameter names in the optimizer's order."""
    by_id = {id(value): name for name, value in trained.items()}
    return [by_id[id(p)] for group in optimizer.param_groups for p in group["params"]]
