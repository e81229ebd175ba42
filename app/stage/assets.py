"""The player's files, joined: one script, one style, one template with its words filled in. No gradio."""

import html
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from app import text
from app.views import theme

FOLDER = Path(__file__).parent
SCRIPTS = (
    "core",
    "model",
    "grid",
    "alternatives",
    "ladder",
    "tree",
    "player",
    "history",
    "results",
    "settings",
    "share",
    "stage",
)
STYLES = ("stage", "parts")


@lru_cache(maxsize=1)
def script() -> str:
    """All of the player's JavaScript; it defines `mount(root, data, server)` and nothing global."""
    return "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)


@lru_cache(maxsize=1)
def style() -> str:
    return theme.css_variables() + "\n".join((FOLDER / f"{n}.css").read_text(encoding="utf-8") for n in STYLES)


@lru_cache(maxsize=1)
def template() -> str:
    """The page's fixed containers. `%%key%%` stands for words of app.text."""
    raw = (FOLDER / "stage.html").read_text(encoding="utf-8")
    return re.sub(r"%%(\w+)%%", lambda found: html.escape(text.STAGE[found[1]], quote=True), raw)


def plotly_js() -> Path:
    """plotly.js as the installed wheel ships it."""
    return Path(str(files("plotly") / "package_data" / "plotly.min.js"))
