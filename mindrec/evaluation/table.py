"""An evaluation as a person reads it: one table and one sentence."""

from mindrec.evaluation.baselines import BASELINES

TITLES = {
    "popularity": "popularity",
    "covisit": "co-visit",
    "dense": "dense head alone",
    "evidence_alone": "item evidence alone",
    "evidence_only": "decode of item evidence only",
    "evidence_off": "tokens alone",
    "one_pass": "all positions in one step",
    "left_to_right": "left to right",
    "published": "published search",
    "twin": "twin",
    "twin_evidence_off": "twin, tokens alone",
}
HEAD = ("", "Hit@1", "Hit@10", "NDCG@10", "model's NDCG@10 over it (95 %)")
SWEEP_HEAD = ("setting", "Hit@1", "Hit@10", "NDCG@10", "to the first row (95 %)", "denoiser calls", "seconds")
SHOWN = ("hit@1", "hit@10", "ndcg@10")
MEASURE = "ndcg@10"


def rows(result: dict) -> list[tuple[str, ...]]:
    """Cells of the table below HEAD: the model, its evidence alone, then the baselines."""
    out = [_row(f"model ({result['checkpoint']['name']})", result["metrics"], None)]
    if "evidence_alone" in result:
        out.append(_row(TITLES["evidence_alone"], result["evidence_alone"], result["gain"][MEASURE]))
    for name, measures in result.get("baselines", {}).items():
        out.append(_row(TITLES.get(name, name), measures, result["model_over"][name][MEASURE], "no hit"))
    return out


def sweep_rows(result: dict) -> list[tuple[str, ...]]:
    """Cells of a sweep's table: the settings that differ, then the measures."""
    decoders = [row["decoder"] for row in result["rows"]]
    varied = [name for name in decoders[0] if any(d[name] != decoders[0][name] for d in decoders)]
    return [
        (
            " ".join(f"{name}={row['decoder'][name]}" for name in varied) or "default",
            *figures(row["metrics"]),
            interval(row.get("ndcg@10_to_first")),
            f"{row['nfe']:.1f}",
            f"{row['seconds']:.1f}",
        )
        for row in result["rows"]
    ]


def sentence(result: dict) -> str:
    """The verdict: is the model ahead of counting, and does its decode add to its item evidence?"""
    model = result["metrics"][MEASURE]
    counted = {name: result["baselines"][name][MEASURE] for name in result.get("baselines", {}) if name in BASELINES}
    said = f"On {result['users']:,} {result['split']} users the model"
    if counted:
        best = max(counted, key=counted.__getitem__)
        over = result["model_over"][best][MEASURE]
        said += f" {standing(over, model)} {TITLES[best]} (NDCG@10 {model:.4f} against {counted[best]:.4f}"
        said += f"; {interval(over)})" if over else ")"
    else:
        said += f" has NDCG@10 {model:.4f}"
    if "gain" in result:
        gain = result["gain"][MEASURE]
        said += f", and {standing(gain, model)} its item evidence alone ({interval(gain) or 'which has no hit'})"
    return said + "."


def _row(title: str, measures: dict, over: dict | None, none: str = "") -> tuple[str, ...]:
    return (title, *figures(measures), interval(over) or none)


def figures(measures: dict) -> tuple[str, ...]:
    """The measures that a table shows, to four digits."""
    return tuple(f"{measures[name]:.4f}" for name in SHOWN)


def interval(over: dict | None) -> str:
    """A ratio as a change in per cent with its interval; "" without one."""
    if over is None:
        return ""
    ratio, low, high = (f"{100 * (over[name] - 1):+.1f} %" for name in ("ratio", "low", "high"))
    return f"{ratio}, {low} to {high}"


def standing(over: dict | None, model: float) -> str:
    """Whether the model is ahead of the other side, behind it, or neither as far as these users tell."""
    low, high = (over["low"], over["high"]) if over else (2.0, 2.0) if model > 0 else (1.0, 1.0)
    if low > 1:
        return "is ahead of"
    return "is behind" if high < 1 else "cannot be told apart from"
