"""A Lab run: the project's own objective and training loop on the toy shop, watched epoch by epoch.

Shape legend: N items, B held-out histories.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from mindrec.checkpoint import Checkpoint
from mindrec.data.splits import item_counts, training_sequences
from mindrec.decoding.config import DecodeConfig
from mindrec.decoding.item_index import ItemIndex
from mindrec.decoding.without_beams import answers_above, open_exact
from mindrec.lab.dials import HEADS, Dials
from mindrec.lab.problem import WORLDS, Problem
from mindrec.lab.world import LENGTH
from mindrec.model.denoiser import Denoiser
from mindrec.recommender import Recommender
from mindrec.tokens.tokenizer import Tokenizer
from mindrec.training.loop import Stage, TrainConfig, train
from mindrec.training.objectives import LossConfig, block_loss
from mindrec.training.presets import Preset
from mindrec.training.starting import make_tokenizer, new_model
from mindrec.training.weigh import code_table

BEAMS = 5
STEPS = 8
"""Training steps of an epoch, at least, however few the histories are."""
EXAMPLES = ("The Lab's cart", "A held-out cart", "Another held-out cart")
LEAST_LOG_P = -30.0
"""Stands for a model that gives a possible item no probability that a float holds."""


@dataclass(frozen=True)
class Epoch:
    """One model after one epoch; epoch 0 is before training.

    Attributes:
        objective: "diffusion" or "ar".
        loss_token, loss_dense: mean training losses of the epoch, in nats; None for epoch 0. The token loss is an
            average over levels.
        measured: the problem's measure (mindrec.lab.problem) on the held-out histories.
        shares: the model's exact probability of each item to come next in the cart, (N,).
        model: it can decode.
        seconds: since the run began.
    """

    objective: str
    epoch: int
    loss_token: float | None
    loss_dense: float | None
    measured: float
    shares: np.ndarray
    model: Recommender
    seconds: float


class Lab:
    """A problem, and the models to be trained on it.

    Args:
        dials: all settings.

    Raises:
        MindRecError: the data of the world is not here and cannot be made.
    """

    def __init__(self, dials: Dials):
        self.dials, self.problem = dials, WORLDS[dials.world](dials)
        self.data, self.catalog = self.problem.data, self.problem.data.catalog
        self.preset = _preset(dials, self.problem)
        self.tokenizer = make_tokenizer(self.data, self.preset, dials.seed)

    def epochs(self) -> Iterator[Epoch]:
        """Train; yields each model after each epoch, two models in turn.

        Raises:
            MindRecError: the first epoch diverges.
        """
        started = time.perf_counter()
        runs = [self._one(objective, started) for objective in self.dials.objectives]
        while runs:
            for run in list(runs):
                epoch = next(run, None)
                if epoch is None:
                    runs.remove(run)
                else:
                    yield epoch

    def _one(self, objective: str, started: float) -> Iterator[Epoch]:
        """One model's training with `mindrec.training.loop.train` and `block_loss`, as `mindrec train` does it."""
        torch.manual_seed(self.dials.seed)
        model = new_model(self.preset, self.tokenizer, objective, "cpu").eval()
        config, table = self.preset.train, code_table(model)
        decode = self.preset.decode if objective == "diffusion" else replace(self.preset.decode, order="left_to_right")
        recommender = Recommender(self._checkpoint(model, decode, objective))

        def seen(number: int, record: dict | None = None) -> Epoch:
            record = record or {"loss_token": None, "loss_dense": None}
            measured, shares = self.measure(model, decode)
            took = time.perf_counter() - started
            losses = record["loss_token"], record["loss_dense"]
            return Epoch(objective, number, *losses, measured, shares, recommender, round(took, 2))

        yield seen(0)
        stage = Stage("block", config.epochs, lambda net, rows, rng: block_loss(net, table, rows, config.loss, rng))
        sequences = training_sequences(self.data.interactions)
        # The last epoch is kept, whatever it is worth: overfitting is one of the things to see.
        latest = iter(range(config.epochs))
        for record in train(model, sequences, config, stage, lambda _: {"score": next(latest)}, progress=False):
            yield seen(record["epoch"] + 1, record)

    def measure(self, denoiser: Denoiser, decode: DecodeConfig) -> tuple[float, np.ndarray]:
        """The problem's measure on the held-out histories, and the exact shares (N,) of the cart's next item."""
        histories = [*self.problem.held_out, self.problem.cart]
        log_p = exact_log_p(denoiser, self.tokenizer, histories, decode)
        return self.problem.worth(log_p[:-1]), np.exp(log_p[-1])

    def _checkpoint(self, model, decode: DecodeConfig, objective: str) -> Checkpoint:
        name = "lab" if objective == "diffusion" else "lab-ar"
        return Checkpoint(
            name=name,
            denoiser=model,
            tokenizer=self.tokenizer,
            catalog=self.catalog,
            decode=decode,
            notes=(self.problem.note,),
            examples=self._examples(),
            training={"lab": self.dials.to_dict(), "objective": objective},
            card=f"# {name}\nTrained in the Lab with {self.dials}.\n",
            popularity=tuple(item_counts(self.data.interactions).tolist()),
        )

    def _examples(self) -> tuple[dict, ...]:
        """The cart that is decoded after every epoch, and the longest held-out ones."""
        others = [rows for rows in self.problem.held_out if len(rows) == LENGTH - 1 and rows != self.problem.cart]
        carts = [self.problem.cart, *others[:2]]
        ids = [[self.catalog.items[row].item_id for row in cart] for cart in carts]
        return tuple({"name": name, "item_ids": each} for name, each in zip(EXAMPLES, ids, strict=False))


def exact_log_p(denoiser: Denoiser, tokenizer: Tokenizer, histories, decode: DecodeConfig) -> np.ndarray:
    """Log-probability of every item after each history by the exact search without beams, float64 (B, N).

    `LEAST_LOG_P` is the least, for an item to which the model gives nothing that a float holds.
    """
    index = ItemIndex(torch.from_numpy(tokenizer.tokens), tokenizer.layout)
    everything = torch.full((len(histories),), -torch.inf, dtype=torch.float64)
    above = answers_above(open_exact(denoiser, index, histories, decode), everything)
    log_p = np.full((len(histories), tokenizer.n_items), LEAST_LOG_P)
    named = above.item >= 0
    log_p[above.user[named].numpy(), above.item[named].numpy()] = above.score[named].numpy().clip(LEAST_LOG_P)
    return log_p


def _preset(dials: Dials, problem: Problem) -> Preset:
    """The dials as a training preset."""
    return Preset(
        sid_levels=dials.sid_levels,
        codebook_size=3 if dials.sid_levels == 1 else 2,
        model={
            "hidden_size": dials.width,
            "heads": HEADS,
            "intermediate_size": 2 * dials.width,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "max_history": LENGTH - 1,
            "dropout": 0.0,
            "repeats": problem.repeats,
        },
        train=TrainConfig(
            epochs=dials.epochs,
            batch_targets=min(700, dials.histories * (LENGTH - 1) // STEPS),
            learning_rate=dials.learning_rate,
            warmup_steps=10,
            patience=dials.epochs,
            seed=dials.seed,
            loss=LossConfig(mask_floor=dials.mask_floor, path_share=dials.path_share, views=dials.views, legal=True),
        ),
        decode=DecodeConfig(beam_size=BEAMS, evidence="off", exclude_seen=not problem.repeats),
        level_names=problem.level_names,
    )
