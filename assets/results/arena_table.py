"""The table of a contest of related methods (`python -m mindrec arena`)."""

from statistics import stdev


def arena(r: dict) -> str:
    """One row a method, the best NDCG@10 first, as the command prints it."""
    budget, seeds = r["budget"], "one seed" if r["seeds"] == 1 else f"{r['seeds']} seeds, mean ± deviation"
    lines = [
        f"\n**Related methods on {r['dataset'].capitalize()}**, each trained for {budget['minutes']:g} minutes at most on "
        f"one thread, {r['users']:,} test cases, {seeds}; the ratio of NDCG@10 to MindRec's with a paired 95 % interval:\n",
        f"`{r['command']}`\n",
        "| method | hit@1 | hit@10 | hit@50 | ndcg@10 | to MindRec [interval] | coverage@10 | tail_hit@10 | training, s | "
        "ms a user | parameters | calls |\n|" + " --- |" * 12,
    ]
    for row in r["rows"]:
        m, ratio = row["metrics"], row["against"]
        told = "-" if ratio is None else f"{ratio['ratio']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"
        tail = "-" if m["tail_hit@10"] is None else f"{m['tail_hit@10']:.4f}"
        cells = [f"{m[key]:.4f}" for key in ("hit@1", "hit@10", "hit@50", "ndcg@10")]
        if r["seeds"] > 1:
            cells[-1] += f" ± {stdev(row['ndcg@10_of_seeds']):.4f}"
        shared = row["parameters"] and row["seconds"] < 1  # MindRec and its tokens alone are trained once
        seconds = "the same checkpoint" if shared else f"{row['seconds']:,.0f}"
        cells += [told, f"{m['coverage@10']:.1%}", tail, seconds, f"{row['ms_a_user']:.2f}"]
        lines.append(f"| {row['title']} | " + " | ".join(cells) + f" | {row['parameters']:,} | {row['calls']:.1f} |")
    return "\n".join(lines) + "\n"
