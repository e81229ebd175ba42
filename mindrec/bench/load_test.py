"""`bench load`: many people on `python app.py` at once, over HTTP as their browsers ask it.

Every person has a session and histories of their own and asks for a decode every few seconds, at random phases; a few
more ask through gradio_client's public endpoint or click in real browsers. Answers are kept as they came and checked
once the app has ended: each trace must be of the history that was asked for ("crossed" counts those of another) and
equal a single-user decode of it in this process ("wrong" counts the rest).
"""

import asyncio
import json
import os
import random
import shutil
import ssl
import threading
import time
import zlib
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mindrec.bench.app_process import (
    children,
    cpu_seconds,
    memory_mb,
    running_app,
    stage_component,
    wait_for_processes,
)
from mindrec.errors import MindRecError

EVERY = 5.0
HISTORIES = 3
"""Of each person, asked in turn."""
SAMPLE_EVERY = 1.0
SMALL = 5_000
TIMEOUT = 60


@dataclass
class Seen:
    """Everything that the simulated people met.

    Attributes:
        answers: (item ids asked for, body as it came) of every trace.
        ms: from the question to the last byte of its trace.
        memory: (seconds since the start, MB) of the app with its processes.
        cpu_s: processor seconds that the app alone, its processes and the simulated people took.
    """

    answers: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    busy: int = 0
    errors: list[str] = field(default_factory=list)
    api: list[tuple[tuple[str, ...], list]] = field(default_factory=list)
    browser_ms: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)


def bench_load(
    checkpoint: Path,
    *,
    people: int,
    seconds: float,
    api_people: int = 2,
    browsers: int = 0,
    processes: int | None = None,
    seed: int = 0,
) -> dict:
    """Measure and check; the module's words say what is counted.

    The clock starts once all are on the page and the decoding processes are ready.

    Args:
        processes: decoding processes of the app; None for as many as a page has that is served to others.

    Raises:
        MindRecError: browsers are asked for and playwright is not installed; no decode was answered at all.
    """
    if browsers and find_spec("playwright") is None:
        raise MindRecError("browsers need playwright: `pip install playwright`")
    from mindrec.recommender import Recommender

    recommender = Recommender.from_pretrained(checkpoint, "cpu")
    ids = [item.item_id for item in recommender.catalog.items]
    rng, seen = random.Random(seed), Seen()

    def histories() -> list[tuple[str, ...]]:
        longest = min(8, recommender.max_history)
        return [tuple(rng.sample(ids, rng.randint(1, longest))) for _ in range(HISTORIES)]

    with running_app(*_arguments(checkpoint, processes)) as (address, process):
        processes = wait_for_processes(address)
        stop, here = threading.Event(), threading.Barrier(1 + api_people + bool(browsers))
        tasks = [(_ask_api, (address, histories(), here, stop, seen)) for _ in range(api_people)]
        tasks += [(_click, (address, browsers, here, stop, seen))] if browsers else []
        others = [threading.Thread(target=target, args=args, daemon=True) for target, args in tasks]
        for thread in others:
            thread.start()
        here.wait(2 * TIMEOUT)
        crowd = [(histories(), rng.random() * EVERY) for _ in range(people)]
        asyncio.run(_crowd(address, crowd, seconds, process, seen))
        stop.set()
        for thread in others:
            thread.join(TIMEOUT)
    about = {"people": people, "seconds": seconds, "every_s": EVERY, "cores": os.cpu_count(), "processes": processes}
    return about | _result(recommender, seconds, browsers, seen)


def _arguments(checkpoint: Path, processes: int | None) -> list[str]:
    """The app's; on this machine alone it would have no decoding processes unless they are asked for."""
    return ["--checkpoint", str(checkpoint), "--processes", "auto" if processes is None else str(processes)]


# -- the people --------------------------------------------------------------------------------------------------------


async def _crowd(address: str, crowd, seconds: float, process, seen: Seen) -> None:
    """Everybody has a client of their own, as browsers: one for all looks through all connections at each question."""
    import httpx

    async with AsyncExitStack() as open_clients:
        settings = {"base_url": address, "timeout": TIMEOUT, "trust_env": False, "verify": ssl.create_default_context()}
        settings["limits"] = httpx.Limits(max_keepalive_connections=0)  # the server ends what is idle for 5 s
        clients = [await open_clients.enter_async_context(httpx.AsyncClient(**settings)) for _ in crowd]
        component = await stage_component(clients[0])
        end, before = time.monotonic() + seconds, _cpu_seconds(process.pid)
        watching = asyncio.create_task(_watch_memory(process, seen))
        people = zip(clients, crowd, strict=True)
        await asyncio.gather(*(_person(client, component, *person, end, seen) for client, person in people))
        watching.cancel()
        seen.cpu_s = {name: round(now - before[name], 1) for name, now in _cpu_seconds(process.pid).items()}


def _cpu_seconds(pid: int) -> dict[str, float]:
    """Processor seconds so far of the app alone, its processes, and the people, who are this process."""
    processes = sum(map(cpu_seconds, children(pid)))
    return {"app": cpu_seconds(pid), "processes": processes, "people": time.process_time()}


async def _person(
    client, component: int, histories: list[tuple[str, ...]], first: float, end: float, seen: Seen
) -> None:
    """Ask, look at the answer until the next click is due, ask again."""
    session, due, turn = f"{random.getrandbits(64):x}", time.monotonic() + first, 0
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        ids, turn = histories[turn % len(histories)], turn + 1
        ask = {"ids": list(ids)}
        body = {"data": ask, "fn_name": "decode", "session_hash": session, "component_id": component}
        started = time.perf_counter()
        try:
            async with client.stream("POST", "/gradio_api/component_server", json=body) as response:
                raw = b"".join([part async for part in response.aiter_raw()])
            _sort(ids, raw, response, (time.perf_counter() - started) * 1000, seen)
        except Exception as error:
            seen.errors.append(f"{type(error).__name__}: {error}"[:120])
        due = max(due + EVERY, time.monotonic())


def _sort(ids, raw: bytes, response, ms: float, seen: Seen) -> None:
    if response.status_code == 429:
        seen.busy += 1
    elif response.status_code != 200:
        seen.errors.append(f"status {response.status_code}")
    elif len(raw) < SMALL and "error" in (answer := json.loads(_unpacked(raw))):
        if answer.get("busy"):
            seen.busy += 1
        else:
            seen.errors.append(answer["error"][:120])
    else:
        seen.answers.append((ids, raw))
        seen.ms.append(ms)


async def _watch_memory(process, seen: Seen) -> None:
    started = time.monotonic()
    while True:
        seen.memory.append((time.monotonic() - started, sum(map(memory_mb, (process.pid, *children(process.pid))))))
        await asyncio.sleep(SAMPLE_EVERY)


def _ask_api(address: str, histories: list[tuple[str, ...]], here, stop: threading.Event, seen: Seen) -> None:
    from gradio_client import Client

    client, turn = Client(address, verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": TIMEOUT}), 0
    here.wait(2 * TIMEOUT)
    while not stop.is_set():
        ids, turn = histories[turn % len(histories)], turn + 1
        try:
            seen.api.append((ids, client.predict(list(ids), None, api_name="/recommend")))
        except Exception as error:
            if "place is taken" in str(error) or "queue is full" in str(error).lower():
                seen.busy += 1
            else:
                seen.errors.append(f"api: {error}"[:120])
        stop.wait(EVERY)


def _click(address: str, browsers: int, here, stop: threading.Event, seen: Seen) -> None:
    """Real browsers, one after the other, each in a context of its own."""
    from playwright.sync_api import sync_playwright

    from mindrec.bench.page_speed import DECODE

    with sync_playwright() as play:
        chromium = os.environ.get("MINDREC_CHROMIUM") or shutil.which("chromium")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        pages = [browser.new_context().new_page() for _ in range(browsers)]
        for page in pages:
            page.set_default_timeout(TIMEOUT * 1000)
            page.on("pageerror", lambda error: seen.errors.append(f"browser: {error}"[:120]))
            page.goto(address)
            page.wait_for_selector(".mr.loaded")
        here.wait(2 * TIMEOUT)
        while not stop.is_set():
            for page in pages:
                seen.browser_ms.append(page.evaluate(DECODE))
            stop.wait(EVERY)
        browser.close()


# -- what they got -----------------------------------------------------------------------------------------------------


def _result(recommender, seconds: float, browsers: int, seen: Seen) -> dict:
    if not seen.ms:
        raise MindRecError(f"no decode was answered; the first errors: {seen.errors[:3]}")
    crossed, wrong, first = _checked(recommender, seen)
    ms = np.array(seen.ms)
    return {
        "requests": len(seen.ms) + len(seen.api) + len(seen.browser_ms) + seen.busy + len(seen.errors),
        "traces": len(seen.ms),
        "api_answers": len(seen.api),
        "browsers": browsers,
        "browser_decodes": len(seen.browser_ms),
        "browser_p95_ms": round(float(np.percentile(seen.browser_ms, 95))) if seen.browser_ms else None,
        "errors": len(seen.errors),
        "first_errors": seen.errors[:3],
        "busy": seen.busy,
        "crossed": crossed,
        "wrong": wrong,
        "first_difference": first,
        "p50_ms": round(float(np.percentile(ms, 50))),
        "p95_ms": round(float(np.percentile(ms, 95))),
        "max_ms": round(float(ms.max())),
        "traces_per_second": round(len(ms) / seconds, 1),
        "kb_a_trace": round(sum(len(raw) for _, raw in seen.answers) / len(seen.answers) / 1000, 1),
        "cpu_s": seen.cpu_s,
        **_memory(seen.memory),
    }


def _memory(samples: list[tuple[float, float]]) -> dict:
    """Medians of the second and of the last minute; a run that is shorter has its last value alone."""
    second = [mb for at, mb in samples if 60 <= at < 120]
    last = [mb for at, mb in samples if at >= samples[-1][0] - 60]
    out = {"memory_mb": round(float(np.median(last[-30:])), 1), "memory_growth": None}
    if samples[-1][0] >= 150:
        out["memory_growth"] = round(float(np.median(last) / np.median(second)) - 1, 4)
    return out


def _checked(recommender, seen: Seen) -> tuple[int, int, str | None]:
    """How many answers are of another history, how many differ from a single-user decode, and the first that does."""
    crossed, wrong, first, alone = 0, 0, None, {}
    for ids, raw in seen.answers:
        trace = json.loads(_unpacked(raw))["trace"]
        if ids not in alone:
            alone[ids] = recommender.recommend(ids).trace.to_dict()
        difference = differs(trace, alone[ids])
        if trace["history"] != alone[ids]["history"]:
            crossed += 1
        elif difference:
            wrong, first = wrong + 1, first or difference
    for ids, answer in seen.api:
        expected = [(r.item.item_id, r.probability) for r in recommender.recommend(ids, trace=False).items]
        ranked = [(r["item_id"], r["probability"]) for r in answer]
        wrong += not _same_ranking(expected, ranked)
    return crossed, wrong, first


def differs(trace: dict, alone: dict) -> str | None:
    """Where a trace is not that of the single-user decode; None where it is, up to float32's rounding.

    Larger batches round differently, so that two candidates whose scores agree to five digits may change places; then
    the ranked items decide.
    """
    where = _first_difference({**trace, "elapsed_ms": 0, "model": 0}, {**alone, "elapsed_ms": 0, "model": 0}, "trace")
    if where is None:
        return None
    rank = [[(r["row"], r["probability"]) for r in t["results"]] for t in (alone, trace)]
    return None if _same_ranking(*rank) else where


def _same_ranking(expected: list, answered: list) -> bool:
    """The same items with the same probabilities; only near ties may have changed places, or the last place."""
    if len(expected) != len(answered):
        return False
    close = all(abs(a[1] - b[1]) <= 1e-3 * a[1] + 1e-6 for a, b in zip(expected, answered, strict=True))
    known = {key for key, p in expected if p > expected[-1][1] * 1.001}
    return close and known <= {key for key, _ in answered}


def _first_difference(a, b, where: str) -> str | None:
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = [(a[k], b[k], f"{where}.{k}") for k in a]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(x, y, f"{where}[{n}]") for n, (x, y) in enumerate(zip(a, b, strict=True))]
    elif isinstance(a, float) and isinstance(b, (float, int)):
        return None if abs(a - b) <= 1e-3 * max(abs(a), abs(b)) + 2e-5 else where
    else:
        return None if a == b else where
    return next((difference for x, y, at in pairs if (difference := _first_difference(x, y, at))), None)


def _unpacked(raw: bytes) -> bytes:
    return zlib.decompress(raw, 47) if raw[:2] == b"\x1f\x8b" else raw
