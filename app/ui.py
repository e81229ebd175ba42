"""The page's layout and its public endpoints. With app.stage the only place that knows Gradio."""

import functools
from collections.abc import Callable

import gradio as gr

from app import text
from app.browsing import Browsing
from app.comparing import Comparing
from app.diagnosing import Diagnosing
from app.handlers import Handlers
from app.lessons import Lessons
from app.public import api
from app.stage import assets
from app.stage.stage import Stage
from mindrec.errors import MindRecError

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
        Stage(opening, questions, elem_id="mindrec-stage")
        for name, function in api(handlers).items():
            gr.api(_told_plainly(function), api_name=name)
    return page


def launch(handlers: Handlers, diagnosing: Diagnosing, *, host: str | None = None, port: int | None = None) -> None:
    """Serve the page until interrupted."""
    build(handlers, diagnosing).launch(
        server_name=host,
        server_port=port,
        theme=gr.themes.Default(
            primary_hue="blue",
            font=[gr.themes.Font(name) for name in SYSTEM_FONTS],
            font_mono=[gr.themes.Font("monospace")],
        ),
        css=assets.style(),
        footer_links=["api"],
        ssr_mode=False,
    )


def _told_plainly(function: Callable) -> Callable:
    """A MindRecError reaches the caller of the API as its message."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except MindRecError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
