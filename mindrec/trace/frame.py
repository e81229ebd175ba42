"""A trace as a table for notebooks."""

from typing import TYPE_CHECKING

from mindrec.trace.records import DecodeTrace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("step", "beam", "parent", "score", "items", "item", "item_id", "title")


def frame_of(trace: DecodeTrace) -> "pd.DataFrame":
    """One row for each beam of each step; see `DecodeTrace.to_frame`."""
    import pandas as pd

    named = {item.row: item for item in trace.items}
    levels = [f"{position}: {level.name}" for position, level in enumerate(trace.levels)]
    rows = []
    for step in trace.steps:
        for rank, beam in enumerate(step.beams):
            item = named.get(beam.item)
            names = (
                None if code is None else labels.get(str(code), str(code))
                for code, labels in zip(beam.codes, trace.labels, strict=True)
            )
            known = (None, None) if item is None else (item.item_id, item.title)
            rows.append((step.index, rank, beam.parent, beam.score, beam.items, beam.item, *known, *names))
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *levels])
    return frame.astype({"parent": "Int64", "item": "Int64", "score": "float64"})
