"""Makes the screenshots beside this file: `python assets/screenshots/make.py` (needs playwright and a Chromium).

Starts `python app.py` on a free port, opens a story at a step, and looks at it in light, dark, narrow and Present.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STEP = 4
SHOTS = {
    "watch-light": {"width": 1280, "height": 1100},
    "watch-dark": {"width": 1280, "height": 1100, "query": "?__theme=dark"},
    "watch-narrow": {"width": 380, "height": 1100},
    "watch-present": {"width": 1600, "height": 900, "present": True},
}


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    process = subprocess.Popen([sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)], cwd=ROOT)
    try:
        wait_for(url)
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=os.environ.get("MINDREC_CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            for name, shot in SHOTS.items():
                take(browser, url, name, **shot)
            browser.close()
    finally:
        process.terminate()
        process.wait(10)


def take(browser, url: str, name: str, *, width: int, height: int, query: str = "", present: bool = False) -> None:
    """One picture of the first story at STEP."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(url + query)
    page.wait_for_selector(".mr.loaded")
    if page.is_visible("[data-do=hint-close]"):
        page.click("[data-do=hint-close]")
    page.focus("[data-part=stage]")
    for _ in range(STEP):
        page.keyboard.press("ArrowRight")
    if present:
        page.click("[data-do=present]")
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png")
    context.close()


def wait_for(url: str, patience: float = 90) -> None:
    """Until the page is served."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.3)
    raise SystemExit(f"app.py did not answer within {patience} s")


if __name__ == "__main__":
    main()
