"""A denoiser that takes its time: steps arrive as they are computed, the page plays them, a person can stop."""

import re

from page_actions import IDLE, add, caption, decoded

PLAYED = "/^Step [1-9]/.test(document.querySelector('[data-part=caption]').textContent)"


def begin(visit, slow_address, **options):
    page = visit(url=slow_address, **options)
    page.wait_for_function(IDLE, timeout=60000)  # the first example, decoded at this pace
    page.click("[data-do=clear]")
    add(page, "Apple 1", "Pear 2")
    page.click("[data-do=decode]")
    page.wait_for_selector("[data-part=progress]", state="visible")
    return page


def steps(page) -> tuple[int, int]:
    return tuple(map(int, re.findall(r"\d+", page.inner_text("[data-part=stepno]"))))


def test_steps_are_played_while_later_ones_are_computed(visit, slow_address):
    polls = []
    page = begin(visit, slow_address)
    page.on(
        "request",
        lambda r: polls.append(r) if "component_server" in r.url and "decode_poll" in (r.post_data or "") else None,
    )
    page.wait_for_function(PLAYED)
    assert page.is_visible("[data-part=progress]"), "the first step was shown only when all were done"
    assert re.search(r"Step \d of about \d", page.inner_text("[data-part=progress-words]"))
    assert page.locator(".mr-grid.front tbody tr:first-child td.new").count() == 1
    with page.expect_response(lambda r: "component_server" in r.url and '"bundle"' in r.text(), timeout=60000) as last:
        pass
    whole = last.value.json()["bundle"]
    page.wait_for_selector("[data-part=progress]", state="hidden")
    page.wait_for_function(f"document.querySelector('[data-part=caption]').textContent === {whole['captions'][-1]!r}")
    sizes = [len(r.response().text()) for r in polls[:-1]]
    assert max(sizes) < 0.75 * len(last.value.text()), "a step's answer repeats what came before"
    assert len(sizes) > 1
    assert page.locator(".mr-results > li").count() == len(whole["trace"]["results"])


def test_stop_frees_the_decode_and_keeps_what_came(visit, slow_address):
    page = begin(visit, slow_address, reduced_motion="reduce")
    page.wait_for_selector(".mr.streaming")
    page.wait_for_function("Number(document.querySelector('[data-part=progress-bar]').value) >= 2")
    with page.expect_response(lambda r: "component_server" in r.url and '"stopped"' in r.text()):
        page.click("[data-do=stop]")
    assert "Stopped" in page.inner_text("[data-part=message]")
    assert page.is_hidden("[data-part=progress]")
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    assert caption(page).startswith("Step ")
    assert steps(page)[0] >= 2
    assert "appear at the last step" in page.inner_text("[data-part=results]")
    page.click("[data-do=decode]")
    page.wait_for_selector(".mr.streaming")
    page.wait_for_function(IDLE, timeout=60000)
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    assert page.locator(".mr-results > li").count() > 0


def test_a_fast_decode_is_still_one_question(visit):
    page = visit(reduced_motion="reduce")
    asked = []
    page.on("request", lambda r: asked.append(r.url) if "component_server" in r.url else None)
    decoded(page, lambda: page.click("[data-do=decode]"))
    assert len(asked) == 1
    assert page.is_hidden("[data-part=progress]")
