"""A small shop with an unfriendly title, the app on it as a subprocess, and a real Chromium that looks at it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gates import Gate

from mindrec.bench.app_process import running_app
from mindrec.evaluation.protocol import Protocol
from mindrec.training.running import Running

NASTY = '<img src=x onerror="document.title=1">Jam & <b>bread</b>'
INSTALL = "no Chromium: `pip install playwright && playwright install chromium`, or set MINDREC_CHROMIUM"


@pytest.fixture(scope="session")
def shop(tiny_preset, made_once) -> tuple[Path, Path]:
    """A checkpoint that errs, and the prepared data with its test trips. Item 3 has markup in its title."""
    folder = made_once("shop", lambda folder: _make_shop(folder, tiny_preset))
    return folder / "checkpoint", folder / "data"


def _make_shop(folder: Path, tiny_preset) -> None:
    from mindrec.data.catalog import Catalog, save_prepared
    from mindrec.sources.synthetic import load
    from mindrec.training.run import train_checkpoint

    made = load(n_items=40, n_users=300, predictability=0.6)
    items = [replace(item, title=f"Apple {n}" if n % 2 else f"Pear {n}") for n, item in enumerate(made.catalog.items)]
    items[3] = replace(items[3], title=NASTY)
    data = replace(made, catalog=Catalog(tuple(items), name="shop"))
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, epochs=2))
    made = train_checkpoint(data, recipe, folder / "first", running=Running("cpu", command="pytest", progress=False))
    replace(made, examples=({"name": "Fruit bowl", "item_ids": ["i0", "i5"]},)).save(folder / "checkpoint")
    save_prepared(data, folder / "data")


@pytest.fixture(scope="session")
def case_files(shop, made_once) -> list[Path]:
    """Two diagnoses of the shop's test trips: the checkpoint's own settings, and one beam, with what would help it.

    The checkpoint also keeps how far its answers move.
    """
    folder = made_once("cases", lambda folder: _make_cases(folder, *shop))
    return [folder / "wide.parquet", folder / "narrow.parquet"]


def _make_cases(out: Path, checkpoint: Path, folder: Path) -> None:
    from mindrec.checkpoint import BEHAVIOUR_FILE
    from mindrec.data.catalog import load_prepared
    from mindrec.diagnosis.behaviour import measure_behaviour
    from mindrec.diagnosis.diagnose import diagnose_checkpoint
    from mindrec.diagnosis.why import WHOLE, Depth
    from mindrec.system.files import write_json

    data = load_prepared(folder, name="shop")
    write_json(checkpoint / BEHAVIOUR_FILE, measure_behaviour(checkpoint, data, Protocol(users=40, device="cpu")))
    for name, beams, depth in (("wide", 4, WHOLE), ("narrow", 1, Depth(rescue=True))):
        protocol = Protocol(users=120, settings={"beam_size": beams}, device="cpu")
        diagnose_checkpoint(checkpoint, data, out / f"{name}.parquet", protocol, k=2, depth=depth, progress=False)


@pytest.fixture(scope="session")
def fitted_methods(shop, tmp_path_factory) -> Path:
    """A folder with one method of the arena beside the shop's checkpoint, as it is before training."""
    from mindrec.arena.fitted import save_method
    from mindrec.arena.fmrec import FMRec
    from mindrec.arena.method import Task
    from mindrec.data.catalog import load_prepared

    folder = tmp_path_factory.mktemp("arena")
    method = FMRec(Task(load_prepared(shop[1], name="shop"), folder)).eval()
    save_method(method, "fmrec", folder / "fmrec-0.safetensors", {"data": "shop", "cpu_seconds": 0})
    return folder


@pytest.fixture(scope="session")
def address(shop, case_files, fitted_methods, tmp_path_factory):
    """`python app.py` on a free port."""
    checkpoint, data = map(str, shop)
    cases = [part for file in case_files for part in ("--cases", str(file))]
    log = tmp_path_factory.mktemp("app") / "app.log"
    given = ("--checkpoint", checkpoint, "--data", data, "--arena", str(fitted_methods), *cases)
    # A Lab run has the lowest priority: beside other work its two epochs may take many minutes.
    with running_app(*given, log=log, MINDREC_LAB_SECONDS="900") as (url, _):
        yield f"{url}/"


@pytest.fixture(scope="session")
def slow_app(shop, tmp_path_factory) -> Iterator[tuple[str, Gate]]:
    """The same shop on a denoiser that waits at a gate: its address, and the gate."""
    folder = tmp_path_factory.mktemp("gate")
    gate = Gate(folder)
    gate.open()
    given = ("--checkpoint", str(shop[0]), "--gate", str(folder))
    with running_app(*given, script="tests/browser/slow_app.py") as (url, _):
        yield f"{url}/", gate
        gate.open()


@pytest.fixture
def gated(slow_app) -> tuple[str, Gate]:
    """The slow app with its gate open, before and after the test."""
    slow_app[1].open()
    yield slow_app
    slow_app[1].open()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser with a profile of its own, which keeps plotly.js compiled: two seconds of a page without one."""
    required = os.environ.get("MINDREC_REQUIRE_BROWSER") == "1"
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        pytest.fail(INSTALL) if required else pytest.skip(INSTALL)
    system = (shutil.which(name, path="/usr/bin") for name in ("chromium-headless-shell", "chromium"))
    found = os.environ.get("MINDREC_CHROMIUM") or next(filter(None, system), None)
    with sync_playwright() as play:
        try:
            browser = play.chromium.launch_persistent_context(
                tmp_path_factory.mktemp("profile"),
                executable_path=found,
                timeout=180_000,
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
        except Error as error:
            pytest.fail(f"{INSTALL} ({error})") if required else pytest.skip(INSTALL)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """Open the app as one who was never there. After the test: no error on the console, no request to another host."""
    pages, faults = [], []

    def open_page(
        query: str = "", *, width: int = 1280, height: int = 900, url: str | None = None, reduced_motion=None
    ):
        page = chromium.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(reduced_motion=reduced_motion)
        page.set_default_timeout(120_000)  # no test passes by its length: a busy machine takes that long to open a page
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(f"{e} {e.stack}"))
        own = "/".join((url or address).split("/")[:3])
        page.on("request", lambda r: faults.append(f"request to {r.url}") if _foreign(r.url, own) else None)
        _forget(chromium, page, own)
        page.goto(url or address + query)
        # With all the steps of its first decode, which come in parts where they take long.
        page.wait_for_selector(".mr.loaded:not(.embedded, .streaming, .busy)", state="attached")
        return page

    yield open_page
    for page in pages:
        page.close()
    chromium.set_offline(False)
    chromium.clear_permissions()
    assert not faults


def _forget(chromium, page, origin: str) -> None:
    """Drop what earlier pages left with the browser."""
    chromium.clear_cookies()
    if origin.startswith("http"):
        session = chromium.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
        session.detach()


def _foreign(url: str, own: str) -> bool:
    return not url.startswith((own, "data:", "blob:", "file:"))
