"""`bench app`: the page as a person meets it: `python app.py` in a subprocess, headless Chromium, real clicks."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

from mindrec.errors import MindRecError

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 4
PATIENCE = 120

# Presses a key on the stage and resolves when the frame that shows its effect has been painted: a task queued from
# requestAnimationFrame runs after that frame's rendering.
PRESS = """key => new Promise(done => {
  const stage = document.querySelector('[data-part=stage]'); stage.focus();
  requestAnimationFrame(() => { const from = performance.now();
    stage.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
    requestAnimationFrame(() => { const c = new MessageChannel();
      c.port1.onmessage = () => done(performance.now() - from); c.port2.postMessage(0); }); }); })"""

# Clicks Decode and resolves when the caption tells of the first step.
DECODE = """() => new Promise(done => {
  const caption = document.querySelector('[data-part=caption]'), from = performance.now();
  const watch = new MutationObserver(() => { if (/^Step 1\\b/.test(caption.textContent)) { watch.disconnect();
    requestAnimationFrame(() => done(performance.now() - from)); } });
  watch.observe(caption, {childList: true, characterData: true, subtree: true});
  document.querySelector('[data-do=decode]').click(); })"""


def bench_app(checkpoint: Path) -> dict:
    """Medians of what a person waits for, in milliseconds; the process start in seconds."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MindRecError("bench app needs playwright: `pip install playwright`") from error
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--checkpoint", str(checkpoint), "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        served = _wait_for(f"http://127.0.0.1:{port}/", process) - started
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=os.environ.get("MINDREC_CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            measured = _measure(browser, f"http://127.0.0.1:{port}/")
            browser.close()
    finally:
        process.terminate()
        process.wait(10)
    return {"checkpoint": checkpoint.name, "process_to_served_s": round(served, 2)} | measured


def _wait_for(url: str, process: subprocess.Popen) -> float:
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        if process.poll() is not None:
            raise MindRecError(f"`python app.py` ended with status {process.returncode}; start it by hand to see why")
        try:
            urllib.request.urlopen(url, timeout=2)
            return time.perf_counter()
        except OSError:
            time.sleep(0.05)
    raise MindRecError(f"`python app.py` did not answer within {PATIENCE} s")


def _measure(browser, url: str) -> dict:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    foreign, sizes = [], []
    page.on(
        "request", lambda r: foreign.append(r.url) if not r.url.startswith((url, "data:", "blob:", "ws:")) else None
    )
    page.on("response", lambda r: sizes.append(r) if "component_server" in r.url else None)
    started = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(".mr.loaded")
    interactive = (time.perf_counter() - started) * 1000
    decodes = [page.evaluate(DECODE) for _ in range(ROUNDS + 1)][1:]
    page.keyboard.press(" ")
    with_tree, nodes = _steps(page), page.locator(".mr-tree .point").count()
    page.click("[data-do=tree]")
    without = _steps(page)
    trace = next(body["trace"] for body in (_json(r) for r in reversed(sizes)) if body and "trace" in body)
    return {
        "step_ms_median": round(float(np.median(without)), 1),
        "step_tree_ms_median": round(float(np.median(with_tree)), 1),
        "tree_nodes": nodes,
        "click_to_first_step_ms": round(float(np.median(decodes)), 1),
        "page_interactive_ms": round(interactive, 1),
        "trace_bytes": len(json.dumps(trace, separators=(",", ":"))),
        "external_requests": len(foreign),
    }


def _steps(page) -> list[float]:
    """Milliseconds from a key to the painted step, there and back through the trace."""
    times = []
    for _ in range(ROUNDS):
        for key in ["Home", *["ArrowRight"] * 7, *["ArrowLeft"] * 6]:
            times.append(page.evaluate(PRESS, key))
    return times


def _json(response):
    try:
        return response.json()
    except Exception:
        return None
