"""A recommendation in a notebook: plain tables by the library alone, the replay player once the app has set it."""

import html
import re
from dataclasses import replace

import pytest
from page_answers import replay_data
from paths import ROOT

from app.player import use_player
from mindrec.notebook import set_player
from mindrec.recommender import Recommender

EVIL = "</script><script>alert('x')</script>"


@pytest.fixture
def evil(recommender):
    """A recommendation in which every item, path and level has a title that tries to run."""
    checkpoint = recommender.checkpoint
    items = tuple(replace(i, title=f"{EVIL}{n}") for n, i in enumerate(checkpoint.catalog.items))
    changed = Recommender(replace(checkpoint, catalog=replace(checkpoint.catalog, items=items)))
    return changed.recommend(["i1", "i2"])


@pytest.fixture
def player():
    use_player()
    yield
    set_player(None)


def test_plain_tables_list_every_item_and_every_step(evil):
    shown = evil._repr_html_()
    assert "<script" not in shown
    assert [f.item.title for f in evil.items] == [
        html.unescape(t) for t in re.findall(r"<td>\d+</td><td>(.*?)</td>", shown)
    ][: len(evil.items)]
    assert shown.count("<details>") == len(evil.trace.steps) - 1
    assert "[mask]" in shown


def test_without_a_trace_the_items_alone_are_shown(recommender):
    answer = recommender.recommend(["i1"], trace=False)
    assert answer._repr_html_().count("<tr>") == len(answer.items) + 1


def test_the_player_is_one_frame_that_no_title_leaves(evil, player):
    shown = evil._repr_html_()
    frame = re.fullmatch(r'<iframe sandbox="allow-scripts" style="[^"]*" srcdoc="([^"<]*)"></iframe>', shown)
    page = html.unescape(frame[1])
    assert page.startswith("<!doctype html>")
    assert "<script>alert" not in page
    assert "alert('x')" in str(replay_data(page))


@pytest.mark.slow
def test_a_notebook_shows_the_player(checkpoint):
    """Run a notebook headless, as `jupyter nbconvert --execute` would."""
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")
    nbformat = pytest.importorskip("nbformat")
    cells = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom mindrec import Recommender\n"
        f"recommender = Recommender.from_pretrained({str(checkpoint)!r}, 'cpu')",
        "recommender.recommend(['i1', 'i2'])",
        "from app.player import use_player\nuse_player()\nrecommender.recommend(['i1', 'i2'])",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    _, plain, playing = (cell.outputs for cell in notebook.cells)
    assert "<table>" in plain[0].data["text/html"]
    assert playing[0].data["text/html"].startswith("<iframe")
