"""Makes the screenshots beside this file: `python assets/screenshots/make.py` (needs playwright and a Chromium).

Starts `python app.py` on a free port, opens a story at a step, and looks at it in light, dark, narrow, Present and on the
map; then the cart of the day on a phone, a class room with a phone, and the Lab after a training.
"""

import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from app.server.preview import PICTURE  # noqa: E402
from mindrec.bench.app_process import running_app  # noqa: E402

PREVIEW_SIZE = (1200, 630)

STEP = 4
SHOTS = {
    "watch-light": {"width": 1280, "height": 1100},
    "watch-dark": {"width": 1280, "height": 1100, "query": "?__theme=dark"},
    "watch-narrow": {"width": 380, "height": 1100},
    "watch-map": {"width": 1280, "height": 1100, "query": "?__theme=dark", "chart": "map"},
    "watch-present": {"width": 1600, "height": 900, "present": True},
}


def main() -> None:
    with running_app() as (address, _), sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ.get("MINDREC_CHROMIUM")
            or shutil.which("chromium-headless-shell")
            or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for name, shot in SHOTS.items():
            take(browser, f"{address}/", name, **shot)
        take_methods(browser, f"{address}/?tab=compare&case=3&left=ours&right=method%3Afmrec")
        take_play(browser, f"{address}/?tab=play")
        take_room(browser, f"{address}/?tab=learn&lesson=step")
        take_lab(browser, f"{address}/?tab=lab&lab=epochs:8,seed:1")
        browser.close()
    preview(HERE / "watch-dark.png")


def preview(shot: Path) -> None:
    """The picture of a link that is posted: the upper part of `shot`, in few colours."""
    with Image.open(shot) as whole:
        width, height = PREVIEW_SIZE
        scaled = whole.convert("RGB").resize((width, round(whole.height * width / whole.width)))
        scaled.crop((0, 0, width, height)).quantize(128).save(PICTURE, optimize=True)


def take(browser, url: str, name: str, *, width: int, height: int, query: str = "", present=False, chart="") -> None:
    """One picture of the first story at STEP; `chart` is another picture beside the beams than the path."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(url + query)
    page.wait_for_selector(".mr.loaded")
    if page.is_visible("[data-do=hint-close]"):
        page.click("[data-do=hint-close]")
    if chart:
        page.locator(f"[data-do=view-{chart}]:visible").click()
    page.focus("[data-part=stage]")
    page.keyboard.press("Home")  # without motion the story stands at its answer
    for _ in range(STEP):
        page.keyboard.press("ArrowRight")
    if present:
        page.click("[data-do=present]")
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png")
    context.close()


def take_methods(browser, url: str) -> None:
    """The Compare tab with a flow in the middle of its walk."""
    context = browser.new_context(viewport={"width": 1280, "height": 1100}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("document.querySelector('[data-panel=compare]')?.dataset.turn")
    page.focus("[data-part=deck]")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / "compare-methods.png")
    context.close()


def take_play(browser, url: str) -> None:
    """The cart of the day on a phone, its aisle guessed."""
    with browser.new_context(viewport={"width": 380, "height": 800}, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(url)
        page.click("[data-panel=play] [data-do=daily]")
        page.wait_for_selector("[data-panel=play] .mr-play-options .option >> nth=1")
        page.keyboard.press("1")
        page.wait_for_selector("[data-panel=play] .mr-play-before:not([hidden])")
        page.screenshot(path=HERE / "play-phone.png")


def take_room(browser, url: str) -> None:
    """A class room's projector after one vote, and the phone that gave it."""
    with (
        browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce") as hall,
        browser.new_context(viewport={"width": 380, "height": 700}, reduced_motion="reduce") as hand,
    ):
        page, phone = hall.new_page(), hand.new_page()
        page.goto(url)
        page.click("[data-panel=learn] [data-do=class]")
        page.wait_for_selector(".mr-room-bars li")
        phone.goto("http://" + page.inner_text(".mr-room-link"))
        phone.locator(".options button").nth(1).click()
        page.wait_for_function("document.querySelector('.mr-room-present').textContent.includes('1 voted')")
        page.screenshot(path=HERE / "room.png")
        phone.screenshot(path=HERE / "room-phone.png")


def take_lab(browser, url: str) -> None:
    """The Lab after a training of the toy shop."""
    with browser.new_context(viewport={"width": 1280, "height": 1100}, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(url)
        page.click("[data-panel=lab] [data-do=lab-train]")
        done = "document.querySelector('[data-panel=lab] [data-part=status]').textContent.match(/^(Done|Out of time)/)"
        page.wait_for_function(done, timeout=120_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=HERE / "lab.png")


if __name__ == "__main__":
    main()
