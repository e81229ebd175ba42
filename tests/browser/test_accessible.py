"""axe-core over every tab, light and dark: no violation that it calls serious or critical."""

import json
from importlib.resources import files

import pytest

AXE = files("axe_playwright_python") / "axe.min.js"
GRAVE = ("serious", "critical")
READY = {
    "watch": "[data-panel=watch] .js-plotly-plot",
    "compare": "[data-panel=compare] .mr-compare",
    "diagnose": "[data-panel=diagnose] .mr-table tbody tr",
    "learn": "[data-panel=learn] .mr-learn",
    "lab": "[data-panel=lab] .mr-lab",
}


def violations(page, within: str) -> list[str]:
    """What axe finds in one part of the page, in a line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate(f"axe.run({json.dumps(within)}, {{resultTypes: ['violations']}})")
    assert report["passes"], "axe looked at nothing"
    return [
        f"{v['impact']} {v['id']}: {v['help']} ({v['nodes'][0]['html'][:160]})"
        for v in report["violations"]
        if v["impact"] in GRAVE
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_violation(visit, theme):
    page = visit(f"?table=wide&__theme={theme}", reduced_motion="reduce")
    ground = page.evaluate("getComputedStyle(document.querySelector('.mr-stage')).backgroundColor")
    assert (max(int(v) for v in ground[4:-1].split(",")) < 60) == (theme == "dark")
    for tab, ready in READY.items():
        page.click(f"[data-tab={tab}]")
        page.wait_for_selector(ready)
        assert not violations(page, ".mr-page"), tab


def test_no_serious_violation_with_every_panel_open_and_one_would_be_found(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.click("[data-do=settings]")
    page.click("[data-do=browse]")
    page.wait_for_selector(".mr-browse li button")
    page.focus("[data-part=stage]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("?")
    page.locator(".mr-grid.front tbody tr:first-child td button").first.press("Enter")
    page.fill("#mr-query", "Apple")
    page.wait_for_selector("#mr-found li")
    assert not violations(page, ".mr-page")
    page.keyboard.press("Escape")
    page.click("[data-do=present]")
    assert not violations(page, ".mr-stage")
    nameless = "<button type=button></button>"
    page.evaluate(f"document.querySelector('.mr-stage').insertAdjacentHTML('beforeend', '{nameless}')")
    assert any("button-name" in line for line in violations(page, ".mr-stage"))
