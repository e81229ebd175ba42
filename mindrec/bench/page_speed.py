"""`bench app`: the page as a person meets it: `python app.py` in a subprocess, headless Chromium, real keys and clicks.

What "step to painted" means here, in milliseconds:
- `step_ms_median`: from the timestamp that the browser gives a real key press, of a key that stays down for 70 ms, to
  the end of the frame that shows the step. A task queued from that frame's requestAnimationFrame runs once the main
  thread has done its styles, layout and painting; what the compositor and a screen need afterwards is not in it. Every
  sample is checked to show the step that was asked for.
- `step_floor_ms_median`: the same on an empty page whose key press changes one word: what the browser takes by itself.
- `step_presented_ms_median`: the browser's own measure, Event Timing, from the same timestamp until the frame is
  presented, in units of 8 ms; headless, pixels are made by the CPU.
- `dial_ms_median`: the same for a key press that turns the guidance dial to another stop, the tree in sight; the other
  stops were decoded when the dial got the focus. Every sample is checked to show other answers than the one before.
- `page_first_interactive_ms`, `page_interactive_ms`: from the page's address to a stage that answers, in a browser that
  has not seen it, and the median of later visits.

The figures with the tree are of a trace of MAX_BEAMS beams, opened from a file, where the tree draws the most nodes
that the page allows; only steps that draw at least TREE_SHARE of the most nodes seen are counted. Those without the
tree are of the page's first story.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mindrec.bench.app_process import running_app
from mindrec.bench.key_presses import ROUNDS, WATCH_KEYS, chromium, median, playwright, steps, turns
from mindrec.decoding.config import MAX_BEAMS

TREE_SHARE = 0.95

# Clicks Decode and resolves when the caption tells of the first step.
DECODE = """() => new Promise(done => {
  const caption = document.querySelector('[data-part=caption]'), from = performance.now();
  const watch = new MutationObserver(() => { if (/^Step 1\\b/.test(caption.textContent)) { watch.disconnect();
    requestAnimationFrame(() => done(performance.now() - from)); } });
  watch.observe(caption, {childList: true, characterData: true, subtree: true});
  document.querySelector('[data-do=decode]').click(); })"""


# Stands in for the page where only the browser is measured.
EMPTY = """<p data-part=stage tabindex=0><input data-part=scrub max=7><b data-part=stepno>Step 0 of 7</b></p>
<script>let step = 0; document.addEventListener('keydown', event => {
  step = {Home: 0, ArrowLeft: step - 1, ArrowRight: step + 1}[event.key];
  document.querySelector('[data-part=stepno]').textContent = `Step ${step} of 7`; });</script>"""


def bench_app(checkpoint: Path) -> dict:
    """Medians of a person's waits, in milliseconds; the process start in seconds."""
    play_a_browser = playwright("bench app")
    started = time.perf_counter()
    with running_app("--checkpoint", str(checkpoint)) as (address, _):
        served = time.perf_counter() - started
        with tempfile.TemporaryDirectory() as folder, play_a_browser() as play:
            wide = Path(folder) / "wide.json"
            _wide_trace(checkpoint, wide)
            browser = chromium(play)
            measured = _measure(browser, f"{address}/", wide)
            browser.close()
    return {"checkpoint": checkpoint.name, "process_to_served_s": round(served, 2)} | measured


def _measure(browser, url: str, wide: Path) -> dict:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    foreign, answers = [], []
    local = (url, "data:", "blob:", "ws:")
    page.on("request", lambda r: None if r.url.startswith(local) else foreign.append(r.url))
    page.on("response", lambda r: answers.append(r) if "component_server" in r.url else None)
    interactive = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        page.goto(url)
        page.wait_for_selector(".mr.loaded")
        interactive.append((time.perf_counter() - started) * 1000)
    decodes = [page.evaluate(DECODE) for _ in range(ROUNDS + 1)][1:]
    trace = next(body["trace"] for body in (_json(r) for r in reversed(answers)) if body and "trace" in body)
    page.reload()
    page.wait_for_selector(".mr-tree .point", state="attached")
    page.evaluate(WATCH_KEYS)
    turned = turns(page)
    page.click("[data-do=tree]")
    plain, presented = steps(page)
    page.click("[data-do=tree]")
    page.set_input_files("[data-part=file]", wide)
    page.wait_for_function("document.querySelector('[data-part=story]').textContent.includes('.json')")
    page.wait_for_timeout(1000)
    tree, _ = steps(page)
    empty = browser.new_page(viewport={"width": 1280, "height": 900})
    empty.set_content(EMPTY)
    empty.evaluate(WATCH_KEYS)
    floor, _ = steps(empty)
    nodes = max(note["nodes"] for note in tree)
    full = [note for note in tree if note["nodes"] >= TREE_SHARE * nodes]
    return {
        "step_ms_median": median(note["painted"] for note in plain),
        "step_floor_ms_median": median(note["painted"] for note in floor),
        "step_presented_ms_median": median(presented),
        "step_tree_ms_median": median(note["painted"] for note in full),
        "tree_nodes": nodes,
        "tree_trace": f"{MAX_BEAMS} beams, opened from a file",
        "dial_ms_median": median(note["painted"] for note in turned),
        "samples": {"step": len(plain), "step_tree": len(full), "dial": len(turned)},
        "click_to_first_step_ms": median(decodes),
        "page_first_interactive_ms": round(interactive[0], 1),
        "page_interactive_ms": median(interactive[1:]),
        "trace_bytes": len(json.dumps(trace, separators=(",", ":"))),
        "external_requests": len(foreign),
    }


def _wide_trace(checkpoint: Path, path: Path) -> None:
    """A trace with as many beams as a decode may have, for a tree with as many nodes as the page draws."""
    from mindrec.recommender import Recommender

    recommender = Recommender.from_pretrained(checkpoint, "cpu")
    items = recommender.catalog.items
    history = [items[len(items) * part // 6].item_id for part in (1, 3, 5)]
    config = replace(recommender.default_config, beam_size=MAX_BEAMS)
    path.write_text(recommender.recommend(history, config).trace.to_json(), encoding="utf-8")


def _json(response):
    try:
        return response.json()
    except Exception:
        return None
