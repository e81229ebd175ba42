"""Charts of a diagnosis: frame -> Plotly figure dict. Pure; no torch, no gradio.

A point's `customdata` is the filter that a click on it sets, in the words of app.tabs.case_table.FILTERS. Colours
come from the palette given: in the page they are names of CSS properties, so that a chart follows light and dark by
itself.
"""

from collections.abc import Sequence

import pandas as pd

from app.views.theme import LIGHT

MAX_CATEGORIES = 14
YES_OR_NO = ("cold_item", "repeated_category")
Figure = dict
Palette = dict[str, str]


def survival_figure(frame: pd.DataFrame, words: dict[str, str], palette: Palette = LIGHT) -> Figure:
    """Share of cases in which a beam can still become the true item, after each step, with its interval.

    Args:
        frame: diagnosis.survival_by_step.
    """
    steps = frame["step"].tolist()
    band = {
        "type": "scatter",
        "x": steps + steps[::-1],
        "y": _share(frame["high"]) + _share(frame["low"])[::-1],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": palette["accent-soft"],
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": steps,
        "y": _share(frame["survival"]),
        "line": {"color": palette["accent"], "width": 3},
        "marker": {"size": 9, "color": palette["accent"]},
        "customdata": [{"step": str(step)} for step in steps],
        "text": [
            words["survival_hover"].format(step=r.step, alive=r.alive, users=r.users, share=f"{r.survival:.0%}")
            for r in frame.itertuples()
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return _figure(
        [band, line],
        palette,
        x={"title": words["step"], "dtick": 1},
        y={"title": words["still_alive"], "tickformat": ".0%", "range": [0, 1.04]},
    )


def lost_figure(frame: pd.DataFrame, levels: Sequence[str], words: dict[str, str], palette: Palette = LIGHT) -> Figure:
    """Golds lost at each step, stacked by the level revealed there.

    Args:
        frame: diagnosis.lost_at.
    """
    hues = ["accent", "new", "gold", "bad", "strong-line", "muted", "dim"]
    bars = []
    for level in sorted(frame["level"].unique()):
        part = frame[frame["level"] == level]
        bars.append(
            {
                "type": "bar",
                "name": levels[level],
                "x": part["step"].tolist(),
                "y": part["lost"].tolist(),
                "marker": {"color": palette[hues[level % len(hues)]]},
                "customdata": [{"step": str(step), "level": str(level)} for step in part["step"]],
                "text": [
                    words["lost_hover"].format(step=r.step, level=levels[level], lost=r.lost) for r in part.itertuples()
                ],
                "textposition": "none",
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return _figure(
        bars,
        palette,
        x={"title": words["step"], "dtick": 1},
        y={"title": words["cases"]},
        legend=True,
        barmode="stack",
    )


def counts_figure(
    frame: pd.DataFrame, names: dict[str, str], words: dict[str, str], palette: Palette = LIGHT
) -> Figure:
    """Misses by cause, or by kind of error or rescue, the commonest on top.

    Args:
        frame: diagnosis.causes, errors or rescues; the first column is what it counts by, and what a click filters by.
        names: of its values.
    """
    kind = frame.columns[0]
    some = frame[frame["misses"] > 0].sort_values("misses")
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": some["misses"].tolist(),
        "y": [names[value] for value in some[kind]],
        "marker": {"color": palette["accent"]},
        "customdata": [{kind: value} for value in some[kind]],
        "text": [f"{r.misses:,} ({r.share:.0%})" for r in some.itertuples()],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    return _figure([bar], palette, x={"title": words["misses"]}, y={"automargin": True, "ticklabelstandoff": 6})


def _heat(names: list[str], palette: Palette) -> dict:
    """The looks of a heat map that has the same names on both sides."""
    return {
        "type": "heatmap",
        "x": names,
        "y": names,
        "colorscale": [[0, palette["raised"]], [1, palette["accent"]]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _square(heat: dict, across: str, down: str, palette: Palette) -> Figure:
    """A heat map with the titles of its axes, read from the top."""
    x = {"title": across, "tickangle": -35, "automargin": True}
    return _figure([heat], palette, x=x, y={"title": down, "autorange": "reversed", "automargin": True})


def confusion_figure(frame: pd.DataFrame, level: int, words: dict[str, str], palette: Palette = LIGHT) -> Figure:
    """True category against the first answer's; each row adds up to 100%.

    Args:
        frame: diagnosis.confusion with labels.
    """
    common = frame.groupby("gold")["cases"].sum().nlargest(MAX_CATEGORIES).index.tolist()
    labels = dict(zip(frame["gold"], frame["gold_label"], strict=True))
    cells = {(r.gold, r.recommended): r for r in frame.itertuples()}
    grid = [[cells.get((gold, top)) for top in common] for gold in common]
    heat = {
        **_heat([_short(labels[code]) for code in common], palette),
        "z": [[0.0 if cell is None else round(float(cell.share), 4) for cell in row] for row in grid],
        "customdata": [[{"gold": f"{level}.{gold}", "top": f"{level}.{top}"} for top in common] for gold in common],
        "text": [["" if cell is None else f"{cell.share:.0%}" for cell in row] for row in grid],
        "texttemplate": "%{text}" if len(common) <= 10 else "",
        "hovertext": [
            [
                words["confusion_hover"].format(
                    gold=_safe(labels[gold]), top=_safe(labels[top]), cases=0 if cell is None else cell.cases
                )
                for top, cell in zip(common, row, strict=True)
            ]
            for gold, row in zip(common, grid, strict=True)
        ],
    }
    return _square(heat, words["first_answer"], words["true_category"], palette)


def transitions_figure(
    frame: pd.DataFrame, names: dict[str, str], words: dict[str, str], palette: Palette = LIGHT
) -> Figure:
    """Where the cases of one table, in rows, went in another, in columns: numbers of cases.

    Args:
        frame: case_pairs.transitions.
        names: of the fates.
    """
    grid = frame.pivot(index="left", columns="right", values="cases")
    outcomes = list(dict.fromkeys(frame["left"]))
    counts = grid.reindex(index=outcomes, columns=outcomes).to_numpy()
    heat = {
        **_heat([_short(names[outcome], 26) for outcome in outcomes], palette),
        "z": [[int(cases) for cases in row] for row in counts],
        "text": [[f"{cases:,}" if cases else "" for cases in row] for row in counts],
        "texttemplate": "%{text}",
        "hovertext": [
            [
                words["transition_hover"].format(left=names[left], right=names[right], cases=f"{cases:,}")
                for right, cases in zip(outcomes, row, strict=True)
            ]
            for left, row in zip(outcomes, counts, strict=True)
        ],
    }
    return _square(heat, words["fate_right"], words["fate_left"], palette)


def slices_figure(frame: pd.DataFrame, by: str, words: dict[str, str], palette: Palette = LIGHT) -> Figure:
    """Hit rate along one fact, with 95% intervals.

    Args:
        frame: diagnosis.slices.
    """
    yes_or_no = words if by in YES_OR_NO else None
    names = [span(r.lowest, r.highest, yes_or_no) for r in frame.itertuples()]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": names,
        "y": _share(frame["rate"]),
        "error_y": _intervals(frame, palette),
        "marker": {"size": 11, "color": palette["accent"]},
        "customdata": [{by: f"{r.lowest!r}..{r.highest!r}"} for r in frame.itertuples()],
        "text": [
            words["slice_hover"].format(hits=r.hits, users=r.users, rate=f"{r.rate:.1%}") for r in frame.itertuples()
        ],
        "hovertemplate": "%{x}: %{text}<extra></extra>",
    }
    return _figure(
        [points],
        palette,
        x={"title": words[f"by_{by}"], "type": "category"},
        y={"title": words["hit_rate"], "tickformat": ".0%", "rangemode": "tozero"},
    )


def calibration_figure(frame: pd.DataFrame, words: dict[str, str], palette: Palette = LIGHT) -> Figure:
    """The first answer's path probability against how often it is right; on the dashed line it is honest.

    Args:
        frame: diagnosis.calibration.
    """
    highest = 1.15 * max([0.01, *frame["probability"], *frame["rate"]])
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": _share(frame["probability"]),
        "y": _share(frame["rate"]),
        "error_y": _intervals(frame, palette),
        "marker": {"size": 10, "color": palette["accent"]},
        "customdata": [{"probability": f"{r.lowest!r}..{r.highest!r}"} for r in frame.itertuples()],
        "text": [
            words["slice_hover"].format(hits=r.hits, users=r.users, rate=f"{r.rate:.1%}") for r in frame.itertuples()
        ],
        "hovertemplate": "%{x:.1%}: %{text}<extra></extra>",
    }
    honest = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, highest],
        "y": [0, highest],
        "line": {"color": palette["muted"], "dash": "dash", "width": 1.5},
        "hoverinfo": "skip",
    }
    return _figure(
        [honest, points],
        palette,
        x={"title": words["path_probability"], "tickformat": ".0%", "rangemode": "tozero"},
        y={"title": words["right_rate"], "tickformat": ".0%", "rangemode": "tozero"},
    )


def _figure(data: list[dict], palette: Palette, *, x: dict, y: dict, legend: bool = False, **layout) -> Figure:
    axis = {"gridcolor": palette["line"], "linecolor": palette["line"], "zeroline": False, "fixedrange": True}

    def titled(options: dict) -> dict:
        title = {"text": options["title"], "standoff": 8, "font": {"size": 12.5}} if "title" in options else None
        return axis | options | {"title": title}

    return {
        "data": data,
        "layout": {
            "xaxis": titled(x),
            "yaxis": titled(y),
            "showlegend": legend,
            "legend": {"x": 1.02, "y": 1, "font": {"size": 12}},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12.5, "color": palette["ink"]},
            "margin": {"l": 56, "r": 14, "t": 12, "b": 46},
            "hoverlabel": {
                "bgcolor": palette["card"],
                "bordercolor": palette["strong-line"],
                "font": {"color": palette["ink"], "size": 13},
            },
            "hovermode": "closest",
            **layout,
        },
    }


def _intervals(frame: pd.DataFrame, palette: Palette) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": _share(frame["high"] - frame["rate"]),
        "arrayminus": _share(frame["rate"] - frame["low"]),
        "color": palette["strong-line"],
        "thickness": 1.6,
        "width": 5,
    }


def _share(column: pd.Series) -> list[float]:
    return [round(float(v), 5) for v in column]


def span(low: float, high: float, words: dict[str, str] | None = None) -> str:
    """A bin of a table in a few characters: its ends, or yes and no where `words` has them."""
    if words is not None:
        return words["yes"] if low else words["no"]
    return f"{low:.3g}" if low == high else f"{low:.3g} – {high:.3g}"


def _short(label: str, limit: int = 18) -> str:
    return _safe(label if len(label) <= limit else label[: limit - 1] + "…")


def _safe(label: str) -> str:
    """Plotly reads a little HTML in text; names of categories must stay text."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
