"""The "Your data" dialog by keyboard: a file, the look, the columns; and to the end, a training that Watch opens."""

import pytest

from mindrec.bench.app_process import running_app

LOG = "Kunde;Artikel;Datum;Bezeichnung;Abteilung\n" + "".join(
    f"k{u};a{i};{1 + 4 * k:02}.0{1 + u % 9}.2024 10:{u:02};<i>Thing</i> {i};Room {i % 4}\n"
    for u in range(60)
    for k, i in enumerate((3 * u + k) % 20 for k in range(7))
)
ITEMS = "Artikel,Name,Gang\n" + "".join(f"a{i},Thing {i},Aisle {i % 4}\n" for i in range(20))
DROP = """text => {
    const data = new DataTransfer();
    data.items.add(new File([text], "dropped.csv"));
    const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector(".mr-own-drop").dispatchEvent(drop);
}"""
ROLES = {"user": "Kunde", "item": "Artikel", "time": "Datum"}


def looked_at(page, tmp_path):
    """Open the dialog and choose the file; the look stands open."""
    path = tmp_path / "bestellungen.csv"
    path.write_text(LOG, encoding="cp1252")
    files = [path, tmp_path / "artikel.csv"]
    files[1].write_text(ITEMS)
    # Early: a busy browser is slow to begin asking.
    page.on("filechooser", lambda chooser: chooser.set_files(files.pop(0)))
    page.focus("[data-do=own]")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.focus(".mr-own-drop")
    page.keyboard.press("Enter")
    page.wait_for_selector(".mr-own-look:not([hidden])")


def test_a_file_is_looked_at_and_its_columns_are_chosen_by_keyboard(visit, tmp_path):
    page = visit(reduced_motion="reduce", width=380)
    looked_at(page, tmp_path)
    assert {role: page.input_value(f"#mr-own-{role}") for role in ROLES} == ROLES
    assert page.locator("dialog tbody tr").count() == 5
    assert "<i>Thing</i> 0" in page.inner_text("dialog tbody")
    assert page.evaluate("document.activeElement.id") == "mr-own-user"
    page.focus("#mr-own-category")
    page.keyboard.press("End")
    assert page.input_value("#mr-own-category") == "Abteilung"
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth")
    page.focus(".mr-own-beside button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#mr-own-item_id")  # the second table's columns describe the items now
    chosen = {role: page.input_value(f"#mr-own-{role}") for role in ("item_id", "title")}
    assert chosen == {"item_id": "Artikel", "title": "Name"}
    assert page.locator("#mr-own-category option").all_inner_texts() == ["none", "Artikel", "Name", "Gang"]
    page.focus(".mr-own-beside button")
    page.keyboard.press("Enter")
    assert "Abteilung" in page.inner_text("#mr-own-category")
    page.evaluate(DROP, "user_id,item_id,timestamp\nu1,i1,1\nu1,i2,2\n")
    page.wait_for_function("document.querySelectorAll('dialog tbody tr').length === 3")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.dataset.do") == "own"


@pytest.mark.slow  # two commands in processes of their own
def test_from_a_file_to_watching_by_keyboard(visit, shop, tmp_path):
    with running_app("--checkpoint", str(shop[0])) as (url, _):
        page = visit(url=f"{url}/", reduced_motion="reduce")
        page.set_default_timeout(960_000)
        looked_at(page, tmp_path)
        for role, key in (("title", "b"), ("category", "End")):  # one key: letters that come slowly begin a new search
            page.focus(f"#mr-own-{role}")
            page.keyboard.press(key)
        page.focus("#mr-own-quick")
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.textContent === 'Watch it decode'")
        assert "co-visit" in page.inner_text(".mr-own-state")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('[data-part=chips]').textContent.includes('Thing')")
        assert "bestellungen" in page.text_content("[data-part=about]")
        page.focus("[data-part=stage]")
        page.keyboard.press("End")
        page.wait_for_function("document.querySelector('[data-part=podium]').textContent.includes('Room')")
        page.reload()
        page.wait_for_selector(".mr.loaded", state="attached")
        assert "bestellungen" in page.text_content("[data-part=about]")  # by its name in the address
