"""Beat the machine in a real Chromium: one journey by keyboard on a narrow screen, from the cart to Watch."""

PLAY = "[data-panel=play]"


def test_a_cart_is_guessed_by_keyboard_shared_and_watched(visit):
    page = visit("?tab=play", width=380, reduced_motion="reduce")
    assert not page.is_checked(f"{PLAY} [data-part=timed]"), "nobody who asks for calm is pressed"
    answers = []
    page.on("response", lambda r: answers.append(r) if "component_server" in r.url else None)
    page.focus(f"{PLAY} [data-do=daily]")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('{PLAY} .mr-play-options .option').length > 1")
    assert page.inner_text(f"{PLAY} [data-part=left]") == "No clock"
    page.wait_for_function(f"document.querySelector('{PLAY} .mr-play-players').innerText.includes('has chosen')")
    assert page.locator(f"{PLAY} .mr-play-players td.right, {PLAY} .mr-play-players td.wrong").count() == 0
    title = page.evaluate("document.activeElement.dataset.part")
    assert title == "kind", "a screen reader begins at the cart"

    page.keyboard.press("1")
    page.wait_for_selector(f"{PLAY} .mr-play-before:not([hidden])")
    page.keyboard.press("1")
    page.wait_for_selector(f"{PLAY} [data-part=because]:not([hidden])")
    assert page.locator(f"{PLAY} .option.right").count() == 1
    assert page.locator(f"{PLAY} .mr-play-players tbody tr").count() == 3
    assert "No twin" in page.inner_text(f"{PLAY} .mr-play-players")
    right = page.inner_text(f"{PLAY} .option.right")
    early = [r.text() for r in answers if '"game_start"' in (r.request.post_data or "")]
    assert early
    assert not any('"target"' in text or '"right"' in text for text in early)

    page.click(f"{PLAY} [data-do=share]")
    page.wait_for_function(f"document.querySelector('{PLAY} [data-part=done]').textContent")
    shared = page.input_value(f"{PLAY} [data-part=shared]")
    assert "You: aisle" in shared
    assert right not in shared
    assert "game=20" in shared
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.focus(f"{PLAY} [data-do=watch]")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-panel=watch]:not([hidden]) .mr-stage")
    page.wait_for_function("location.search.includes('t=')")
