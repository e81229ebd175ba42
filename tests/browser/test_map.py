"""The map of a decode: lit by the search, the same in words, and a way to the items."""

from page_actions import decoded

from app.words import sentences as text
from mindrec.recommender import Recommender


def lit(page) -> int:
    """How many items the words under the map say are lit."""
    page.wait_for_function("document.querySelector('[data-part=map-words]').textContent.includes('lit')")
    return int(page.inner_text("[data-part=map-words]").split(": ")[1].split(" of ")[0].replace(",", ""))


PAINTED = """() => {
    const canvas = document.querySelector('[data-part=map] canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((sum, value, n) => sum + (n % 4 === 3 && value > 0), 0);
}"""
ITEM = """() => {
    const canvas = document.querySelector('[data-part=map] canvas');
    const tip = document.querySelector('[data-part=map] .mr-tip');
    const frame = canvas.getBoundingClientRect();
    for (let y = 20; y < frame.height; y += 6)
        for (let x = 20; x < frame.width; x += 6) {
            canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: frame.x + x, clientY: frame.y + y }));
            const title = tip.querySelector('b');
            if (!tip.hidden && !title.textContent.includes('<')) return [frame.x + x, frame.y + y, title.textContent];
        }
}"""


def told(folder, answer) -> dict[int, float]:
    """How much likelier the first answer is with each item of the history, by its row."""
    recommender, trace = Recommender.from_pretrained(folder, "cpu"), answer["trace"]
    ids = {item["row"]: item["item_id"] for item in trace["items"]}
    history = [ids[row] for row in trace["history"]]
    found = recommender.explain(history, ids[trace["results"][0]["row"]], trace["config"])
    return {recommender.item_row(pull.item_id): pull.factor for pull in found.pulls}


def test_continents_go_dark_and_an_item_goes_into_the_cart_and_the_replay_has_the_map(visit, shop, tmp_path):
    page = visit("?v=1&h=i1,i2&t=i9", reduced_motion="reduce")
    assert page.is_hidden("[data-part=map]")
    page.keyboard.press("End")
    page.locator("[data-do=view-map]:visible").click()
    assert page.is_hidden("[data-part=tree]")
    few = lit(page)
    best = page.locator(".mr-results .pick b").first.text_content()
    assert f"Brightest: {best} " in page.inner_text("[data-part=map-words]")
    assert page.get_attribute("[data-part=map] canvas", "aria-hidden") == "true"
    assert page.evaluate(PAINTED) > 100
    page.keyboard.press("Home")
    assert lit(page) == 38 > few  # 40 items without the two of the cart
    # Hover names an item; a click opens it, and from there it goes on.
    x, y, title = page.evaluate(ITEM)
    page.mouse.click(x, y)
    opened = page.locator(".mr-map-acts")
    assert opened.locator("b").inner_text() == title
    answer = decoded(page, opened.locator("button").first.click)
    assert len(answer["trace"]["history"]) == 3 or title in ("Apple 1", "Pear 2")
    assert lit(page) < 40
    # Who did it: a signed pull on each item that is read, and what the beams lost, by the library's own numbers.
    page.keyboard.press("End")
    page.locator("[data-do=guilt]").click()
    page.wait_for_selector("[data-part=why]:not([hidden])")
    words = page.inner_text("[data-part=why]")
    assert words.startswith(f"“{page.locator('.mr-results .pick b').first.text_content()}” has ")
    assert "of the exact top 10 w" in words
    pulls = page.locator("[data-part=chips] .mr-pull").all_inner_texts()
    found = told(shop[0], answer)
    assert pulls == [text.pull(found[row]) for row in answer["trace"]["history"]]
    page.locator("[data-part=chips] li").first.press("Delete")
    assert page.locator("[data-part=chips] .mr-pull").count() == 0
    page.click("[data-do=undo]")
    page.locator("[data-do=view-path]:visible").click()
    assert page.is_visible("[data-part=tree]")
    # A replay holds the map; on a phone it stands alone.
    with page.expect_download() as found:
        page.click("[data-do=save-replay]")
    found.value.save_as(tmp_path / "replay.html")
    page = visit(url=(tmp_path / "replay.html").as_uri(), width=380, height=800, reduced_motion="reduce")
    page.click("[data-do=view-map]:visible")
    assert page.is_hidden("[data-part=grid]")
    assert page.is_hidden("[data-part=tree]")
    page.keyboard.press("Home")
    assert lit(page) == 40 - len(answer["trace"]["history"])
    page.locator("[data-part=map]").click(position={"x": 5, "y": 5})
    assert page.locator(".mr-map-acts button").count() == 0
