"""The category tree of a decode: trace -> nodes with fixed places, and what happens to each at every step.

Places are computed once over all that the trace ever draws, so that nothing moves while a person steps through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp

from app.views.theme import DARK, LIGHT
from mindrec.trace.records import DecodeStep, DecodeTrace

SIBLINGS = 4
"""Alternatives drawn beside each branching; the rest are one count."""
MAX_NODES = 300
LIVE_SLOT, DIM_SLOT, REST_SLOT = 1.0, 0.22, 0.5
"""Height of a leaf that a beam reached, of one that was only considered, and of a count."""

ROOT = "root"
Parents = Sequence[Sequence[int]]
"""For each category level, the parent code of every code; level 0 has none."""


@dataclass
class Node:
    """One drawn node.

    Attributes:
        first: step at which it appears.
        p: probability that the search gave it among its siblings when it was considered.
        items: items that were possible through it then.
        mass: for each step, the share of the kept beams' probability that runs through it; 0 once it is lost.
        beams: for each step, how many kept beams run through it.
    """

    level: int
    code: int | None
    label: str
    first: int
    p: float | None = None
    items: int | None = None
    row: int | None = None
    mass: dict[int, float] = field(default_factory=dict)
    beams: dict[int, int] = field(default_factory=dict)


def tree_view(trace: DecodeTrace, parents: Parents | None = None) -> dict:
    """Nodes and edges of a trace's tree as plain JSON values.

    Args:
        parents: the catalog's own tree; without it the trace tells only of nodes that it mentions, and no counts.
    """
    builder = TreeBuilder(trace, parents)
    for step in trace.steps:
        builder.add(step)
    return builder.view()


class TreeBuilder:
    """Grows the tree of a trace step by step.

    Attributes:
        trace: names what the steps mention; another, longer one may be put in its place before a step is added.
    """

    def __init__(self, trace: DecodeTrace, parents: Parents | None):
        parents = None if parents is None else tuple(map(tuple, parents))
        self.trace = trace
        self.depth = sum(level.kind == "category" for level in trace.levels)
        self.up = _parents_of_steps(trace, self.depth) if parents is None else _parents_of_catalog(parents)
        self.counts = _child_counts(parents)
        self.steps = 0
        self.nodes: dict[str, Node] = {ROOT: Node(-1, None, "", 0)}
        self._lines: dict[tuple[int, int], list[str]] = {}
        self._lines_of: dict[tuple[int | None, ...], list[str]] = {}
        self.above: dict[str, str] = {}
        self.below: dict[str, list[str]] = {ROOT: []}

    def add(self, step: DecodeStep) -> None:
        """Draw the next step."""
        self.steps += 1
        for opinion in step.opinions:
            branched = [position for position in opinion.chosen if position < self.depth]
            for opened in opinion.open if branched else ():
                if opened.position in branched:
                    legal = [a for a in opened.alternatives if a.why is None][:SIBLINGS]
                    for other in legal:
                        node = self.nodes[self.line(opened.position, other.code, step.index)[-1]]
                        if node.code is not None and node.p is None:
                            node.p, node.items = other.p, other.items
        for lost in step.dropped:
            self.line_of(lost.codes, step.index)
        total = sum(exp(beam.score) for beam in step.beams) or 1.0
        for beam in step.beams:
            names, share = self.line_of(beam.codes, step.index), exp(beam.score) / total
            if beam.item is not None:
                names = [*names, self.item(names[-1], beam.item, step.index)]
            for name in names:
                node = self.nodes[name]
                node.mass[step.index] = node.mass.get(step.index, 0.0) + share
                node.beams[step.index] = node.beams.get(step.index, 0) + 1

    def line_of(self, codes: Sequence[int | None], step: int) -> list[str]:
        """`line` of the finest filled category of some codes; the root alone where none is filled."""
        path = tuple(codes[: self.depth])
        line = self._lines_of.get(path)
        if line is None:
            finest = next((level for level in reversed(range(self.depth)) if path[level] is not None), None)
            line = self._lines_of[path] = [ROOT] if finest is None else self.line(finest, path[finest], step)
        return line

    def line(self, level: int, code: int, step: int) -> list[str]:
        """Names from the root to one node, those that are missing hung in; the root alone without a known ancestor."""
        line = self._lines.get((level, code))
        if line is None:
            up = self.up.get((level, code))
            above = [ROOT] if up is None else self.line(level - 1, up, step)
            line = self._lines[level, code] = [ROOT]
            if len(above) == level + 1:
                name = _name(level, code)
                label = self.trace.labels[level].get(str(code), f"{self.trace.levels[level].name} {code}")
                self._hang(above[-1], name, Node(level, code, label, step))
                line = self._lines[level, code] = [*above, name]
        return line

    def item(self, above: str, row: int, step: int) -> str:
        """The name of an item's node, hung under `above` if it is new."""
        name = f"item{row}"
        if name not in self.nodes:
            title = next((item.title for item in self.trace.items if item.row == row), str(row))
            self._hang(above, name, Node(self.depth, None, title, step, items=1, row=row))
        return name

    def _hang(self, above: str, name: str, node: Node) -> None:
        self.nodes[name], self.above[name], self.below[name] = node, above, []
        self.below[above].append(name)

    def view(self) -> dict:
        """Nodes, edges and places of all that was added, as `tree_view` gives them. Changes nothing."""
        kept = self._kept()
        order = {name: self._ordered(self.below[name], kept) for name in self.nodes if name in kept}
        rests = self._rests(order)
        heights = _heights(order, rests, self.nodes)
        names = [name for name in self._from_the_top() if name in kept]
        number_of = {name: number for number, name in enumerate(names)}
        return {
            "depth": self.depth,
            "nodes": [self._plain(name, heights, number_of) for name in names],
            "rests": [
                {
                    "above": number_of[name],
                    "x": _across(self.nodes[name].level + 1),
                    "y": round(heights[f"{name}+"], 4),
                    "count": count,
                    "first": min(self.nodes[child].first for child in order[name]),
                }
                for name, count in rests.items()
            ],
        }

    def _plain(self, name: str, heights: dict[str, float], number_of: dict[str, int]) -> dict:
        node = self.nodes[name]
        mass, beams = [0.0] * self.steps, [0] * self.steps
        for step, share in node.mass.items():
            mass[step], beams[step] = float(f"{share:.4g}"), node.beams[step]
        return {
            "above": number_of[self.above[name]] if name in self.above else None,
            "level": node.level,
            "code": node.code,
            "row": node.row,
            "label": node.label,
            "x": _across(node.level),
            "y": round(heights[name], 4),
            "first": node.first,
            "p": None if node.p is None else float(f"{node.p:.4g}"),
            "items": node.items,
            "mass": mass,
            "beams": beams,
        }

    def _from_the_top(self) -> list[str]:
        """All names, each before those below it."""
        names, waiting = [], [ROOT]
        while waiting:
            names.append(waiting.pop())
            waiting += reversed(self.below[names[-1]])
        return names

    def _kept(self) -> set[str]:
        """All but the least likely leaves that no beam ever reached, where the nodes are too many."""
        never = [n for n, node in self.nodes.items() if n != ROOT and not node.mass and not self.below[n]]
        never.sort(key=lambda n: self.nodes[n].p or 0.0)
        return set(self.nodes) - set(never[: max(0, len(self.nodes) - MAX_NODES)])

    def _ordered(self, names: list[str], kept: set[str]) -> list[str]:
        def weight(name: str) -> tuple:
            node = self.nodes[name]
            last = node.mass.get(self.steps - 1, 0.0)
            return (-last, -max(node.mass.values(), default=0.0), -(node.p or 0.0), node.label)

        names = [name for name in names if name in kept]
        return sorted(names, key=weight) if len(names) > 1 else names

    def _rests(self, order: dict[str, list[str]]) -> dict[str, int]:
        """How many children of each branched node are not drawn."""
        out = {}
        for name, below in order.items():
            node = self.nodes[name]
            hidden = self.counts.get((node.level, node.code), 0) - len(below)
            if below and node.level < self.depth - 1 and hidden > 0:
                out[name] = hidden
        return out


@lru_cache(maxsize=16)
def _parents_of_catalog(parents: Parents) -> dict[tuple[int, int], int]:
    """(level, code) -> parent code."""
    return {(level, code): up for level, ups in enumerate(parents) if level for code, up in enumerate(ups)}


def _parents_of_steps(trace: DecodeTrace, depth: int) -> dict[tuple[int, int], int]:
    """(level, code) -> parent code. A code names a whole path, so that any answer holding both tells it."""
    known: dict[tuple[int, int], int] = {}
    for step in trace.steps:
        for answer in (*step.beams, *step.dropped):
            for level in range(1, depth):
                if answer.codes[level] is not None and answer.codes[level - 1] is not None:
                    known.setdefault((level, answer.codes[level]), answer.codes[level - 1])
        for opinion in step.opinions:
            codes = trace.steps[step.index - 1].beams[opinion.beam].codes
            for opened in opinion.open:
                if 0 < opened.position < depth and codes[opened.position - 1] is not None:
                    for other in opened.alternatives:
                        if other.why is None:
                            known.setdefault((opened.position, other.code), codes[opened.position - 1])
    return known


@lru_cache(maxsize=16)
def _child_counts(parents: Parents | None) -> dict[tuple[int, int | None], int]:
    counts: dict[tuple[int, int | None], int] = {}
    for level, ups in enumerate(parents or ()):
        for up in ups if level else [None] * len(ups):
            counts[(level - 1, up)] = counts.get((level - 1, up), 0) + 1
    return counts


def _heights(order: dict[str, list[str]], rests: dict[str, int], nodes: dict[str, Node]) -> dict[str, float]:
    """A leaf takes the next slot down, a branching stands at the middle of its children."""
    heights, cursor = {}, 0.0
    for name in _from_the_leaves(order):
        below = order[name]
        if below:
            # The live children carry the eye: the middle is theirs.
            live = [heights[child] for child in below if nodes[child].mass] or [heights[child] for child in below]
            heights[name] = (live[0] + live[-1]) / 2
        else:
            slot = LIVE_SLOT if nodes[name].mass else DIM_SLOT
            heights[name] = -(cursor + slot / 2)
            cursor += slot
        if name in rests:
            heights[f"{name}+"] = -(cursor + REST_SLOT / 2)
            cursor += REST_SLOT
    return heights


def _from_the_leaves(order: dict[str, list[str]]) -> list[str]:
    """All names, each after those below it, and these in their order."""
    names, waiting = [], [ROOT]
    while waiting:
        names.append(waiting.pop())
        waiting += order[names[-1]]
    return names[::-1]


def _across(level: int) -> float:
    """Place of a level from left to right; the root stands close to its children."""
    return 0.0 if level < 0 else level + 0.55


def _name(level: int, code: int) -> str:
    return f"{level}.{code}"


# -- for a notebook ----------------------------------------------------------------------------------------------------


def tree_figure(trace: DecodeTrace, step: int, parents: Parents | None = None, *, dark: bool = False) -> dict:
    """The tree after one step as a Plotly figure dict: `plotly.graph_objects.Figure(tree_figure(trace, 3))`."""
    palette, view = DARK if dark else LIGHT, tree_view(trace, parents)
    nodes = [n for n in view["nodes"] if n["first"] <= step]
    lines = []
    for node in nodes:
        if node["above"] is None:
            continue
        above, mass = view["nodes"][node["above"]], node["mass"][step]
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [above["x"], node["x"]],
                "y": [above["y"], node["y"]],
                "line": {"color": palette["accent"] if mass else palette["dim"], "width": 1 + 8 * mass},
                "hoverinfo": "skip",
            }
        )
    dots = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [n["x"] for n in nodes],
        "y": [n["y"] for n in nodes],
        "text": [n["label"] if n["mass"][step] else "" for n in nodes],
        "textposition": "middle right",
        "marker": {
            "size": [7 + 9 * n["mass"][step] for n in nodes],
            "color": [palette["accent"] if n["mass"][step] else palette["dim"] for n in nodes],
        },
        "customdata": [[n["label"], n["mass"][step], n["items"]] for n in nodes],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]:.1%}<br>%{customdata[2]} items<extra></extra>",
    }
    axis = {"visible": False}
    return {
        "data": [*lines, dots],
        "layout": {
            "showlegend": False,
            "xaxis": axis,
            "yaxis": axis,
            "paper_bgcolor": palette["card"],
            "plot_bgcolor": palette["card"],
            "font": {"color": palette["ink"]},
            "margin": {"l": 10, "r": 160, "t": 10, "b": 10},
        },
    }
