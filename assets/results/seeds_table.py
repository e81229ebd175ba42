"""The table of one recipe trained with several seeds: each part of the answer, its mean and deviation over seeds."""

import statistics

PARTS = {
    "dense": "dense head alone",
    "evidence": "item evidence alone (dense head and transitions)",
    "evidence_off": "tokens alone (evidence off)",
    "default": "**default decode**",
}
METRICS = ("hit@1", "hit@10", "ndcg@10")


def seeds(runs: list[dict]) -> str:
    """The parts as rows, then the gain of the default decode over its own evidence, seed by seed.

    Args:
        runs: evaluations of one split by the same command, a checkpoint each.
    """
    first = runs[0]
    lines = [
        f"\n**`beauty-codes`, {len(runs)} seeds**, {first['users']:,} {first['split']} users, mean ± deviation over seeds:\n",
        *(f"`{run['command']}`\n" for run in runs),
        "| ranking | " + " | ".join(METRICS) + " |\n|" + " --- |" * (len(METRICS) + 1),
    ]
    for part, title in PARTS.items():
        if any(_metrics(run, part) is None for run in runs):
            continue
        cells = []
        for metric in METRICS:
            values = [_metrics(run, part)[metric] for run in runs]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.4f}{spread}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", "| gain over its own evidence alone | " + " | ".join(METRICS) + " |", "|" + " --- |" * 4]
    for number, run in enumerate(runs):
        cells = [f"{g['ratio']:.3f} [{g['low']:.3f}, {g['high']:.3f}]" for g in (run["gain"][m] for m in METRICS)]
        lines.append(f"| seed {number} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _metrics(run: dict, part: str) -> dict | None:
    if part == "default":
        return run["metrics"]
    return run["evidence_alone"] if part == "evidence" else run["baselines"].get(part)
