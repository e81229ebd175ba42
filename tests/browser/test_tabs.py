"""Diagnose, Compare and Learn in a real Chromium."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from mindrec.diagnosis.kinds import rescue_kind


def tab(visit, name: str, query: str = "", **options):
    return visit(f"?tab={name}{query}", reduced_motion="reduce", **options)


def settled(page, act) -> None:
    """Do something that changes the Diagnose tab, wait until table and charts show it. An earlier change ends first."""
    turn = "document.querySelector('[data-panel=diagnose]').dataset.turn"
    before = page.wait_for_function(turn).json_value()
    act()
    page.wait_for_function(f"{turn} && {turn} !== {json.dumps(before)}")


def diagnose(visit, query: str = "&table=wide", **options):
    page = tab(visit, "diagnose", query, **options)
    page.wait_for_function("document.querySelector('[data-panel=diagnose]').dataset.turn")
    return page


def found(page) -> int:
    return int(page.inner_text("[data-panel=diagnose] [data-part=found]").split()[0].replace(",", ""))


def causes(page) -> set[str]:
    return set(page.locator(".mr-table .tag").all_inner_texts())


# -- Diagnose ----------------------------------------------------------------------------------------------------------


def test_an_early_wrong_category_opens_in_watch_at_the_step_where_it_died(visit, case_files):
    cases = pd.read_parquet(case_files[1])
    page = diagnose(visit, "&table=narrow")
    settled(page, lambda: page.select_option("#mr-f-cause", "early_category"))
    assert found(page) == (cases["cause"] == "early_category").sum() > 0
    assert causes(page) == {"wrong category early"}
    row = page.locator(".mr-table tbody tr.miss").first
    died = int(cases["died_step"].iloc[int(row.get_attribute("data-n"))])
    row.locator(".open").press("Enter")
    page.wait_for_selector("[data-panel=watch] .mr", state="visible")
    page.wait_for_function("document.querySelector('[data-part=story]').textContent.startsWith('Trip')")
    assert page.inner_text("[data-part=stepno]").startswith(f"Step {died} of")
    assert f"lost at step {died}" in page.inner_text("[data-part=gold]")
    assert (
        page.locator(".mr-grid.front tbody tr:not(.free):not(.ghost):not(.r-more)").count() == 1
    )  # the file's one beam
    page.click("[data-tab=diagnose]")
    assert causes(page) == {"wrong category early"}


READERS = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}


def test_an_export_holds_the_cases_that_the_table_shows(visit, tmp_path):
    page = diagnose(visit)
    settled(page, lambda: page.select_option("#mr-f-outcome", "miss"))
    settled(page, lambda: page.click(".s-margin button"))
    shown = page.locator(".mr-table tbody tr.miss td.id").all_inner_texts()
    for ending, read in READERS.items():
        with page.expect_download() as got:
            page.click(f"[data-part=formats] button:text-is('{ending.upper()}')")
        path = tmp_path / got.value.suggested_filename
        got.value.save_as(path)
        frame = read(path)
        assert len(frame) == found(page), ending
        assert frame["user_id"].astype(str).tolist()[: len(shown)] == shown, ending


def test_a_click_on_a_chart_filters_and_a_second_one_lifts(visit):
    page = diagnose(visit)
    all_cases = found(page)
    bar = page.wait_for_selector("[data-chart=causes] .main-svg .bars .point path")
    bar.wait_for_element_state("stable")
    settled(page, lambda: bar.click(force=True))
    assert len(causes(page)) == 1
    assert found(page) < all_cases
    page.wait_for_timeout(100)
    settled(page, lambda: page.locator("[data-panel=diagnose] [data-part=chips] .chip button").first.click())
    assert found(page) == all_cases
    # A square of the confusion and a range filter too, by Plotly's own event: where a square lies on the screen
    # depends on the width of its labels.
    click = """(name) => {
      const box = document.querySelector(`[data-chart=${name}]`), trace = box.data.find((t) => t.customdata);
      box.emit('plotly_click', {points: [{data: trace, pointIndex: name === 'confusion' ? [0, 0] : 0}]}); }"""
    page.wait_for_selector("[data-chart=confusion] .main-svg")
    settled(page, lambda: page.evaluate(click, "confusion"))
    assert page.locator("[data-panel=diagnose] [data-part=chips] .chip").count() == 2
    settled(page, lambda: page.get_by_text("Clear filters").click())
    settled(page, lambda: page.evaluate(click, "slices"))
    assert page.locator("[data-panel=diagnose] [data-part=chips] .chip").count() == 1
    assert 0 < found(page) <= all_cases


def test_a_search_takes_a_title_with_markup_as_text(visit):
    page = diagnose(visit)
    settled(page, lambda: page.fill("#mr-f-q", "pear"))
    assert all("pear" in row.lower() for row in page.locator("[data-part=cases] tbody tr:not(.note)").all_inner_texts())
    settled(page, lambda: page.fill("#mr-f-q", "onerror"))
    assert page.locator("[data-panel=diagnose] img").count() == 0
    settled(page, lambda: page.fill("#mr-f-q", "no such thing"))
    assert "No case" in page.inner_text(".mr-table td.none")


def test_bookmarks_and_notes_stay_in_the_browser(visit):
    page = diagnose(visit)
    page.locator(".mr-table .star").nth(1).click()
    page.locator(".mr-table tbody tr:not(.note) td:last-child button").nth(1).click()
    page.keyboard.type("look again")
    page.reload()
    page.wait_for_selector("[data-panel=diagnose] .mr", state="visible")
    page.wait_for_function("document.querySelector('[data-panel=diagnose]').dataset.turn")
    assert page.locator(".mr-table .star").nth(1).inner_text() == "★"
    settled(page, lambda: page.check("#mr-f-only"))
    assert found(page) == 1
    assert page.locator(".mr-table tr.note input").input_value() == "look again"


def test_a_link_opens_the_same_filter_for_another_person(visit):
    page = diagnose(visit)
    settled(page, lambda: page.select_option("#mr-f-outcome", "miss"))
    settled(page, lambda: page.fill("#mr-f-history_length", "2"))
    settled(page, lambda: page.click(".s-title button"))
    page.context.grant_permissions(["clipboard-write"])
    page.click("[data-panel=diagnose] [data-do=link]")
    page.wait_for_function("document.querySelector('[data-panel=diagnose] [data-part=link]').value")
    other = visit(url=page.input_value("[data-panel=diagnose] [data-part=link]"))
    other.wait_for_function("document.querySelector('[data-panel=diagnose]').dataset.turn")
    assert found(other) == found(page)
    assert other.locator(".mr-table .id").all_inner_texts() == page.locator(".mr-table .id").all_inner_texts()


@pytest.mark.parametrize("query", ["&table=none", "&table=wide&f.cause=magic", "&table=wide&f.step=x", "&f.gold=9.9.9"])
def test_a_bad_link_is_told_in_words(visit, query):
    page = tab(visit, "diagnose", query)
    page.wait_for_selector("[data-panel=diagnose] [data-part=message]:not([hidden])")


def test_an_item_and_a_category_have_pages_by_keyboard_that_back_leaves_and_links_open(visit, case_files):
    cases = pd.read_parquet(case_files[0])
    page = diagnose(visit)
    about = page.locator("[data-panel=diagnose] [data-part=about]")

    def shows(name: str | None) -> None:
        wanted = "box.hidden" if name is None else f"!box.hidden && box.dataset.name === {json.dumps(name)}"
        box = "document.querySelector('[data-panel=diagnose] [data-part=about]')"
        page.wait_for_function(f"() => {{ const box = {box}; return {wanted}; }}")

    line = page.locator(".mr-table tbody tr.miss").first
    number = int(line.get_attribute("data-n"))
    gold, answer = cases["gold"].iloc[number], cases["top_item"].iloc[number]
    line.locator("td .about").press("Enter")
    shows(f"item:{answer}")
    page.wait_for_function("document.activeElement.id === 'mr-case-page-title'")
    page.wait_for_function("location.href.includes('about=item')")
    before = found(page)
    about.locator(f"button[data-page='item:{gold}']").press("Enter")
    shows(f"item:{gold}")
    assert f"The truth in {(cases['gold'] == gold).sum()} case" in about.inner_text()
    settled(page, lambda: about.locator("button", has_text="Show the").first.press("Enter"))
    assert found(page) == (cases["gold"] == gold).sum() < before
    assert page.locator("[data-panel=diagnose] [data-part=chips] .chip").count() == 1
    category = about.locator("header button[data-page]").last
    category.press("Enter")
    page.wait_for_function("location.href.includes('about=category')")
    page.wait_for_selector("[data-part=about][data-name^=category]")
    link = page.evaluate("location.href")
    page.go_back()
    shows(f"item:{gold}")
    settled(page, page.go_back)
    shows(f"item:{answer}")
    assert found(page) == before
    page.keyboard.press("Escape")
    shows(None)
    assert "about=" not in page.evaluate("location.href")
    assert page.evaluate("document.activeElement.className") == "about"
    other = visit(url=link)
    other.wait_for_selector("[data-part=about][data-name^=category]")
    assert other.locator("[data-part=about] h4").count() == 4
    bad = tab(visit, "diagnose", "&table=wide&about=item%3Anope")
    bad.wait_for_selector("[data-panel=diagnose] [data-part=message]:not([hidden])")
    assert "nope" in bad.inner_text("[data-panel=diagnose] [data-part=message]")


def test_how_far_answers_move_stands_below_the_cases(visit, shop):
    page = diagnose(visit)
    section = page.locator("[data-panel=diagnose] [data-part=behaviour]")
    assert section.is_visible()
    assert "stay with" in section.locator("[data-part=behaviour-said]").inner_text()
    names = section.locator("tbody th").all_inner_texts()
    assert len(names) == 5
    assert "the order reversed" in names
    assert all("%" in cell for cell in section.locator("tbody td:nth-child(3)").all_inner_texts())


def test_two_tables_are_compared_and_a_flipped_case_opens(visit):
    page = diagnose(visit)
    page.click("[data-part=versus-form] button")
    page.wait_for_selector("table.tests")
    assert "McNemar" in page.inner_text("table.tests")
    assert "120 paired cases" in page.inner_text("[data-part=versus-out]")
    page.wait_for_selector("[data-chart=transitions] .main-svg")
    files = page.locator("[data-chart=transitions] + .mr-figure-files button")
    with page.expect_download() as got:
        files.nth(1).click()
    lines = Path(got.value.path()).read_text().splitlines()
    assert lines[0] == "row,column,value"
    assert sum(int(line.rsplit(",", 1)[1]) for line in lines[1:]) == 120
    with page.expect_download() as got:
        files.nth(0).click()
    assert Path(got.value.path()).read_text().startswith("<svg")
    with page.expect_download() as got:
        page.locator("[data-chart=slices] + .mr-figure-files button").nth(1).click()
    points = pd.read_csv(got.value.path())
    assert (points.low <= points.y).all()
    assert (points.y <= points.high).all()
    assert "All open tables" in page.inner_text("[data-part=versus-out]")
    page.locator(".mr-flipped tbody button").nth(1).click()
    page.wait_for_selector("[data-panel=watch] .mr", state="visible")


def test_a_sample_is_diagnosed_on_the_spot_and_again_from_its_link(visit):
    page = diagnose(visit)
    page.fill("#mr-sample-size", "20")
    page.press("#mr-sample-size", "Enter")
    made = "document.querySelector('[data-part=table]').value.startsWith('sample of {size}')"
    some = "document.querySelector('[data-panel=diagnose] [data-part=found]').textContent.includes('of {size} ')"
    page.wait_for_function(made.format(size=20))
    page.wait_for_function(some.format(size=20))
    settled(page, lambda: page.select_option("#mr-f-outcome", "miss"))
    # the address follows a moment after the table
    page.wait_for_function("['sample=20.0', 'f.outcome=miss'].every((part) => location.search.includes(part))")
    missed, link = found(page), page.evaluate("location.search")
    page = tab(visit, "diagnose", "&" + link.removeprefix("?").replace("sample=20.0", "sample=9.3"))
    page.wait_for_function(made.format(size=9))
    page.wait_for_function(some.format(size=9))
    assert page.locator("#mr-f-outcome").input_value() == "miss"
    assert 0 < found(page) <= 9
    assert missed <= 20


# -- Compare -----------------------------------------------------------------------------------------------------------


def compare(visit, query: str = "&v=1&h=i1,i4&t=i7&left=ours&right=one_pass", **options):
    page = tab(visit, "compare", query, **options)
    page.wait_for_function("document.querySelector('[data-panel=compare]').dataset.turn")
    return page


def steps(page) -> list[str]:
    return page.locator("[data-panel=compare] .mr-stage [data-part=stepno]").all_inner_texts()


def test_two_decoders_are_compared_up_to_where_they_part(visit):
    page = compare(visit, "&v=1&h=i1,i4&t=i7&left=ours&right=published")
    words = page.inner_text("[data-part=words]")
    part = page.locator("[data-go=parting]")
    assert "part at step" in words
    part.click()
    at = words.split("at step ")[1].split(":")[0]
    assert page.inner_text(".mr-shared [data-part=stepno]") == f"Step {at}"
    assert "parted" in page.get_attribute(".mr-shared", "class")
    assert "True next item" in page.inner_text(".mr-shared [data-part=gold]")


def test_a_case_plays_beside_its_rescue_from_where_they_part_and_leads_back(visit, case_files):
    cases = pd.read_parquet(case_files[1])
    saved = cases["rescue"].isin(set(cases["rescue"].dropna()) - {"none"})
    page = diagnose(visit, f"&table=narrow&f.rescue={rescue_kind(cases['rescue'][saved].iloc[0])}")
    rescue = page.locator(".mr-table [data-do=rescue]").first
    line = page.locator(".mr-table tbody tr", has=page.locator("[data-do=rescue]")).first
    case = cases.iloc[int(line.get_attribute("data-n"))]
    rescue.click()
    panel = page.locator("[data-panel=compare]")
    page.wait_for_function("document.querySelector('[data-panel=compare] [data-part=right]').value === 'rescue'")
    page.wait_for_function("document.querySelector('[data-panel=compare]').dataset.turn")
    assert panel.locator("[data-part=right-name]").inner_text().startswith("the rescue: ")
    assert panel.locator("[data-part=lists] li.gold").count() == 1
    died = int(case["died_step"])
    page.wait_for_function("document.activeElement.matches('[data-panel=compare] [data-part=deck]')")
    assert panel.locator(".mr-shared [data-part=stepno]").inner_text().startswith(f"Step {died} | ")
    page.locator("[data-part=way-back]").click()
    assert page.is_visible("[data-panel=diagnose]")
    page.click("[data-tab=watch]")
    assert page.locator("[data-panel=watch] [data-part=chips] li").count() == len(case["history"])
    page.click("[data-panel=watch] [data-do=last]")
    page.locator("[data-panel=watch] [data-do=rescue]").click()
    page.wait_for_selector("[data-panel=compare]", state="visible")
    page.locator("[data-part=way-back]").click()
    assert page.is_visible("[data-panel=watch]")


def test_one_timeline_moves_both_sides_by_progress(visit):
    page = compare(visit)
    assert "Denoiser calls" in page.inner_text("[data-part=right-facts]")
    page.focus("[data-part=deck]")
    page.keyboard.press("End")
    line = page.inner_text(".mr-shared [data-part=stepno]")
    assert line.endswith("| 1")
    page.keyboard.press("Home")
    assert page.inner_text(".mr-shared [data-part=stepno]") == "Step 0 | 0"
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".mr-shared [data-part=stepno]").startswith("Step 1 |")
    lists = page.locator(".mr-lists h4").all_inner_texts()
    assert [words.split(" (")[0] for words in lists] == ["Only left", "In both", "Only right"]
    # Sides swap, and a history may lack an item
    page.click("[data-do=swap]")
    page.wait_for_function("document.querySelector('[data-part=left-name]').textContent.startsWith('one pass')")
    page.select_option("[data-panel=compare] [data-part=right]", "without:i4")
    page.wait_for_function("document.querySelector('[data-part=right-name]').textContent.startsWith('without')")


def test_a_flow_walks_beside_a_decode_and_all_methods_are_laid_over_each_other(visit):
    page = compare(visit, "&v=1&h=i1,i4&t=i7&left=ours&right=method%3Afmrec")
    panel = page.locator("[data-panel=compare]")
    assert panel.locator("[data-part=right-name]").inner_text() == "FMRec"
    assert panel.locator("[data-part=right-stage]").is_hidden()
    assert "of the first 10 answers are the same" in panel.locator("[data-part=words]").inner_text()
    page.focus("[data-part=deck]")
    assert "starts at noise" in panel.locator(".mr-method-line:visible").inner_text()
    page.keyboard.press("ArrowRight")
    assert panel.locator(".mr-method-line:visible").inner_text().startswith("Step 1 of 30: nearest are")
    page.keyboard.press("End")
    assert panel.locator(".mr-shared [data-part=stepno]").inner_text().endswith("| 30")
    # The walk's end is the list that the two sides are compared by.
    walked = [title.removeprefix("★ ") for title in panel.locator(".mr-method-list:visible li").all_inner_texts()]
    listed = panel.locator("[data-part=lists] > div:nth-child(n+2) li span").all_inner_texts()
    assert sorted(walked) == sorted(title.removeprefix("★ ") for title in listed)
    panel.locator("[data-part=agree] summary").click()
    page.wait_for_selector(".mr-agree")
    assert panel.locator(".mr-agree tbody tr").count() == 4
    # Another method on the other side, and back to a player
    page.select_option("[data-panel=compare] [data-part=left]", "method:votes")
    page.wait_for_function("document.querySelector('[data-part=left-name]').textContent.startsWith('co-visit')")
    page.select_option("[data-panel=compare] [data-part=right]", "greedy")
    page.wait_for_function("document.querySelector('[data-part=right-name]').textContent.startsWith('greedy')")
    assert panel.locator("[data-part=right-stage]").is_visible()
    assert panel.locator("[data-part=right-method]").is_hidden()


# -- Learn -------------------------------------------------------------------------------------------------------------


def card(page) -> str:
    page.wait_for_function("document.querySelector('[data-panel=learn]').dataset.card")
    return page.evaluate("document.querySelector('[data-panel=learn]').dataset.card")


def test_the_course_is_finished_by_keyboard_alone(visit):
    """From the dissolving item to the score: every card is guessed, revealed and left with Tab and Enter."""
    page = tab(visit, "learn")
    learn, shown = "[data-panel=learn]", []
    assert card(page) == "diffusion"
    assert page.is_hidden(".mr-because")
    assert page.is_hidden(f"{learn} [data-part=stage]")  # no panel of the player is introduced yet
    page.focus("[data-part=slider]")
    page.keyboard.press("End")
    assert page.locator(".mr-masking li.masked").count() == 7
    assert "256 of 256 pixels" in page.inner_text("[data-part=masked]")
    page.locator("[data-do=heal]").press("Enter")
    assert page.locator(".mr-masking li.masked").count() == 0
    page.locator(".mr-guess .option").last.press("Enter")
    page.wait_for_selector(".mr-because:not([hidden])")
    assert "Right." in page.inner_text(".mr-because")
    assert page.locator(".mr-guess .right").count() == 1
    count = page.locator(".mr-lesson-nav li").count()
    while len(shown) < count - 1:
        page.keyboard.press("Enter")  # the next card has the focus
        page.wait_for_function(
            f"![{','.join(map(repr, [*shown, 'diffusion']))}].includes(document.querySelector('{learn}').dataset.card)"
        )
        shown.append(card(page))
        assert page.is_hidden(".mr-because")
        if shown[-1] == "step":
            # The caption would name the place that the question asks for, and no tree is introduced yet.
            assert page.inner_text(f"{learn} [data-part=caption]").startswith("Step 0. The rest waits")
            assert page.is_hidden(f"{learn} .mr-tree-panel")
        if shown[-1] == "fails":
            assert page.locator(f"{learn} [data-part=ticks] i").count() == 0
        page.locator(".mr-guess .option").first.press("Enter")
        page.wait_for_selector(".mr-because:not([hidden])")
    assert shown == ["step", "keys", "greedy", "beams", "worth", "fails"]
    assert page.locator(f"{learn} [data-part=ticks] i.t-lost").count() == 1
    right, asked = map(int, re.findall(r"\d+", page.inner_text(".mr-score")))
    assert asked == count
    again = page.locator(".mr-because .mr-row button")
    assert again.count() == asked - right > 0
    again.first.press("Enter")
    page.wait_for_function(f"document.querySelector('{learn}').dataset.card !== 'fails'")


def test_the_player_waits_for_the_guess(visit):
    page = tab(visit, "learn", "&lesson=beams")
    assert card(page) == "beams"
    stage = page.locator("[data-panel=learn] [data-part=stage]")
    stage.focus()
    page.keyboard.press("End")
    number = "document.querySelector('[data-panel=learn] .mr-stage [data-part=stepno]').textContent"
    assert page.evaluate(number).startswith("Step 1 of")
    page.locator(".mr-guess .option").first.click()
    page.wait_for_selector(".mr-because:not([hidden])")
    assert page.evaluate(number).startswith("Step 7 of")


def test_a_word_of_the_glossary_explains_itself(visit):
    page = tab(visit, "learn")
    card(page)
    page.locator(".term").first.focus()
    assert page.locator(".term [role=tooltip]").first.is_visible()
    # The hand-out is what is printed
    page.emulate_media(media="print")
    assert page.is_visible(".mr-handout h2")
    assert page.is_hidden(".mr-lesson")
    assert page.locator(".mr-handout ol li").count() == 8


def test_a_teacher_link_opens_a_card_with_its_cart_and_leaves_back_and_next(visit):
    page = tab(visit, "learn", "&lesson=fails")
    card(page)
    page.context.grant_permissions(["clipboard-write"])
    page.click("[data-do=teacher]")
    page.wait_for_function("document.querySelector('[data-panel=learn] [data-part=link]').value")
    link = page.input_value("[data-panel=learn] [data-part=link]")
    other = visit(url=link, width=1920, height=1080, reduced_motion="reduce")
    assert card(other) == "fails"
    for hidden in (".mr-tabs", ".mr-lesson-nav", "[data-panel=learn] [data-do=print]"):
        assert other.locator(hidden).first.is_hidden(), hidden
    learn = "[data-panel=learn]"
    assert other.locator(f"{learn} .mr-stage .mr-cart").is_visible()
    size = f"getComputedStyle(document.querySelector('{learn} .mr-grid .in')).fontSize"
    assert other.evaluate(size) == "20px", "cells are read from the last row"
    other.locator(f"{learn} .mr-guess .option").first.click()
    other.wait_for_selector(f"{learn} .mr-because:not([hidden])")
    for way, wanted in (("back", "worth"), ("next", "fails")):
        other.focus(f"{learn} [data-do={way}]")
        other.keyboard.press("Enter")
        other.wait_for_function(f"document.querySelector('{learn}').dataset.card === '{wanted}'")


# -- all ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [380, 1920])
def test_no_tab_scrolls_sideways_and_tabs_are_a_tablist(visit, width):
    page = visit(width=width, height=800, reduced_motion="reduce")
    if width < 1000:
        page.click("[data-do=view-path]")
    page.wait_for_selector(".js-plotly-plot")
    page.focus("[data-part=stage]")
    page.keyboard.press("End")
    assert page.locator("[data-part=caption]").bounding_box()["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name, ready in (
        ("compare", ".mr-compare"),
        ("diagnose", ".mr-table tbody tr"),
        ("learn", ".mr-learn"),
        ("lab", ".mr-lab"),
    ):
        page.click(f"[data-tab={name}]")
        page.wait_for_selector(f"[data-panel={name}] {ready}")
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.click("[data-tab=watch]")
    page.focus("[data-tab=watch]")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("[data-tab=lab]", "aria-selected") == "true"
    page.keyboard.press("Home")
    assert page.is_visible("[data-panel=watch]")
