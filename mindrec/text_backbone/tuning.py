"""Training a LLaDA denoiser: masked cross-entropy on the target's tokens alone, on one process or several.

Every epoch's randomness (order, templates, masks) derives from (seed, epoch) and is drawn for the whole batch on every
process, each of which then takes its share: the loss does not depend on how many there are. Dropout does.

Shape legend: M samples of a batch, P prompt length, L levels, T added tokens.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedType

from mindrec.errors import MindRecError
from mindrec.model.diffusion import mask_targets, masked_cross_entropy
from mindrec.system.memory import say
from mindrec.system.progress import progress_bar
from mindrec.text_backbone.llada import LladaDenoiser
from mindrec.text_backbone.prompts import TEMPLATES
from mindrec.text_backbone.tuning_presets import LladaTrainConfig
from mindrec.training.resumable import Progress, is_sound, load_progress, save_progress

COPIES = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
"""Ways to run on several processes (DDP): decoding for validation reads the model itself, not a share of it."""

Sample = tuple[tuple[int, ...], int]


def samples(sequences: Sequence[np.ndarray], max_history: int) -> list[Sample]:
    """(history, next item) of every prefix of every sequence (length,); not where the history holds the item.

    Raises MindRecError where no sequence gives one.
    """
    out = []
    for rows in sequences:
        rows = [int(row) for row in rows]
        for n in range(1, len(rows)):
            history = tuple(rows[max(0, n - max_history) : n])
            if rows[n] not in history:
                out.append((history, rows[n]))
    if not out:
        raise MindRecError("no sequence has two different items; there is nothing to train on")
    return out


@dataclass(frozen=True)
class Share:
    """One process's part of a batch.

    Attributes:
        ids, sees: (M, P) the prompts; filled, codes: (M, L); weight: (M,), 1 / p over the batch's size on all
            processes, zero for a sample that only fills up the share.
    """

    ids: torch.Tensor
    sees: torch.Tensor
    filled: torch.Tensor
    codes: torch.Tensor
    weight: torch.Tensor


def batches(
    model: LladaDenoiser, codes_NL: torch.Tensor, data: Sequence[Sample], config: LladaTrainConfig, epoch: int, of
) -> Iterator[Share]:
    """The shares of one epoch. `of` is an Accelerator, which knows the number of processes and its own."""
    generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch + 1)
    order = torch.randperm(len(data), generator=generator).tolist()
    for first in range(0, len(order), config.batch):
        rows = order[first : first + config.batch]
        templates = torch.randint(len(TEMPLATES), (len(rows),), generator=generator).tolist()
        codes = codes_NL[[data[n][1] for n in rows]]
        filled, weight = mask_targets(codes, config.mask_floor, generator)
        mine = [
            n % len(rows) for n in range(of.process_index, _round_up(len(rows), of.num_processes), of.num_processes)
        ]
        real = torch.arange(of.process_index, _round_up(len(rows), of.num_processes), of.num_processes) < len(rows)
        ids, sees = model.prompts([data[rows[n]][0] for n in mine], [templates[n] for n in mine])
        share = Share(ids, sees, filled[mine], codes[mine], weight[mine] * real / len(rows))
        yield Share(*(value.to(of.device) for value in vars(share).values()))


def train_llada(
    model: LladaDenoiser,
    codes_NL: torch.Tensor,
    data: Sequence[Sample],
    config: LladaTrainConfig,
    validate: Callable[[LladaDenoiser], dict],
    accelerator: Accelerator,
    *,
    state_dir: Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Iterator[dict]:
    """Train in place; yield one record an epoch. On exhaustion the model holds the best weights.

    Args:
        validate: model -> {"score": number to maximise, ...}, the same on every process.
        state_dir: where to keep what resuming needs; written whole after each epoch by the first process.
    """
    _to_device(model, config, accelerator)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    done = load_progress(state_dir, trained, optimizer) if resume and state_dir else Progress()
    yield from done.records
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    steps, left = math.ceil(len(data) / config.batch), 60 * (config.minutes or math.inf)
    for epoch in range(len(done.records), config.epochs):
        if not done.is_patient(epoch, config.patience) or left <= 0:
            break
        started = time.perf_counter()
        stream = batches(model, codes_NL, data, config, epoch, accelerator)
        bar = progress_bar(stream, total=steps, desc=f"epoch {epoch + 1}", shown=progress)
        losses = _epoch(wrapped, bar, epoch * steps, steps * config.epochs, config, optimizer, accelerator, left)
        seconds = time.perf_counter() - started
        left -= seconds
        model.eval()
        if not math.isfinite(losses[-1]) or not is_sound(trained):
            _say_diverged(done, epoch, accelerator)
            break
        record = {"epoch": epoch, "samples": len(data), "seconds": round(seconds, 2), "losses": [losses[0], losses[-1]]}
        record |= {"loss_token": float(np.mean(losses)), "validation": validate(model)}
        done.add(record, trained)
        if state_dir and accelerator.is_main_process:
            save_progress(state_dir, done, trained, optimizer)
        yield record
    _take_best(done, trained)
    model.eval()


def _say_diverged(done: Progress, epoch: int, accelerator: Accelerator) -> None:
    """Say that training diverged. Raises MindRecError, on every process, where no epoch is worth keeping."""
    words = done.diverged(epoch)
    if accelerator.is_main_process:
        say(words)


@torch.no_grad()
def _take_best(done: Progress, trained: dict[str, torch.Tensor]) -> None:
    """Put the best epoch's weights in place."""
    for name, value in trained.items():
        value.copy_(done.best_weights[name])


def _to_device(model: LladaDenoiser, config: LladaTrainConfig, accelerator: Accelerator) -> None:
    """Put the model on this process's device. Raises MindRecError where processes do not each hold a whole copy."""
    if accelerator.distributed_type not in COPIES:
        raise MindRecError(
            f"{accelerator.distributed_type.value} splits the weights over processes; LoRA needs a whole copy on each, "
            "so launch with torchrun, or `accelerate launch --multi_gpu`"
        )
    model.to(accelerator.device)
    if config.checkpointing:
        model.backbone.stack.activation_checkpointing_enable({"use_reentrant": False})


def _epoch(
    wrapped, stream, done: int, total: int, config: LladaTrainConfig, optimizer, accelerator, left: float
) -> list[float]:
    """The loss of every step of an epoch, as all processes see it; it ends with the first that is no number, and with
    the step at which `left` seconds are used up on any process.

    `done` of the schedule's `total` steps lie before it.
    """
    end = time.perf_counter() + left
    torch.manual_seed(config.seed * 100_003 + done // max(1, total // config.epochs) + 1)  # of dropout
    wrapped.train()
    losses = []
    for n, share in enumerate(stream):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * schedule(done + n + 1, total, config)
        loss = _step(wrapped, share, optimizer, accelerator)
        late = torch.full_like(loss, float(time.perf_counter() > end))
        total_loss, over = accelerator.reduce(torch.stack([loss, late]), "sum").tolist()
        losses.append(total_loss)
        if over or not math.isfinite(total_loss):
            break
    return losses


def _step(wrapped, share: Share, optimizer, accelerator) -> torch.Tensor:
    """One update; returns this process's part of the batch's mean loss."""
    level_sizes = accelerator.unwrap_model(wrapped).level_sizes
    trained = [value for group in optimizer.param_groups for value in group["params"]]
    with accelerator.autocast():
        logits = wrapped(share.ids, share.sees, share.filled)
    legal = torch.ones_like(logits, dtype=torch.bool)
    loss_M, _ = masked_cross_entropy(logits, legal, share.codes, share.filled, share.weight, level_sizes)
    loss = loss_M.sum()
    optimizer.zero_grad()
    accelerator.backward(loss * accelerator.num_processes)  # gradients are averaged over processes
    accelerator.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    return loss.detach()


def schedule(step: int, total: int, config: LladaTrainConfig) -> float:
    """Warm-up, plateau, then a linear fall to a tenth over the last tenth of the steps, as MindRec released it."""
    warm = min(1.0, step / max(1, config.warmup_steps))
    return warm * min(1.0, 0.1 + 0.9 * (total - step) / max(1.0, 0.1 * total))


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
