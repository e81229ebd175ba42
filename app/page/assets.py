"""The page's files, joined: one script, one style, one template with its words filled in. No gradio."""

import html
import json
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from app.page.modules import join_modules
from app.views import theme
from app.words import sentences as text

FOLDER = Path(__file__).parent
STYLES = ("stage", "parts", "beside", "pages", "methods", "learn", "lab", "play", "room", "own")


@lru_cache(maxsize=1)
def script() -> str:
    """All of the page's JavaScript as one statement; it declares `mountPage` and `mount` and no other name."""
    return join_modules(FOLDER / "js", "main")


@lru_cache(maxsize=1)
def stage_script() -> str:
    """The JavaScript of the stage alone, for a replay; it declares `mount` and no other name."""
    return join_modules(FOLDER / "js", "stage")


@lru_cache(maxsize=1)
def phone_page() -> str:
    """The page of a phone in a class room: small, in itself, without Gradio."""
    words = json.dumps(text.PHONE).replace("</", "<\\/")
    parts = {
        "title": html.escape(text.PHONE["title"]),
        "style": (FOLDER / "css" / "phone.css").read_text(encoding="utf-8"),
        "script": f"{join_modules(FOLDER / 'js', 'phone')}openRoom({words});",
    }
    raw = (FOLDER / "html" / "phone.html").read_text(encoding="utf-8")
    return re.sub(r"@@(\w+)@@", lambda match: parts[match[1]], raw)


@lru_cache(maxsize=1)
def style() -> str:
    """The page's style sheets, joined."""
    return theme.css_variables() + "\n".join((FOLDER / "css" / f"{n}.css").read_text(encoding="utf-8") for n in STYLES)


@lru_cache(maxsize=1)
def template() -> str:
    """The stage's fixed containers."""
    return _worded("stage", text.STAGE)


@lru_cache(maxsize=1)
def page() -> str:
    """The six tabs, the stage in the first."""
    inner = {
        "stage": template(),
        "compare": _worded("compare", text.COMPARE),
        "diagnose": _worded("diagnose", text.DIAGNOSE),
        "learn": _worded("learn", text.LEARN),
        "play": _worded("play", text.GAME),
        "lab": _worded("lab", text.LAB),
    }
    return re.sub(r"@@(\w+)@@", lambda match: inner[match[1]], _worded("page", text.TABS | {"title": text.TITLE}))


def _worded(name: str, words: dict[str, str]) -> str:
    """A template with `%%key%%` replaced by words of app.words.sentences."""
    raw = (FOLDER / "html" / f"{name}.html").read_text(encoding="utf-8")

    def word(match: re.Match) -> str:
        # Gradio reads the template as a JavaScript template literal.
        return html.escape(words[match[1]], quote=True).replace("`", "&#96;").replace("$", "&#36;")

    return re.sub(r"%%(\w+)%%", word, raw)


def plotly_js() -> Path:
    """plotly.js as the installed wheel ships it."""
    return Path(str(files("plotly") / "package_data" / "plotly.min.js"))
