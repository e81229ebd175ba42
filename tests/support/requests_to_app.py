"""HTTP requests to a running app."""

import json
import urllib.error
import urllib.request

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(server, path, data=None, *, kind="application/json", method=None, **headers):
    """(status, headers, body) of one request."""
    body = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
    sent = ({"content-type": kind} if body is not None else {}) | headers
    request = urllib.request.Request(server + path, body, sent, method=method)
    try:
        with OPENER.open(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
