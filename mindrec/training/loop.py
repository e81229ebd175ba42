"""The training loop: a generator of epoch records, resumable after any interruption.

A run has up to two stages: the dense part first (encoder and item vectors, by next-item cross-entropy), then the
target block on semantic IDs that were made again from the trained item vectors. Every epoch's randomness derives from
(seed, epoch), so a run that was killed and resumed follows the same curve as one that was not.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from mindrec.errors import MindRecError
from mindrec.model.compact import CompactDenoiser
from mindrec.system.files import FolderKind, read_json, replace_folder, write_json
from mindrec.training.batches import batches
from mindrec.training.objectives import BatchLoss, LossConfig

FOLDER = FolderKind("a training state", ("state.json", "state.safetensors"))


@dataclass(frozen=True)
class TrainConfig:
    """How long and how hard to train.

    Attributes:
        dense_epochs: epochs of the dense part alone before the block is trained; 0 trains both together from the start.
        reader_epochs: epochs of a code reader alone, where the model has one, between the two.
        epochs: at most this many for the block; each stage has a cosine schedule of its own that ends there.
        batch_targets: next-item targets a step, about.
        learning_rate: peak; linear warm-up over `warmup_steps`, cosine to a tenth.
        ema: decay of the averaged weights that are evaluated and kept; 0 keeps the raw weights.
        patience: epochs without a better validation score before a stage stops.
        dense_rate: learning rate of the dense part while the block is trained, as a share of the block's; 0 freezes it.
    """

    dense_epochs: int = 0
    reader_epochs: int = 3
    epochs: int = 20
    batch_targets: int = 1500
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100
    ema: float = 0.0
    patience: int = 5
    dense_rate: float = 1.0
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)

    def to_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Stage:
    """What one stage learns, and for how long.

    Attributes:
        loss: (model, windows (B, W), generator) -> BatchLoss.
        first_epoch: how many epochs came before, in earlier stages.
        dense_rate: see TrainConfig.
    """

    name: str
    epochs: int
    loss: Callable[[CompactDenoiser, torch.Tensor, torch.Generator], BatchLoss]
    first_epoch: int = 0
    dense_rate: float = 1.0


def train(
    model: CompactDenoiser,
    sequences: Sequence[np.ndarray],
    config: TrainConfig,
    stage: Stage,
    validate: Callable[[CompactDenoiser], dict],
    *,
    ordered: bool = True,
    state_dir: Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Iterator[dict]:
    """Train one stage in place; yield one record an epoch. On exhaustion the model holds the stage's best weights.

    Args:
        validate: model -> {"score": number to maximise, ...}; called after every epoch on the weights to be kept.
        state_dir: where to keep what resuming needs; written whole after each epoch.
    """
    run = _Run(model, sequences, config, stage, ordered, progress)
    records, best, best_weights = [], {"score": -math.inf}, {}
    if resume and state_dir and (state_dir / "state.json").exists():
        records, best, best_weights = _load_state(state_dir, run)
        yield from records
    for epoch in range(stage.first_epoch + len(records), stage.first_epoch + stage.epochs):
        if epoch - best.get("epoch", epoch) > config.patience:
            break
        record = run.epoch(epoch)
        raw = _weights(model)
        if run.average is not None:
            _set_weights(model, run.average)
        record["validation"] = validate(model)
        records.append(record)
        if record["validation"]["score"] > best["score"]:
            best = {"score": record["validation"]["score"], "epoch": epoch}
            best_weights = _weights(model)
        _set_weights(model, raw)
        if state_dir:
            _save_state(state_dir, run, records, best, best_weights)
        yield record
    _set_weights(model, best_weights)
    model.requires_grad_(True).eval()


class _Run:
    """What an epoch needs and changes: the model, its optimizer, the averaged weights and the step count."""

    def __init__(self, model: CompactDenoiser, sequences, config: TrainConfig, stage: Stage, ordered, progress):
        self.model, self.sequences, self.config, self.stage = model, sequences, config, stage
        self.ordered, self.progress = ordered, progress
        self.device = next(model.parameters()).device
        groups = _groups(model, config.weight_decay, stage.dense_rate)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.average = _weights(model) if config.ema else None
        self.step = 0
        self.steps_an_epoch = sum(1 for _ in self._batches(config.seed))
        if self.steps_an_epoch == 0:
            raise MindRecError("no sequence has two items or more; there is nothing to train on")

    def _batches(self, seed: int) -> Iterator[torch.Tensor]:
        width = self.model.max_history + 1
        return batches(self.sequences, width, self.config.batch_targets, seed, ordered=self.ordered)

    def epoch(self, epoch: int) -> dict:
        """One pass over the data; all its randomness derives from the seed and the epoch's number."""
        started, dense, token, count = time.perf_counter(), 0.0, 0.0, 0
        seed = self.config.seed * 100_003 + epoch + 1
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.model.train()
        stream = tqdm(
            self._batches(seed),
            total=self.steps_an_epoch,
            desc=f"{self.stage.name} epoch {epoch + 1}",
            disable=not self.progress,
            mininterval=2,
        )
        for rows in stream:
            out = self._update(rows.to(self.device), generator)
            count += out.targets
            dense += out.dense * out.targets
            token += out.token * out.targets
        self.model.eval()
        return {
            "stage": self.stage.name,
            "epoch": epoch,
            "step": self.step,
            "targets": count,
            "seconds": round(time.perf_counter() - started, 2),
            "loss_dense": dense / count,
            "loss_token": token / count,
        }

    def _update(self, rows: torch.Tensor, generator: torch.Generator) -> BatchLoss:
        """One optimizer step."""
        self.step += 1
        _set_learning_rate(self.optimizer, self.config, self.step, self.steps_an_epoch * self.stage.epochs)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=fast_bf16(self.device)):
            out = self.stage.loss(self.model, rows, generator)
        self.optimizer.zero_grad(set_to_none=True)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.average is not None:
            decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for name, value in self.model.named_parameters():
                    self.average[name].lerp_(value, 1 - decay)
        return out


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are native here; emulated ones are slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(f in flags.read_text()[:20_000] for f in ("avx512_bf16", "amx_bf16", "bf16 "))


def _groups(model: CompactDenoiser, weight_decay: float, dense_rate: float) -> list[dict]:
    """Weight decay on matrices only, not on gains, biases or the evidence weights; the dense part at its own rate."""
    groups = []
    for dense in (False, True):
        part = [p for name, p in model.named_parameters() if model.is_dense(name) == dense]
        rate = dense_rate if dense else 1.0
        for parameter in part:
            parameter.requires_grad_(rate > 0)
        if rate > 0:
            matrices, rest = [p for p in part if p.ndim > 1], [p for p in part if p.ndim <= 1]
            groups.append({"params": matrices, "weight_decay": weight_decay, "rate": rate})
            groups.append({"params": rest, "weight_decay": 0.0, "rate": rate})
    return groups


def _set_learning_rate(optimizer, config: TrainConfig, step: int, total: int) -> None:
    warm = min(1.0, step / max(1, config.warmup_steps))
    cosine = 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, step / total)))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["rate"] * warm * cosine


def _weights(model: CompactDenoiser) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def _set_weights(model: CompactDenoiser, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(weights[name])
    model._items_ND = None


def _save_state(state_dir: Path, run: _Run, records: list[dict], best: dict, best_weights: dict) -> None:
    names = _optimizer_names(run)
    tensors = {f"model.{k}": v for k, v in _weights(run.model).items()}
    tensors |= {f"best.{k}": v.clone() for k, v in best_weights.items()}
    tensors |= {f"average.{k}": v.clone() for k, v in (run.average or {}).items()}
    for number, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"{key}.{names[number]}": value.clone() for key, value in state.items()}
    with replace_folder(state_dir, FOLDER) as folder:
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "state.safetensors")
        about = {"config": run.config.to_dict(), "stage": run.stage.name, "records": records, "best": best}
        write_json(folder / "state.json", about)


def _load_state(state_dir: Path, run: _Run) -> tuple[list[dict], dict, dict]:
    """Put a saved state into `run`; return the records, the best score and the best weights."""
    state = read_json(state_dir / "state.json", "training state")
    config = run.config.to_dict()
    if state["config"] != config:
        changed = [k for k, v in config.items() if state["config"].get(k) != v]
        raise MindRecError(f"{state_dir}: the run to resume had other settings ({', '.join(changed)}); repeat them")
    tensors = load_file(state_dir / "state.safetensors", device=str(run.device))

    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    _set_weights(run.model, under("model."))
    if run.average is not None:
        run.average = under("average.")
    saved = run.optimizer.state_dict()
    saved["state"] = {
        n: {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        for n, name in enumerate(_optimizer_names(run))
        if f"step.{name}" in tensors  # a parameter that never had a gradient has no state
    }
    run.optimizer.load_state_dict(saved)
    run.step = state["records"][-1]["step"] if state["records"] else 0
    return state["records"], state["best"], under("best.")


def _optimizer_names(run: _Run) -> list[str]:
    """Parameter names in the optimizer's order."""
    by_id = {id(p): name for name, p in run.model.named_parameters()}
    return [by_id[id(p)] for group in run.optimizer.param_groups for p in group["params"]]
