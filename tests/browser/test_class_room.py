"""A class room in a real Chromium: the teacher's projector in one context, a phone in another, both by keyboard."""


def test_a_class_votes_on_a_card_and_sees_the_answer(visit, chromium):
    page = visit("?tab=learn&lesson=step", reduced_motion="reduce")
    page.wait_for_selector("[data-panel=learn] .option")
    page.focus("[data-panel=learn] [data-do=class]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".mr-room-bars li")
    assert page.evaluate("document.activeElement.id") == "mr-room-ask"
    assert "0 in the room" in page.inner_text(".mr-room-present")
    assert page.locator(".mr-room-qr path").count() == 1
    link = page.inner_text(".mr-room-link")
    code = page.inner_text(".mr-room-code")

    with chromium.browser.new_context(viewport={"width": 320, "height": 600}) as other:
        phone = other.new_page()
        phone.set_default_timeout(120_000)
        faults = []
        phone.on("pageerror", lambda error: faults.append(str(error)))
        phone.goto("http://" + link.removesuffix("/" + code))
        phone.keyboard.type(code.lower())
        phone.keyboard.press("Enter")
        phone.wait_for_selector(".options button[aria-pressed]")  # of the question: the form before has a button too
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        asked = phone.inner_text("h2")
        assert asked == page.inner_text("#mr-room-ask")
        for times in (1, 2):  # a vote, and a change of mind
            phone.locator(".options button").first.focus()
            for _ in range(times):
                phone.keyboard.press("Tab")
            phone.keyboard.press("Enter")
            phone.wait_for_function(f"document.querySelectorAll('button')[{times}].ariaPressed === 'true'")
        page.wait_for_function("document.querySelector('.mr-room-present').textContent === '1 in the room, 1 voted'")
        assert page.locator(".mr-room-bars li.right").count() == 0

        page.focus(".mr-room .mr-primary")
        page.keyboard.press("Enter")
        page.wait_for_selector(".mr-room-bars li.right")
        assert page.locator(".mr-room-bars li > b").all_inner_texts()[2] == "1"
        phone.wait_for_selector(".result.right")
        assert phone.inner_text(".result.right").split("\n")[0] in page.inner_text(".mr-room-bars li.right")
        assert page.evaluate("document.activeElement.textContent") == "Next question"
        page.keyboard.press("Enter")
        page.wait_for_function(f"document.querySelector('#mr-room-ask').textContent !== {asked!r}")
        phone.wait_for_function(f"document.querySelector('h2').textContent !== {asked!r}")
        page.keyboard.press("Escape")
        page.wait_for_selector(".mr-room", state="hidden")
        assert not faults
