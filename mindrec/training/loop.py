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

from mindrec.errors import MindRecError
from mindrec.model.compact import CompactDenoiser
from mindrec.system.memory import say
from mindrec.system.progress import progress_bar
from mindrec.training.batches import batches
from mindrec.training.objectives import BatchLoss, LossConfig
from mindrec.training.resumable import Progress, is_sound, load_progress, save_progress


@dataclass(frozen=True)
class TrainConfig:
    """How long and how hard to train.

    Attributes:
        dense_epochs: epochs of the dense part alone before the block is trained; 0 trains both together from the start.
        reader_epochs: epochs of a code reader alone, where the model has one, between the two.
        epochs: at most this many for the block; each stage has a cosine schedule of its own that ends there.
        batch_targets: next-item targets a step, about.
        learning_rate: peak; linear warm-up over `warmup_steps`, cosine to a tenth.
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
    patience: int = 5
    dense_rate: float = 1.0
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)

    def to_dict(self) -> dict:
        """The fields as training.json holds them."""
        return asdict(self)


@dataclass(frozen=True)
class Stage:
    """One stage of training: its loss and its length.

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
        sequences: item rows of each, (length,).
        validate: model -> {"score": number to maximise, ...}; called after every epoch on the weights to be kept.
        state_dir: where to keep what resuming needs; written whole after each epoch.

    Raises:
        MindRecError: no sequence teaches anything, or the first epoch diverges. A later one ends the stage, and the
            best weights so far are kept.
    """
    run, trained, done = _Run(model, sequences, config, stage, ordered, progress), dict(model.named_parameters()), None
    if resume and state_dir:
        done = load_progress(state_dir, trained, run.optimizer)
        model.forget()
        run.step = done.records[-1]["step"] if done.records else 0
        yield from done.records
    done = done or Progress()
    for epoch in range(stage.first_epoch + len(done.records), stage.first_epoch + stage.epochs):
        if not done.is_patient(epoch, config.patience):
            break
        record = run.epoch(epoch)
        if record is None or not is_sound(trained):
            say(done.diverged(epoch))
            break
        done.add(record | {"validation": validate(model)}, trained)
        if state_dir:
            save_progress(state_dir, done, trained, run.optimizer)
        yield done.records[-1]
    _set_weights(model, done.best_weights)
    model.requires_grad_(True).eval()


class _Run:
    """The state that an epoch reads and changes: the model, its optimizer and the step count."""

    def __init__(self, model: CompactDenoiser, sequences, config: TrainConfig, stage: Stage, ordered, progress):
        self.model, self.sequences, self.config, self.stage = model, sequences, config, stage
        self.ordered, self.progress = ordered, progress
        self.device = next(model.parameters()).device
        groups = _groups(model, config.weight_decay, stage.dense_rate)
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        self.step = 0
        self.steps_an_epoch = sum(1 for _ in self._batches(config.seed))
        if self.steps_an_epoch == 0:
            raise MindRecError(
                "no training sequence has two items or more: there is nothing to learn from; of a sequence without a "
                "`split` the last two items are held out, so that four are needed; bring longer histories"
            )

    def _batches(self, seed: int) -> Iterator[torch.Tensor]:
        width = self.model.max_history + 1
        return batches(self.sequences, width, self.config.batch_targets, seed, ordered=self.ordered)

    def epoch(self, epoch: int) -> dict | None:
        """One pass over the data, its randomness from the seed and the epoch's number; None where it diverges."""
        started, dense, token, count = time.perf_counter(), 0.0, 0.0, 0
        seed = self.config.seed * 100_003 + epoch + 1
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.model.train()
        stream = progress_bar(
            self._batches(seed),
            total=self.steps_an_epoch,
            desc=f"{self.stage.name} epoch {epoch + 1}",
            shown=self.progress,
        )
        for rows in stream:
            out = self._update(rows.to(self.device), generator)
            if not math.isfinite(out.dense + out.token):
                return None
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


def _set_weights(model: CompactDenoiser, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(weights[name])
    model.forget()
