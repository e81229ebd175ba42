"""What stands beside the stage: the alternatives of a cell, and the settings."""

import pytest
from page_actions import decoded

BOX = "[data-part=alternatives]"
CELL = ".mr-grid.front tbody tr:first-child td button"
FOCUS = "document.activeElement.getAttribute('aria-label') || document.activeElement.dataset.part"


@pytest.fixture
def opened(visit):
    """The page at its first reveal, the keyboard on a cell of the first beam, in a window of some size."""

    def open_page(**window):
        page = visit("?v=1&h=i1,i2", **({"reduced_motion": "reduce"} | window))
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        return page

    return open_page


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1024, 500), (380, 800), (320, 480)])
@pytest.mark.parametrize("cell", ["first", "last"])
def test_the_alternatives_stand_on_the_screen_beside_their_cell(opened, width, height, cell):
    page = opened(width=width, height=height)
    place = getattr(page.locator(".mr-grid.front tbody tr:not(.free):not(.ghost) td button"), cell)
    place.click()
    box, at = page.locator(BOX).bounding_box(), place.bounding_box()
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= height
    if width > 640 and height > 700:
        assert box["y"] >= at["y"] + at["height"] or box["y"] + box["height"] <= at["y"], "the cell stays in sight"
    if width <= 640:
        assert (box["x"], box["width"], box["y"] + box["height"]) == (0, width, height), "a sheet"
        assert at["y"] + at["height"] <= box["y"]
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY > 0")
    box = page.locator(BOX).bounding_box()
    assert 0 <= box["y"] <= height - box["height"]


def test_the_keyboard_moves_among_the_alternatives_and_comes_back_to_the_cell(opened):
    page = opened()
    cell = page.locator(CELL).first
    cell.press("Enter")
    actions = page.locator(f"{BOX} .act button")
    names = [actions.nth(n).get_attribute("aria-label") for n in range(actions.count())]
    step = page.input_value("[data-part=scrub]")
    first = names.index(page.evaluate(FOCUS))
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUS) == names[first + 1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUS) == names[first - 2]
    page.keyboard.press("End")
    assert page.evaluate(FOCUS) == names[-1]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUS) == names[-1]
    assert page.input_value("[data-part=scrub]") == step, "the stage keeps its step"
    page.keyboard.press("Escape")
    assert page.is_hidden(BOX)
    assert page.evaluate(FOCUS) == cell.get_attribute("aria-label")


def test_one_cell_is_open_at_a_time_and_a_click_elsewhere_closes(opened):
    page = opened()
    cells = page.locator(CELL)
    for at in (0, 1):
        cells.nth(at).click()
        level = page.locator(".mr-grid.front thead tr:last-child th").nth(at).inner_text()
        assert page.locator(f"{BOX} h4").all_inner_texts() == [f"{level}: what else it might have been"]
    assert page.locator(".mr-grid.front td.open").count() == 1
    page.click("[data-part=caption]")
    assert page.is_hidden(BOX)
    assert page.locator(".mr-grid.front td.open").count() == 0


def test_the_plain_page_gives_one_probability_with_its_condition(opened):
    page = opened()
    page.locator(CELL).first.click()
    assert page.inner_text(f"{BOX} p") == "Given the cart alone: how likely each was."
    assert page.locator(f"{BOX} thead th:visible").all_inner_texts() == ["Token", "Used"]
    page.click("[data-do=hood]")
    page.locator(CELL).first.click()
    assert "nats" in page.inner_text(f"{BOX} p")
    assert page.locator(f"{BOX} thead th:visible").count() == 6


@pytest.mark.parametrize(("motion", "name"), [("no-preference", "mr-changed"), ("reduce", "none")])
def test_what_a_pin_changed_flashes_until_the_next_step(opened, motion, name):
    page = opened(reduced_motion=motion)
    cell = page.locator(CELL).first
    before = cell.locator(".t").inner_text()
    cell.press("Enter")
    decoded(page, lambda: page.keyboard.press("Enter"))
    page.wait_for_selector("td[data-changed]")
    assert page.is_hidden(BOX)
    assert cell.locator(".t").inner_text() != before
    assert page.evaluate(FOCUS) == cell.get_attribute("aria-label")
    look = "node => getComputedStyle(node.querySelector('.in')).animationName"
    changed = page.locator(".mr-grid.front td[data-changed]")
    assert changed.first.evaluate(look) == name
    assert page.locator(".mr-grid.front td:not([data-changed])").first.evaluate(look) == "none"
    page.keyboard.press("End")
    assert changed.count() == 0


DRAWER = "[data-part=settings]"


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080), (380, 800)])
def test_the_stage_stays_in_sight_beside_the_settings_and_shows_what_they_change(opened, width, height):
    page = opened(width=width, height=height)
    page.click("[data-do=settings]")
    drawer = page.locator(DRAWER).bounding_box()
    assert drawer["x"] + drawer["width"] <= width
    assert drawer["y"] + drawer["height"] <= height
    below = height if drawer["x"] else drawer["y"]
    for role in ("cart", "caption", "transport", "answers"):
        box = page.locator(f"[data-panel=watch] [data-role={role}]").bounding_box()
        assert 0 <= box["y"] < below - 20, role
        assert box["x"] + box["width"] <= (drawer["x"] or width), role
    before = page.inner_text("[data-part=stepno]")
    decoded(page, lambda: page.select_option("#mr-set-steps", "2"))
    assert page.is_visible(DRAWER)
    assert page.inner_text("[data-part=stepno]") != before


def test_the_settings_open_shut_and_let_go_by_the_keyboard(opened):
    page = opened()
    button = page.locator("[data-do=settings]")
    button.focus()
    page.keyboard.press("Enter")
    inside = f"Boolean(document.activeElement.closest('{DRAWER}'))"
    assert page.evaluate(inside)
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert page.is_hidden(DRAWER)
    assert page.evaluate("document.activeElement.dataset.do") == "settings"
    page.keyboard.press("Enter")
    page.locator(f"{DRAWER} summary").focus()
    page.keyboard.press("Tab")
    assert not page.evaluate(inside), "the Tab key goes on into the page"
    page.keyboard.press("Escape")  # also from the stage
    assert page.is_hidden(DRAWER)


def test_a_setting_that_does_not_apply_is_greyed_out_and_says_why(opened):
    page = opened()
    page.click("[data-do=settings]")
    basic = page.locator("[data-part=fields] label").all_inner_texts()
    assert basic == ["Beams", "Unmask order", "Steps", "Guidance", "Temperature", "Leave out seen items"]
    page.click(f"{DRAWER} summary")
    seed = page.locator("#mr-set-seed")
    why = page.locator("#mr-set-seed-why")
    assert seed.is_disabled()
    assert why.inner_text() == "Only with Temperature above 0 or Unmask order: random or Votes above 1."
    decoded(page, lambda: page.select_option("#mr-set-order", "random"))
    assert seed.is_enabled()
    assert why.is_hidden()
    merge = page.locator("#mr-set-merge")
    assert merge.is_disabled()
    answer = decoded(page, lambda: page.locator("#mr-set-merge-why button").click())
    assert answer["trace"]["config"]["expansion"] == "joint"
    assert merge.is_enabled()
    decoded(page, lambda: page.select_option("#mr-set-algorithm", "published"))
    enabled = page.locator(f"{DRAWER} :is(input, select):enabled")
    assert [enabled.nth(n).get_attribute("id") for n in range(enabled.count())] == [
        "mr-set-beam_size",
        "mr-set-algorithm",
    ]
    assert page.inner_text("#mr-set-order-why") == "Only with Algorithm: MindRec. Set it"
