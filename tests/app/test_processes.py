"""Decoding processes: their answers are the app's own, and one that dies loses nothing."""

import json
import math
import os
import signal
import threading
import time
from multiprocessing.connection import Connection

import gated_process
import pytest
import torch
from gates import Gate
from page_answers import AsPage

from app.bundles import bundle_of
from app.server import processes as driving
from app.server.json_bytes import to_json
from app.server.lanes import Gone, Job, as_it_is
from app.server.observing import COUNTERS
from app.server.options import read_options
from app.server.processes import Processes
from app.server.service import Service
from app.tabs.handlers import Handlers
from app.tabs.watching import Watching
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender

HISTORIES = [["i1"], ["i2", "i7"], ["i30", "i3", "i12"]]


def wait_until(holds, what: str) -> None:
    """Wait for a state that comes by itself; the bound is for a test that would hang."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


class HeldWorker:
    """Holds the lane's own worker in a decode, so that a decoding process takes what waits; `open` lets it go on."""

    def __init__(self, recommender: Recommender, monkeypatch):
        self.open, self.batches, decoding = threading.Event(), [], recommender.decoding_rows

        def held(rows, *args, **kwargs):
            self.batches.append([tuple(row) for row in rows])
            self.open.wait(120)
            return decoding(rows, *args, **kwargs)

        monkeypatch.setattr(recommender, "decoding_rows", held)


@pytest.fixture(scope="module")
def fresh(checkpoint) -> Recommender:
    return Recommender.from_pretrained(checkpoint, "cpu")


@pytest.fixture(scope="module")
def handlers(fresh, checkpoint) -> Handlers:
    return Handlers({"chain": fresh}, folders={"chain": checkpoint})


@pytest.fixture(scope="module")
def one_thread():
    """As a decoding process: several threads sum in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def gate(tmp_path_factory) -> Gate:
    """Open; where a test shuts it, the process waits between the steps of a decode."""
    gate = Gate(tmp_path_factory.mktemp("gate"))
    gate.open()
    return gate


@pytest.fixture(scope="module")
def processes(handlers, gate, one_thread):
    """One process, and the one that takes its place in the test that kills it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driving, "serve", gated_process.serve)
        patch.setenv(gated_process.FOLDER, str(gate.folder))
        processes = Processes(handlers.service, handlers.folders, 1, pauses=(0.0, 0.0))
        processes.start()
        wait_until(lambda: processes.snapshot()["ready"], "no process became ready")
        yield processes
        processes.close()


@pytest.fixture
def worker(handlers, fresh, processes, gate, monkeypatch):
    """The worker, held in a decode of its own."""
    worker = HeldWorker(fresh, monkeypatch)
    first = handlers.service.start("chain", ["i0"], fresh.default_config)
    wait_until(lambda: worker.batches, "the worker took nothing")
    yield worker
    worker.open.set()
    gate.open()
    assert first.ended.wait(120)
    lane = handlers.service.lanes["chain"]
    wait_until(lambda: not lane.running and not lane.away and not lane.waiting, "a job is left")


def start(handlers: Handlers, ids: list[str], **config):
    """A decode as Watch starts it."""
    return Watching(handlers)._start({"ids": ids, "config": config})


def without_time(bundle: bytes) -> bytes:
    """A bundle but for the milliseconds that its decode took."""
    value = json.loads(bundle)
    value["trace"]["elapsed_ms"] = 0
    return json.dumps(value).encode()


@pytest.mark.parametrize("target", [None, "i9"])
@pytest.mark.parametrize("ids", HISTORIES, ids=str)
def test_a_bundle_of_a_process_is_the_apps_own(handlers, fresh, worker, ids, target):
    before = COUNTERS.snapshot()["counts"].get("decodes_in_processes", 0)
    job = Watching(handlers)._start({"ids": ids, "target": target})
    assert job.ended.wait(120)
    assert COUNTERS.snapshot()["counts"]["decodes_in_processes"] == before + 1
    worker.open.set()
    alone = to_json(bundle_of(fresh.recommend(ids, target=target).trace, fresh, "chain"))
    assert without_time(to_json(job.result())) == without_time(alone)


def test_the_page_gets_it_as_ever(handlers, worker):
    begun = AsPage(Watching(handlers)).decode_start({"ids": ["i4", "i8"]})
    answers = [{}]

    def asked() -> bool:
        answers.append(AsPage(Watching(handlers)).decode_poll({"job": begun["job"]}))
        return "bundle" in answers[-1]

    wait_until(asked, "no bundle came")
    assert answers[-1]["place"] == 0
    whole = AsPage(Watching(handlers)).decode({"ids": ["i4", "i8"]})
    assert without_time(json.dumps(whole).encode()) == without_time(json.dumps(answers[-1]["bundle"]).encode())


def test_only_what_is_for_a_process_goes_to_one_and_an_idle_app_keeps_it(handlers, fresh, worker):
    other = handlers.service.start("chain", ["i5"], fresh.default_config)
    mine = start(handlers, ["i6"])
    assert mine.ended.wait(120)
    assert not other.ended.is_set()
    worker.open.set()
    assert other.ended.wait(120)
    assert other.result().results
    lane = handlers.service.lanes["chain"]
    wait_until(lambda: not lane.running, "the worker is not free")
    idle = start(handlers, ["i6"])
    assert idle.ended.wait(120)
    assert isinstance(idle.result(), dict)


def test_an_impossible_decode_fails_alone_and_in_the_same_words(handlers, fresh, worker):
    config = {"forbid_items": list(range(1, 40))}
    jobs = [start(handlers, [f"i{n}"], **config) for n in (1, 0, 2)]  # only i0 is allowed
    lane = handlers.service.lanes["chain"]
    wait_until(lambda: not lane.away and not any(job.portable for job in jobs if not job.ended.is_set()), "not back")
    worker.open.set()
    assert all(job.ended.wait(120) for job in jobs)
    with pytest.raises(MindRecError) as alone:
        fresh.recommend(["i0"], fresh.default_config.laid_over(config))
    with pytest.raises(MindRecError) as beside:
        jobs[1].result()
    assert str(beside.value) == str(alone.value)
    for job in (jobs[0], jobs[2]):
        assert json.loads(to_json(job.result()))["trace"]["results"][0]["row"] == 0


@pytest.fixture
def sent(monkeypatch) -> list[bytes]:
    """What has gone to the process."""
    messages, send = [], Connection.send_bytes
    monkeypatch.setattr(Connection, "send_bytes", lambda self, data: (send(self, data), messages.append(data)))
    return messages


def test_a_stopped_decode_ends_between_steps_and_the_next_one_shows_its_steps(handlers, worker, gate, sent):
    gate.shut()
    stopped = start(handlers, ["i1", "i2"])
    lane, page = handlers.service.lanes["chain"], AsPage(Watching(handlers))
    wait_until(lambda: stopped in lane.away, "no process took it")
    assert handlers.service.snapshot()["chain"]["running"] == 2
    watched = page.decode_start({"ids": ["i3", "i4"]})["job"]
    assert page.decode_poll({"job": watched}) == {"place": 1}
    handlers.service.stop(stopped)
    gate.let_through()
    wait_until(lambda: any(b'"drop":[0]' in message for message in sent), "the process was not told")
    gate.let_through()
    assert stopped.ended.wait(120)
    with pytest.raises(Gone):
        stopped.result()
    gate.let_through()
    answers = [{}]

    def answered(key: str) -> bool:
        answers.append(page.decode_poll({"job": watched}))
        return key in answers[-1]

    wait_until(lambda: answered("part"), "no step was shown")
    shown = answers[-1]["part"]["trace"]["steps"]
    gate.open()
    wait_until(lambda: answered("bundle"), "no bundle came")
    assert shown == answers[-1]["bundle"]["trace"]["steps"][: len(shown)]


def test_a_killed_process_loses_no_job_and_another_takes_its_place(handlers, processes, worker, gate):
    gate.shut()
    lane, before = handlers.service.lanes["chain"], COUNTERS.snapshot()["counts"].get("processes_lost", 0)
    jobs, ends = [start(handlers, [f"i{n}"]) for n in range(3)], []
    for job in jobs:
        job.end = lambda *made, job=job, end=job.end, **error: (ends.append(job.key), end(*made, **error))
    wait_until(lambda: lane.away, "no process took them")
    killed = processes.drivers[0].process.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not lane.away, "they did not come back")
    assert list(lane.waiting) == jobs
    gate.open()
    worker.open.set()
    assert all(job.ended.wait(120) for job in jobs)
    assert sorted(ends) == sorted(job.key for job in jobs)
    assert all(json.loads(to_json(job.result()))["trace"]["results"] for job in jobs)
    wait_until(lambda: processes.drivers[0].process.pid not in (killed, None) and processes.drivers[0].ready, "none")
    assert COUNTERS.snapshot()["counts"]["processes_lost"] == before + 1


def test_what_has_no_folder_is_large_or_on_a_lent_gpu_stays_with_the_app(handlers, fresh, monkeypatch):
    service, folders = handlers.service, handlers.folders
    assert Processes(service, {}, 2).snapshot() == {"wanted": 0, "ready": 0}
    assert Processes(service, folders, 2).snapshot() == {"wanted": 2, "ready": 0}
    with monkeypatch.context() as patch:
        patch.setattr(type(fresh.denoiser), "kind", "large")
        assert not Processes(service, folders, 2).drivers
    monkeypatch.setattr(service.lanes["chain"], "lent", lambda *_: None)
    assert not Processes(service, folders, 2).drivers


def test_a_checkpoint_that_fell_back_to_another_device_stays_with_the_app(fresh, checkpoint):
    service = Service({"chain": fresh}, lambda name: None)
    beside = Processes(service, {"chain": checkpoint}, 1)  # not started: the test takes in its place
    job = Job("chain", (1,), fresh.default_config, None, as_it_is, math.inf, portable=True)
    lane = service.lanes["chain"]
    lane.waiting.append(job)
    assert beside.take(["chain"]) is None  # the worker is free
    lane.running = (job,)  # any other
    service.recommenders["chain"] = Recommender.from_pretrained(checkpoint, "cpu")
    assert beside.take(["chain"]) is None
    service.recommenders["chain"] = fresh
    assert beside.take(["chain"]) == (lane, (job,))


@pytest.mark.parametrize(
    ("arguments", "environment", "number"),
    [
        ([], {}, 0),
        ([], {"SPACE_ID": "me/space"}, 3),
        (["--host", "0.0.0.0"], {}, 3),
        (["--host", "0.0.0.0", "--processes", "0"], {"MINDREC_PROCESSES": "5"}, 0),
        (["--processes", "auto"], {}, 3),
        ([], {"MINDREC_PROCESSES": "2"}, 2),
    ],
    ids=str,
)
def test_processes_by_default_where_others_may_reach_the_page(monkeypatch, arguments, environment, number):
    monkeypatch.setattr("app.server.options._cores", lambda: 8)
    assert read_options(arguments, environment, []).processes == number
    monkeypatch.setattr("app.server.options._cores", lambda: 2)
    assert read_options(arguments, environment, []).processes == min(number, 1 if number == 3 else number)


@pytest.mark.parametrize("value", ["-1", "many", "65"])
def test_a_number_of_processes_that_cannot_be_is_refused(value):
    with pytest.raises(MindRecError, match="--processes"):
        read_options(["--processes", value], {}, [])


def test_a_closed_pipe_alone_ends_a_process(processes):
    """So that none outlives the app, however that ends. The last test: it ends the process of all others."""
    processes.close()
    assert processes.drivers[0].process.exitcode == 0
    assert processes.snapshot() == {"wanted": 1, "ready": 0}
