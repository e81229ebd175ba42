"""Key presses on the page, timed by the browser: what `bench app` and `bench map` say of a step is measured here."""

import os
import shutil
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from mindrec.errors import MindRecError

ROUNDS = 4
HELD = 70  # milliseconds that a key stays down, as a person's does: one that comes up before the frame is done asks for
# another frame, and what is measured would end with that one

# Notes, for every key, when it came and the end of the frame that followed.
WATCH_KEYS = """() => { window.benchKeys = []; window.benchEvents = [];
  document.addEventListener('keydown', event => {
    const note = {};
    window.benchKeys.push(note);
    requestAnimationFrame(() => { const c = new MessageChannel();
      c.port1.onmessage = () => {
        Object.assign(note, {painted: performance.now() - event.timeStamp,
          shows: document.querySelector('[data-part=stepno]').textContent,
          answers: document.querySelector('[data-part=podium]')?.textContent,
          nodes: document.querySelectorAll('.mr-tree .point:not(.off)').length}); };
      c.port2.postMessage(0); });
  }, true);
  new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.name === 'keydown')
    window.benchEvents.push(e.duration); }).observe({type: 'event', durationThreshold: 16}); }"""


def playwright(command: str) -> Callable:
    """`sync_playwright`. Raises MindRecError where playwright is not installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MindRecError(f"{command} needs playwright: `pip install playwright`") from error
    return sync_playwright


def chromium(play):
    """The browser of the measurements: MINDREC_CHROMIUM, a system one or Playwright's; the CPU makes its pixels."""
    return play.chromium.launch(
        executable_path=os.environ.get("MINDREC_CHROMIUM") or shutil.which("chromium"),
        args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    )


def steps(page) -> tuple[list[dict], list[float]]:
    """Notes on every key of a walk there and back through the trace, and Event Timing's durations.

    Raises:
        MindRecError: a frame did not show the step of its key.
    """
    page.focus("[data-part=stage]")
    last = int(page.get_attribute("[data-part=scrub]", "max"))
    page.evaluate("window.benchKeys.length = window.benchEvents.length = 0")
    walk = [("Home", 0), *(("ArrowRight", n) for n in range(1, last + 1))]
    walk += [(key, last - (key == "ArrowLeft")) for _ in range(3) for key in ("ArrowLeft", "ArrowRight")]
    walk += [("ArrowLeft", n) for n in range(last - 1, -1, -1)]
    wanted = []
    for _ in range(ROUNDS):
        for key, step in walk:
            page.keyboard.press(key, delay=HELD)
            wanted.append(f"Step {step} of {last}")
            page.wait_for_timeout(110 + 7 * (len(wanted) % 5))  # not in step with the screen
    notes = page.evaluate("window.benchKeys")
    if [note.get("shows") for note in notes] != wanted:
        raise MindRecError("a frame did not show the step that was asked for; run the bench on a quieter machine")
    events = page.evaluate("window.benchEvents")
    return notes, events + [0.0] * (len(notes) - len(events))  # shorter ones than 16 ms are not told of


def median(values) -> float:
    """To a tenth of a millisecond."""
    return round(float(np.median(list(values))), 1)


def turns(page) -> list[dict]:
    """Notes on every turn of the guidance dial, there and back through its stops, at the last step.

    Raises:
        MindRecError: a turn showed no other answers.
    """
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    with page.expect_response(lambda r: "component_server" in r.url and '"bundles"' in r.text()):
        page.focus("[data-part=dial]")
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    page.evaluate("window.benchKeys.length = 0")
    last = int(page.get_attribute("[data-part=dial]", "max"))
    for _ in range(ROUNDS):
        for at, key in enumerate(["ArrowRight"] * last + ["ArrowLeft"] * last):
            page.keyboard.press(key, delay=HELD)
            page.wait_for_timeout(400 + 7 * (at % 5))  # the tree is drawn by then
    notes = page.evaluate("window.benchKeys")
    shown = [note.get("answers") for note in notes]
    if len(notes) != 2 * last * ROUNDS or any(one == two for one, two in pairwise(shown)):
        raise MindRecError("a turn of the dial showed no other answers; run the bench on a quieter machine")
    return notes
