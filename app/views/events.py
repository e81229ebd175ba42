"""The moments of a decode that a person looks for: where the scrubber gets a mark."""

from mindrec.trace.records import DecodeTrace


def events(trace: DecodeTrace) -> list[dict]:
    """Marks in step order: {"step", "kind"}; kinds are first, category, item and lost, each at most once."""
    depth = sum(level.kind == "category" for level in trace.levels)
    marks = []

    def mark(kind: str, steps) -> None:
        step = next(iter(steps), None)
        if step is not None:
            marks.append({"step": step, "kind": kind})

    later = trace.steps[1:]
    mark("first", (s.index for s in later if any(b.revealed for b in s.beams)))
    if depth:
        mark("category", (s.index for s in later if s.beams and None not in s.beams[0].codes[:depth]))
    mark("item", (s.index for s in later if any(b.item is not None for b in s.beams)))
    if trace.gold is not None and trace.gold.died_at is not None:
        mark("lost", [trace.gold.died_at])
    return sorted(marks, key=lambda m: m["step"])
