"""The README's results section, written from assets/results/*.json: no figure in it is typed by hand."""

import re
from pathlib import Path

from mindrec.errors import MindRecError
from mindrec.files import read_json, write_text

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
METRICS = ("hit@1", "hit@5", "hit@10", "ndcg@10")
PLAIN = {"popularity": "popularity", "covisit": "co-visit", "dense": "dense head alone (same weights)"}
SHOWN = (
    "algorithm",
    "beam_size",
    "order",
    "expansion",
    "merge",
    "steps",
    "resolve",
    "scoring",
    "evidence",
    "constraint",
    "diversity",
    "rethink",
)


def update_readme(readme: Path, results: Path) -> None:
    """Replace what stands between the markers. Raises MindRecError where a marker is missing."""
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise MindRecError(f"{readme} lacks the markers {BEGIN} and {END}; put them where the results belong")
    body = "\n".join(part for part in sections(results) if part)
    new = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{body}\n{END}", text, flags=re.S)
    write_text(readme, new)


def sections(results: Path) -> list[str]:
    """Markdown of each result file that is there, in a fixed order."""
    out = []
    for name, render in (
        ("grocery-test", _evaluation),
        ("grocery-sweep", _sweep),
        ("beauty-test", _evaluation),
        ("beauty-sweep", _sweep),
        ("bench-decode", _bench_decode),
        ("bench-llada", _bench_llada),
        ("bench-scale", _bench_scale),
        ("bench-app", _bench_app),
    ):
        path = results / f"{name}.json"
        if path.exists():
            out.append(render(read_json(path, "results")))
    return out


def _row(name: str, metrics: dict, extra: str = "") -> str:
    return f"| {name} | " + " | ".join(f"{metrics[m]:.4f}" for m in METRICS) + f" |{extra}"


def _head(first: str, extra: tuple[str, ...] = ()) -> str:
    columns = (first, *METRICS, *extra)
    return "| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns)


def _evaluation(r: dict) -> str:
    forced = r["metrics"].get("forced_positions")
    title = f"\n### {r['dataset'].capitalize()}, {r['split']} split\n"
    about = (
        f"{r['users']:,} cases (seed {r['seed']}), the whole catalog ranked, seen items excluded, strict item level; "
        f"{r['decoder']['beam_size']} beams, {r['nfe']:.1f} denoiser calls a user, {r['metrics']['cc']} answers off "
        f"the catalog, entropy H {r['metrics']['entropy']:.2f} bits, TTR {r['metrics']['ttr']:.4f}, "
        f"{r['metrics']['catalog_coverage']:.0%} of the catalog recommended at least once"
        f"{'' if forced is None else f', {forced:.0%} of positions forced'}.\n"
    )
    lines = [title, f"`{r['command']}`\n" if r.get("command") else "", about, _head("ranking")]
    for name, metrics in r.get("baselines", {}).items():
        lines.append(_row(PLAIN.get(name, name), metrics))
    lines.append(_row("**MindRec, default decode**", r["metrics"]))
    return "\n".join(lines) + "\n"


def _sweep(r: dict) -> str:
    rows = r["rows"]
    base = rows[0]["decoder"]
    lines = [
        f"\n**Decoders on {rows[0]['dataset'].capitalize()}**, {rows[0]['users']:,} {rows[0]['split']} cases, same "
        "weights (search mass kept is the decoder's own probability on the items still alive, not a chance of being "
        "right):\n",
        f"`{r['command']}`\n" if r.get("command") else "",
        _head("decoder", ("mass kept", "off catalog", "calls", "beams read")),
    ]
    for row in rows:
        changed = [f"{k}={row['decoder'][k]}" for k in SHOWN if row["decoder"][k] != base[k]]
        name = ", ".join(changed) or f"default ({base['beam_size']} beams)"
        kept = row["metrics"].get("search_mass_kept")
        cells = (
            "-" if kept is None else f"{kept:.3f}",
            f"{row['metrics']['cc'] / (row['users'] * min(10, row['decoder']['beam_size'])):.1%}",
            f"{row['nfe']:.1f}",
            f"{row['beam_rows']:.0f}",
        )
        lines.append(_row(name, row["metrics"], " " + " | ".join(cells) + " |"))
    return "\n".join(lines) + "\n"


def _bench_decode(r: dict) -> str:
    lines = [
        "\n### Speed\n",
        f"`{r['command']}` on {r['device']}, {r['threads']} threads: {r['beams']} beams, history of {r['history']}, "
        f"{r['positions']} positions, all sides in the same run on the same weights.\n",
        "| batch | ms / user | published, ms / user | times faster | over bare matrix products | legality share |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for b in r["ms_per_user"]:
        lines.append(
            f"| {b} | {r['ms_per_user'][b]} | {r['ms_per_user_published'][b]} | {r['ratio_vs_published'][b]} | "
            f"{r['ratio_to_floor'][b]} | {r['legality_share'][b]:.1%} |"
        )
    return "\n".join(lines) + "\n"


def _bench_llada(r: dict) -> str:
    faster = ", ".join(f"{ratio} times at batch {batch}" for batch, ratio in r["ratio_vs_published"].items())
    cache = ", ".join(f"{ratio} times at batch {batch}" for batch, ratio in r["ratio_vs_no_cache"].items())
    return (
        f"\n`{r['command']}` on {r['device']}: a random LLaDA-shaped model of {r['parameters']:,} parameters with a "
        f"prompt of {r['prompt_tokens']} tokens. Faster than the published search: {faster}; than ours without the "
        f"prompt cache: {cache}.\n"
    )


def _bench_scale(r: dict) -> str:
    lines = [
        f"\n`{r['command']}` on {r['device']}, {r['threads']} threads: search and legality alone (random logits), one "
        "user, 10 beams.\n",
        "| items | ms, evidence off | ms, evidence on | index, MB |",
        "| --- | --- | --- | --- |",
    ]
    for row in zip(r["items"], r["ms_per_user"], r["ms_per_user_evidence"], r["index_mb"], strict=True):
        lines.append(f"| {row[0]:,} | {row[1]} | {row[2]} | {row[3]} |")
    return "\n".join(lines) + "\n"


def _bench_app(r: dict) -> str:
    return (
        f"\n`{r['command']}` (headless Chromium): from a key press to the end of the frame that shows the step, "
        f"{r['step_ms_median']} ms ({r['step_work_ms_median']} ms of them the page's own work, the others the wait for "
        f"the screen's next frame); with a tree of {r['tree_nodes']} nodes, {r['step_tree_ms_median']} ms; click on "
        f"Decode to the first step {r['click_to_first_step_ms']} ms; page interactive after "
        f"{r['page_interactive_ms']} ms; trace {r['trace_bytes']:,} bytes; {r['external_requests']} requests to other "
        "hosts.\n"
    )
