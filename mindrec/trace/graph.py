"""A trace as a graph: which partial answer came from which, for networkx and, as GraphML, for Gephi or Cytoscape."""

from typing import TYPE_CHECKING

from mindrec.trace.records import DecodeTrace

if TYPE_CHECKING:
    import networkx as nx


def graph_of(trace: DecodeTrace) -> "nx.DiGraph":
    """Beams and dropped candidates as nodes, from each beam to what the next step made of it; see `to_graph`."""
    import networkx as nx

    graph = nx.DiGraph(model=str(trace.model.get("name")), catalog=str(trace.catalog.get("name")))
    titles = {item.row: item.title for item in trace.items}
    for step in trace.steps:
        kept = {beam.codes: _name(step.index, rank) for rank, beam in enumerate(step.beams)}
        for rank, beam in enumerate(step.beams):
            about = {"step": step.index, "rank": rank, "kind": "beam", "score": beam.score, "items": beam.items}
            if beam.item is not None:
                about |= {"row": beam.item, "title": titles.get(beam.item, str(beam.item))}
            graph.add_node(_name(step.index, rank), **about, **_labels(trace, beam.codes))
            if beam.parent is not None:
                graph.add_edge(_name(step.index - 1, beam.parent), _name(step.index, rank), kind="kept")
        for number, lost in enumerate(step.dropped):
            above = _name(step.index - 1, lost.parent)
            if lost.why == "merged" and lost.codes in kept:
                graph.add_edge(above, kept[lost.codes], kind="merged")
                continue
            name = f"{step.index}.lost{number}"
            about = {"step": step.index, "kind": lost.why, "score": lost.score, "behind": lost.behind}
            graph.add_node(name, **about, **_labels(trace, lost.codes))
            graph.add_edge(above, name, kind=lost.why)
    return graph


def _name(step: int, rank: int) -> str:
    return f"{step}.{rank}"


def _labels(trace: DecodeTrace, codes: tuple[int | None, ...]) -> dict[str, str]:
    """The readable name of each filled position, by "position: level"; GraphML has no empty values."""
    levels = zip(codes, trace.levels, trace.labels, strict=True)
    return {
        f"{position}: {level.name}": labels.get(str(code), str(code))
        for position, (code, level, labels) in enumerate(levels)
        if code is not None
    }
