"""The one place where an answer, traces and all, becomes bytes. No gradio."""

import json

import orjson

Answer = dict | orjson.Fragment
"""Of a question of the page. A Fragment is JSON already, as a decoding process made it; it may stand in a dict too."""


def to_json(answer: Answer) -> bytes:
    """An answer as UTF-8 JSON; what an orjson.Fragment holds is copied as it is."""
    try:
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half a surrogate pair in what was asked, told back in an error
        return json.dumps(answer).encode()
