"""A replay: one small HTML file that plays a trace from disk, without a network and without plotly.js."""

import base64
import gzip
import html

from app.page import assets
from app.server.guard import to_json
from app.words import sentences as text

UNPACK = """async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text()); }"""


def replay_page(bundle: dict) -> str:
    """The page as text, under 500 kB. Its data is compressed, in letters that can end no script."""
    data = to_json({"text": text.STAGE, "bundle": bundle, "plotly": None})
    packed = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    title = html.escape(text.STAGE["replay_title"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>body{{margin:0;background:#f6f7f9}}body.dark{{background:#0e131b}}{assets.style()}</style></head>
<body><main id="stage">{assets.template()}</main>
<script>
document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
(function () {{ {_inside_script(assets.stage_script())}
({UNPACK})("{packed}").then((data) => mount(document.getElementById("stage"), data, null)); }})();
</script></body></html>
"""


def _inside_script(code: str) -> str:
    return code.replace("</script", "<\\/script")
