"""What a person does on the page, for browser tests."""

IDLE = "!document.querySelector('.mr.busy, .mr.streaming')"


def slowly(page) -> None:
    """Play so slowly that a busy machine does not reach the end before the test does what comes next."""
    page.eval_on_selector("[data-part=speed]", "speed => { speed.value = '0.25'; }")


def caption(page) -> str:
    return page.inner_text("[data-part=caption]")


def add(page, *titles: str) -> None:
    """With the keyboard alone: type, look, Enter."""
    page.focus("#mr-query")
    for title in titles:
        page.keyboard.type(title)
        # The answer to all that was typed, after which no other answer is on its way.
        page.wait_for_function("title => document.getElementById('mr-found').dataset.answers === title", arg=title)
        page.wait_for_selector(f"#mr-found li[aria-selected=true] b:text-is('{title}')")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        page.wait_for_selector("#mr-found", state="hidden")


def _is_whole(response) -> bool:
    """Whether a response is a finished decode: given at once, or to the last poll where the machine is busy."""
    if "component_server" not in response.url or '"captions"' not in response.text():
        return False
    return bool({"captions", "bundle"} & set(response.json()))


def decoded(page, act) -> dict:
    """Do something that decodes, wait until it shows, return the answer. Answers to earlier questions do not count."""
    requests = []

    def begins(request) -> None:
        requests.append(request)

    page.on("request", begins)
    with page.expect_response(lambda response: response.request in requests and _is_whole(response)) as expected:
        act()
    page.remove_listener("request", begins)
    page.wait_for_function(IDLE)
    answer = expected.value.json()
    return answer.get("bundle", answer)
