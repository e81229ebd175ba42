"""What a person does on the page, for browser tests."""

IDLE = "!document.querySelector('.mr.busy, .mr.streaming')"


def caption(page) -> str:
    return page.inner_text("[data-part=caption]")


def add(page, *titles: str) -> None:
    """With the keyboard alone: type, look, Enter."""
    page.focus("#mr-query")
    for title in titles:
        page.keyboard.type(title)
        page.wait_for_selector(f"#mr-found li[aria-selected=true] b:text-is('{title}')")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.wait_for_selector("#mr-found", state="hidden")


def decoded(page, act) -> dict:
    """Do something that decodes, wait until it shows, return the answer."""
    with page.expect_response(lambda r: "component_server" in r.url and '"captions"' in r.text()) as found:
        act()
    page.wait_for_function(IDLE)
    return found.value.json()
