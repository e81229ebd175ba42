"""Which guidance a checkpoint decodes with where nobody asks for one: chosen on validation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mindrec.checkpoint import note_training, set_decode
from mindrec.data.catalog import PreparedData
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.evaluation.report import evaluate_checkpoint

WEIGHTS = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5)


def sweep_guidance(checkpoint: Path, data: PreparedData, protocol: Protocol = USUAL) -> dict:
    """Measure `WEIGHTS` on validation, make `largest_free` the checkpoint's default, and keep the table beside it.

    Args:
        protocol: its split is always validation, and its settings are not stored.

    Returns:
        The sweep as `evaluate_checkpoint` gives it, with "chosen".
    """
    sweep = [{"guidance": weight} for weight in WEIGHTS]
    result = evaluate_checkpoint(checkpoint, data, replace(protocol, split="validation"), sweep=sweep)
    chosen = largest_free(result["rows"])
    set_decode(checkpoint, guidance=chosen)
    note_training(checkpoint, guidance=[sweep_record(row) for row in result["rows"]])
    return result | {"chosen": chosen}


def sweep_record(row: dict) -> dict:
    """One row of a sweep as the checkpoint's training record keeps it: what guidance costs and what it reaches."""
    metrics, ratio = row["metrics"], row.get("ndcg@10_to_first", {"ratio": 1.0, "low": 1.0, "high": 1.0})
    kept = {name: metrics[name] for name in ("ndcg@10", "coverage@10", "tail_hit@10")}
    return {"guidance": row["decoder"]["guidance"], "users": row["users"], **ratio, **kept}


def largest_free(rows: Sequence[dict]) -> float:
    """The largest guidance whose NDCG@10 is not behind that of the first row: its interval does not end below 1."""
    free = [row for row in rows[1:] if "ndcg@10_to_first" not in row or row["ndcg@10_to_first"]["high"] >= 1]
    return max(row["decoder"]["guidance"] for row in [rows[0], *free])
