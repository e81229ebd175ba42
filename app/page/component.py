"""The page as a Gradio component: a fixed template that its own script fills and plays."""

import functools
from collections.abc import Callable

import gradio as gr

from app.page import assets
from app.server.gradio_patches import LooksUpOnce
from app.server.guard import respond
from app.words import sentences as text


class Stage(LooksUpOnce, gr.HTML):
    """All tabs in one component: history builder, player, results and settings, comparison, diagnosis, course.

    All state lives in the browser. Python is asked through `server_functions`, which answer in about 15 ms where a
    Gradio event takes 300; nothing is an output, so nothing is ever sent twice.
    """

    def __init__(self, opening: dict, questions: list[Callable], **settings):
        """`questions` are made by `question`."""
        super().__init__(
            value=opening | {"text": text.STAGE, "words": text.PAGE, "plotly": f"gradio_api/file={assets.plotly_js()}"},
            html_template=assets.page(),
            js_on_load=f"{assets.script()}\nmountPage(element, props.value, server);",
            server_functions=questions,
            apply_default_css=False,
            **settings,
        )

    def api_info(self) -> dict:
        """The schema of its value, which Gradio lists."""
        return {"type": "object"}


def question(method: Callable) -> Callable:
    """A method as a function that the page may ask.

    Gradio marks a server function by an attribute, which a bound method cannot carry. It also copies deeply what a
    component was made from whenever a page is opened: of a function that is nothing, of a bound method the checkpoint.
    """

    @functools.wraps(method)
    def call(ask):
        return respond(method(ask))

    del call.__wrapped__
    return call
