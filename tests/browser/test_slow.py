"""A denoiser that waits for the test: steps arrive as they are computed, the page plays them, a person can stop.

Nothing here takes a time of its own: a step is computed when the test lets it, and the test waits for what it shows.
"""

import re

import pytest
from page_actions import IDLE, add, caption, decoded

PLAYED = "step => Number(/^Step (\\d+)/.exec(document.querySelector('[data-part=caption]').textContent)?.[1]) >= step"
CHIPS = ".mr-chips .chip b"
HELD_BACK = """() => { const ask = window.fetch, gate = new Promise((open) => { window.letGo = open; });
  window.asked = window.answers = 0;
  window.fetch = async (...about) => {
    window.asked += 1;
    try {
      if (await gate) throw new Error("no network");
      return await ask(...about);
    } finally { window.answers += 1; } } }"""
SHOWN_AND_CAME = "['scrub', 'progress-bar'].map((part) => +document.querySelector(`[data-part=${part}]`).value)"
CAME = "step => Number(document.querySelector('[data-part=progress-bar]').value) >= step"


def begin(visit, gated, **options):
    """The page with a decode that waits for its first step."""
    address, gate = gated
    page = visit(url=address, **options)
    page.wait_for_function(IDLE)  # the first example
    page.click("[data-do=clear]")
    add(page, "Apple 1", "Pear 2")
    gate.shut()
    page.click("[data-do=decode]")
    page.wait_for_selector("[data-part=progress]", state="visible")
    page.wait_for_selector(".mr.streaming")
    return page, gate


def steps(page) -> tuple[int, int]:
    return tuple(map(int, re.findall(r"\d+", page.inner_text("[data-part=stepno]"))))


def test_steps_are_played_while_later_ones_are_computed(visit, gated):
    page, gate = begin(visit, gated)
    parts = []
    page.on("response", lambda r: parts.append(r) if "component_server" in r.url else None)
    gate.let_through()
    page.wait_for_function(PLAYED, arg=1)
    assert page.is_visible("[data-part=progress]"), "the first step was shown only when all were done"
    assert re.search(r"Step \d of about \d", page.inner_text("[data-part=progress-words]"))
    assert page.locator(".mr-grid.front tbody tr:first-child td.new").count() == 1
    gate.let_through()
    page.wait_for_function(CAME, arg=2)
    came = [json for json in (r.json() for r in list(parts)) if json.get("part")]
    with page.expect_response(lambda r: "component_server" in r.url and '"bundle"' in r.text()) as last:
        gate.open()
    whole = last.value.json()["bundle"]
    page.wait_for_selector("[data-part=progress]", state="hidden")
    page.wait_for_function(f"document.querySelector('[data-part=caption]').textContent === {whole['captions'][-1]!r}")
    told = [step["index"] for answer in came for step in answer["part"]["trace"]["steps"]]
    assert told == sorted(set(told)), "a step's answer repeats what came before"
    assert len(came) > 1
    assert page.locator(".mr-results > li").count() == len(whole["trace"]["results"])


def test_stop_frees_the_decode_and_keeps_what_came(visit, gated):
    page, gate = begin(visit, gated, reduced_motion="reduce")
    for step in (1, 2):
        gate.let_through()
        page.wait_for_function(CAME, arg=step)
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
    gate.let_through()  # the decode that was stopped ends, and the new one begins
    page.wait_for_selector(".mr.streaming")
    gate.open()
    page.wait_for_function(IDLE)
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    assert page.locator(".mr-results > li").count() > 0


def test_an_edit_gives_up_the_decode_on_its_way(visit, gated):
    """Its steps and its answer are never drawn over what a person has changed since."""
    page, gate = begin(visit, gated, reduced_motion="reduce")
    gate.let_through()
    page.wait_for_function(CAME, arg=1)
    page.locator(".mr-chips .chip").nth(0).focus()
    page.keyboard.press("Delete")
    gate.open()
    page.wait_for_function(IDLE)
    assert page.locator(CHIPS).all_inner_texts() == ["Pear 2"]
    assert page.is_hidden("[data-part=progress]")
    again = decoded(page, lambda: page.click("[data-do=decode]"))
    assert len(again["trace"]["history"]) == 1
    assert page.locator(CHIPS).all_inner_texts() == ["Pear 2"]
    assert steps(page)[0] == 0, "the steps of the decode that was given up count for the new one"


@pytest.mark.parametrize("fails", [False, True])
def test_a_late_first_answer_changes_nothing(visit, fails):
    """The edit comes before the page knows whether its question has a place in the queue: nothing of it is drawn."""
    page = visit(reduced_motion="reduce")
    page.wait_for_function(IDLE)  # the first example
    page.click("[data-do=clear]")
    add(page, "Apple 1", "Pear 2")
    page.evaluate(HELD_BACK)
    page.click("[data-do=decode]")
    page.wait_for_function("window.asked === 1")
    page.locator(".mr-chips .chip").nth(0).focus()
    page.keyboard.press("Delete")
    page.evaluate("fails => window.letGo(fails)", fails)
    page.wait_for_function("window.answers === window.asked")
    page.wait_for_function(IDLE)
    assert page.locator(CHIPS).all_inner_texts() == ["Pear 2"]
    assert page.is_hidden("[data-part=message]")
    if not fails:
        assert len(decoded(page, lambda: page.click("[data-do=decode]"))["trace"]["history"]) == 1
        assert page.locator(CHIPS).all_inner_texts() == ["Pear 2"]


def test_a_decode_that_is_answered_at_once_is_one_question(visit):
    """However long it takes here: the server is told to wait longer than the page would let it."""
    page = visit(reduced_motion="reduce")
    asked = []

    def patiently(route):
        asked.append(route.request.post_data_json)
        body = {**asked[-1], "data": {**asked[-1]["data"], "wait": 30}}
        route.continue_(post_data=body)

    page.route(re.compile("component_server"), patiently)
    decoded(page, lambda: page.click("[data-do=decode]"))
    assert [one["fn_name"] for one in asked] == ["decode"]
    assert 0 < asked[0]["data"]["wait"] < 5
    assert page.is_hidden("[data-part=progress]")


def test_a_change_stays_at_the_step_that_is_looked_at_while_its_steps_come(visit, gated):
    address, gate = gated
    page = visit(url=f"{address}?v=1&h=i1,i2&step=2")
    assert steps(page)[0] == 2
    page.click("[data-do=settings]")
    gate.shut()
    page.fill("#mr-set-beam_size", "2")
    page.wait_for_selector(".mr.streaming")
    for step in (1, 2):
        gate.let_through()
        page.wait_for_function(CAME, arg=step)
        shown, came = page.evaluate(SHOWN_AND_CAME)
        assert shown == min(2, came)
    gate.open()
    page.wait_for_function(IDLE)
    assert steps(page)[0] == 2
    assert page.get_attribute("[data-do=play]", "aria-pressed") == "false"


def test_the_dial_is_turned_while_a_decode_is_on_its_way(visit, gated):
    page, gate = begin(visit, gated, reduced_motion="reduce")
    page.focus("[data-part=dial]")
    page.keyboard.press("End")
    gate.open()
    page.wait_for_function("new URL(location.href).searchParams.get('guidance') === '1.5'")
    page.wait_for_function(IDLE)
    assert page.input_value("[data-part=dial]") == page.get_attribute("[data-part=dial]", "max")


# -- an answer that comes late -----------------------------------------------------------------------------------------

FIRST_HELD_BACK = """name => { const ask = window.fetch, gate = new Promise((open) => { window.letGo = open; });
  window.late = "";
  window.fetch = async (...about) => {
    const got = await ask(...about);
    if (window.late || !String(about[1] && about[1].body).includes(`"${name}"`)) return got;
    window.late = "held";
    await gate;
    window.late = "came";
    return got; } }"""


def hold_back(page, question: str) -> None:
    """The next answer to this question waits."""
    page.evaluate(FIRST_HELD_BACK, question)


def held(page) -> None:
    page.wait_for_function("window.late === 'held'")


def let_go(page) -> None:
    """The answer comes now, and a moment later the page has it."""
    page.evaluate("window.letGo()")
    page.wait_for_function("window.late === 'came'")
    page.evaluate("new Promise((next) => setTimeout(next, 50))")


TURN = "document.querySelector('[data-panel=diagnose]').dataset.turn"
CHART = "document.querySelector('[data-chart=slices]').data.map((trace) => [...trace.y])"


def cases(visit, query: str = "", **options):
    page = visit(f"?tab=diagnose&table=wide{query}", reduced_motion="reduce", **options)
    page.wait_for_function(TURN)
    return page


def test_charts_that_come_late_are_of_the_filters_that_are_set(visit):
    page = cases(visit)
    everything = page.evaluate(CHART)
    hold_back(page, "case_charts")
    page.select_option("#mr-f-outcome", "miss")
    page.wait_for_selector("[data-panel=diagnose] [data-part=chips] .chip")
    held(page)
    page.wait_for_function("!document.querySelector('.mr-table tbody tr.hit')")
    page.click(".s-margin button")  # another order changes no chart
    page.wait_for_function(TURN)
    let_go(page)
    assert page.evaluate(CHART) == cases(visit, "&f.outcome=miss").evaluate(CHART) != everything


def test_what_was_typed_is_a_filter_though_another_is_set_at_once(visit):
    page = cases(visit)
    page.evaluate(
        """() => { const [typed, chosen] = ["q", "outcome"].map((key) => document.getElementById("mr-f-" + key));
        const tell = (node, value, kind) => { node.value = value; node.dispatchEvent(new Event(kind)); };
        tell(typed, "pear", "input"); tell(chosen, "miss", "change"); }"""
    )
    page.wait_for_function("document.querySelectorAll('[data-panel=diagnose] [data-part=chips] .chip').length === 2")
    assert page.input_value("#mr-f-q") == "pear"


def test_the_case_that_was_opened_last_is_shown(visit):
    page = cases(visit)
    rows = page.locator(".mr-table tbody .open")
    hold_back(page, "case")
    rows.nth(0).press("Enter")
    held(page)
    rows.nth(1).press("Enter")
    page.wait_for_selector("[data-panel=watch] .mr", state="visible")
    shown = page.locator(CHIPS).all_inner_texts(), caption(page)
    let_go(page)
    assert (page.locator(CHIPS).all_inner_texts(), caption(page)) == shown


def test_a_guess_that_is_answered_late_counts_for_no_other_card(visit):
    page = visit("?tab=learn&lesson=step", reduced_motion="reduce")
    page.wait_for_selector("[data-panel=learn] .option")
    hold_back(page, "reveal")
    # The guess comes before the card that was asked for.
    page.evaluate("for (const on of ['[data-do=next]', '.option']) document.querySelector('.mr-learn ' + on).click()")
    held(page)
    page.wait_for_function("document.querySelector('[data-panel=learn]').dataset.card !== 'step'")
    let_go(page)
    assert page.is_hidden(".mr-because")
    page.locator("[data-panel=learn] .option").first.click()
    page.wait_for_selector(".mr-because:not([hidden])")


def test_a_search_is_kept_where_the_field_was_left_for_a_moment(visit):
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.focus("#mr-query")
    page.evaluate("() => { const { activeElement: field } = document; field.blur(); field.focus(); }")
    page.keyboard.type("Apple 5")
    page.wait_for_selector("#mr-found li b:text-is('Apple 5')")
    page.evaluate("new Promise((next) => setTimeout(next, 150))")  # longer than a list stays after its field is left
    assert page.is_visible("#mr-found")
