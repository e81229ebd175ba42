"""The map of a decode: every item a point, lit by the search's probability of it. For the page, and as a figure.

The page draws its own points, from `map_view` and `masses_view`; `map_figure` is the same picture for a notebook.
"""

from typing import TYPE_CHECKING

import numpy as np

from app.views.theme import LIGHT
from mindrec.data.catalog import Catalog
from mindrec.item_map import EXTENT, ItemMap
from mindrec.trace.item_masses import item_masses
from mindrec.trace.records import DecodeTrace, six_digits

if TYPE_CHECKING:
    import plotly.graph_objects as go

FAINTEST = 1e-5
"""Of the brightest item's probability, the share that is as dark as none."""
Palette = dict[str, str]


def map_view(item_map: ItemMap, catalog: Catalog, codes_NL: np.ndarray) -> dict:
    """Everything of a map that does not change from decode to decode, as plain JSON values.

    Returns:
        x, y: of each item, (N,), within -extent..extent.
        ids, titles: of each item, (N,).
        leaf: of each item the number of its path among `paths`.
        codes: of each item, (N, L).
        sections: name, code and place of each continent's name, the largest first.
    """
    tree = catalog.tree
    paths = sorted({item.categories for item in catalog.items})
    number = {path: n for n, path in enumerate(paths)}
    return {
        "extent": EXTENT,
        "x": list(item_map.x),
        "y": list(item_map.y),
        "ids": [item.item_id for item in catalog.items],
        "titles": [item.title for item in catalog.items],
        "leaf": [number[item.categories] for item in catalog.items],
        "paths": [list(path) for path in paths],
        "codes": codes_NL.tolist(),
        "sections": _sections(item_map, tree.codes[:, 0], [path[0] for path in tree.levels[0]]) if tree.depth else [],
    }


def masses_view(trace: DecodeTrace, codes_NL: np.ndarray) -> list[dict]:
    """The masses of a trace's items, for each step those that changed: {"rows", "masses"}; all begin at 0."""
    masses = item_masses(trace, codes_NL)
    out, before = [], np.zeros(len(codes_NL))
    for now in masses:
        rows = np.flatnonzero(np.abs(now - before) > 1e-4 * np.maximum(now, before))
        out.append({"rows": rows.tolist(), "masses": [float(f"{now[row]:.3g}") for row in rows]})
        before = np.where(np.isin(np.arange(len(now)), rows), now, before)
    return out


def brightness(masses_N: np.ndarray) -> np.ndarray:
    """How bright each item of a step is, (N,): 1 the likeliest, by the logarithm down to 0 at FAINTEST of it."""
    top = masses_N.max(initial=0.0)
    with np.errstate(divide="ignore"):
        level = 1 - np.log(masses_N / top if top else masses_N) / np.log(FAINTEST)
    return np.clip(level, 0.0, 1.0)


def map_figure(
    trace: DecodeTrace,
    step: int,
    item_map: ItemMap,
    catalog: Catalog,
    codes_NL: np.ndarray,
    palette: Palette = LIGHT,
) -> "go.Figure":
    """One step of a decode on the map, as a Plotly figure.

    Args:
        codes_NL: codes of every item of the trace's catalog (`recommender.tokenizer.codes`).
    """
    import plotly.graph_objects as go

    masses = item_masses(trace, codes_NL)[step]
    bright = brightness(masses)
    x, y, titles = np.array(item_map.x), np.array(item_map.y), [item.title for item in catalog.items]

    def marks(rows, **marker) -> go.Scattergl:
        shown = {
            "text": [f"{_plain(titles[row])}<br>{six_digits(masses[row]):.3g}" for row in rows],
            "hovertemplate": "%{text}<extra></extra>",
        }
        return go.Scattergl(x=x[rows], y=y[rows], mode="markers", marker=marker, **shown)

    order = np.argsort(bright, kind="stable")
    lit = {"color": bright[order], "colorscale": [[0, palette["dim"]], [1, palette["accent"]]], "cmin": 0, "cmax": 1}
    traces = [marks(order, size=2.5 + 9 * bright[order] ** 2, **lit)]
    hollow = {"symbol": "circle-open", "size": 13, "line": {"width": 2}}
    traces.append(marks(list(trace.history), color=palette["ink"], **hollow))
    if trace.gold is not None:
        traces.append(marks([trace.gold.row], color=palette["gold-ink"], symbol="star", size=15))
    figure = go.Figure(traces)
    for section in map_view(item_map, catalog, codes_NL)["sections"]:
        figure.add_annotation(
            x=section["x"], y=section["y"], text=_plain(section["name"]), showarrow=False, font_color=palette["muted"]
        )
    axis = {"visible": False, "scaleanchor": "x"}
    figure.update_layout(
        showlegend=False,
        xaxis={"visible": False},
        yaxis=axis,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor=palette["card"],
        plot_bgcolor=palette["card"],
    )
    return figure


def _sections(item_map: ItemMap, section_N: np.ndarray, names: list[str]) -> list[dict]:
    """The continents: a section's name stands over its northern shore, as many of its items to the left as right."""
    x, y = np.array(item_map.x), np.array(item_map.y)
    out = []
    for code, name in enumerate(names):
        rows = section_N == code
        if rows.any():
            middle = {"x": int(np.median(x[rows])), "y": int(np.quantile(y[rows], 0.98))}
            out.append({"name": name, "code": code, "items": int(rows.sum())} | middle)
    return sorted(out, key=lambda section: -section["items"])


def _plain(title: str) -> str:
    """A title that Plotly, which reads some markup, shows as it is."""
    return title.replace("&", "&amp;").replace("<", "&lt;")
