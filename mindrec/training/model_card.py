"""README.md of a trained checkpoint."""

from mindrec.data.catalog import PreparedData


def model_card(name: str, data: PreparedData, training: dict) -> str:
    """README.md of the checkpoint: source, limits, how it was made."""
    refit = f" Item evidence and weights were fitted again by `{training['refit']}`." if "refit" in training else ""
    kept = "\n\nThe weights hold how often one item followed, or was taken with, another in the training sequences."
    return f"""---
library_name: mindrec
tags: [recommendation, masked-diffusion, semantic-ids]
---
# {name}
A MindRec denoiser ({training["objective"]}, {training["parameters"]:,} parameters) trained on `{data.catalog.name}`
by `{training["command"]}` (seed {training["seed"]}, {training["seconds"]:.0f} s of training steps on
{training["machine"]}).{refit} Validation NDCG@10 {training["validation"]["ndcg@10"]:.4f}; `training.json` has the whole
curve. Test figures are in the project's README with their command.

## Data
{_without_title(data.notes)}{kept if training.keys() & {"transitions_nll", "item_item_nll"} else ""}

## Known failings
- Popular items win too often; items with few training sequences are seldom named.
- A probability shown is the search's own mass, not a measured chance of being right.
- It knows only the items of its catalog.
"""


def _without_title(notes: str) -> str:
    """A prepared folder's README without its first heading."""
    lines = notes.strip().splitlines()
    return "\n".join(lines[1:] if lines and lines[0].startswith("# ") else lines) or "No notes came with the data."
