"""The Lab in a real Chromium: one journey by keyboard, with a real run of two epochs."""

import re
import zipfile

from app.words import lab_words

LAB, WATCH = "[data-panel=lab]", "[data-panel=watch]"


def test_a_run_is_set_up_trained_scrubbed_and_taken_home_by_keyboard(visit, tmp_path):
    page = visit(
        "?tab=lab&lab=epochs:2,histories:40,views:1,width:16,objective:both,seed:7", width=380, reduced_motion="reduce"
    )
    page.set_default_timeout(960_000)  # a training beside others
    assert page.input_value("#mr-lab-seed") == "7"
    assert page.input_value("#mr-lab-objective") == "both"

    page.focus("#mr-lab-width")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("location.search.includes('width%3A8') || location.search.includes('width:8')")
    page.focus(f"{LAB} [data-do=lab-train]")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('{LAB} [data-part=status]').textContent.startsWith('Done')")
    page.wait_for_function(f"document.querySelector('{LAB} [data-do=lab-stop]').hidden")
    assert "twin ends" in page.inner_text(f"{LAB} [data-part=status]")
    assert page.locator(f"{LAB} [data-part=measured] circle").count() == 2 * 3
    assert page.locator(f"{LAB} [data-part=loss] circle").count() == 2 * 2
    assert page.locator(f"{LAB} [data-part=fog] tbody tr").count() == 8

    stage = f"{LAB} [data-part=stage-box]"
    after = page.inner_text(f"{stage} [data-part=caption]")
    page.focus(f"{LAB} [data-part=scrub]")
    page.keyboard.press("Home")
    assert page.inner_text(f"{LAB} [data-part=epoch]") == "Before training"
    assert page.inner_text(f"{stage} [data-part=caption]") != after
    assert page.locator(f"{LAB} [data-part=fog] td.now").count() == 8
    page.keyboard.press("End")
    assert page.inner_text(f"{LAB} [data-part=epoch]") == "Epoch 2 of 2"
    assert page.inner_text(f"{stage} [data-part=caption]") == after

    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    with page.expect_download() as taken:
        page.locator(f"{LAB} [data-download=diffusion]").press("Enter")
    taken.value.save_as(tmp_path / "lab.zip")
    assert "lab/model.safetensors" in zipfile.ZipFile(tmp_path / "lab.zip").namelist()

    page.locator(f"{LAB} [data-do=lab-open]").press("Enter")
    page.wait_for_selector("[data-panel=watch] .mr", state="visible")
    assert page.inner_text("[data-panel=watch] [data-part=caption]")

    page.click("[data-tab=lab]")
    cart = page.inner_text(f"{LAB} [data-part=cart]").removeprefix("Cart: ").split(", ")
    page.locator(f"{LAB} [data-watch=ar]").press("Enter")
    page.wait_for_function(f"document.querySelector('{WATCH} [data-part=about]')?.textContent.includes('Lab: twin')")
    page.wait_for_function("new URL(location.href).searchParams.get('ck')?.startsWith('lab:')")
    assert page.locator(f"{WATCH} [data-part=chips] .chip b").all_inner_texts() == cart
    assert page.locator(f"{WATCH} [data-part=scrub]").get_attribute("max") != "0", "it has steps"
    linked = page.evaluate("location.href")
    page.goto(linked)
    page.wait_for_function(f"document.querySelector('{WATCH} [data-part=about]')?.textContent.includes('Lab: twin')")
    page.goto(linked.replace("ck=lab%3A", "ck=lab%3Agone"))
    page.wait_for_function(f"document.querySelector('{WATCH} [data-part=message]')?.textContent.includes('is gone')")
    assert "Lab" not in page.inner_text(f"{WATCH} [data-part=about]")

    page.click("[data-tab=lab]")
    page.select_option("#mr-lab-world", "pantry")
    assert page.is_disabled("#mr-lab-sharpness")
    page.select_option("#mr-lab-world", "toy")
    assert page.is_enabled("#mr-lab-sharpness")
    page.locator(f"{LAB} [data-story=noise]").press("Enter")
    assert page.input_value("#mr-lab-sharpness") == "0"
    page.locator(f"{LAB} [data-do=lab-train]").press("Enter")
    page.wait_for_selector(f"{LAB} [data-do=lab-stop]", state="visible")
    page.locator(f"{LAB} [data-do=lab-stop]").press("Enter")
    assert page.inner_text(f"{LAB} [data-part=status]").startswith("Stopped")


def test_a_question_that_is_lost_on_its_way_ends_no_run(visit):
    page = visit("?tab=lab&lab=epochs:1,histories:20,views:1,width:8")
    page.set_default_timeout(960_000)
    lost = []

    def lose_three(route):
        if "lab_poll" in (route.request.post_data or "") and len(lost) < 3:
            lost.append(route.request.post_data)
            return route.fulfill(body="{")  # cut short; a status that says so would be an error on the console
        return route.continue_()

    page.route(re.compile("component_server"), lose_three)
    page.click(f"{LAB} [data-do=lab-train]")
    page.wait_for_function(f"document.querySelector('{LAB} [data-part=status]').textContent.startsWith('Done')")
    assert len(lost) == 3
    assert page.locator(f"{LAB} .mr-lab > [data-part=message]").is_hidden()


def test_what_should_be_seen_is_told_when_a_run_of_the_story_has_ended(visit):
    page = visit("?tab=lab")
    events = [{"event": "start", "measure": "distance", "chance": 0.0, "cart": [0], "items": ["Tea"], "likeliest": 0}]
    answers = {
        "lab_start": {"job": "made-up", "place": 0},
        "lab_poll": {"place": 0, "events": [*events, {"event": "end", "why": "done", "seconds": 1}], "ended": True},
    }

    def answered(route):
        asked = route.request.post_data_json["fn_name"]
        return route.fulfill(json=answers[asked]) if asked in answers else route.continue_()

    page.route(re.compile("component_server"), answered)
    words, about = lab_words.PRESETS["noise"], page.locator(f"{LAB} .mr-lab > * [data-part=about]").first
    page.click(f"{LAB} [data-story=noise]")
    assert about.inner_text() == words["about"]
    page.click(f"{LAB} [data-do=lab-train]")
    page.wait_for_function(f"document.querySelector('{LAB} [data-part=status]').textContent.startsWith('Done')")
    assert about.inner_text() == f"{words['about']} {words['seen']}"
    page.click(f"{LAB} [data-story=certain]")
    assert about.inner_text() == lab_words.PRESETS["certain"]["about"], "nobody has trained it yet"
