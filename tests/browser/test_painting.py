"""What is drawn step by step is what a page draws anew: every part writes only what changes."""

import random

SNAPSHOT = """() => {
  const empty = (a) => !a.value && ['class', 'title'].includes(a.name);
  const tell = (node) => node.nodeType === 3 ? node.data : [node.tagName, [...node.childNodes].map(tell),
    [...node.attributes].filter((a) => !empty(a)).map((a) => `${a.name}=${a.value}`).sort()];
  const all = (selector, keep = () => true) => [...document.querySelectorAll(selector)].filter(keep).map(tell);
  const looks = (node) => ["class", "transform", "d"].map((name) => node.getAttribute(name));
  return {
    caption: all('[data-part=caption]'), transport: all('[data-part=transport]'), answers: all('[data-part=podium]'),
    winner: all('[data-part=winner]'),
    grid: all('.mr-grid.front tr', (row) => !row.classList.contains('none')),
    branches: all('.mr-branches path', (path) => path.getAttribute('d')),
    names: all('.mr-names text', (text) => text.textContent),
    nodes: [...document.querySelectorAll('.mr-tree .point')].map(looks),
    ladder: all('[data-part=ladder] svg'), meters: all('.mr-meters'), lost: all('[data-part=lost] li'),
    results: all('[data-part=results] > *'),
  }; }"""
# Steps before this were painted, with what comes a frame or more after the picture.
SETTLED = """async () => {
  for (let n = 0; n < 6; n++) await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 0))); }"""
DRAWN = "!document.querySelector('.mr-tree.sketched, .coming') && document.querySelector('.mr-names text')"
JUMP = """to => { const scrub = document.querySelector('[data-part=scrub]');
  scrub.value = to; scrub.dispatchEvent(new Event('input', {bubbles: true})); }"""


def jump(page, step: int) -> None:
    page.evaluate(JUMP, step)
    page.evaluate(SETTLED)


def walk(page, chance: random.Random) -> None:
    """Jumps to steps far and near, and ends where the address says so, with the first beam chosen."""
    last = int(page.get_attribute("[data-part=scrub]", "max"))
    for step in [*chance.choices(range(last + 1), k=6), last, 0, chance.randrange(1, last + 1)]:
        jump(page, step)
    page.wait_for_function(f"new URL(location.href).searchParams.get('step') === '{step}'")


def picture(page) -> dict:
    page.focus("[data-part=stage]")
    page.keyboard.press("1")
    page.wait_for_function(DRAWN)
    page.evaluate(SETTLED)
    return page.evaluate(SNAPSHOT)


def is_as_new(page, visit) -> None:
    size = page.viewport_size
    fresh = visit(url=page.evaluate("location.href"), reduced_motion="reduce", **size)
    fresh.click("[data-do=hood]")
    fresh.wait_for_selector("[data-part=ladder] svg")
    new, old = picture(fresh), picture(page)
    fresh.close()
    assert {name for name in new if new[name] != old[name]} == set()
    assert all(new[name] for name in ("grid", "branches", "names", "nodes", "ladder"))


def turn(page, key: str, guidance: str) -> None:
    page.focus("[data-part=dial]")
    page.keyboard.press(key)
    page.wait_for_function(f"new URL(location.href).searchParams.get('guidance') === {guidance}")


def test_jumps_and_other_traces_leave_the_picture_that_a_new_page_draws(visit):
    chance = random.Random(7)
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    page.click("[data-do=hood]")
    walk(page, chance)
    is_as_new(page, visit)
    turn(page, "End", "'1.5'")
    walk(page, chance)
    is_as_new(page, visit)


def test_what_changes_out_of_sight_is_drawn_when_it_comes_back(visit):
    chance = random.Random(8)
    page = visit("?v=1&h=i1,i2", reduced_motion="reduce")
    walk(page, chance)
    page.click("[data-do=tree]")
    turn(page, "End", "'1.5'")
    walk(page, chance)
    page.click("[data-do=hood]")
    page.click("[data-do=tree]")
    is_as_new(page, visit)
    page.click("[data-tab=diagnose]")
    page.set_viewport_size({"width": 1500, "height": 1000})
    page.evaluate("document.body.classList.toggle('dark')")
    page.click("[data-tab=watch]")
    page.evaluate("document.body.classList.toggle('dark')")
    walk(page, chance)
    is_as_new(page, visit)
