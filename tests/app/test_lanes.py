"""Many people at once: what is decoded together equals what is decoded alone, and every place in the queue is freed."""

import json
import threading
import time

import pytest
from page_answers import AsPage
from traces import same

from app.server import lanes as serving
from app.server.lanes import Busy, Gone, HistoryCaches
from app.server.observing import CALLER, Caller
from app.server.service import Service
from app.tabs.handlers import Handlers
from app.tabs.watching import Watching
from app.words import sentences as text
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.trace.records import DecodeTrace

HISTORIES = [[f"i{n}", f"i{(3 * n + 1) % 40}"][: 1 + n % 2] for n in range(12)]


class Gate:
    """Holds a recommender's decodes between steps until it is opened, or until there is a ticket for one step."""

    def __init__(self, recommender, monkeypatch):
        self.open, self.reached, steps = threading.Event(), threading.Semaphore(0), recommender.steps
        self.tickets = threading.Semaphore(0)

        def held(*args, **kwargs):
            for step in steps(*args, **kwargs):
                self.reached.release()
                while not self.tickets.acquire(blocking=False) and not self.open.wait(0.005):
                    pass
                yield step

        monkeypatch.setattr(recommender, "steps", held)

    def wait_for_step(self):
        assert self.reached.acquire(timeout=60)


@pytest.fixture
def fresh(checkpoint) -> Recommender:
    return Recommender.from_pretrained(checkpoint, "cpu")


@pytest.fixture
def service(fresh) -> Service:
    return Service({"chain": fresh}, lambda name: None, waiting=8)


@pytest.fixture
def gate(fresh, monkeypatch):
    gate = Gate(fresh, monkeypatch)
    yield gate
    gate.open.set()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"order": "random", "seed": 3},
        {"temperature": 1.0, "seed": 2},
        {"expansion": "joint", "merge": "logsumexp"},
        {"rethink": True, "evidence": "off"},
        {"algorithm": "published"},
        {"steps": 2},
    ],
    ids=str,
)
def test_what_waits_together_is_decoded_as_if_alone(fresh, service, gate, settings):
    config = DecodeConfig.from_dict(fresh.default_config.to_dict() | {"beam_size": 4} | settings)
    first = service.start("chain", ["i0"], config)
    gate.wait_for_step()
    jobs = [service.start("chain", ids, config, target="i9") for ids in HISTORIES[:6]]
    gate.open.set()
    assert all(service.wait(job, 60) for job in [first, *jobs])
    assert same(first.result(), fresh.recommend(["i0"], config).trace)
    for job, ids in zip(jobs, HISTORIES, strict=False):
        assert same(job.result(), fresh.recommend(ids, config, target="i9").trace)


def test_only_equal_settings_share_a_decode_and_the_first_goes_first(fresh, service, gate, monkeypatch):
    batches, decoding = [], fresh.decoding_rows
    monkeypatch.setattr(
        fresh, "decoding_rows", lambda rows, *a, **k: (batches.append([r[0] for r in rows]), decoding(rows, *a, **k))[1]
    )
    one, other = DecodeConfig(beam_size=2), DecodeConfig(beam_size=3)
    jobs = [service.start("chain", ["i0"], one)]
    gate.wait_for_step()
    for ids, config in ((["i1"], one), (["i2"], other), (["i3"], one), (["i4"], other)):
        jobs.append(service.start("chain", ids, config))
    assert [service.find(job.key)[1] for job in jobs] == [0, 1, 2, 3, 4]
    gate.open.set()
    assert all(service.wait(job, 60) for job in jobs)
    assert batches == [[0], [1, 3], [2, 4]]


def test_a_full_queue_says_so_and_loses_nothing(service, fresh, gate):
    jobs = [service.start("chain", ["i0"], fresh.default_config)]
    gate.wait_for_step()
    jobs += [service.start("chain", ["i1"], fresh.default_config) for _ in range(8)]
    with pytest.raises(Busy, match="place"):
        service.start("chain", ["i2"], fresh.default_config)
    gate.open.set()
    assert all(service.wait(job, 60) and job.result() for job in jobs)


def test_one_address_does_not_take_every_place(service, fresh, gate, monkeypatch):
    monkeypatch.setattr(serving, "MAX_OF_ONE", 2)
    service.start("chain", ["i0"], fresh.default_config)
    gate.wait_for_step()
    mark = CALLER.set(Caller("r", "10.0.0.1"))
    try:
        for _ in range(2):
            service.start("chain", ["i1"], fresh.default_config)
        with pytest.raises(Busy):
            service.start("chain", ["i1"], fresh.default_config)
        CALLER.set(Caller("r", "10.0.0.2"))
        assert service.start("chain", ["i1"], fresh.default_config)
    finally:
        CALLER.reset(mark)


def test_stopping_frees_the_place_at_once_and_the_decode_between_steps(service, fresh, gate):
    running = service.start("chain", ["i0"], fresh.default_config)
    gate.wait_for_step()
    waiting = [service.start("chain", ["i1"], fresh.default_config) for _ in range(3)]
    service.stop(waiting[0])
    assert [service.find(job.key)[1] for job in waiting[1:]] == [1, 2]
    with pytest.raises(Gone):
        waiting[0].result()
    service.stop(running)
    gate.open.set()
    assert running.ended.wait(60)
    assert len(running.steps) <= 1
    assert running.made is None
    assert all(service.wait(job, 60) and job.result() for job in waiting[1:])
    with pytest.raises(Gone):
        service.find(running.key)


def test_a_job_that_nobody_asks_for_is_dropped(service, fresh, gate):
    forgotten = service.start("chain", ["i0"], fresh.default_config)
    gate.wait_for_step()
    forgotten.until = time.monotonic()  # as if KEPT had passed
    later = service.start("chain", ["i1"], fresh.default_config)
    gate.open.set()
    assert service.wait(later, 60)
    assert forgotten.ended.wait(60)
    assert forgotten.made is None
    with pytest.raises(Gone):
        service.find(forgotten.key)


def test_a_slow_checkpoint_does_not_hold_up_a_fast_one(checkpoint, fresh, gate):
    both = Service({"slow": fresh, "fast": Recommender.from_pretrained(checkpoint, "cpu")}, lambda name: None)
    slow = both.start("slow", ["i0"], fresh.default_config)
    gate.wait_for_step()
    fast = both.start("fast", ["i0"], fresh.default_config)
    assert both.wait(fast, 60)
    assert not slow.ended.is_set()


def test_a_bad_history_among_good_ones_fails_alone(service, fresh, gate):
    config = DecodeConfig.from_dict(fresh.default_config.to_dict() | {"forbid_items": list(range(1, 40))})
    service.start("chain", ["i5"], config)
    gate.wait_for_step()
    jobs = [service.start("chain", ids, config) for ids in (["i1"], ["i0"], ["i2"])]  # only i0 is allowed
    gate.open.set()
    assert all(service.wait(job, 60) for job in jobs)
    with pytest.raises(MindRecError, match="no item is left"):
        jobs[1].result()
    assert jobs[0].result().results[0].row == jobs[2].result().results[0].row == 0


def count_decodes(fresh, monkeypatch) -> list[int]:
    """The sizes of the batches that are decoded from now on."""
    sizes, decoding = [], fresh.decoding_rows
    monkeypatch.setattr(
        fresh, "decoding_rows", lambda ids, *a, **k: (sizes.append(len(ids)), decoding(ids, *a, **k))[1]
    )
    return sizes


def test_one_answer_that_cannot_be_drawn_decodes_nothing_again(service, fresh, gate, monkeypatch):
    def undrawable(trace):
        raise ValueError("no picture of this")

    service.start("chain", ["i0"], fresh.default_config)
    gate.wait_for_step()
    sizes = count_decodes(fresh, monkeypatch)
    good = [service.start("chain", [f"i{n}"], fresh.default_config) for n in range(1, 6)]
    bad = service.start("chain", ["i6"], fresh.default_config, make=undrawable)
    gate.open.set()
    assert all(service.wait(job, 60) for job in [*good, bad])
    assert all(job.result().results for job in good)
    with pytest.raises(MindRecError, match="failed on our side"):
        bad.result()
    assert sizes == [6]


def without_device(fresh, monkeypatch) -> threading.Event:
    """The recommender as on an accelerator that is gone until the event is set."""
    back, decoding = threading.Event(), fresh.decoding_rows

    def lost(*args, **kwargs):
        if not back.is_set():
            raise RuntimeError("CUDA error: unspecified launch failure")
        return decoding(*args, **kwargs)

    monkeypatch.setattr(type(fresh), "device", property(lambda self: "cuda"))
    monkeypatch.setattr(fresh, "decoding_rows", lost)
    return back


def test_a_fall_back_that_fails_is_answered_and_the_lane_lives(fresh, monkeypatch):
    def no_checkpoint(name):
        raise MindRecError("/secret/folder: there is no checkpoint")

    service = Service({"chain": fresh}, no_checkpoint)
    back = without_device(fresh, monkeypatch)
    for _ in range(2):
        job = service.start("chain", ["i1"], fresh.default_config)
        assert service.wait(job, 60), "the job never ended"
        with pytest.raises(MindRecError, match="failed on our side") as told:
            job.result()
        assert "/secret" not in str(told.value)
        assert not service.snapshot()["chain"]["alive"]
    back.set()
    job = service.start("chain", ["i1"], fresh.default_config)
    assert service.wait(job, 60)
    assert job.result().results
    assert service.snapshot()["chain"]["alive"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, RecursionError])
def test_whatever_is_raised_in_a_lane_does_not_end_it(fresh, monkeypatch, kind):
    service = Service({"chain": fresh}, lambda name: None)
    with monkeypatch.context() as patch:

        def raises(*args, **kwargs):
            raise kind("from a library")

        patch.setattr(fresh, "decoding_rows", raises)
        job = service.start("chain", ["i1"], fresh.default_config)
        assert service.wait(job, 60), "the job never ended"
        with pytest.raises(MindRecError, match="failed on our side"):
            job.result()
    job = service.start("chain", ["i1"], fresh.default_config)
    assert service.wait(job, 60)
    assert job.result().results


def test_a_known_history_with_one_more_item_is_extended(fresh, monkeypatch):
    caches, read = HistoryCaches(), []
    encode = fresh.denoiser.encode
    monkeypatch.setattr(fresh.denoiser, "encode", lambda rows: (read.append(rows), encode(rows))[1])
    for rows in ((3, 5), (3, 5), (3, 5, 8)):
        cache = caches.of(fresh.denoiser, rows)
        assert cache.histories == (rows,)
    assert read == [[(3, 5)]]
    small = HistoryCaches(max_bytes=1)
    small.of(fresh.denoiser, (3,))
    assert small.held == 0


# -- as the page asks --------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers(fresh) -> AsPage:
    return Handlers({"chain": fresh}, waiting=2)


def test_a_long_decode_is_started_watched_and_fetched(handlers, gate):
    asked = {"ids": ["i0", "i1"], "target": "i9"}
    begun = AsPage(Watching(handlers)).decode_start(asked)
    gate.wait_for_step()
    assert begun["place"] in (0, 1)
    assert len(begun["job"]) >= 20
    gate.open.set()
    seen, answer = [], AsPage(Watching(handlers)).decode_poll({"job": begun["job"]})
    while "bundle" not in answer:
        seen += answer.get("part", {"trace": {"steps": []}})["trace"]["steps"]
        time.sleep(0.005)
        answer = AsPage(Watching(handlers)).decode_poll({"job": begun["job"], "after": len(seen)})
    whole = AsPage(Watching(handlers)).decode(asked)
    assert same(DecodeTrace.from_dict(answer["bundle"]["trace"]), DecodeTrace.from_dict(whole["trace"]))
    assert [s["index"] for s in seen] == list(range(len(seen)))
    assert AsPage(Watching(handlers)).decode_poll({"job": begun["job"]}) == {"error": text.NO_SUCH_JOB, "gone": True}


def test_steps_come_while_it_runs_with_the_names_they_need(handlers, gate, monkeypatch):
    monkeypatch.setattr("mindrec.recommender.SOON", 0.0)
    begun = AsPage(Watching(handlers)).decode_start({"ids": ["i0", "i1"]})
    gate.wait_for_step()
    gate.tickets.release()
    deadline, answer = time.monotonic() + 60, {}
    while not answer.get("part") and time.monotonic() < deadline:
        answer = AsPage(Watching(handlers)).decode_poll({"job": begun["job"]})
    json.dumps(answer)
    part = answer["part"]
    assert part["trace"]["steps"][0]["index"] == 0
    assert {"i0", "i1"} <= {item["item_id"] for item in part["trace"]["items"]}
    assert len(part["captions"]) == len(part["trace"]["steps"])
    assert all(step["possible"]["beams"] for step in part["trace"]["steps"])
    gate.open.set()
    assert AsPage(Watching(handlers)).decode_stop({"job": begun["job"]}) == {"stopped": True}
    assert AsPage(Watching(handlers)).decode_stop({"job": begun["job"]}) == {"stopped": True}


def test_a_decode_that_takes_long_gives_a_place_to_those_who_ask_for_one(handlers, gate):
    held = AsPage(Watching(handlers)).decode({"ids": ["i0"], "wait": 0})
    gate.wait_for_step()
    second = AsPage(Watching(handlers)).decode({"ids": ["i1"], "wait": 0.01})
    assert second["place"] == 1
    third = AsPage(Watching(handlers)).decode_start({"ids": ["i1"]})
    assert third["place"] == 2
    full = AsPage(Watching(handlers)).decode({"ids": ["i1"]})
    assert full == {"error": text.BUSY, "busy": True}
    AsPage(Watching(handlers)).decode_stop({"job": second["job"]})
    assert AsPage(Watching(handlers)).decode_poll({"job": third["job"]})["place"] == 1
    assert held["job"] != second["job"]


def test_a_decode_that_outlasts_its_question_is_dropped(handlers, gate, monkeypatch):
    monkeypatch.setattr("app.tabs.watching.PATIENCE", 0.05)
    assert AsPage(Watching(handlers)).decode({"ids": ["i0"]})["busy"]
    gate.open.set()
    deadline = time.monotonic() + 60
    while handlers.service.lanes["chain"].running and time.monotonic() < deadline:
        time.sleep(0.005)
    assert not handlers.service.lanes["chain"].running


@pytest.mark.parametrize(
    "ask", [{}, {"job": 3}, {"job": "nothing"}, {"job": "x", "after": -1}, {"job": "x", "after": "1"}]
)
def test_a_bad_question_about_a_job_is_told(handlers, ask):
    assert AsPage(Watching(handlers)).decode_poll(ask)["error"]


@pytest.mark.parametrize("wait", [-1, 31, "1", True, float("nan"), None])
def test_only_a_bounded_wait_is_taken(handlers, wait):
    assert "wait" in AsPage(Watching(handlers)).decode({"ids": ["i0"], "wait": wait})["error"]
