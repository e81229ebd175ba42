"""The page's layout and its public endpoints. With app.page the only place that knows Gradio."""

import functools
import gc
import secrets
from collections.abc import Callable

import gradio as gr
import torch
from starlette.middleware import Middleware

from app.page import assets
from app.page.component import Stage, question
from app.server.guard import Guard, Rules
from app.server.lanes import MOST_WAITING, TOGETHER
from app.server.options import Options
from app.server.public import api
from app.tabs.browsing import Browsing
from app.tabs.comparing import Comparing
from app.tabs.diagnosing import Diagnosing
from app.tabs.handlers import Handlers
from app.tabs.lessons import Lessons
from app.words import sentences as text
from mindrec.errors import MindRecError

THREADS = 160
"""Questions answered side by side: those that wait for a decode, and as many that need none."""
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


def build(handlers: Handlers, diagnosing: Diagnosing | None = None) -> gr.Blocks:
    """The whole page."""
    gr.set_static_paths([assets.plotly_js()])
    h, d, c = handlers, diagnosing or Diagnosing(handlers), Comparing(handlers)
    course = Lessons(handlers)
    questions = [
        h.search,
        h.decode,
        h.decode_start,
        h.decode_poll,
        h.decode_stop,
        h.story,
        h.open_trace,
        h.trip,
        h.replay,
    ]
    questions += [
        d.cases,
        d.case_charts,
        d.case,
        d.export_cases,
        d.compare_cases,
        d.sample,
        Browsing(h).browse,
        c.compare,
        course.lesson,
        course.reveal,
    ]
    opening = h.opening() | {"diagnosis": d.opening(), "comparing": c.opening(), "lessons": course.opening()}
    with gr.Blocks(title=text.TITLE, analytics_enabled=False, fill_width=True) as page:
        Stage(opening, [question(each) for each in questions], elem_id="mindrec-stage")
        for name, function in api(handlers).items():
            gr.api(_told_plainly(function), api_name=name)
    return page


def launch(handlers: Handlers, diagnosing: Diagnosing, options: Options) -> None:
    """Serve the page until interrupted."""
    page, key = build(handlers, diagnosing), secrets.token_urlsafe(18) if options.operator else None
    rules = Rules(
        frozenset([str(assets.plotly_js())]), handlers.service.snapshot, key, mcp=options.mcp, rate=options.rate
    )
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=TOGETHER)
    _, address, _ = page.launch(
        server_name=options.host,
        server_port=options.port,
        theme=gr.themes.Default(
            primary_hue="blue",
            font=[gr.themes.Font(name) for name in SYSTEM_FONTS],
            font_mono=[gr.themes.Font("monospace")],
        ),
        css=assets.style(),
        footer_links=["api"],
        ssr_mode=False,
        share=False,
        _frontend=False,  # else Gradio ends the app when its page takes three seconds to answer it: a busy machine
        max_threads=THREADS,
        max_file_size="1kb",
        mcp_server=options.mcp,
        app_kwargs={"middleware": [Middleware(Guard, rules)]},
        prevent_thread_lock=True,
    )
    _calm_collector()
    if all(r.denoiser.kind == "compact" for r in handlers.recommenders.values()):
        torch.set_num_threads(1)  # a small model's products gain little from a second core, which the page needs
    if key:
        print(f"operator page: {address.rstrip('/')}/operator?key={key}", flush=True)
    page.block_thread()


def _calm_collector() -> None:
    """Collect cycles among what answers make, seldom; what is loaded by now stays and is not looked through again.

    A trace is some thousand objects without a cycle, and each pass over all of them cost a quarter of a decode.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _told_plainly(function: Callable) -> Callable:
    """A MindRecError reaches the caller of the API as its message."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except MindRecError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
