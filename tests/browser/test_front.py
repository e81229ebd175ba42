"""The first minute: one screen, a story that plays, a cart that is always there, a plain page."""

import pytest
from page_actions import add, caption, decoded, slowly

from app.tabs.dialing import STOPS

ROLES = ("cart", "caption", "transport", "picture", "answers")


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1920, 1080), (380, 800)])
def test_all_of_the_decode_begins_on_the_first_screen(visit, width, height):
    page = visit(width=width, height=height, reduced_motion="reduce")
    for step in ("Home", "ArrowRight", "End"):
        page.keyboard.press(step)
        for role in ROLES:
            box = page.locator(f"[data-panel=watch] [data-role={role}]").bounding_box()
            assert box["height"] > 0, role
            assert 0 <= box["y"] < height - 40, (role, step)
    assert page.evaluate("window.scrollY") == 0
    if width < 1000:  # one picture at a time on a phone
        assert page.is_visible("[data-part=grid]")
        assert page.is_hidden("[data-part=tree]")
        page.click("[data-do=view-path]")
        assert page.is_hidden("[data-part=grid]")
        assert page.is_visible("[data-part=tree]")


def test_the_three_answers_grow_firm_and_the_first_drops_into_the_cart(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.keyboard.press("Home")
    places = page.locator("[data-part=podium] li")
    assert "?" in page.inner_text("[data-part=winner]")
    assert places.first.locator("b").inner_text() == "Everything masked"
    page.keyboard.press("End")
    assert page.locator("[data-part=votes]").count() == 0, "nobody asked for votes"
    names = page.locator(".mr-results .pick b").all_text_contents()[:3]
    assert [places.nth(n).locator("b").inner_text() for n in range(len(names))] == names
    assert page.inner_text("[data-part=winner]") == names[0]
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("[data-part=winner]") == "?"


def test_a_cart_that_has_changed_dims_the_answer_to_the_one_before(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.keyboard.press("End")
    assert page.locator(".mr.outdated").count() == 0
    page.click("[data-do=clear]")
    assert page.locator("[data-panel=watch] .mr.outdated").count() == 1
    assert page.is_hidden("[data-part=winner]")
    add(page, "Apple 1")
    decoded(page, lambda: page.click("[data-do=decode]"))
    assert page.locator(".mr.outdated").count() == 0


def test_a_start_that_is_picked_plays_and_the_stage_is_in_view(visit):
    page = visit("?v=1&h=i1,i2", width=380, height=500)
    slowly(page)  # on a phone the choice is hidden
    page.locator("[data-part=carts] .pill", has_text="Fruit bowl").click()
    page.wait_for_function("Number(document.querySelector('[data-part=scrub]').value) > 0")
    page.keyboard.press(" ")
    assert page.get_attribute("[data-do=play]", "aria-pressed") == "false"
    held = caption(page)
    page.wait_for_timeout(50)
    assert caption(page) == held


def test_the_plain_page_hides_the_expert_panels_and_remembers(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    assert page.is_hidden("[data-part=ladder]")
    page.click("[data-do=hood]")
    assert page.is_visible("[data-part=ladder]")
    page.reload()
    page.wait_for_selector(".mr.loaded")
    assert page.is_visible("[data-part=ladder]")
    page.click("[data-do=about]")
    assert "not chances of being right" in page.inner_text("[data-part=about]")


def test_the_cart_is_in_every_tab_and_what_is_cut_stands_below(visit):
    page = visit("?tab=learn&lesson=beams", reduced_motion="reduce")
    order = "(node) => Number(getComputedStyle(node).order)"
    for tab in ("learn", "compare"):
        page.click(f"[data-tab={tab}]")
        panel = page.locator(f"[data-panel={tab}]")
        panel.locator("[data-role=cart] .chip").first.wait_for()
        assert panel.locator("[data-role=cart] .chip button").count() == 0
        cut, grid = (panel.locator(f".mr-{name}-panel").first.evaluate(order) for name in ("lost", "grid"))
        assert cut > grid


def test_what_is_only_the_closest_is_offered_and_not_taken_by_enter(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.click("[data-do=clear]")
    page.fill("#mr-query", "rap")  # some letters of grapes, and no word of this shop
    page.wait_for_selector("#mr-found li.none")
    offered = page.locator("#mr-found li[id]").count()
    page.press("#mr-query", "Enter")
    assert page.locator(".mr-chips .chip").count() == 0
    if offered:
        page.press("#mr-query", "ArrowDown")
        page.press("#mr-query", "Enter")
        assert page.locator(".mr-chips .chip").count() == 1


def test_votes_show_where_the_orders_disagree_under_the_answers(visit):
    page = visit("?v=1&h=i1,i2&votes=3", reduced_motion="reduce")
    page.keyboard.press("End")
    note = page.locator("[data-part=votes]")
    note.locator("summary").click()
    assert "order" in note.locator("summary").inner_text()
    heads = note.locator("thead th").all_inner_texts()
    assert heads[:2] == ["Item", "Search"]
    assert heads[2:] == [f"Order {n}" for n in range(1, len(heads) - 1)]
    names = page.locator(".mr-results .pick b").all_text_contents()
    assert note.locator("tbody th").all_inner_texts() == names[:10]
    page.keyboard.press("ArrowLeft")
    assert note.count() == 0


def test_an_empty_cart_asks_what_anyone_would_take(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.click("[data-do=clear]")
    button = page.locator("[data-do=decode]")
    assert button.inner_text() == "What would anyone take?"
    answer = decoded(page, button.click)
    assert answer["trace"]["history"] == []
    page.keyboard.press("End")
    assert page.locator(".mr-results .pick").count() > 3
    assert "anybody takes" in " ".join(answer["trace"]["notes"])
    add(page, "Apple 1")
    assert button.inner_text() == "Decode"


def test_the_cart_is_filled_with_one_winner_after_the_other(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    before = page.locator("[data-part=chips] li b").all_inner_texts()
    page.keyboard.press("End")
    first = page.locator(".mr-results .pick b").first.text_content()
    fill = page.locator("[data-do=fill]")
    assert "decode again" in fill.get_attribute("title")
    # Read before the filling: between two slots the count gives way to "the history has changed".
    most = page.evaluate("document.querySelector('[data-part=count]').textContent.match(/of (\\d+)/)[1] * 1")
    fill.click()
    want = min(len(before) + 5, most)
    page.wait_for_function(f"document.querySelectorAll('[data-part=chips] li').length === {want}")
    page.wait_for_selector("[data-part=message]:has-text('Put into the cart')")
    chips = page.locator("[data-part=chips] li b").all_inner_texts()
    assert chips[: len(before) + 1] == [*before, first]
    assert len(set(chips)) == want
    assert first in page.inner_text("[data-part=message]")
    assert fill.inner_text() == "Fill my cart"
    assert page.locator(".mr.outdated").count() == 0


def test_the_item_that_does_not_belong_is_marked(visit):
    page = visit("?v=1&h=i1,i2,i20", reduced_motion="reduce")
    button = page.locator("[data-do=odd]")
    assert "given the others" in button.get_attribute("title")
    button.click()
    page.wait_for_selector("[data-part=chips] .odd")
    marked = page.locator("[data-part=chips] li", has=page.locator(".odd"))
    assert marked.count() == 1
    assert marked.locator("b").inner_text() in page.inner_text("[data-part=message]")
    page.click("[data-do=clear]")
    assert button.is_disabled()


def test_tokens_dissolve_and_heal_by_hand_or_where_least_certain(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.keyboard.press("End")
    chips = page.locator("[data-part=interventions] .chip")
    assert chips.count() == 0
    page.click(".mr-by-hand summary")
    boxes, go = page.locator(".mr-by-hand input"), page.locator(".mr-by-hand button")
    assert go.is_disabled()
    levels = boxes.count()
    for at in range(levels - 3, levels):  # leaves three free, of which two are masked again below
        boxes.nth(at).focus()
        page.keyboard.press("Space")
    answer = decoded(page, go.click)
    assert [position for position, _ in answer["trace"]["config"]["pins"]] == list(range(levels - 3))
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    assert page.locator(".mr-by-hand input:disabled").count() == levels - 3
    button = page.locator("[data-do=rewrite]")
    assert "heal" in button.get_attribute("title")
    answer = decoded(page, button.click)
    pins = answer["trace"]["config"]["pins"]
    assert len(pins) == len(answer["trace"]["levels"]) - 2
    assert chips.count() == len(pins)
    best = answer["trace"]["steps"][-1]["beams"][0]["codes"]
    assert all(best[position] == code for position, code in pins)


def test_the_dial_turns_to_another_guidance_without_a_question(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    asked = []
    page.on("request", lambda r: asked.append(r.post_data_json["fn_name"]) if "component_server" in r.url else None)
    dial = page.locator("[data-part=dial]")
    assert dial.input_value() == "0"
    with page.expect_response(lambda r: '"bundles"' in r.text()) as answer:
        dial.focus()
    bundles = answer.value.json()["bundles"]
    assert [one["trace"]["config"]["guidance"] for one in bundles] == [*STOPS[1:]]
    page.keyboard.press("End")
    page.wait_for_function("location.href.includes('guidance=1.5')")
    best = bundles[-1]["trace"]["results"][0]
    assert page.locator("[data-part=podium] b").count() == 3
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    titles = {item["row"]: item["title"] for item in bundles[-1]["trace"]["items"]}
    assert page.locator(".mr-results .pick b").first.text_content() == titles[best["row"]]
    dial.focus()
    page.keyboard.press("Home")
    page.wait_for_function("!location.href.includes('guidance')")
    assert asked == ["dial"]
    page.click("[data-do=undo]")
    assert dial.input_value() == "3"
