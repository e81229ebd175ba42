"""Write the tables of all READMEs, from assets/results/*.json, the settings' declarations and the modules themselves."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from assets.results.arena_table import arena  # noqa: E402
from assets.results.bench_tables import bench_app, bench_decode, bench_llada, bench_map, bench_scale, bench_train  # noqa: E402
from assets.results.guidance_figure import guidance_figure  # noqa: E402
from assets.results.module_map import module_map  # noqa: E402
from assets.results.seeds_table import seeds  # noqa: E402
from mindrec.decoding.config import DecodeConfig  # noqa: E402
from mindrec.errors import MindRecError  # noqa: E402
from mindrec.evaluation.ability_table import Shown, behaviour_table, gap_table, odd_table, slate_table  # noqa: E402
from mindrec.system.files import read_json, write_text  # noqa: E402
from mindrec.system.settings import declared, table  # noqa: E402

METRICS = ("hit@1", "hit@5", "hit@10", "ndcg@10")
PLAIN = {
    "popularity": "popularity",
    "covisit": "co-visit",
    "dense": "dense head alone (same weights)",
    "one_pass": "one pass",
    "left_to_right": "left to right",
    "evidence_off": "tokens alone (evidence off)",
    "evidence_only": "item evidence alone (dense head and counted pairs)",
    "published": "the published search, 10 beams (tokens alone)",
    "twin": "auto-regressive twin, default decode",
    "twin_evidence_off": "auto-regressive twin, tokens alone",
}


def update(root: Path, results: Path) -> None:
    """Write each block of `BLOCKS` anew between its two markers. Raises MindRecError where a marker is missing."""
    for name, (file, write) in BLOCKS.items():
        path = root / file
        text = path.read_text(encoding="utf-8")
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin not in text or end not in text:
            raise MindRecError(f"{path} lacks the markers {begin} and {end}; put them where the {name} belong")
        body = "\n".join(part for part in write(results) if part)
        text = re.sub(f"{begin}.*{end}", lambda _, new=f"{begin}\n{body}\n{end}": new, text, flags=re.S)
        write_text(path, text)


def _front_table(results: Path) -> list[str]:
    """The front page's one table: both data sets, the default decode beside its parts."""
    best = "beauty-codes-0" if (results / "beauty-codes-0.json").exists() else "beauty-test"
    grocery, beauty = (read_json(results / f"{name}.json", "results") for name in ("grocery-test", best))

    def cells(r: dict, name: str | None) -> list[str]:
        alone = r.get("evidence_alone") if name == "evidence_only" else None
        metrics = r["metrics"] if name is None else r["baselines"].get(name, alone)
        return ["-", "-"] if metrics is None else [f"{metrics[m]:.4f}" for m in ("hit@10", "ndcg@10")]

    columns = [
        f"{r['dataset'].capitalize()}, {r['users']:,} test users: {metric}"
        for r in (grocery, beauty)
        for metric in ("Hit@10", "NDCG@10")
    ]
    lines = ["| ranking | " + " | ".join(columns) + " |", "|" + " --- |" * 5]
    for name in ("popularity", "covisit", "dense", "evidence_off", "evidence_only", None):
        title = "**MindRec, default decode**" if name is None else PLAIN[name]
        lines.append(f"| {title} | " + " | ".join(cells(grocery, name) + cells(beauty, name)) + " |")
    return lines


def sections(results: Path) -> list[str]:
    """Markdown of each result file that is there, in a fixed order."""
    out = []
    for name, render in (
        ("grocery-test", _evaluation),
        ("grocery-guidance", _guidance),
        ("grocery-guidance-test", _guidance),
        ("grocery-sweep", _sweep),
        ("grocery-twin", _twin),
        ("grocery-twin-order", _twin),
        ("grocery-twin-time", _twin),
        ("grocery-twin-time-order", _twin),
        ("grocery-why", _why),
        ("grocery-codes-twin", _twin),
        ("grocery-behaviour", _ability("How far an answer moves, on grocery", behaviour_table)),
        ("grocery-slates", _ability("Slates on grocery", slate_table)),
        ("grocery-odd", _ability("The item that does not belong, on grocery", odd_table)),
        ("beauty-gaps", _ability("Gaps on Beauty", gap_table)),
        ("arena-grocery", arena),
        ("arena-grocery-seeds", arena),
        ("arena-grocery-long", arena),
        ("beauty-test", _evaluation),
        ("beauty-sweep", _sweep),
        ("beauty-gpu-sweep", _sweep),
        ("beauty-twin", _twin),
        ("beauty-twin-time", _twin),
        ("beauty-codes-seen", _evaluation),
        ("beauty-codes-twin", _twin),
        ("beauty-why", _why),
        ("arena-beauty", arena),
        ("arena-beauty-seeds", arena),
        ("arena-beauty-long", arena),
        ("yelp-codes", _evaluation),
        ("instruments-ids-codes", _evaluation),
        ("bench-decode", bench_decode),
        ("bench-train", bench_train),
        ("bench-llada", bench_llada),
        ("bench-llada-8b", bench_llada),
        ("bench-scale", bench_scale),
        ("bench-app", bench_app),
        ("bench-map", bench_map),
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
    title = f"\n## {r['dataset'].capitalize()}, {r['split']} split\n"
    about = (
        f"{r['users']:,} cases (seed {r['seed']}), the whole catalog ranked, seen items "
        f"{'excluded' if r['decoder']['exclude_seen'] else 'not excluded'}, strict item level; "
        f"{r['decoder']['beam_size']} beams, {r['nfe']:.1f} denoiser calls a user, {r['metrics']['cc']} answers off "
        f"the catalog, entropy H {r['metrics']['entropy']:.2f} bits, TTR {r['metrics']['ttr']:.4f}, "
        f"{r['metrics']['catalog_coverage']:.0%} of the catalog recommended at least once"
        f"{'' if forced is None else f', {forced:.0%} of positions forced'}.\n"
    )
    lines = [title, f"`{r['command']}`\n" if r.get("command") else "", about, _head("ranking")]
    for name, metrics in r.get("baselines", {}).items():
        lines.append(_row(PLAIN.get(name, name), metrics))
    lines.append(_row("**MindRec, default decode**", r["metrics"]))
    return "\n".join(lines) + "\n" + (_slices(r["slices"], r["metrics"]) if "slices" in r else "")


def _slices(s: dict, metrics: dict) -> str:
    bias, bins = s["popularity_bias"], s["calibration"]["bins"]
    lines = [
        f"\nThe default decode in more detail: the right semantic ID, whatever the category, is among the first ten in "
        f"{metrics['sid_hit@10']:.1%} of cases. {bias['head_share_of_answers']:.0%} of its answers are among the most "
        f"popular tenth of items, against {bias['head_share_of_targets']:.0%} of the true items. Of its answers' "
        f"probabilities, the highest tenth says {bins[-1]['probability']:.3f} on average and is right in "
        f"{bins[-1]['hit_rate']:.3f}; the mean distance over ten bins is {s['calibration']['error']:.4f}.\n",
        "| slice | cases | hit@10 | ndcg@10 |\n| --- | --- | --- | --- |",
    ]
    for row in s["by_history_length"]:
        lines.append(f"| history of {row['slice']} | {row['users']:,} | {row['hit@10']:.4f} | {row['ndcg@10']:.4f} |")
    for row in s["by_target_popularity"]:
        lines.append(f"| {row['slice']} | {row['users']:,} | {row['hit@10']:.4f} | {row['ndcg@10']:.4f} |")
    return "\n".join(lines) + "\n"


def _ability(title: str, table_of: Callable[[dict], Shown]) -> Callable[[dict], str]:
    """The table that its command prints, and the sentence."""

    def render(r: dict) -> str:
        shown = table_of(r)
        rows = ["| " + " | ".join(cells) + " |" for cells in (shown.head, ("---",) * len(shown.head), *shown.rows)]
        return "\n".join([f"\n**{title}.** {shown.sentence}\n", f"`{r['command']}`\n", *rows, ""])

    return render


def _twin(r: dict) -> str:
    """Diffusion (left) against its auto-regressive twin (right), mean and deviation over seeds."""
    changed = ", ".join(f"{k}={v}" for k, v in r["settings"].items()) or "default settings"
    names = ("hit@1", "hit@10", "ndcg@10")
    epochs = [max(row.get("block_epochs", 0) for row in r[side]) for side in ("left", "right")]
    if epochs[0] != epochs[1]:
        changed += f"; the twin's block trained for {epochs[1]} epochs, diffusion's for {epochs[0]}"
    lines = [
        f"\n**Diffusion against its auto-regressive twin on {r['dataset'].capitalize()}**, {r['users']:,} {r['split']} "
        f"cases, {changed}; {'one seed' if len(r['left']) == 1 else str(len(r['left'])) + ' seeds, mean ± deviation'} "
        "(both blocks of a seed stand on the same dense part); the interval is a paired bootstrap over users, 95 %:\n",
        f"`{r['command']}`\n" if r.get("command") else "",
        "| block | " + " | ".join(names) + " | calls | seconds of training the block |\n|" + " --- |" * 6,
    ]
    for side, name in (("left", "masked diffusion"), ("right", "auto-regressive")):
        cells = [_spread(r[f"{side}_mean"][m], r[f"{side}_deviation"][m]) for m in names]
        calls = sum(row["nfe"] for row in r[side]) / len(r[side])
        seconds = " / ".join(f"{row['block_seconds']:,.0f}" for row in r[side])
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {calls:.1f} | {seconds} |")
    ratios = [f"{r['ratio'][m]['ratio']:.3f} [{r['ratio'][m]['low']:.3f}, {r['ratio'][m]['high']:.3f}]" for m in names]
    lines.append("| ratio [interval] | " + " | ".join(ratios) + " | | |")
    return "\n".join(lines) + "\n"


def _spread(mean: float, deviation: float | None) -> str:
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _sweep(r: dict) -> str:
    rows = r["rows"]
    base, checkpoint = rows[0]["decoder"], rows[0]["checkpoint"]["name"]
    named = "" if checkpoint == rows[0]["dataset"] else f", checkpoint {checkpoint}"
    lines = [
        f"\n**Decoders on {rows[0]['dataset'].capitalize()}**{named}, {rows[0]['users']:,} {rows[0]['split']} cases, "
        f"{'tokens alone, ' if base['evidence'] == 'off' else ''}same weights (search mass kept is the decoder's own "
        "probability on the items still alive, not a chance of being right):\n",
        f"`{r['command']}`\n" if r.get("command") else "",
        _head("decoder", ("mass kept", "off catalog", "calls", "beams read")),
    ]
    for row in rows:
        changed = [f"{k}={row['decoder'][k]}" for k in declared(DecodeConfig) if row["decoder"].get(k) != base.get(k)]
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


def _guidance(r: dict) -> str:
    """Accuracy against reach over the values of guidance."""
    rows = r["rows"]
    first = rows[0]
    split = first["split"]
    lines = [
        f"\n**Guidance on {first['dataset'].capitalize()}**, {first['users']:,} {split} cases; the ratio of NDCG@10 to "
        "that of the first row with a paired 95 % interval over users"
        + (f"; chosen as the default: {r['chosen']}" if "chosen" in r else "")
        + ":\n",
        f"`{r['command']}`\n" if r.get("command") else "",
        "| guidance | hit@10 | ndcg@10 | ratio [interval] | coverage@10 | tail_hit@10 | popular_share |\n|"
        + " --- |" * 7,
    ]
    for row in rows:
        m, ratio = row["metrics"], row.get("ndcg@10_to_first")
        told = "-" if ratio is None else f"{ratio['ratio']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"
        alone = ", item evidence alone" if row["decoder"]["evidence"] == "only" else ""
        lines.append(
            f"| {row['decoder']['guidance']}{alone} | {m['hit@10']:.4f} | {m['ndcg@10']:.4f} | {told} | "
            f"{m['coverage@10']:.1%} | {m['tail_hit@10']:.4f} | {m['popular_share']:.1%} |"
        )
    figure = "![NDCG@10 against coverage@10](guidance.svg)\n" if split == "validation" else ""
    return "\n".join(lines) + "\n" + (f"\n{figure}" if figure else "")


def _why(r: dict) -> str:
    """What a diagnosis with rescues counts: causes, kinds of error, and what would have saved the misses."""
    lines = [
        f"\n`{r['command']}`: of {r['users']:,} cases {r['misses']:,} miss the first {r['k']}. A rescue is the smallest of "
        "some thirty changes that works, chosen knowing the true item: an explanation, no method.\n",
        "| counted by | kind | misses | share |\n| --- | --- | --- | --- |",
    ]
    for name in ("errors", "rescues", "causes"):
        for kind, count in r.get(name, {}).items():
            lines.append(f"| {name} | {kind} | {count:,} | {count / max(r['misses'], 1):.1%} |")
    return "\n".join(lines) + "\n"


def _cold_tables(results: Path) -> list[str]:
    """Items never trained on: beside text likeness, then what each `--lift` costs everyone and gives them."""
    plain, lifted = (read_json(results / f"{name}.json", "results") for name in ("grocery-cold", "grocery-cold-lift"))
    cold, items = plain["items"]["cold"], sum(plain["items"].values())

    def row(name: str, metrics: dict, everyone: dict) -> str:
        shown = (metrics["among_all"], metrics["among_cold"], everyone)
        return f"| {name} | " + " | ".join(f"{m['hit@10']:.3f}" for m in shown) + " |"

    lines = [
        f"| Hit@10 on {plain['split']} trips | {plain['users']:,} with one of {cold} cold items as the true one, among "
        f"all {items:,} | the same, among the cold ones | {plain['everyone']['users']:,} as they come |",
        "|" + " --- |" * 4,
        row("TF-IDF nearest to the history", plain["baselines"]["tfidf"], plain["everyone"]["tfidf"]),
        row("MindRec, dense head alone", plain["baselines"]["dense"], plain["everyone"]["dense"]),
        row("MindRec", plain["metrics"], plain["everyone"]["metrics"]),
        row(
            f"MindRec, `--lift` chosen on validation: {lifted['lift']}",
            lifted["metrics"],
            lifted["everyone"]["metrics"],
        ),
        "\n| `--lift` | validation trips: NDCG@10 of all | Hit@10 of all | Hit@10 of those with a cold item |",
        "|" + " --- |" * 4,
    ]
    for r in lifted["lifts_on_validation"]:
        lines.append(f"| {r['lift']} | {r['ndcg@10']:.4f} | {r['hit@10']:.3f} | {r['cold_hit@10']:.3f} |")
    return lines


def _source_table(results: Path) -> list[str]:
    """Rows a second and memory of each source that reads files larger than memory."""
    lines = ["| source | rows a second | peak memory |", "|" + " --- |" * 3]
    for file in ("bench-prepare", "bench-prepare-amazon"):
        for name, r in read_json(results / f"{file}.json", "results")["sources"].items():
            lines.append(f"| {name} | {round(r['rows_a_second'], -3):,} | {r['peak_mb']:.0f} MB |")
    return lines


def _load_table(results: Path) -> list[str]:
    """Many people at once."""
    lines = [
        '| | traces | plain "busy" | errors, traces of another person, wrong traces | half within | 95 % within |',
        "|" + " --- |" * 6,
    ]
    for file in ("load-50", "load-50-browsers", "load-100", "load-150", "load-200", "load-400"):
        if not (results / f"{file}.json").exists():
            continue
        r = read_json(results / f"{file}.json", "results")
        browsers = f", {r['browsers']} real browsers on the same cores" if r["browsers"] else ""
        wrong = f"{r['errors']}, {r['crossed']}, {r['wrong']}"
        lines.append(
            f"| {r['people']} people, {r['seconds']:.0f} s{browsers} | {r['traces']:,} | {r['busy']:,} | {wrong} | "
            f"{r['p50_ms'] / 1000:.2f} s | {r['p95_ms'] / 1000:.2f} s |"
        )
    return lines


def _codes(results: Path) -> list[str]:
    """The seeds of beauty-codes that are there."""
    paths = [path for number in range(3) if (path := results / f"beauty-codes-{number}.json").exists()]
    return [seeds([read_json(path, "results") for path in paths])] if paths else []


FOLDERS = sorted(file.parent for house in ("app", "mindrec") for file in (ROOT / house).glob("*/__init__.py"))
"""Folders of code, each with a README that has the table of its modules."""


BLOCKS = {
    "front": ("README.md", _front_table),
    "results": ("assets/results/README.md", sections),
    "codes": ("assets/results/README.md", _codes),
    "cold": ("mindrec/cold/README.md", _cold_tables),
    "sources": ("mindrec/sources/README.md", _source_table),
    "load": ("app/README.md", _load_table),
    "settings": ("mindrec/README.md", lambda _: [table(DecodeConfig).rstrip()]),
} | {
    f"modules of {name}": (f"{name}/README.md", lambda _, folder=folder: module_map(folder))
    for folder in (ROOT / "mindrec", *FOLDERS)
    for name in [folder.relative_to(ROOT).as_posix()]
}


if __name__ == "__main__":
    HERE = Path(__file__).parent
    update(ROOT, HERE)
    write_text(HERE / "guidance.svg", guidance_figure(read_json(HERE / "grocery-guidance.json", "results")))
