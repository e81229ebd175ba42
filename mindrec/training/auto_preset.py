"""A preset from the data: sizes, codebooks and schedule by rules that are written down here.

Two recipes: that of `beauty-codes` for many ordered histories over sparse items with texts, which say what counts
cannot, and that of `grocery` and `beauty`, whose tokens the dense part teaches, for all else. The rules come near the
tuned presets where those were tuned (Beauty: 12,101 sparse items; grocery: 1,720 dense ones) and interpolate between
them. They are a start that trains sensibly, not an optimum.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.model.architecture import CompactConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.model.diffusion import CodeTable
from mindrec.text.features import text_vectors
from mindrec.training.batches import batches
from mindrec.training.loop import TrainConfig, fast_bf16
from mindrec.training.objectives import LossConfig, block_loss, dense_loss, reader_loss
from mindrec.training.presets import PRESETS, Preset

STEPS_AN_EPOCH = 100  # enough optimizer steps that ten epochs converge on a small data set
MAX_HISTORY = 50
SPARSE = 30  # training targets a mean item below which texts say what counts cannot
ENOUGH = 50_000  # targets that a reader of codes needs; on fewer, tokens that the dense part teaches know far more
MAX_STEPS = 280  # optimizer steps of the sparse recipe's epochs; Beauty's, that it was tuned on
ITEMS_A_CODE = 24  # of Beauty's items at a code of each level, where the tuned preset has 512
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
    leaves = data.catalog.tree.items_per_leaf()
    in_leaf = float(np.mean(leaves))
    history = int(np.clip(np.percentile(lengths, 95) if len(lengths) else 10, 10, MAX_HISTORY))
    facts = _Facts(n_items, targets, in_leaf, int(leaves.max()), history)
    sparse = data.interactions.ordered and facts.an_item < SPARSE and targets >= ENOUGH
    chosen = _for_sparse(facts) if sparse and _have_texts(data) else _for_dense(facts)
    read = f"19 of 20 sequences have at most {history} items: the model reads the last {history}"
    return replace(chosen, reasons=(*chosen.reasons, read))


@dataclass(frozen=True)
class _Facts:
    """Facts that the rules read: items, training targets, items of a mean and the largest finest category, history."""

    n_items: int
    targets: int
    in_leaf: float
    largest: int
    history: int

    @property
    def an_item(self) -> float:
        """Training targets of a mean item."""
        return self.targets / max(self.n_items, 1)


def _have_texts(data: PreparedData) -> bool:
    """Whether at least half of the items share words with others; titles that are ids say nothing."""
    vectors = text_vectors([item.text for item in data.catalog.items], width=2)
    return bool(vectors.any(1).mean() >= 0.5)


def _for_sparse(facts: _Facts) -> AutoPreset:
    """The recipe `beauty-codes`: a narrow dense part, and tokens of texts with a reader of their own beside it."""
    tuned = PRESETS["beauty-codes"]
    codes = _power_of_two(facts.n_items / ITEMS_A_CODE, 4, 9)
    batch = int(min(facts.targets / MAX_STEPS, tuned.train.batch_targets))
    preset = replace(
        tuned,
        codebook_size=codes,
        model=tuned.model | {"max_history": facts.history},
        train=replace(tuned.train, batch_targets=batch),
        level_names=Preset().level_names,
    )
    return AutoPreset(
        preset,
        (
            f"{facts.n_items:,} items with {facts.an_item:.1f} training targets each, in order: a narrow dense part, "
            "and tokens of item texts with a reader of their own (as --preset beauty-codes)",
            f"{facts.targets:,} training targets: {batch} targets a step",
            f"{facts.n_items:,} items: semantic IDs of {tuned.sid_levels} levels of {codes} codes",
        ),
    )


def _for_dense(facts: _Facts) -> AutoPreset:
    """Tokens that the dense part teaches: for data of many targets an item, and for data without order."""
    n_items, targets, an_item, in_leaf = facts.n_items, facts.targets, facts.an_item, facts.in_leaf
    levels, codes = _semantic_ids(n_items, in_leaf, facts.largest)
    width = 64 if targets < 20_000 else 128 if targets < 100_000 or an_item > 50 else 256
    dropout = 0.4 if an_item < SPARSE else 0.2 if an_item < 100 else 0.1
    batch = int(np.clip(targets / STEPS_AN_EPOCH, 100, 2000))
    preset = Preset(
        sid_levels=levels,
        codebook_size=codes,
        model={
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "decoder_layers": 1,
            "max_history": facts.history,
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
        ),
    )


def _semantic_ids(n_items: int, in_leaf: float, largest: int) -> tuple[int, int]:
    """Levels and codes a level. Small categories need few codes; else tokens can rank no better than their codes.

    Four times as many code tuples as the largest category has items leave k-means room to be uneven.
    """
    levels, wanted = (4, 4) if in_leaf <= 16 else (3, n_items / 12)
    return levels, _power_of_two(max(wanted, (4 * largest) ** (1 / levels)), 2, 10)


def _power_of_two(least: float, low: int, high: int) -> int:
    """The first power of two from `least` up, from 2 ** low to 2 ** high."""
    return int(2 ** np.clip(np.ceil(np.log2(max(least, 1)) - 1e-9), low, high))


def estimate_seconds(data: PreparedData, preset: Preset, device: torch.device) -> float:
    """Seconds of all epochs, measured on a few optimizer steps of each stage with random codes of the right shape."""
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

    def of_reader(b):
        return reader_loss(model, b, config.loss, generator)

    def of_block(b):
        return block_loss(model, table, b, config.loss, generator, dense=config.dense_rate > 0)

    stages = [(config.dense_epochs, of_dense), (config.epochs, of_block)]
    if model.reader is not None:
        stages.append((config.reader_epochs, of_reader))
    return count * sum(epochs * _seconds_a_step(model, rows, loss) for epochs, loss in stages if epochs)


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
