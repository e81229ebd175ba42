"""The Watch page in a real Chromium, the way a person uses it."""

import json
import re

import pytest
from page_actions import IDLE, add, caption, decoded, slowly

SAYS = "words => document.querySelector('[data-part=caption]').textContent === words"


def texts(page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def start(visit, query: str = "", **options):
    """The app with a history of our own, decoded, at step 0: reduced motion keeps it from playing by itself."""
    page = visit(query, reduced_motion="reduce", **options)
    page.click("[data-do=clear]")
    add(page, "Apple 1", "Pear 2")
    answer = decoded(page, lambda: page.click("[data-do=decode]"))
    return page, answer


def first_row(page) -> list[str]:
    return texts(page, ".mr-grid.front tbody tr:first-child td .t")


HELD_BACK = """() => { const ask = window.fetch, gate = new Promise((open) => { window.letGo = open; });
  window.asked = window.answers = 0;
  window.fetch = async (...about) => {
    window.asked += 1;
    await gate;
    const got = await ask(...about);
    window.answers += 1;
    return got; } }"""


@pytest.mark.parametrize(("choice", "taken"), [("Enter", "Pear 0"), ("click", "Apple 1")])
def test_a_choice_while_a_search_is_on_its_way(visit, choice, taken):
    """Enter means what is typed, not what the list still shows; a click means what it hits. The list stays closed."""
    page = visit()
    page.click("[data-do=clear]")
    page.fill("#mr-query", "Apple 1")
    page.wait_for_selector("#mr-found li b:text-is('Apple 1')")
    page.evaluate(HELD_BACK)
    page.fill("#mr-query", "Pear 0")
    page.wait_for_function("window.asked > 0")
    if choice == "Enter":
        page.press("#mr-query", "Enter")
    else:
        page.click("#mr-found li b:text-is('Apple 1')")
    with page.expect_request(lambda r: "component_server" in r.url and "Pear" in (r.post_data or "")):
        page.evaluate("window.letGo()")
    page.wait_for_selector(f".mr-chips .chip b:text-is('{taken}')")
    page.wait_for_function("window.answers === window.asked")
    page.wait_for_timeout(300)
    assert page.is_hidden("#mr-found")
    assert texts(page, ".mr-chips .chip b") == [taken]
    assert page.input_value("#mr-query") == ""


def test_a_history_is_built_and_decoded_by_keyboard_alone(visit):
    page = visit()
    page.focus("[data-do=clear]")
    page.keyboard.press("Enter")
    add(page, "Apple 1", "Pear 2", "Apple 5")
    page.locator(".mr-chips .chip").nth(2).focus()
    page.keyboard.press("Alt+ArrowLeft")
    assert texts(page, ".mr-chips .chip b") == ["Apple 1", "Apple 5", "Pear 2"]
    page.keyboard.press("Delete")
    assert texts(page, ".mr-chips .chip b") == ["Apple 1", "Pear 2"]
    slowly(page)
    page.focus("#mr-query")
    answer = decoded(page, lambda: page.keyboard.press("Enter"))
    assert len(answer["trace"]["history"]) == 2
    page.wait_for_function("/^Step [1-9]/.test(document.querySelector('[data-part=caption]').textContent)")  # it plays
    page.keyboard.press(" ")
    assert page.get_attribute("[data-do=play]", "aria-pressed") == "false"


def test_the_catalog_is_browsed_and_an_item_added_by_keyboard_alone(visit):
    page = visit(reduced_motion="reduce")
    page.focus("[data-do=clear]")
    page.keyboard.press("Enter")
    page.focus("[data-do=browse]")
    page.keyboard.press("Enter")
    buttons = "#mr-browse li button"
    focused = "document.activeElement.closest('#mr-browse li') ? document.activeElement.textContent : null"
    page.wait_for_function(focused)
    trail = []
    while page.locator(f"{buttons}.item").count() == 0:
        page.keyboard.press("End")
        trail.append(page.evaluate(focused).split("›")[0].strip())
        shown = page.inner_text("#mr-browse nav")
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"document.querySelector('#mr-browse nav').innerText !== {json.dumps(shown)}")
    assert len(trail) >= 2
    title = page.evaluate("document.activeElement.querySelector('span').textContent")
    page.keyboard.press("Enter")
    assert texts(page, ".mr-chips .chip b") == [title]
    assert "✓" in page.evaluate(focused)
    page.keyboard.press("Enter")  # once is enough
    assert "already" in page.inner_text("[data-part=message]")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"document.querySelectorAll('{buttons}.item').length === 0")
    assert page.evaluate(focused).startswith(re.sub(r" [\d,]+$", "", trail[-1]))  # the branch just left
    page.keyboard.press("Escape")
    assert page.is_hidden("#mr-browse")
    assert page.evaluate("document.activeElement.dataset.do") == "browse"


def test_codes_are_told_by_the_items_that_they_leave(visit):
    page, answer = start(visit)
    trace = answer["trace"]
    titles = trace["titles"] | {str(item["row"]): item["title"] for item in trace["items"]}
    depth = sum(level["kind"] == "category" for level in trace["levels"])
    for number, step in enumerate(trace["steps"]):
        shown = {r["position"] for r in step["beams"][0]["revealed"] if not r["forced"] and r["position"] >= depth}
        if number and shown:
            title = titles[str(step["possible"]["beams"][0][0])]
            cells = page.locator(".mr-grid.front tbody tr:first-child td:not(.c-becomes)")
            assert {cells.nth(p).locator(".t").inner_text() for p in shown} == {title}
            assert title in caption(page)
        page.keyboard.press("ArrowRight")
    page.locator(".mr-grid.front tbody tr:first-child td button").nth(depth).press("Enter")


def test_steps_scrubber_and_keys_move_through_the_trace(visit):
    page, answer = start(visit)
    last = len(answer["trace"]["steps"]) - 1
    page.wait_for_timeout(700)  # with reduced motion it neither plays nor moves
    assert page.evaluate("getComputedStyle(document.querySelector('.mr-grid.front .bar')).transitionDuration") == "0s"
    assert caption(page) == answer["captions"][0]
    page.keyboard.press("ArrowRight")
    assert caption(page) == answer["captions"][1]
    assert page.locator(".mr-grid.front tr:first-child td.new").count() == 1
    page.keyboard.press("End")
    assert caption(page) == answer["captions"][last]
    assert page.locator(".mr-results > li").count() == len(answer["trace"]["results"])
    page.focus("[data-part=scrub]")
    page.keyboard.press("Home")
    assert page.locator(".mr-grid.front tr:first-child td.masked").count() == len(answer["trace"]["levels"])
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    page.keyboard.press("2")
    assert page.locator(".mr-grid.front tbody tr").nth(1).get_attribute("class").startswith("on")
    page.keyboard.press("?")
    assert page.is_visible("[data-part=keys]")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowLeft")
    assert caption(page) == answer["captions"][last - 1]
    page.focus("#mr-query")  # keys do nothing while typing
    page.keyboard.press("ArrowRight")
    page.keyboard.type(" t2")
    assert caption(page) == answer["captions"][last - 1]
    assert page.get_attribute("[data-do=tree]", "aria-expanded") == "true"


def test_a_pin_or_a_ban_changes_the_path_and_can_be_undone(visit):
    page, _answer = start(visit, width=1280, height=720)
    page.keyboard.press("End")
    before = first_row(page)
    first_cell = page.locator(".mr-grid.front tbody tr:first-child td button").first
    first_cell.press("Enter")
    pin = page.locator("[data-part=alternatives]").get_by_text("Pin").first  # in view, in reach
    box, scroll = pin.bounding_box(), page.locator("[data-part=alternatives] .mr-scroll").bounding_box()
    assert 0 <= box["y"] <= 720 - box["height"]
    assert box["x"] + box["width"] <= scroll["x"] + scroll["width"] + 1
    panel = page.locator("[data-part=alternatives]")
    others = panel.locator("tbody tr:not(.illegal):not(.taken)")
    other = others.first.locator("th").inner_text()
    assert other != before[0]
    changed = decoded(page, lambda: others.first.get_by_text("Pin").click())
    assert changed["trace"]["config"]["pins"]
    assert first_row(page)[0] == other
    assert other in page.inner_text("[data-part=interventions]")
    assert caption(page).startswith(f"Step {len(changed['trace']['steps']) - 1}")  # the step stays in view
    page.click("[data-do=undo]")
    assert page.is_hidden("[data-part=interventions]")
    assert first_row(page) == before
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    first_cell.press("Enter")
    decoded(page, lambda: page.locator("[data-part=alternatives] tr.taken").get_by_text("Forbid").click())
    assert before[0] not in texts(page, ".mr-grid.front tbody tr:not(.ghost) td:nth-of-type(1) .t")
    decoded(page, lambda: page.locator("[data-part=interventions] .chip button").click())
    assert first_row(page) == before


def test_a_setting_decodes_again_and_reset_takes_it_back(visit):
    page, _ = start(visit)
    page.click("[data-do=settings]")
    fewer = decoded(page, lambda: page.locator("#mr-set-beam_size").fill("2"))
    assert len(fewer["trace"]["steps"][-1]["beams"]) == 2
    page.click(".mr-settings summary")
    odd = decoded(page, lambda: page.select_option("#mr-set-expansion", "joint"))
    assert odd["trace"]["config"]["expansion"] == "joint"
    decoded(page, lambda: page.locator(".field", has=page.locator("#mr-set-steps")).locator(".why button").click())
    quick = decoded(page, lambda: page.select_option("#mr-set-steps", "2"))["trace"]["config"]
    assert (quick["steps"], quick["expansion"]) == (2, "partition"), "steps need partition"
    loose = decoded(page, lambda: page.select_option("#mr-set-constraint", "level"))["trace"]["config"]
    assert (loose["constraint"], loose["steps"]) == ("level", None), "what needs exact gives way"
    again = decoded(page, lambda: page.click("[data-do=reset]"))
    assert again["trace"]["config"]["beam_size"] == 10


def test_a_real_trip_knows_its_next_item_and_follows_it(visit):
    page = visit(reduced_motion="reduce")
    answer = decoded(page, lambda: page.click(".pill.trip"))
    gold = answer["trace"]["gold"]
    titles = {item["row"]: item["title"] for item in answer["trace"]["items"]}
    assert titles[gold["row"]] in page.inner_text("[data-part=target]")
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    line = page.inner_text("[data-part=gold]")
    assert ("lost at step" in line) == (gold["died_at"] is not None)
    page.click(".mr-results .add >> nth=0")
    page.wait_for_function(IDLE)
    page.wait_for_selector("[data-part=target]", state="hidden")


def test_a_link_restores_all_for_another_person(visit):
    page, _ = start(visit)
    page.keyboard.press("End")
    page.locator(".mr-grid.front tbody tr:first-child td button").first.press("Enter")
    others = page.locator("[data-part=alternatives] tbody tr:not(.illegal):not(.taken)")
    decoded(page, lambda: others.first.get_by_text("Pin").click())
    page.keyboard.press("ArrowLeft")
    page.context.grant_permissions(["clipboard-write"])
    page.click("[data-do=link]")
    page.wait_for_function("document.querySelector('[data-part=link]').value")
    link = page.input_value("[data-part=link]")
    assert "v=1" in link
    assert "pins=" in link
    assert "step=" in link
    other = visit(url=link)
    assert caption(other) == caption(page)
    assert texts(other, ".mr-grid.front .t") == texts(page, ".mr-grid.front .t")
    assert other.inner_text("[data-part=interventions]") == page.inner_text("[data-part=interventions]")


@pytest.mark.parametrize(
    "query", ["?v=1&h=no-such-item", "?v=9&h=i1", "?v=1&h=i1&beam_size=x", "?v=1&h=i1&pins=9.9", "?v=1&h=%E0%A4"]
)
def test_a_bad_link_is_told_and_the_page_opens_anyway(visit, query):
    page = visit(query)
    page.wait_for_selector("[data-part=message]:not([hidden])")
    assert "link was not understood" in page.inner_text("[data-part=message]")
    assert page.locator(".mr-chips .chip").count() == 2


def test_the_replay_opens_from_disk_without_a_network(visit, tmp_path):
    page, answer = start(visit)
    with page.expect_download() as got:
        page.click("[data-do=save-replay]")
    path = tmp_path / "replay.html"
    got.value.save_as(path)
    assert path.stat().st_size < 500_000
    page.context.set_offline(True)
    replay = visit(url=path.as_uri(), reduced_motion="reduce")
    replay.wait_for_selector(".mr-light .point.live")
    at = replay.input_value("[data-part=scrub]")  # it listens to keys from the start
    replay.keyboard.press("ArrowRight")
    assert int(replay.input_value("[data-part=scrub]")) == int(at) + 1
    slowly(replay)
    replay.keyboard.press("Space")
    replay.wait_for_selector(".mr-stage.playing")
    assert "?" not in replay.url
    replay.focus("[data-part=stage]")
    replay.keyboard.press("End")
    assert caption(replay) == answer["captions"][-1]
    assert replay.is_hidden("[data-do=decode]")
    replay.locator(".mr-grid.front tbody tr:first-child td button").first.press("Enter")
    assert replay.is_visible("[data-part=alternatives]")
    # Its tree is its own drawing: a point is told by name, and dragging moves the branches with the points.
    replay.locator(".mr-light circle.point.live").nth(1).hover(force=True)
    assert replay.inner_text(".mr-tip")
    branch = "document.querySelector('.mr-branches path').getAttribute('d')"
    before, box = replay.evaluate(branch), replay.locator(".mr-light").bounding_box()
    replay.mouse.move(box["x"] + 20, box["y"] + 20)
    replay.mouse.down()
    replay.mouse.move(box["x"] + 60, box["y"] + 50)
    replay.mouse.up()
    assert replay.evaluate(branch) != before


def test_a_trace_is_saved_and_opened_again_and_a_broken_one_is_refused(visit, tmp_path):
    page, answer = start(visit)
    with page.expect_download() as got:
        page.click("[data-do=save-trace]")
    path = tmp_path / "trace.json"
    got.value.save_as(path)
    other = visit(reduced_motion="reduce")
    other.set_input_files("[data-part=file]", path)
    other.wait_for_function(SAYS, arg=answer["captions"][0])
    broken = json.loads(path.read_text())
    broken["steps"][1]["beams"] = "none"
    path.write_text(json.dumps(broken))
    other.set_input_files("[data-part=file]", path)
    other.wait_for_selector("[data-part=message]:has-text('beams')")
    assert caption(other) == answer["captions"][0]


def test_a_picture_is_a_png_and_a_film_shows_the_answer_and_every_step(visit, tmp_path):
    from PIL import Image

    page, answer = start(visit)
    page.wait_for_selector(".js-plotly-plot")
    with page.expect_download() as got:
        page.click("[data-do=save-png]")
    got.value.save_as(tmp_path / "stage.png")
    assert (tmp_path / "stage.png").read_bytes()[:4] == b"\x89PNG"
    card, film = tmp_path / "card.png", tmp_path / "card-film.gif"
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    for kind, path in (("card", card), ("card-film", film)):
        with page.expect_download() as got:
            page.click(f"[data-do=save-{kind}]")
        assert got.value.suggested_filename.endswith(path.name)
        got.value.save_as(path)
    steps = len(answer["trace"]["steps"])
    cards = film_frames(film)
    assert len(cards) == steps + 1
    with Image.open(card) as picture:
        assert picture.size == cards[0].size == (1200, 675)
        answered = picture.convert("RGB")
    assert distance(cards[0], answered) < 2, "the answer comes first,"
    assert distance(cards[1], answered) > 4
    assert cards[0].tobytes() == cards[-1].tobytes(), "and last"
    assert len({frame.tobytes() for frame in cards}) == steps
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    shown = caption(page)
    with page.expect_download() as got:
        page.click("[data-do=save-film]")
    got.value.save_as(tmp_path / "film.gif")
    frames = film_frames(tmp_path / "film.gif")
    assert len(frames) == steps + 1
    assert frames[0].tobytes() == frames[-1].tobytes()
    assert len({frame.tobytes() for frame in frames}) == steps
    colours = frames[-1].getcolors(2**24)
    assert max(n for n, _ in colours) < 0.98 * frames[-1].width * frames[-1].height, "something is drawn"
    assert caption(page) == shown  # the page stays where it was
    assert "film.gif" in page.inner_text("[data-part=done]")


def film_frames(path):
    """The frames of a film that can be posted: a GIF under 2 MB that plays for ever and lingers on its first frame."""
    from PIL import Image, ImageSequence

    assert path.stat().st_size < 2_000_000
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.info["loop"] == 0
        frames = [(frame.convert("RGB").copy(), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    assert frames[0][1] > frames[1][1] >= 1000
    return [frame for frame, _ in frames]


def distance(one, other) -> float:
    """How far two pictures are from each other, of 255."""
    from PIL import ImageChops, ImageStat

    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def test_a_title_with_markup_shows_as_text(visit):
    page = visit("?v=1&h=i3,i5", reduced_motion="reduce")
    assert "onerror" in page.inner_text(".mr-chips .chip >> nth=0")
    page.fill("#mr-query", "onerror")
    page.wait_for_selector("#mr-found li b:has-text('<img')")
    assert page.locator(".mr img").count() == 0
    assert page.title() == "MindRec"


def test_no_room_and_no_history_are_told_in_words(visit):
    page = visit(reduced_motion="reduce")
    page.click("[data-do=clear]")
    assert page.inner_text("[data-do=decode]") == "What would anyone take?"
    assert page.is_visible("[data-part=empty]")
    add(page, *(f"Pear {n}" for n in range(6, 26, 2)))
    page.keyboard.type("Pear 26")
    page.wait_for_selector("#mr-found li b:text-is('Pear 26')")
    page.keyboard.press("Enter")
    assert "at most 10" in page.inner_text("[data-part=message]")
    assert page.locator(".mr-chips .chip").count() == 10


def test_zoom_of_the_tree_stays_between_steps_and_a_node_can_be_pinned(visit):
    page, _ = start(visit)
    page.wait_for_selector(".js-plotly-plot")
    page.wait_for_function("!document.querySelector('.mr-tree.sketched')")  # Plotly has drawn this trace
    ranges = "JSON.stringify(document.querySelector('.js-plotly-plot')._fullLayout.yaxis.range)"
    page.keyboard.press("ArrowRight")
    page.evaluate("window.Plotly.relayout(document.querySelector('.js-plotly-plot'), {'yaxis.range': [-3, 0]})")
    before = page.evaluate(ranges)
    page.keyboard.press("ArrowRight")
    page.evaluate(PAINTED)
    assert page.evaluate(ranges) == before
    click = "const p = document.querySelector('.js-plotly-plot'); p.emit('plotly_click', {points: [{customdata: 1}]})"
    page.evaluate(click)
    answer = decoded(page, lambda: page.get_by_text("Decode only in here").click())
    assert len(answer["trace"]["config"]["pins"]) == 1


COUNT_FRAMES = """(() => { const real = window.requestAnimationFrame.bind(window); window.asked = 0;
  window.requestAnimationFrame = work => { window.asked++; return real(work); }; })()"""


def test_an_idle_page_asks_for_no_frames(visit):
    page = visit(reduced_motion="reduce")
    page.add_init_script(COUNT_FRAMES)  # before Gradio takes its own name for it
    page.reload()
    page.wait_for_selector(".js-plotly-plot")
    assert page.evaluate("window.asked") > 0
    quiet = (
        "() => { const now = window.asked, was = window.askedBefore; window.askedBefore = now; return now === was; }"
    )
    page.wait_for_function(quiet, polling=700)


PAINTED = """async () => {
  for (let n = 0; n < 6; n++) await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 0))); }"""


def test_a_step_turns_to_a_leaf_that_was_made_ready_and_only_that_one_is_reached(visit):
    page, answer = start(visit)
    steps = answer["trace"]["steps"]
    page.focus("[data-part=stage]")
    page.evaluate(PAINTED)  # step 1 is made ready
    for key, number in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowLeft", 0), ("ArrowRight", 1)]:
        page.evaluate("window.leaf = document.querySelector('.mr-grid.front')")
        page.keyboard.press(key)
        assert page.evaluate("window.leaf !== document.querySelector('.mr-grid.front')"), "drawn anew, not turned"
        assert page.inner_text("[data-part=stepno]").startswith(f"Step {number} ")
        page.evaluate(PAINTED)  # the neighbours are made ready
        assert page.locator(".mr-grid.front tbody tr:not(.free):not(.ghost):not(.none)").count() == len(
            steps[number]["beams"]
        )
    page.locator(".mr-grid.front tbody tr:first-child td button").first.focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.querySelector('.mr-grid.front').contains(document.activeElement)")
    behind = ".mr-grid:not(.front)"
    assert page.locator(behind).count() == page.locator(f"{behind}[aria-hidden=true]").count() == 2
    assert page.locator(f"{behind} [tabindex='0']").count() == 0


def test_present_mode_is_large_and_escape_leaves_it(visit):
    page, _ = start(visit, width=1920, height=1080)
    page.keyboard.press("p")
    assert page.is_hidden("[data-do=decode]")
    size = "parseFloat(getComputedStyle(document.querySelector('.mr-grid.front .t')).fontSize)"
    assert page.evaluate(size) >= 20
    page.set_viewport_size({"width": 1280, "height": 800})
    assert 14 <= page.evaluate(size) < 20
    whole = "(box => box.scrollWidth <= box.clientWidth + 1)(document.querySelector('.mr-grid-panel .mr-scroll'))"
    assert page.evaluate(whole), "on a laptop the grid is as wide as its place"
    page.keyboard.press("Escape")
    assert page.is_visible("[data-do=decode]")
