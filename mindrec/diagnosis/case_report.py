"""A diagnosis as one page that needs nothing else: tables, figures, and ten cases step by step.

No script and no address is in it, and every title is escaped, so that it can be mailed and opened anywhere.
"""

import tempfile
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import pandas as pd

from mindrec.data.catalog import PreparedData
from mindrec.decoding.config import DecodeConfig
from mindrec.diagnosis import cases as tables
from mindrec.diagnosis.cases import SLICES, Diagnosis, read_cases
from mindrec.diagnosis.diagnose import diagnose_checkpoint
from mindrec.diagnosis.kinds import CAUSE_NAMES, NONE
from mindrec.diagnosis.why import Depth
from mindrec.evaluation.protocol import USUAL, Protocol
from mindrec.recommender import Recommender
from mindrec.system.files import check_file, write_text

CASES = 10
"""Cases that are shown step by step."""
BEAMS = 5
"""Beams listed for each of their steps."""
STARTS = (b"<!doctype html>",)
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#18212e;"
    "background:#fff}table{border-collapse:collapse;margin:.6rem 0;font-size:13px}td,th{text-align:left;"
    "border-bottom:1px solid #d8dee7;padding:.2rem .6rem}svg{max-width:100%;height:auto}details{margin:.3rem 0}"
    "code{overflow-wrap:anywhere}section{overflow-x:auto}"
)


def write_report(
    checkpoint: Path,
    data: PreparedData,
    out: Path,
    protocol: Protocol = USUAL,
    *,
    rescue: bool = False,
    command: str = "",
    progress: bool = True,
) -> Diagnosis:
    """Diagnose a checkpoint on a protocol's cases and write the page to `out`, whole or not at all.

    Args:
        rescue: whether the smallest change that would have saved each miss is looked for too.

    Raises:
        MindRecError: something else than a page lies at `out`; as `diagnose_checkpoint`.
    """
    check_file(out, STARTS, "HTML")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "cases.parquet"
        depth = Depth(rescue=rescue)
        diagnose_checkpoint(checkpoint, data, table, protocol, depth=depth, command=command, progress=progress)
        diagnosis = read_cases(table)
    write_text(out, report_page(diagnosis, Recommender.from_pretrained(checkpoint, protocol.device), command))
    return diagnosis


def report_page(diagnosis: Diagnosis, recommender: Recommender, command: str = "") -> str:
    """The page of a diagnosis; `recommender` decodes its ten cases again."""
    cases, about, k = diagnosis.cases, diagnosis.about, diagnosis.about["k"]
    total = tables.summary(diagnosis)
    levels = [level["name"] for level in about["levels"]]
    name = f"{about['checkpoint']['name']} on {about['catalog']['name']}"
    lead = (
        f"{total['users']:,} cases of the {about['split']} split; {total['hits']:,} true items among the first {k} "
        f"({total['hits'] / max(total['users'], 1):.1%}), {total['misses']:,} misses. Rates have 95% intervals."
    )
    survival = tables.survival_by_step(cases)
    parts = [
        f"<h1>Why items were lost: {escape(name)}</h1><p>{escape(lead)}</p>",
        f"<p>Made by <code>{escape(command)}</code>; checkpoint {escape(about['checkpoint']['fingerprint'])}.</p>",
        _section("Cases in which a beam can still become the true item, after each step", _survival_figure(survival)),
        _section("Misses by cause", _counted(tables.causes(cases).replace({"cause": CAUSE_NAMES}), "cause")),
        _section("Search error or model error", _counted(tables.errors(cases), "error")),
    ]
    if about.get("rescue"):
        hindsight = "<p>The smallest of some thirty changes, chosen knowing the true item: no method.</p>"
        parts.append(_section("What would have saved them", hindsight + _counted(tables.rescues(cases), "rescue")))
    for by in SLICES:
        rows = tables.slices(cases, by, k)
        if len(rows) > 1:
            parts.append(_section(f"Hit rate by {by.replace('_', ' ')}", _slice_table(rows)))
    chosen = typical(cases)
    links = "".join(f'<li><a href="#case-{n}">{escape(_named(recommender, cases.iloc[n]))}</a></li>' for n in chosen)
    parts.append(_section("Cases, step by step", f"<ol>{links}</ol>"))
    parts += [_case(recommender, cases.iloc[n], n, DecodeConfig.from_dict(about["decoder"]), levels) for n in chosen]
    title = escape(f"MindRec: {name}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def typical(cases: pd.DataFrame) -> list[int]:
    """Numbers of at most CASES cases, of every cause in turn, the commonest first; hits only where misses are few."""
    kinds = cases["cause"].fillna("").where(cases["gold"].map(lambda gold: isinstance(gold, str)))
    order = [kind for kind in kinds.value_counts().index if kind] + [""]
    waiting = {kind: (kinds == kind).to_numpy().nonzero()[0].tolist() for kind in order}
    out: list[int] = []
    while len(out) < CASES and any(waiting.values()):
        for kind in order if not any(waiting[kind] for kind in order[:-1]) else order[:-1]:
            if waiting[kind] and len(out) < CASES:
                out.append(waiting[kind].pop(0))
    return out


def _case(recommender: Recommender, case: pd.Series, n: int, config: DecodeConfig, levels: Sequence[str]) -> str:
    """One case decoded again: its history, its fate, its pulls and, folded, its steps."""
    titles = {item.item_id: item.title for item in recommender.catalog.items}
    trace = recommender.recommend(list(case["history"]), config, target=case["gold"]).trace
    named, rows = {item.row: item.title for item in trace.items}, []
    for step in trace.steps:
        best = [[_code(trace, at, code) for at, code in enumerate(beam.codes)] for beam in step.beams[:BEAMS]]
        lines = (
            (*codes, f"{beam.score:.3f}", named.get(beam.item, ""))
            for codes, beam in zip(best, step.beams, strict=False)
        )
        gold = "" if step.gold is None else f"; {step.gold.beams} can become the true item"
        beams = "1 beam" if len(step.beams) == 1 else f"{len(step.beams)} beams"
        head = escape(f"Step {step.index}: {beams}, {step.items_left:,} items possible{gold}")
        rows.append(f"<details><summary>{head}</summary>{_table((*levels, 'score', 'item'), lines)}</details>")
    history = ", ".join(titles[item] for item in case["history"])
    facts = [("history", history), ("true item", titles[case["gold"]]), ("cause", _cause(case))]
    facts += [(key, case[key]) for key in ("error", "rescue") if isinstance(case[key], str) and case[key] != NONE]
    pulls = case["pulls"] if case["pulls"] is not None else ()
    facts.append(("pulls, in nats", ", ".join(f"{titles[p['item']]} {p['nats']:+.2f}" for p in pulls)))
    answers = _table(
        ("rank", "answer", "probability"), ((r.rank + 1, named[r.row], f"{r.probability:.2%}") for r in trace.results)
    )
    head = f'<section id="case-{n}"><h3>{escape(_named(recommender, case))}</h3>'
    return f"{head}{_table(('', ''), facts)}{answers}{''.join(rows)}</section>"


def _named(recommender: Recommender, case: pd.Series) -> str:
    item = recommender.catalog.items[recommender.item_row(case["gold"])]
    return f"{case['user_id']}: {item.title} ({_cause(case)})"


def _cause(case: pd.Series) -> str:
    return CAUSE_NAMES[case["cause"]] if isinstance(case["cause"], str) else "hit"


def _code(trace, position: int, code: int | None) -> str:
    return "[mask]" if code is None else trace.labels[position].get(str(code), str(code))


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>"


def _slice_table(rows: pd.DataFrame) -> str:
    """One line a slice: its bounds as they are, its rate and interval in percent."""
    percent = rows[["rate", "low", "high"]].map("{:.1%}".format)
    bounds = rows[["lowest", "highest"]].map(lambda value: f"{value:,.0f}" if value.is_integer() else f"{value:.2f}")
    shown = pd.concat([bounds, rows[["users", "hits"]], percent], axis=1)
    return _table(shown.columns, shown.itertuples(index=False))


def _table(header: Iterable, rows: Iterable[Iterable]) -> str:
    def cell(value) -> str:
        return escape(f"{value:.4g}" if isinstance(value, float) else str(value))

    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _counted(frame: pd.DataFrame, kind: str) -> str:
    """A bar for each kind of miss, and the same as a table."""
    highest = max(1, int(frame["misses"].max()))
    bars = []
    for at, row in enumerate(frame.itertuples(index=False)):
        y, width = 24 * at, 380 * row.misses / highest
        bars.append(
            f'<text x="168" y="{y + 16}" text-anchor="end">{escape(getattr(row, kind).replace("_", " "))}</text>'
        )
        bars.append(f'<rect x="176" y="{y + 3}" width="{width:.1f}" height="18" fill="#0072b2"/>')
        bars.append(f'<text x="{182 + width:.1f}" y="{y + 16}">{row.misses:,} ({row.share:.0%})</text>')
    return _svg(24 * len(frame) + 4, "Misses by " + kind, bars)


def _survival_figure(frame: pd.DataFrame) -> str:
    """A line with its interval, from all cases down to those that kept a beam for the true item."""
    last = max(1, len(frame) - 1)
    across = [60 + 560 * n / last for n in range(len(frame))]

    def down(values) -> list[float]:
        return [210 - 190 * value for value in values]

    def joined(xs, ys) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))

    low, high, middle = down(frame["low"]), down(frame["high"]), down(frame["survival"])
    marks = [f'<polygon points="{joined(across + across[::-1], high + low[::-1])}" fill="#e3f0f8"/>']
    marks.append(f'<polyline points="{joined(across, middle)}" fill="none" stroke="#0072b2" stroke-width="2.5"/>')
    for x, y, row in zip(across, middle, frame.itertuples(), strict=True):
        marks.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{row.survival:.0%}</text>')
        marks.append(f'<text x="{x:.1f}" y="230" text-anchor="middle">{row.step}</text>')
    return _svg(238, "Survival of the true item by step", marks)


def _svg(height: int, title: str, marks: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 680 {height}" width="680" font-family="sans-serif" font-size="12" role="img">'
    return f"{head}<title>{escape(title)}</title>{''.join(marks)}</svg>"
