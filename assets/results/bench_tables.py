"""The tables of speed, each as its `mindrec bench` command measured it."""


def bench_decode(r: dict) -> str:
    lines = [
        "\n## Speed\n",
        f"`{r['command']}` on {r['device']}, {r['threads']} threads: {r['beams']} beams, history of {r['history']}, "
        f"{r['positions']} positions, all sides in the same run on the same weights.\n",
        "| batch | ms / user | published, ms / user | times faster | over bare matrix products | legality share | with "
        "guidance | with four votes |",
        "|" + " --- |" * 8,
    ]
    for b in r["ms_per_user"]:
        lines.append(
            f"| {b} | {r['ms_per_user'][b]} | {r['ms_per_user_published'][b]} | {r['ratio_vs_published'][b]} | "
            f"{r['ratio_to_floor'][b]} | {r['legality_share'][b]:.1%} | {r['ratio_guided'][b]} times | "
            f"{r['ratio_votes'][b]} times |"
        )
    return "\n".join(lines) + "\n"


def bench_train(r: dict) -> str:
    stages = "; ".join(
        f"{name}: {r[key]['samples_per_second']:,.0f} samples a second, {r[key]['gflops_reached']:,.0f} GFLOP/s, "
        f"{r[key]['utilisation']:.0%} of bare products"
        for key, name in (("dense", "dense part"), ("block", "target block"))
    )
    entropy = r["cross_entropy"]
    return (
        f"\n`{r['command']}` on {r['device']}, {r['threads']} threads: {stages}. The auto-regressive twin's block sees "
        f"{r['twin']['ratio']} times as many samples a second. A dense step over "
        f"{entropy['items']:,} items takes {entropy['step_ms']} ms, {entropy['ratio']} times as fast as with "
        "`F.cross_entropy`, which holds all logits at once.\n" + _beside(r)
    )


def _beside(r: dict) -> str:
    """A training on a machine that others use: its time beside a working process, and its memory."""
    lines = []
    if busy := r.get("busy"):
        times = ", ".join(
            f"{name} {busy[key]['quiet_ms']} ms quiet and {busy[key]['busy_ms']} ms busy ({busy[key]['ratio']} times)"
            for key, name in (("dense", "dense part"), ("block", "target block"))
        )
        lines.append(
            f"A step beside a process that keeps all {busy['cores']} cores busy, with "
            f"`OMP_WAIT_POLICY={busy['omp_wait_policy']}`, which every command sets: {times}; the median of "
            f"{busy['steps']} batches, each trained on with that process held and with it running."
        )
    if memory := r.get("memory"):
        lines.append(f"A whole `train {memory['train']}` holds {memory['peak_mb']:,} MB of memory at most.")
    return "\n" + " ".join(lines) + "\n" if lines else ""


def bench_llada(r: dict) -> str:
    took = ", ".join(f"{ms} ms a user at batch {batch}" for batch, ms in r["ms_per_user"].items())
    faster = ", ".join(f"{ratio} times at batch {batch}" for batch, ratio in r["ratio_vs_published"].items())
    cache = ", ".join(f"{ratio} times at batch {batch}" for batch, ratio in r["ratio_vs_no_cache"].items())
    return (
        f"\n`{r['command']}` on {r['device']}: a random LLaDA-shaped model of {r['parameters']:,} parameters with a "
        f"prompt of {r['prompt_tokens']} tokens, {r['dtype']}: {took}. Faster than the published "
        f"search: {faster}; than ours without the prompt cache: {cache}.\n"
    )


def bench_scale(r: dict) -> str:
    lines = [
        f"\n`{r['command']}` on {r['device']}, {r['threads']} threads: search and legality alone (random logits), one "
        "user, 10 beams.\n",
        "| items | ms, evidence off | ms, evidence on | index, MB |",
        "| --- | --- | --- | --- |",
    ]
    for row in zip(r["items"], r["ms_per_user"], r["ms_per_user_evidence"], r["index_mb"], strict=True):
        lines.append(f"| {row[0]:,} | {row[1]} | {row[2]} | {row[3]} |")
    return "\n".join(lines) + "\n"


def bench_app(r: dict) -> str:
    return (
        f"\n`{r['command']}` (headless Chromium): from a key press to the end of the frame that shows the step, "
        f"{r['step_ms_median']} ms (an empty page that changes one word takes {r['step_floor_ms_median']} ms); with a "
        f"tree of {r['tree_nodes']} nodes, {r['step_tree_ms_median']} ms; click "
        f"on Decode to the first step {r['click_to_first_step_ms']} ms; page interactive after "
        f"{r['page_first_interactive_ms']} ms in a browser that has not seen it, {r['page_interactive_ms']} ms later; "
        f"trace {r['trace_bytes']:,} bytes; {r['external_requests']} requests to other "
        "hosts.\n"
    )


def bench_map(r: dict) -> str:
    return (
        f"\n`{r['command']}` (headless Chromium, load {r['load'][0]}): from a key press to the end of the frame that shows "
        f"a step with its map, {r['step_map_ms_median']} ms with {r['map_points']:,} items and "
        f"{r['step_map_large_ms_median']} ms with {r['map_large_points']:,}; the slowest steps took "
        f"{r['step_map_ms_most']} and {r['step_map_large_ms_most']} ms.\n"
    )
