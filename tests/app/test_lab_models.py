"""Models of the Lab in Watch: for those who have the name, listed nowhere, bounded, and gone in time."""

import base64
import threading

import pytest
from page_answers import AsPage

from app.server.lab_models import PREFIX, LabModels
from app.server.lanes import Gone
from app.tabs.comparing import Comparing
from app.tabs.handlers import Handlers
from app.tabs.lab import Lab
from app.tabs.opening import opening
from app.tabs.watching import Watching
from app.words import lab_words
from app.words import sentences as text
from mindrec.lab.dials import Dials
from mindrec.lab.run_events import events
from mindrec.lab.world import make_world

DIALS = Dials(epochs=1, histories=20, views=1, width=8, objective="both")


@pytest.fixture(scope="module")
def zips() -> dict[str, bytes]:
    """The packed checkpoint of each model of one short run."""
    return {e["objective"]: base64.b64decode(e["zip"]) for e in events(DIALS, seconds=3600) if e["event"] == "model"}


@pytest.fixture
def handlers(recommender) -> Handlers:
    return Handlers({"chain": recommender})


def test_a_kept_model_is_opened_by_its_name_and_decodes_its_own_items(handlers, zips):
    name = handlers.lab_models.keep(zips["diffusion"])
    card = Lab(handlers, None).lab_open({"checkpoint": name})["checkpoint"]
    assert card["items"] == 36
    assert not card["trips"]
    assert card["title"].startswith("Lab: diffusion")
    cart = [item["id"] for item in card["examples"][0]["items"]]
    answer = AsPage(Watching(handlers)).decode({"checkpoint": name, "ids": cart})
    assert answer["checkpoint"] == name
    assert {item["title"] for item in answer["trace"]["items"]} <= {
        item.title for item in make_world(0, 0).catalog.items
    }
    assert len(answer["captions"]) == len(answer["trace"]["steps"]) > 1
    assert AsPage(Watching(handlers)).search({"checkpoint": name, "query": "Brie"})["items"][0]["title"] == "Brie"
    assert AsPage(Watching(handlers)).trip({"checkpoint": name})["error"] == text.NO_TRIPS


def test_two_models_of_one_run_are_compared(handlers, zips):
    left, right = (handlers.lab_models.keep(zips[objective]) for objective in ("diffusion", "ar"))
    ask = {"ids": ["brie"], "left": {"checkpoint": left}, "right": {"checkpoint": right}}
    answer = AsPage(Comparing(handlers)).compare(ask)
    assert (answer["left"]["checkpoint"], answer["right"]["checkpoint"]) == (left, right)
    assert AsPage(Comparing(handlers)).agree({"ids": ["brie"], "checkpoint": left})["titles"][0].startswith("Lab: ")


def test_nothing_lists_a_model_or_tells_its_name(handlers, zips):
    name = handlers.lab_models.keep(zips["diffusion"])
    handlers.lab_models.open(name)
    assert [card["name"] for card in opening(handlers)["checkpoints"]] == ["chain"]
    assert list(handlers.service.snapshot()) == ["chain"]
    assert name not in Watching(handlers).search({"checkpoint": "other", "query": ""})["error"]
    trace = Watching(handlers).decode({"checkpoint": name, "ids": ["brie"]})["trace"]
    read = Watching(handlers).open_trace({"text": trace.to_json()})
    assert read["checkpoint"] is None, "a file does not find the model that made it"


def test_the_one_not_asked_for_longest_goes_first_and_with_its_worker(handlers, zips):
    models = LabModels(handlers.service, limit=2)
    handlers.lab_models = models
    first, second = (models.keep(zips["diffusion"]) for _ in range(2))
    for name in (second, first):
        assert Watching(handlers).decode({"checkpoint": name, "ids": ["brie"]})["checkpoint"] == name
    lanes = [handlers.service._open(name)[1] for name in (first, second)]
    third = models.keep(zips["ar"])
    assert lanes[1].closed
    lanes[1]._worker.join(30)
    assert not lanes[1]._worker.is_alive()
    assert Watching(handlers).decode({"checkpoint": second, "ids": ["brie"]}) == {
        "error": lab_words.MODEL_GONE,
        "gone": True,
    }
    assert models.open(first) is not models.open(third)
    assert lanes[0].alive


def test_a_model_that_nobody_asks_for_is_gone_in_time(handlers, zips):
    models = LabModels(handlers.service)
    name = models.keep(zips["diffusion"])
    models.kept = 0  # from now on
    models.open(name)
    models.drop_old()
    with pytest.raises(Gone, match="gone"):
        models.open(name)
    with pytest.raises(Gone):
        handlers.service.opened(name)


@pytest.mark.parametrize("name", [PREFIX, PREFIX + "forged", PREFIX + "../../etc/passwd"])
def test_a_forged_name_is_told_plainly(handlers, name):
    assert Lab(handlers, None).lab_open({"checkpoint": name})["error"] == lab_words.MODEL_GONE


def test_a_decode_on_its_way_ends_when_its_model_goes(handlers, zips, monkeypatch):
    name = handlers.lab_models.keep(zips["diffusion"])
    recommender = handlers.lab_models.open(name)
    reached, go_on, steps = threading.Event(), threading.Event(), recommender.steps

    def held(*args, **kwargs):
        for step in steps(*args, **kwargs):
            reached.set()
            go_on.wait(60)
            yield step

    monkeypatch.setattr(recommender, "steps", held)
    service = handlers.service
    running, waiting = (service.start(name, ids, recommender.default_config) for ids in (["brie"], ["mint", "brie"]))
    assert reached.wait(60)
    service.drop_guest(name)
    go_on.set()
    assert running.ended.wait(60)
    assert waiting.ended.wait(60)
    for job in (running, waiting):
        with pytest.raises(Gone):
            job.result()
    with pytest.raises(Gone):
        service.start(name, ["brie"], recommender.default_config)
