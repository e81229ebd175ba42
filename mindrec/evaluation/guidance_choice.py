"""Which guidance a checkpoint decodes with where nobody asks for one: chosen on validation."""

from collections.abc import Sequence
from pathlib import Path

from mindrec.checkpoint import set_decode
from mindrec.data.catalog import PreparedData
from mindrec.evaluation.report import evaluate_checkpoint

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)


def sweep_guidance(
    checkpoint: Path,
    data: PreparedData,
    *,
    users: int | None = None,
    settings: dict | None = None,
    device: str = "auto",
) -> dict:
    """Measure `WEIGHTS` on validation and make `largest_free` the checkpoint's default.

    Args:
        settings: changes to the default decode that is measured; they are not stored.

    Returns:
        The sweep as `evaluate_checkpoint` gives it, with "chosen".
    """
    sweep = [{"guidance": weight} for weight in WEIGHTS]
    found = evaluate_checkpoint(
        checkpoint, data, split="validation", users=users, settings=settings, sweep=sweep, device=device
    )
    chosen = largest_free(found["rows"])
    set_decode(checkpoint, guidance=chosen)
    return found | {"chosen": chosen}


def largest_free(rows: Sequence[dict]) -> float:
    """The largest guidance whose NDCG@10 is not behind that of the first row: its interval does not end below 1."""
    free = [row for row in rows[1:] if "ndcg@10_to_first" not in row or row["ndcg@10_to_first"]["high"] >= 1]
    return max(row["decoder"]["guidance"] for row in [rows[0], *free])
