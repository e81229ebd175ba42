"""`bench lab`: a class presses Train while others decode, on `python app.py` over HTTP as their browsers ask it.

Some people click on Decode every few seconds, first alone and then while a class trains in the Lab: one run at a time,
the others in its queue. Told are the places that the class is given, what the decodes of the others take before and
during it, what the Lab's processes hold of memory, and when they are gone once the class has left without a word.
The server's processor time a decode, with all else that it is asked meanwhile, is told too: other work on the machine
changes it little.
"""

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mindrec.bench.app_process import cpu_seconds, memory_mb, running_app, stage_component
from mindrec.errors import MindRecError

EVERY = 2.0
"""Seconds from one click on Decode to the next, of one person."""
POLL, POLL_IN_QUEUE = 0.6, 2.5
"""Seconds from one question about a run to the next, as the page asks: of the run that trains, of one that waits."""
WARM_UP = 3
LOOK = 0.5
LEAVE_WITHIN = 150.0
"""Seconds after which a process that is still there counts as left behind."""
TIMEOUT = 60
HEAD = (
    "decodes of the others",
    "number",
    "half within, ms",
    "95 % within, ms",
    "longest, ms",
    "server's CPU a decode, ms",
)


class Server:
    """Questions of the page to a running app."""

    def __init__(self, client, component: int):
        self.client, self.component = client, component

    async def ask(self, name: str, data: dict, session: str = "bench") -> dict:
        """The answer to one question; asked again where its connection was closed. Raises MindRecError for an error."""
        import httpx

        body = {"data": data, "fn_name": name, "session_hash": session, "component_id": self.component}
        while True:
            try:
                response = await self.client.post("/gradio_api/component_server", json=body)
                break
            except (httpx.ReadError, httpx.RemoteProtocolError):  # an idle connection that the server closed just now
                continue
        answer = response.json() if response.status_code == 200 else {"error": f"status {response.status_code}"}
        if isinstance(answer, str):
            answer = json.loads(answer)
        if "error" in answer:
            raise MindRecError(f"{name}: {answer['error']}")
        return answer


@dataclass
class LabWatch:
    """The Lab's processes below a server's, looked at every half second.

    Attributes:
        max_at_once: of them.
        peak_mb: resident memory of the largest.
    """

    parent: int
    max_at_once: int = 0
    peak_mb: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        """Look until `over` is set."""
        while not self.over.is_set():
            ids = lab_processes(self.parent)
            self.max_at_once = max(self.max_at_once, len(ids))
            self.peak_mb = max([self.peak_mb, *map(memory_mb, ids)])
            await asyncio.sleep(LOOK)


def lab_processes(parent: int) -> list[int]:
    """The ids of Lab processes that `parent` has started; none where the system does not tell."""
    ids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_child = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent
            if is_child and b"mindrec.lab" in (entry / "cmdline").read_bytes().split(b"\0"):
                ids.append(int(entry.name))
        except (OSError, IndexError):  # it ended just now
            continue
    return ids


def bench_lab(checkpoint: Path, *, people: int = 4, learners: int = 20, seconds: float = 45, seed: int = 0) -> dict:
    """Measure both times, `seconds` each; see the module's words for what is told.

    Raises:
        MindRecError: the Lab is turned off or refuses somebody, or a decode fails.
    """
    from mindrec.recommender import Recommender

    busy = _cores_busy()
    recommender = Recommender.from_pretrained(checkpoint, "cpu")
    ids, rng = [item.item_id for item in recommender.catalog.items], random.Random(seed)
    longest = min(8, recommender.max_history)
    histories = [[rng.sample(ids, rng.randint(1, longest)) for _ in range(50)] for _ in range(people)]
    with running_app("--checkpoint", str(checkpoint)) as (address, process):
        measured = asyncio.run(_lesson(address, process.pid, histories, learners, seconds))
    about = {"people": people, "learners": learners, "seconds": seconds, "every_s": EVERY, "cores": os.cpu_count()}
    return about | {"cores_busy_before": busy} | measured


async def _lesson(address: str, parent: int, histories: list[list[list[str]]], learners: int, seconds: float) -> dict:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT, limits=limits, trust_env=False) as client:
        server = Server(client, await stage_component(client))
        for _ in range(WARM_UP):
            await server.ask("decode", {"ids": histories[0][0]})
        alone, spent_alone = await _decodes(server, histories, seconds, parent)
        watch = LabWatch(parent)
        watching = asyncio.create_task(watch.follow())
        jobs, places = await press_train(server, learners)
        polling = [asyncio.create_task(_poll(server, job)) for job in jobs]
        beside, spent_beside = await _decodes(server, histories, seconds, parent)
        watch.over.set()
        await watching
        for task in polling:
            task.cancel()
        events = [task.result() for task in await _settled(polling)]
        gone = await _gone(parent)
    both = {"alone": _times(alone, spent_alone), "beside": _times(beside, spent_beside)}
    return both | {
        "p50_ratio": round(both["beside"]["p50_ms"] / both["alone"]["p50_ms"], 2),
        "p95_ratio": round(both["beside"]["p95_ms"] / both["alone"]["p95_ms"], 2),
        "places": places,
        "runs_begun": sum(count > 0 for count in events),
        "lab_processes_at_once": watch.max_at_once,
        "lab_memory_mb": round(watch.peak_mb),
        "seconds_until_no_lab_process": gone,
    }


async def press_train(server: Server, learners: int) -> tuple[list[str], list[int]]:
    """All press Train; their runs, and the places in line that they are then told, 0 for the one that trains."""
    jobs = await asyncio.gather(*(_press(server, n) for n in range(learners)))
    while True:
        polls = [await server.ask("lab_poll", {"job": job, "after": 0}) for job in jobs]
        if any(answer["place"] == 0 for answer in polls):
            return jobs, sorted(answer["place"] for answer in polls)


async def _press(server: Server, learner: int) -> str:
    """As the page does: the pointer on the tab has a process made ready, the button queues a run."""
    await server.ask("lab_warm", {}, f"learner{learner}")
    return (await server.ask("lab_start", {"dials": {"seed": learner}}, f"learner{learner}"))["job"]


async def _poll(server: Server, job: str) -> int:
    """Follow a run until its page is closed, without a word to the server; the number of its events so far."""
    after = 0
    try:
        while True:
            answer = await server.ask("lab_poll", {"job": job, "after": after}, job)
            after += len(answer["events"])
            if answer["ended"]:
                await server.ask("lab_stop", {"job": job}, job)
                return after
            await asyncio.sleep(POLL_IN_QUEUE if answer["place"] else POLL)
    except asyncio.CancelledError:
        return after


async def _settled(tasks: list[asyncio.Task]) -> list[asyncio.Task]:
    await asyncio.wait(tasks)
    return tasks


async def _decodes(
    server: Server, histories: list[list[list[str]]], seconds: float, parent: int
) -> tuple[list[float], float]:
    """Milliseconds of every decode that the people ask for, and the processor seconds of the server meanwhile."""
    took, end, spent = [], time.monotonic() + seconds, cpu_seconds(parent)

    async def person(number: int) -> None:
        due, turn = time.monotonic() + EVERY * number / len(histories), 0
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.perf_counter()
            await server.ask("decode", {"ids": histories[number][turn % len(histories[number])]}, f"person{number}")
            took.append((time.perf_counter() - began) * 1000)
            due, turn = max(due + EVERY, time.monotonic()), turn + 1

    await asyncio.gather(*(person(number) for number in range(len(histories))))
    return took, cpu_seconds(parent) - spent


async def _gone(parent: int) -> float | None:
    """Seconds until no Lab process is left; None where one outlives the bound."""
    began = time.monotonic()
    while lab_processes(parent):
        if time.monotonic() - began > LEAVE_WITHIN:
            return None
        await asyncio.sleep(LOOK)
    return round(time.monotonic() - began, 1)


def _times(ms: list[float], cpu_s: float) -> dict:
    if not ms:
        raise MindRecError("nobody decoded; give more --seconds")
    half, slow = np.percentile(ms, [50, 95])
    return {"decodes": len(ms), "p50_ms": round(half), "p95_ms": round(slow), "max_ms": round(max(ms))} | {
        "cpu_ms_a_decode": round(1000 * cpu_s / len(ms))
    }


def _cores_busy(seconds: float = 3.0) -> float | None:
    """Cores that other work keeps busy now; None where the system does not tell."""

    def idle() -> float:
        return sum(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[4:6]))

    try:
        before = idle()
        time.sleep(seconds)
        free = (idle() - before) / os.sysconf("SC_CLK_TCK") / seconds
    except (OSError, ValueError):
        return None
    return round(max(0.0, os.cpu_count() - free), 2)


def rows(r: dict) -> list[tuple[str, ...]]:
    """The table's rows; `HEAD` names the columns."""
    names = {"alone": "alone", "beside": f"while {r['learners']} train"}
    keys = ("decodes", "p50_ms", "p95_ms", "max_ms", "cpu_ms_a_decode")
    return [(name, *(f"{r[key][column]:,}" for column in keys)) for key, name in names.items()]


def sentence(r: dict) -> str:
    """The measurement in words."""
    good = r["places"] == list(range(r["learners"]))
    places = (
        f"One of {r['learners']} trains and the others are told places 1 to {r['learners'] - 1}, each once"
        if good
        else f"The places told are not each given once: {r['places']}"
    )
    gone = r["seconds_until_no_lab_process"]
    left = "a Lab process is left behind" if gone is None else f"no Lab process is left {gone} s after they went away"
    busy = r["cores_busy_before"]
    quiet = "" if busy is None else f" Other work kept {busy} of {r['cores']} cores busy before the measurement."
    return (
        f"{places}; 95 % of decodes take {r['p95_ratio']} times as long as alone, half {r['p50_ratio']} times; the Lab "
        f"has {r['lab_processes_at_once']} processes at once at most, of {r['lab_memory_mb']} MB; {left}.{quiet}"
    )
