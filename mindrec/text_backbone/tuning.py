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
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from mindrec.errors import MindRecError
from mindrec.model.diffusion import mask_targets, masked_cross_entropy
from mindrec.system.files import read_json, replace_folder, write_json
from mindrec.text_backbone.llada import LladaDenoiser
from mindrec.text_backbone.prompts import TEMPLATES
from mindrec.text_backbone.tuning_presets import LladaTrainConfig
from mindrec.training.loop import FOLDER

COPIES = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
"""Ways to run on several processes (DDP): decoding for validation reads the model itself, not a share of it."""

Sample = tuple[tuple[int, ...], int]


def samples(sequences: Sequence[np.ndarray], max_history: int) -> list[Sample]:
    """(history, next item) for every prefix of every sequence; not where the history holds the item already."""
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
    """What one process does of a batch.

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
    if accelerator.distributed_type not in COPIES:
        raise MindRecError(
            f"{accelerator.distributed_type.value} splits the weights over processes; LoRA needs a whole copy on each, "
            "so launch with torchrun, or `accelerate launch --multi_gpu`"
        )
    model.to(accelerator.device)
    if config.checkpointing:
        model.backbone.stack.activation_checkpointing_enable({"use_reentrant": False})
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
    records, best, best_weights = [], {"score": -math.inf, "epoch": 0}, {}
    if resume and state_dir and (state_dir / "state.json").exists():
        records, best, best_weights = _load_state(state_dir, trained, optimizer, config)
        yield from records
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    steps = math.ceil(len(data) / config.batch)
    for epoch in range(len(records), config.epochs):
        if epoch - best["epoch"] > config.patience:
            break
        started, losses = time.perf_counter(), []
        torch.manual_seed(config.seed * 100_003 + epoch + 1)  # of dropout
        wrapped.train()
        stream = batches(model, codes_NL, data, config, epoch, accelerator)
        for n, share in enumerate(tqdm(stream, total=steps, desc=f"epoch {epoch + 1}", disable=not progress)):
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(epoch * steps + n + 1, steps * config.epochs, config)
            loss = _step(wrapped, share, model.level_sizes, optimizer, accelerator, list(trained.values()))
            losses.append(accelerator.reduce(loss, "sum").item())
        seconds = time.perf_counter() - started
        model.eval()
        scores = validate(model)
        record = {
            "epoch": epoch,
            "samples": len(data),
            "seconds": round(seconds, 2),
            "losses": losses[:1] + losses[-1:],
            "loss_token": float(np.mean(losses)),
            "validation": scores,
        }
        records.append(record)
        if scores["score"] > best["score"]:
            best = {"score": scores["score"], "epoch": epoch}
            best_weights = {k: v.detach().clone() for k, v in trained.items()}
        if state_dir and accelerator.is_main_process:
            _save_state(state_dir, records, best, best_weights, trained, optimizer, config)
        yield record
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(best_weights[name])
    model.eval()


def _step(wrapped, share: Share, level_sizes, optimizer, accelerator, trained) -> torch.Tensor:
    """One update; returns this process's part of the batch's mean loss."""
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


def _save_state(state_dir, records, best, best_weights, trained, optimizer, config) -> None:
    tensors = {f"model.{k}": v.detach() for k, v in trained.items()}
    tensors |= {f"best.{k}": v for k, v in best_weights.items()}
    for name, state in zip(trained, optimizer.state_dict()["state"].values(), strict=True):
        tensors |= {f"{key}.{name}": value for key, value in state.items()}
    with replace_folder(state_dir, FOLDER) as folder:
        save_file({k: v.cpu().contiguous().clone() for k, v in tensors.items()}, folder / "state.safetensors")
        write_json(folder / "state.json", {"config": config.to_dict(), "records": records, "best": best})


def _load_state(state_dir, trained, optimizer, config: LladaTrainConfig):
    state = read_json(state_dir / "state.json", "training state")
    if state["config"] != config.to_dict():
        changed = [k for k, v in config.to_dict().items() if state["config"].get(k) != v]
        raise MindRecError(f"{state_dir}: the run to resume had other settings ({', '.join(changed)}); repeat them")
    tensors = load_file(state_dir / "state.safetensors")
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(tensors[f"model.{name}"])
    saved = optimizer.state_dict()
    saved["state"] = {
        n: {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        for n, name in enumerate(trained)
    }
    optimizer.load_state_dict(saved)
    device = next(iter(trained.values())).device
    best_weights = {k[5:]: v.to(device) for k, v in tensors.items() if k.startswith("best.")}
    return state["records"], state["best"], best_weights
