"""The stages of a compact model's training: the dense part, a code reader where there is one, the target block."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from mindrec.data.catalog import PreparedData
from mindrec.data.splits import cases
from mindrec.decoding.config import DecodeConfig
from mindrec.model.compact import CompactDenoiser
from mindrec.system.files import read_json, write_json
from mindrec.text.features import Embed, text_vectors
from mindrec.text.features import text_model as open_text_model
from mindrec.tokens.tokenizer import Tokenizer
from mindrec.training.calibrate import token_likelihood
from mindrec.training.loop import Stage, train
from mindrec.training.objectives import block_loss, dense_loss, reader_loss
from mindrec.training.presets import Preset
from mindrec.training.weigh import (
    CALIBRATION_USERS,
    VALIDATION_USERS,
    code_table,
    dense_validation,
    make_validation,
    validation_cases,
)

START_NORM = 0.6


@dataclass(frozen=True)
class Recipe:
    """Choices of a training beside its preset.

    Attributes:
        objective: "diffusion" or "ar".
        semantic_ids: "residual", "product" or "own".
        text_model: sentence-transformers folder that reads texts for the semantic IDs; TF-IDF without.
        dense_from: a checkpoint of the same catalog whose encoder, item vectors and semantic IDs are taken as they
            are; only the block is trained. A code reader, which learns apart from the dense part, gets other IDs.
        max_sequences: train on a seeded sample of this many sequences, for a quick trial.
    """

    objective: str = "diffusion"
    semantic_ids: str = "residual"
    text_model: Path | None = None
    dense_from: Path | None = None
    max_sequences: int | None = None

    @cached_property
    def embed(self) -> Embed | None:
        """The text model, opened once; None for TF-IDF."""
        return None if self.text_model is None else open_text_model(self.text_model)


USUAL_RECIPE = Recipe()
"""Diffusion on semantic IDs of residuals, all of it trained."""


@dataclass(frozen=True)
class TrainingJob:
    """One training with all that its stages share: data, recipe, device and the folder of its states.

    Attributes:
        sequences: item rows of each training sequence.
        state_dir: folder of semantic IDs and of each stage's resumable state.
        resume: whether finished epochs and semantic IDs of `state_dir` are taken as they are.
        report: called with each epoch's record.
    """

    data: PreparedData
    preset: Preset
    recipe: Recipe
    sequences: Sequence[np.ndarray]
    device: torch.device
    state_dir: Path
    resume: bool
    report: Callable[[dict], None]
    progress: bool

    def dense(self, model: CompactDenoiser) -> list[dict]:
        """The dense part alone, in place."""
        config = self.preset.train

        def loss(model, rows, generator):
            return dense_loss(model, rows, config.loss, generator)

        return self._stage(model, Stage("dense", config.dense_epochs, loss), dense_validation(self.data, config.seed))

    def reader(self, model: CompactDenoiser, epochs_before: int) -> list[dict]:
        """The code reader alone, in place: its codes begin with the texts of their items."""
        config, table, width = self.preset.train, code_table(model), model.config.hidden_size
        known = text_vectors([item.text for item in self.data.catalog.items], width, config.seed, self.recipe.embed)
        model.set_code_vectors(torch.from_numpy(starting_vectors(known, width, config.seed)))
        if model.likeness is not None:
            texts = [item.text for item in self.data.catalog.items]
            wide = text_vectors(texts, model.config.text_width, config.seed, self.recipe.embed)
            model.likeness.set_texts(torch.from_numpy(wide), model.tokens_NL, model.level_sizes)
        held_out = cases(self.data.interactions, "validation", VALIDATION_USERS, config.seed)

        def loss(model, rows, generator):
            return reader_loss(model, rows, config.loss, generator)

        def validate(model: CompactDenoiser) -> dict:
            return {"score": token_likelihood(model, table, held_out)}

        return self._stage(model, Stage("reader", config.reader_epochs, loss, epochs_before, 0.0), validate)

    def block(self, model: CompactDenoiser, tokenizer: Tokenizer, decode: DecodeConfig, epochs_before: int):
        """The target block, in place; beside it the dense part at its own rate."""
        config, table = self.preset.train, code_table(model)

        def loss(model, rows, generator):
            return block_loss(model, table, rows, config.loss, generator, dense=config.dense_rate > 0)

        if decode.evidence == "on":
            decode = replace(decode, evidence="off")  # evidence is weighed after training
        of_decode = make_validation(self.data, tokenizer, decode, config.seed)
        held_out = validation_cases(self.data, CALIBRATION_USERS, config.seed)

        def validate(model: CompactDenoiser) -> dict:
            """Likelihood selects the epoch: NDCG@10 of a thousand users errs by more than epochs differ."""
            return of_decode(model) | {"score": token_likelihood(model, table, held_out)}

        return self._stage(model, Stage("block", config.epochs, loss, epochs_before, config.dense_rate), validate)

    def code_weights(self) -> np.ndarray:
        """Times that each item is taken, plus one, (N,): frequent items get codes of fewer neighbours."""
        return 1.0 + np.bincount(np.concatenate(self.sequences), minlength=len(self.data.catalog))

    def codes(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Semantic IDs (N, S) of this run, made once: another number of threads would not make the same again."""
        path = self.state_dir / f"codes-{name}.json"
        if self.resume and path.exists():
            return np.array(read_json(path, "codes of an interrupted training")["codes"], dtype=np.int32)
        codes = make()
        write_json(path, {"codes": codes.tolist()}, indent=None)
        return codes

    def _stage(self, model, stage: Stage, validate) -> list[dict]:
        records = []
        for record in train(
            model,
            self.sequences,
            self.preset.train,
            stage,
            validate,
            ordered=self.data.interactions.ordered,
            state_dir=self.state_dir / stage.name,
            resume=self.resume,
            progress=self.progress,
        ):
            records.append(record)
            self.report(record)
        return records


def starting_vectors(known_ND: np.ndarray, width: int, seed: int) -> np.ndarray:
    """Features of items in the model's space, (N, width): centred, turned by a random rotation, START_NORM long."""
    centred = known_ND - known_ND.mean(0)
    norm = np.sqrt((centred**2).sum(1).mean())
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0][: known_ND.shape[1]]
    return (centred @ turn * (START_NORM / max(norm, 1e-12))).astype(np.float32)
