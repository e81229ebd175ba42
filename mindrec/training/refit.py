"""Item evidence and weights of a trained checkpoint, fitted again: nothing neural is trained."""

from dataclasses import replace
from pathlib import Path

from mindrec.checkpoint import FOLDER, Checkpoint, load_checkpoint
from mindrec.data.catalog import PreparedData
from mindrec.data.splits import item_counts, training_sequences
from mindrec.errors import MindRecError
from mindrec.system.files import check_replaceable
from mindrec.training.model_card import model_card
from mindrec.training.weigh import weigh

PARTS = ("transitions_nll", "item_item_nll", "item_item", "calibration_nll", "validation")
"""Entries that a fit writes into training.json; the rest stays as the training left it."""


def refit_checkpoint(
    folder: Path, data: PreparedData, out: Path, *, device: str = "auto", command: str = "", progress: bool = False
) -> Checkpoint:
    """Count pairs of items again, weigh every part on validation cases, measure, and save to `out`.

    Raises:
        MindRecError: the data is of another catalog, the checkpoint is not a compact one, or `out` holds other files.
    """
    out = check_replaceable(out, FOLDER)
    source = load_checkpoint(folder, device)
    if source.denoiser.kind != "compact":
        raise MindRecError(f"{folder} is a {source.denoiser.kind} checkpoint; only a compact one has weights to refit")
    if source.catalog.fingerprint != data.catalog.fingerprint:
        raise MindRecError(
            f"{folder} is of catalog {source.catalog.fingerprint}, the data is {data.catalog.fingerprint}; give the "
            "data that it was trained on"
        )
    record, sequences = dict(source.training or {}), training_sequences(data.interactions)
    seed = record.get("seed", 0)
    weights = weigh(source.denoiser, source.tokenizer, data, sequences, source.decode, seed, progress=progress)
    training = {k: v for k, v in record.items() if k not in PARTS} | weights | {"refit": command}
    checkpoint = replace(
        source,
        name=out.name,
        training=training,
        card=model_card(out.name, data, training),
        popularity=tuple(item_counts(data.interactions).tolist()),
    )
    checkpoint.save(out)
    return checkpoint
