"""The training loop: a generator of epoch records, resumable after any interruption.

Every epoch's randomness derives from (seed, epoch), so a run that was killed and resumed follows the same curve as
one that was not.
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
from mindrec.files import atomic_folder, read_json, write_json
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.training.batches import batches
from mindrec.training.objectives import LossConfig, batch_loss


@dataclass(frozen=True)
class TrainConfig:
    """How long and how hard to train.

    Attributes:
        epochs: at most this many; the cosine schedule ends there.
        batch_targets: next-item targets a step, about.
        learning_rate: peak; linear warm-up over `warmup_steps`, cosine to a tenth.
        ema: decay of the averaged weights that are evaluated and kept; 0 keeps the raw weights.
        patience: epochs without a better validation score before stopping.
    """

    epochs: int = 20
    batch_targets: int = 1500
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100
    ema: float = 0.0
    patience: int = 5
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)

    def to_dict(self) -> dict:
        return asdict(self)


def train(
    model: CompactDenoiser,
    sequences: Sequence[np.ndarray],
    config: TrainConfig,
    validate: Callable[[CompactDenoiser], dict],
    *,
    ordered: bool = True,
    state_dir: Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Iterator[dict]:
    """Train in place; yield one record an epoch. On exhaustion the model holds the best weights.

    Args:
        validate: model -> {"score": number to maximise, ...}; called after every epoch on the weights to be kept.
        state_dir: where to keep what resuming needs; written whole after each epoch.
    """
    device = next(model.parameters()).device
    table = CodeTable((model.tokens_NL - model.offsets).cpu(), model.level_sizes).to(device)
    optimizer = torch.optim.AdamW(_groups(model, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98))
    average = {k: v.detach().clone() for k, v in model.named_parameters()} if config.ema else None
    width = model.max_history + 1
    steps_an_epoch = sum(1 for _ in batches(sequences, width, config.batch_targets, config.seed, ordered=ordered))
    if steps_an_epoch == 0:
        raise MindRecError("no sequence has two items or more; there is nothing to train on")
    records, best, first, step = [], {"score": -math.inf}, 0, 0
    best_weights: dict[str, torch.Tensor] = {}
    if resume and state_dir and (state_dir / "state.json").exists():
        records, best, best_weights, average = _load_state(state_dir, model, optimizer, average, config)
        first = len(records)
        step = records[-1]["step"] if records else 0
        yield from records
    total_steps = steps_an_epoch * config.epochs
    for epoch in range(first, config.epochs):
        if epoch - best.get("epoch", epoch) > config.patience:
            break
        started, sums, count = time.perf_counter(), {"dense": 0.0, "token": 0.0}, 0
        seed = config.seed * 100_003 + epoch + 1
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        model.train()
        stream = batches(sequences, width, config.batch_targets, seed, ordered=ordered)
        for rows in tqdm(stream, total=steps_an_epoch, desc=f"epoch {epoch + 1}", disable=not progress, mininterval=2):
            step += 1
            _set_learning_rate(optimizer, config, step, total_steps)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast_bf16(device)):
                out = batch_loss(model, table, rows.to(device), config.loss, generator)
            optimizer.zero_grad(set_to_none=True)
            out.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if average is not None:
                decay = min(config.ema, (1 + step) / (10 + step))
                with torch.no_grad():
                    for name, value in model.named_parameters():
                        average[name].lerp_(value, 1 - decay)
            count += out.targets
            sums["dense"] += out.dense * out.targets
            sums["token"] += out.token * out.targets
        seconds = time.perf_counter() - started
        model.eval()
        raw = {k: v.detach().clone() for k, v in model.named_parameters()}
        if average is not None:
            _set_weights(model, average)
        scores = validate(model)
        record = {
            "epoch": epoch,
            "step": step,
            "targets": count,
            "seconds": round(seconds, 2),
            "loss_dense": sums["dense"] / count,
            "loss_token": sums["token"] / count,
            "validation": scores,
        }
        records.append(record)
        if scores["score"] > best["score"]:
            best = {"score": scores["score"], "epoch": epoch}
            best_weights = {k: v.detach().clone() for k, v in model.named_parameters()}
        _set_weights(model, raw)
        if state_dir:
            _save_state(state_dir, records, best, best_weights, average, model, optimizer, config)
        yield record
    _set_weights(model, best_weights)
    model.eval()


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are native here; emulated ones are slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu":
        return False
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(f in flags.read_text()[:20_000] for f in ("avx512_bf16", "amx_bf16", "bf16 "))


def _groups(model: CompactDenoiser, weight_decay: float) -> list[dict]:
    """Weight decay on matrices only, not on gains, biases or the evidence weights."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _set_learning_rate(optimizer, config: TrainConfig, step: int, total: int) -> None:
    warm = min(1.0, step / max(1, config.warmup_steps))
    cosine = 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, step / total)))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * warm * cosine


def _set_weights(model: CompactDenoiser, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(weights[name])
    model._items_ND = None


def _save_state(state_dir, records, best, best_weights, average, model, optimizer, config) -> None:
    names = [name for group in optimizer.param_groups for name in _names_of(model, group["params"])]
    tensors = {f"model.{k}": v.detach().clone() for k, v in model.named_parameters()}
    tensors |= {f"best.{k}": v.clone() for k, v in best_weights.items()}
    tensors |= {f"average.{k}": v.clone() for k, v in (average or {}).items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{key}.{names[number]}": value.clone() for key, value in state.items()}
    with atomic_folder(state_dir) as folder:
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "state.safetensors")
        write_json(folder / "state.json", {"config": config.to_dict(), "records": records, "best": best})


def _load_state(state_dir, model, optimizer, average, config):
    state = read_json(state_dir / "state.json", "training state")
    if state["config"] != config.to_dict():
        changed = [k for k, v in config.to_dict().items() if state["config"].get(k) != v]
        raise MindRecError(f"{state_dir}: the run to resume had other settings ({', '.join(changed)}); repeat them")
    tensors = load_file(state_dir / "state.safetensors")
    _set_weights(model, {k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
    best_weights = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
    if average is not None:
        average = {k[8:]: v for k, v in tensors.items() if k.startswith("average.")}
    names = [name for group in optimizer.param_groups for name in _names_of(model, group["params"])]
    saved = optimizer.state_dict()
    saved["state"] = {
        n: {key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        for n, name in enumerate(names)
        if f"step.{name}" in tensors  # a parameter that never had a gradient has no state
    }
    optimizer.load_state_dict(saved)
    return state["records"], state["best"], best_weights, average


def _names_of(model: CompactDenoiser, params: list[torch.Tensor]) -> list[str]:
    by_id = {id(p): name for name, p in model.named_parameters()}
    return [by_id[id(p)] for p in params]
