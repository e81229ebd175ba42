"""Serving the page: the guard in front of Gradio, the garbage collector, and torch's threads."""

import atexit
import secrets
import signal
import sys
import threading

import gradio as gr
import torch
from starlette.middleware import Middleware

from app.page import assets
from app.server.booklet_route import booklet_route
from app.server.decoding_process import calm_collector
from app.server.guard import Guard, Rules
from app.server.lab_runs import LabRuns
from app.server.lanes import MAX_WAITING, TOGETHER
from app.server.options import Options
from app.server.preview import Preview
from app.server.processes import Processes
from app.server.room_routes import room_routes
from app.server.rooms import Rooms
from app.tabs.booklet import Booklet
from app.tabs.diagnosing import Diagnosing
from app.tabs.handlers import Handlers
from app.tabs.lab import Lab
from app.tabs.lessons import Lessons
from app.tabs.own_data import OwnData
from app.ui import build
from mindrec.errors import MindRecError

THREADS = 160
"""Questions answered side by side: those that wait for a decode, and as many that need none."""
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


def launch(handlers: Handlers, diagnosing: Diagnosing, options: Options) -> None:
    """Serve the page until interrupted. Raises MindRecError where the address cannot be listened on."""
    lab = Lab(
        handlers, LabRuns(seconds=options.lab_seconds, models=handlers.lab_models) if options.lab_seconds else None
    )
    dialog = _dialog_for_data(handlers) if options.own_data else None
    rooms, processes = Rooms(), Processes(handlers.service, handlers.folders, options.processes)
    page, key = build(handlers, diagnosing, lab, dialog, rooms), secrets.token_urlsafe(18) if options.operator else None
    routes = [*room_routes(rooms, assets.phone_page), booklet_route(Booklet(Lessons(handlers)).page)]
    rules = Rules(
        frozenset([str(assets.plotly_js())]),
        handlers.service.snapshot,
        key,
        mcp=options.mcp,
        rate=options.rate,
        proxies=options.proxies,
        preview=Preview(handlers.recommenders, options.proxies),
        processes=processes.snapshot,
    )
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=TOGETHER)
    try:
        _, address, _ = page.launch(
            server_name=options.host,
            server_port=options.port,
            theme=_theme(),
            css=assets.style(),
            footer_links=["api"],
            ssr_mode=False,
            share=False,
            _frontend=False,  # else Gradio ends the app when its page takes three seconds to answer it: a busy machine
            max_threads=THREADS,
            max_file_size="1kb",
            mcp_server=options.mcp,
            app_kwargs={"middleware": [Middleware(Guard, rules)], "routes": routes},
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise MindRecError(f"the page cannot be served ({error}); give a free port with --port") from error
    calm_collector()
    if all(r.denoiser.kind == "compact" for r in handlers.recommenders.values()):
        torch.set_num_threads(1)  # a small model's products gain little from a second core, which the page needs
    if key:
        print(f"operator page: {address.rstrip('/')}/operator?key={key}", flush=True)
    processes.start()
    try:
        page.block_thread()
    finally:
        processes.close()


def _theme() -> gr.themes.Base:
    fonts = [gr.themes.Font(name) for name in SYSTEM_FONTS]
    return gr.themes.Default(primary_hue="blue", font=fonts, font_mono=[gr.themes.Font("monospace")])


def _dialog_for_data(handlers: Handlers) -> OwnData:
    """The dialog for own data; what runs is ended and its folder removed when the app ends, by a signal too."""
    dialog = OwnData(handlers)
    atexit.register(dialog.close)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return dialog
