"""A replay: one HTML file that plays a trace from disk, with plotly.js inside and no network."""

import html

from app.page import assets
from app.server.guard import to_json
from app.words import sentences as text


def replay_page(bundle: dict) -> str:
    """The page as text, under 7 MB. Data goes in as JSON with `<` escaped, so that no title can end the script."""
    data = to_json({"text": text.STAGE, "bundle": bundle, "plotly": None}).decode().replace("<", "\\u003c")
    title = html.escape(text.STAGE["replay_title"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>body{{margin:0;background:#f6f7f9}}body.dark{{background:#0e131b}}{assets.style()}</style></head>
<body><main id="stage">{assets.template()}</main>
<script>{_inside_script(assets.plotly_js().read_text(encoding="utf-8"))}</script>
<script>
document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
(function () {{ {_inside_script(assets.script())}
mount(document.getElementById("stage"), {data}, null); }})();
</script></body></html>
"""


def _inside_script(code: str) -> str:
    return code.replace("</script", "<\\/script")
