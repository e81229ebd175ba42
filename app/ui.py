"""The page's layout and its public endpoints. With app.stage the only place that knows Gradio."""

from pathlib import Path

import gradio as gr

from app import text
from app.handlers import Handlers, api
from app.stage import assets
from app.stage.stage import Stage
from mindrec.errors import MindRecError

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


def build(handlers: Handlers) -> gr.Blocks:
    """The whole page."""
    gr.set_static_paths([assets.plotly_js()])
    with gr.Blocks(title=text.TITLE, analytics_enabled=False, fill_width=True) as page:
        with gr.Tabs():
            with gr.Tab(text.WATCH):
                Stage(
                    handlers.opening(),
                    [handlers.search, handlers.decode, handlers.story, handlers.open_trace, handlers.trip, handlers.replay],
                    elem_id="mindrec-stage",
                )
        for name, function in api(handlers).items():
            gr.api(_told_plainly(function), api_name=name)
    return page


def launch(handlers: Handlers, *, host: str | None = None, port: int | None = None) -> None:
    """Serve the page until interrupted."""
    build(handlers).launch(
        server_name=host,
        server_port=port,
        theme=gr.themes.Default(font=[gr.themes.Font(name) for name in SYSTEM_FONTS], font_mono=[gr.themes.Font("monospace")]),
        css=page_css(),
        footer_links=["api"],
        allowed_paths=[str(Path(assets.plotly_js()))],
        show_error=True,
        ssr_mode=False,
    )


def page_css() -> str:
    return assets.style()


def _told_plainly(function):
    """A MindRecError reaches the caller of the API as its message."""
    import functools

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except MindRecError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
