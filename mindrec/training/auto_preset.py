"""A preset from the data: sizes, codebooks and schedule by rules that are written down here.

The rules come near the tuned presets where those were tuned (Beauty: 12,101 sparse items; grocery: 1,720 dense ones)
and interpolate between them. They are a start that trains sensibly, not an optimum.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.training.batches import batches
from mindrec.training.loop import TrainConfig, fast_bf16
from mindrec.training.objectives import LossConfig, block_loss, dense_loss
from mindrec.training.presets import Preset

STEPS_AN_EPOCH = 100  # enough optimizer steps that ten epochs converge on a small data set
MOST_HISTORY = 50
DENSE_EPOCHS, EPOCHS = 10, 6
WARM, TIMED = 1, 3  # optimizer steps of each stage that the estimate of the time is made from
PATIENCE = 5.0  # seconds after which a stage is measured no longer


@dataclass(frozen=True)
class AutoPreset:
    """A chosen preset and the facts that it was chosen by, one sentence each."""

    preset: Preset
    reasons: tuple[str, ...]


def choose_preset(data: PreparedData) -> AutoPreset:
    """Choose a preset by items, targets, tree and history lengths. Raises MindRecError where nothing can be trained."""
    sequences, n_items = training_sequences(data.interactions), len(data.catalog)
    lengths = np.array([len(s) for s in sequences])
    targets = int((lengths - 1).clip(min=0).sum())
    an_item = targets / max(n_items, 1)
    leaves = data.catalog.tree.items_per_leaf()
    in_leaf = float(np.mean(leaves))
    levels, codes = _semantic_ids(n_items, in_leaf, int(leaves.max()))
    width = 64 if targets < 20_000 else 128 if targets < 100_000 or an_item > 50 else 256
    dropout = 0.4 if an_item < 30 else 0.2 if an_item < 100 else 0.1
    history = int(np.clip(np.percentile(lengths, 95) if len(lengths) else 10, 10, MOST_HISTORY))
    batch = int(np.clip(targets / STEPS_AN_EPOCH, 100, 2000))
    preset = Preset(
        sid_levels=levels,
        codebook_size=codes,
        model={
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "decoder_layers": 1,
            "max_history": history,
            "dropout": dropout,
            "block_dropout": 0.1,
        },
        train=TrainConfig(
            dense_epochs=DENSE_EPOCHS,
            epochs=EPOCHS,
            batch_targets=batch,
            learning_rate=2e-3 if width < 256 else 1e-3,
            weight_decay=0.05,
            warmup_steps=min(100, STEPS_AN_EPOCH // 2),
            dense_rate=0.0,
            loss=LossConfig(mask_floor=0.2, path_share=0.75, views=2, legal=True, distil=0.9),
        ),
        decode=DecodeConfig(beam_size=20, order="left_to_right"),
    )
    return AutoPreset(
        preset,
        (
            f"{n_items:,} items with {an_item:.1f} training targets each: dropout {dropout}",
            f"{targets:,} training targets: width {width}, {batch} targets a step",
            f"{in_leaf:.1f} items in a finest category: semantic IDs of {levels} levels of {codes} codes",
            f"19 of 20 sequences have at most {history} items: the model reads the last {history}",
        ),
    )


def _semantic_ids(n_items: int, in_leaf: float, largest: int) -> tuple[int, int]:
    """Levels and codes a level. Small categories need few codes; else tokens can rank no better than their codes.

    Four times as many code tuples as the largest category has items leave k-means room to be uneven.
    """
    levels, wanted = (4, 4) if in_leaf <= 16 else (3, n_items / 12)
    codes = max(wanted, (4 * largest) ** (1 / levels))
    return levels, int(2 ** np.clip(np.ceil(np.log2(codes) - 1e-9), 2, 10))


def estimate_seconds(data: PreparedData, preset: Preset, device: torch.device) -> float:
    """Seconds of all epochs, measured on a few optimizer steps of both stages with random codes of the right shape."""
    sequences = training_sequences(data.interactions)
    sizes = (*data.catalog.tree.sizes, *[preset.codebook_size] * preset.sid_levels)
    drawn = np.random.default_rng(0).integers(
        0, preset.codebook_size, (len(data.catalog), preset.sid_levels), dtype=np.int32
    )
    codes = torch.from_numpy(np.hstack([data.catalog.tree.codes, drawn]))
    model = CompactDenoiser(CompactConfig(sizes, len(data.catalog), **preset.model), codes).to(device)
    table, config = CodeTable(codes, sizes).to(device), preset.train
    generator = torch.Generator().manual_seed(0)
    kept = {"ordered": data.interactions.ordered}
    count = sum(1 for _ in batches(sequences, model.max_history + 1, config.batch_targets, 0, **kept))
    some = list(islice(batches(sequences, model.max_history + 1, config.batch_targets, 0, **kept), WARM + TIMED))
    rows = [b.to(device) for b in some]

    def of_dense(b):
        return dense_loss(model, b, config.loss, generator)

    def of_block(b):
        return block_loss(model, table, b, config.loss, generator, dense=config.dense_rate > 0)

    return count * (
        config.dense_epochs * _seconds_a_step(model, rows, of_dense)
        + config.epochs * _seconds_a_step(model, rows, of_block)
    )


def _seconds_a_step(model: CompactDenoiser, rows: Sequence[torch.Tensor], loss: Callable) -> float:
    device = rows[0].device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    times = []
    for batch in rows:
        started = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast_bf16(device)):
            out = loss(batch)
        optimizer.zero_grad(set_to_none=True)
        out.loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
        if sum(times) > PATIENCE:
            break
    return float(np.median(times[min(WARM, len(times) - 1) :]))
