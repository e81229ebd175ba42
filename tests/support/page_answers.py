"""Questions of the page as the page asks them: answers are what their bytes say."""

import base64
import gzip
import json
import re

from app.server.guard import respond


class AsPage:
    """The questions of a tab; what is no question is passed through."""

    def __init__(self, tab):
        self.tab = tab

    def __getattr__(self, name):
        value = getattr(self.tab, name)
        if not hasattr(value, "__wrapped__"):
            return value
        return lambda ask: json.loads(respond(value(ask)).body)


def replay_data(page: str) -> dict:
    """The data inside a replay file."""
    packed = max(re.findall(r'\("([A-Za-z0-9+/=]+)"\)', page), key=len)
    return json.loads(gzip.decompress(base64.b64decode(packed)))
