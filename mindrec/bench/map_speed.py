"""`bench map`: how long a step of the map takes, for the checkpoint's own catalog and for one of 12,000 items.

The larger catalog is made up of the smaller one: every item several times, beside itself, with its share of the item's
mass. Points, names, codes and the shape of the masses are then those of a real decode, and the page's own code draws
them. Milliseconds are those of `bench app` (mindrec.bench.page_speed): of the whole step, with all that stands beside
the map; `_most` is the slowest step of the walk. `load` is the machine's.
"""

import json
import os
import random
from pathlib import Path

from mindrec.bench.app_process import running_app
from mindrec.bench.key_presses import WATCH_KEYS, chromium, median, playwright, steps

LARGE = 12_000
APART = 220
"""How far a copy lies from its item at most, in the map's units: half its width is 32,767."""


def bench_map(checkpoint: Path) -> dict:
    """Medians of a step of the map, in milliseconds."""
    play_a_browser = playwright("bench map")
    with running_app("--checkpoint", str(checkpoint)) as (address, _), play_a_browser() as play:
        browser = chromium(play)
        measured = measure_map(browser, f"{address}/")
        browser.close()
    return {"checkpoint": checkpoint.name} | measured


def measure_map(browser, url: str) -> dict:
    """The same of an app that is served at `url`."""
    out = {}
    for name, size in (("", None), ("_large", LARGE)):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        if size:
            page.route("**/component_server/**", Larger(size).answer)
        page.goto(url)
        page.wait_for_selector(".mr.loaded")
        page.locator("[data-do=view-map]:visible").click()
        page.wait_for_function("document.querySelector('[data-part=map-words]').textContent.includes('lit')")
        words = page.inner_text("[data-part=map-words]")
        page.evaluate(WATCH_KEYS)
        notes, presented = steps(page)
        shown = int(words.split(" of ")[1].split()[0].replace(",", ""))
        out[f"map{name}_points"] = shown
        out[f"step_map{name}_ms_median"] = median(note["painted"] for note in notes)
        out[f"step_map{name}_ms_most"] = round(max(note["painted"] for note in notes), 1)
        out[f"step_map{name}_presented_ms_median"] = median(presented)
        page.close()
    return out | {"load": [round(value, 1) for value in os.getloadavg()]}


class Larger:
    """Answers the map's two questions for a larger catalog; the map's is asked first, and tells how many items are.

    Attributes:
        size: items of the larger catalog.
        items: of the checkpoint's own.
    """

    def __init__(self, size: int):
        self.size, self.items = size, 0

    def answer(self, route) -> None:
        """Change the answer to a question of the map; all other questions pass."""
        name = json.loads(route.request.post_data or "{}").get("fn_name")
        if name not in ("item_map", "item_masses"):
            return route.continue_()
        answer = route.fetch()
        made = self.points(answer.json()) if name == "item_map" else self.lights(answer.json())
        return route.fulfill(response=answer, json=made)

    def points(self, view: dict) -> dict:
        """A map (app.views.map.map_view): the same items again and again, each copy a little beside."""
        self.items, rng = len(view["x"]), random.Random(0)
        rows = [at % self.items for at in range(self.size)]
        moved = {
            axis: [view[axis][row] + (rng.randint(-APART, APART) if at != row else 0) for at, row in enumerate(rows)]
            for axis in ("x", "y")
        }
        return view | moved | {name: [view[name][row] for row in rows] for name in ("titles", "ids", "leaf", "codes")}

    def lights(self, view: dict) -> dict:
        """The light of a trace on it ({"steps"} of app.views.map.masses_view): copies share an item's mass."""
        return {"steps": [self._shared(step) for step in view["steps"]]}

    def _shared(self, step: dict) -> dict:
        pairs = []
        for row, mass in zip(step["rows"], step["masses"], strict=True):
            copies = range(row, self.size, self.items)
            pairs += [(at, mass / len(copies)) for at in copies]
        return {"rows": [at for at, _ in pairs], "masses": [mass for _, mass in pairs]}
