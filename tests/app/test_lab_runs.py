"""The Lab's queue: one process at a time, ended when its run is stopped or nobody asks for it."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.server.lab_runs import MAX_OF_ONE, MAX_WAITING, LabRuns
from app.server.lanes import Busy, Gone
from app.server.options import read_options
from app.server.rates import RATE, Rates, cost
from app.tabs.handlers import Handlers
from app.tabs.lab import PRESETS, Lab
from app.tabs.watching import Watching
from app.words import lab_words
from mindrec.errors import MindRecError
from mindrec.lab.dials import Dials
from mindrec.lab.run_events import events as events_of

HELD = 'import time; print(\'{"event": "start"}\', flush=True); time.sleep(600)'
QUICK = 'print(\'{"event": "start"}\'); print(\'{"event": "end"}\')'


def runner(code: str, **limits) -> LabRuns:
    return LabRuns(lambda dials: [sys.executable, "-S", "-c", code], **limits)


def until(true):
    deadline = time.monotonic() + 60  # a bound for a machine that is stuck; no test passes by it
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def held():
    runs = runner(HELD)
    yield runs
    runs.close()


def test_runs_wait_their_turn_and_are_told_their_place(held):
    first, second, third = (held.start(Dials()) for _ in range(3))
    until(lambda: first.events)
    assert [held.find(run.key)[1] for run in (first, second, third)] == [0, 1, 2]
    held.stop(second.key)
    assert held.find(third.key)[1] == 1
    held.stop(first.key)
    assert first.process.wait(60) != 0
    until(lambda: third.events)
    assert held.find(third.key)[1] == 0
    with pytest.raises(Gone):
        held.find(first.key)


def test_a_class_that_presses_train_is_given_each_place_once_and_who_leaves_frees_theirs(held):
    lab, pressed = Lab(Handlers({}), held), 20
    with ThreadPoolExecutor(pressed) as at_once:
        answers = list(at_once.map(lambda seed: lab.lab_start({"dials": {"seed": seed}}), range(pressed)))
    jobs = [answer["job"] for answer in answers]
    until(lambda: held.running is not None)

    def places() -> dict[str, int]:
        return {job: lab.lab_poll({"job": job})["place"] for job in jobs}

    queue = places()
    assert sorted(queue.values()) == list(range(pressed)), "0 trains"
    leaves = next(job for job, place in queue.items() if place == 5)
    lab.lab_stop({"job": leaves})
    jobs.remove(leaves)
    assert places() == {job: place - (place > 5) for job, place in queue.items() if job != leaves}
    trains = next(job for job, place in queue.items() if place == 0)
    run = held.find(trains)[0]
    lab.lab_stop({"job": trains})
    jobs.remove(trains)
    run.ended.wait(60)
    until(lambda: held.running is not None)
    assert sorted(places().values()) == list(range(pressed - 2))


def test_a_class_behind_one_router_may_press_train_at_once():
    rates = Rates(RATE, clock=lambda: 0.0)
    pressed = [rates.allow("router", cost(name, 200)) for _ in range(MAX_OF_ONE) for name in ("lab_warm", "lab_start")]
    assert all(pressed)
    assert not all(rates.allow("router", cost("lab_start", 200)) for _ in range(3 * MAX_OF_ONE))


def test_a_run_that_nobody_asks_for_ends_with_its_process():
    runs = runner(HELD, kept=0.3)
    run = runs.start(Dials())
    until(lambda: run.process is not None)
    run.process.wait(60)
    until(run.ended.is_set)
    with pytest.raises(Gone):
        runs.find(run.key)


def test_a_run_that_takes_too_long_is_killed_and_says_so():
    runs = runner(HELD, limit=0.2)
    run = runs.start(Dials())
    until(run.ended.is_set)
    assert run.events[-1] == {"event": "error", "message": lab_words.CUT_SHORT}


def test_a_process_that_writes_rubbish_ends_its_run_and_not_the_queue():
    runs = LabRuns(lambda dials: [sys.executable, "-S", "-c", "print('oops')" if dials.seed else QUICK])
    bad, good = runs.start(Dials(seed=1)), runs.start(Dials())
    until(good.ended.is_set)
    assert bad.events[-1]["event"] == "error"
    assert [event["event"] for event in good.events] == ["start", "end"]
    runs.close()


READS = 'import sys; d = sys.stdin.readline(); print(\'{"event": "start", "dials": \' + d.strip() + "}"); ' + QUICK


def warm_runner(code=READS, **limits) -> LabRuns:
    """No run starts a process of its own here: the command for one ends in an error."""
    return LabRuns(lambda dials: [sys.executable, "-S", "-c", QUICK], **limits, waiting_command=[
        sys.executable, "-S", "-c", code
    ])  # fmt: skip


def test_a_run_takes_the_process_that_waits_and_its_dials():
    runs = warm_runner()
    runs.warm()
    waiting = runs.warmed
    runs.warm()
    assert runs.warmed is waiting, "one at a time"
    run = runs.start(Dials(seed=7))
    until(run.ended.is_set)
    assert run.process is waiting
    assert run.events[0]["dials"] == Dials(seed=7).to_dict()
    assert runs.warmed is None
    cold = runs.start(Dials())
    until(cold.ended.is_set)
    assert [event["event"] for event in cold.events] == ["start", "end"]


def test_a_process_that_waits_in_vain_ends_and_one_that_died_is_replaced():
    runs = warm_runner(warm_seconds=0.2)
    runs.warm()
    assert runs.warmed.wait(60) != 0
    until(lambda: runs.warmed is None)
    runs = warm_runner("pass", warm_seconds=600)
    runs.warm()
    first = runs.warmed
    first.wait(60)
    runs.warm()
    assert runs.warmed is not first
    runs.warmed.wait(60)
    run = runs.start(Dials())
    until(run.ended.is_set)
    assert run.events[-1]["event"] == "end", "a run finds a way without it"
    runs = warm_runner("import time; time.sleep(600)")
    runs.warm()
    process = runs.warmed
    runs.close()
    assert process.poll() is not None


def test_a_full_queue_refuses(held):
    first = held.start(Dials())
    until(lambda: first.events)
    for _ in range(MAX_WAITING):
        held.start(Dials())
    with pytest.raises(Busy):
        held.start(Dials())


def test_a_run_does_not_hold_up_a_decode(held, recommender):
    """The queue has a thread of its own and no lock of the lanes: a decode ends while a run is under way."""
    run = held.start(Dials())
    until(lambda: run.events)
    answer = Watching(Handlers({"chain": recommender})).decode({"ids": ["i0"]})
    assert answer["trace"].steps
    assert not run.ended.is_set()


def test_the_tab_plays_a_run_and_refuses_what_it_cannot_do(tmp_path):
    lines = [json.dumps(event) for event in events_of(Dials(epochs=1, histories=20, views=1, width=8), seconds=3600)]
    (tmp_path / "run").write_text("\n".join(lines))
    lab = Lab(
        Handlers({}),
        LabRuns(lambda dials: [sys.executable, "-S", "-c", f"print(open({str(tmp_path / 'run')!r}).read())"]),
    )
    job = lab.lab_start({"dials": {"epochs": 1, "histories": 20, "views": 1, "width": 8}})["job"]
    events = []
    until(lambda: _polled(lab, job, events))
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "model", "end"]
    bundle = events[2]["bundle"]
    assert len(bundle["captions"]) == len(bundle["trace"].steps)
    assert json.dumps(events[0])  # plain
    assert "epochs=0" in lab.lab_start({"dials": {"epochs": 0}})["error"]
    assert lab.lab_poll({"job": "forged"})["error"] == lab_words.GONE
    assert "error" in lab.lab_poll({"job": job, "after": -1})
    assert lab.lab_stop({"job": None}) == {"stopped": True}
    assert Lab(Handlers({}), None).lab_start({"dials": {}})["error"] == lab_words.OFF
    lab.runs.close()


def _polled(lab: Lab, job: str, events: list) -> bool:
    answer = lab.lab_poll({"job": job, "after": len(events)})
    events += answer["events"]
    return answer["ended"]


def test_a_model_that_was_trained_is_kept_under_the_name_in_its_event(recommender):
    handlers = Handlers({"chain": recommender})
    code = 'print(\'{"event": "model", "zip": "YWJj"}\')'
    runs = LabRuns(lambda dials: [sys.executable, "-S", "-c", f"{code}; {QUICK}"], models=handlers.lab_models)
    run = runs.start(Dials())
    until(run.ended.is_set)
    assert handlers.lab_models._models[run.events[0]["checkpoint"]].packed == b"abc"
    runs.close()


def test_presets_are_dials_with_words():
    assert set(PRESETS) == set(lab_words.PRESETS)
    assert all(Dials.from_dict(dials) for dials in PRESETS.values())


def test_a_run_takes_as_long_as_the_environment_says():
    options = read_options([], {"MINDREC_LAB_SECONDS": "90"}, [Path("checkpoint")])
    runs = LabRuns(seconds=options.lab_seconds)
    assert runs.command(Dials())[-2:] == ["--seconds", "90.0"] == list(runs.waiting_command)[-2:]
    assert runs.limit > 90
    with pytest.raises(MindRecError, match="MINDREC_LAB_SECONDS"):
        read_options([], {"MINDREC_LAB_SECONDS": "0"}, [Path("checkpoint")])
