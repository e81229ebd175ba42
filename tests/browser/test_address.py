"""The address bar and the keys: what a person takes for granted of any page."""

import re

from page_actions import IDLE, add, caption, decoded, slowly

HISTORY = ".mr-chips .chip b"


def titles(page) -> list[str]:
    return page.locator(HISTORY).all_inner_texts()


def address_has(page, *parts: str) -> None:
    page.wait_for_function("parts => parts.every((part) => location.href.includes(part))", arg=list(parts))


def step(page) -> str:
    return page.input_value("[data-part=scrub]")


def test_a_reload_keeps_the_history_the_setting_and_the_step(visit):
    page = visit(reduced_motion="reduce")
    assert "?" not in page.url
    page.click("[data-do=clear]")
    add(page, "Apple 1", "Pear 2")
    decoded(page, lambda: page.click("[data-do=decode]"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    address_has(page, "h=i1", "step=2")
    entries = page.evaluate("history.length")
    was = titles(page), caption(page)
    page.reload()
    page.wait_for_selector(".mr.loaded", state="attached")
    page.wait_for_function(IDLE)
    page.wait_for_function("document.querySelector('[data-part=scrub]').value === '2'")
    assert (titles(page), caption(page)) == was
    page.keyboard.press("Home")
    page.wait_for_function("!location.href.includes('step=')")
    assert page.evaluate("history.length") == entries  # no step is one to go Back to


def test_back_returns_to_the_tab_before(visit):
    page = visit(reduced_motion="reduce")
    page.click("[data-tab=diagnose]")
    address_has(page, "tab=diagnose")
    page.click("[data-tab=learn]")
    address_has(page, "tab=learn")
    page.go_back()
    page.wait_for_selector("[data-panel=diagnose]:not([hidden])")
    assert "tab=diagnose" in page.url
    page.go_back()
    page.wait_for_selector("[data-panel=watch]:not([hidden])")
    assert "tab=" not in page.url
    page.go_forward()
    page.wait_for_selector("[data-panel=diagnose]:not([hidden])")


def test_a_link_with_an_unknown_item_keeps_the_others_and_says_so(visit):
    page = visit("?v=1&h=i1,gone,i2&t=lost&beam_size=3&step=1")
    assert titles(page) == ["Apple 1", "Pear 2"]
    words = page.inner_text("[data-part=message]")
    assert "gone" in words
    assert "lost" in words
    assert "i1" not in words
    assert step(page) == "1"


def test_keys_work_right_after_a_click_and_when_nothing_has_the_focus(visit):
    page = visit("?v=1&h=i1,i2,i4", reduced_motion="reduce")
    slowly(page)
    for click in (".mr-chips .chip button >> nth=0", "[data-do=forward]", ".mr-grid.front .in >> nth=0"):
        page.click(click)
        before = int(step(page))
        page.keyboard.press("ArrowRight")
        assert int(step(page)) == before + 1, click
        top = page.evaluate("scrollY")
        page.keyboard.press("Space")
        page.wait_for_selector(".mr-stage.playing")
        page.keyboard.press("Space")
        page.wait_for_selector(".mr-stage:not(.playing)")
        assert page.evaluate("scrollY") == top, click
        page.keyboard.press("Home")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("End")
    assert int(step(page)) > 0
    page.focus("#mr-query")
    page.keyboard.press("Home")
    assert int(step(page)) > 0


def test_step_zero_shows_one_masked_row_and_free_places_hold_nothing_new(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    rows = page.locator(".mr-grid.front tbody tr:not(.ghost):not(.r-more)")
    height = page.locator(".mr-grid.front").bounding_box()["height"]
    visible = [row for row in range(rows.count()) if rows.nth(row).locator("td .in").first.is_visible()]
    assert visible == [0]
    page.keyboard.press("End")
    assert rows.nth(1).locator("td .in").first.is_visible()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    assert page.locator(".mr-grid.front .free .new").count() == 0
    assert page.locator(".mr-grid.front").bounding_box()["height"] == height
    # A screen reader finds one grid
    page.wait_for_function("document.querySelectorAll('.mr-grid').length > 1")
    assert page.get_by_role("table").filter(has=page.locator(".c-rank")).count() == 1
    hidden = page.locator(".mr-grid:not(.front)").evaluate_all(
        "all => all.map((one) => one.getAttribute('aria-hidden'))"
    )
    assert set(hidden) == {"true"}
    assert not re.search(r'aria-hidden=""', page.inner_html(".mr-stage"))


def test_a_release_of_plotly_without_these_internals_is_noticed(visit):
    """The tree reads Plotly's frame and finds its points by number; the page would draw no branch without them."""
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.wait_for_selector(".js-plotly-plot .scatterlayer .point")
    inside = page.evaluate(
        """() => { const box = document.querySelector(".js-plotly-plot"), full = box._fullLayout;
        const axis = (of) => of.range.length === 2 && [of._offset, of._length].every(Number.isFinite);
        const points = [...box.querySelectorAll(".scatterlayer .point")].map((node) => node.__data__.i);
        return { size: full.width > 0 && full.height > 0, axes: axis(full.xaxis) && axis(full.yaxis), points,
          nodes: box.data[0].x.length, offset: full.xaxis._offset, length: full.xaxis._length,
          wide: box.getBoundingClientRect().width }; }"""
    )
    assert inside["size"]
    assert inside["axes"]
    assert sorted(inside["points"]) == list(range(inside["nodes"]))
    assert 0 <= inside["offset"] < inside["offset"] + inside["length"] <= inside["wide"] + 1
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".mr-branches path.live", state="attached")
    page.wait_for_selector(".scatterlayer .point.live", state="attached")
