"""Work-arounds for Gradio 6.31, in one place: each says what is wrong there and can go once it is mended."""

NO_CLOCK = b"""<script>{
const real = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (work) =>
  window.mindrecIsOpen && String(new Error().stack).includes("statustracker") ? 0 : real(work);
}</script>"""
"""Gradio never ends the clock of its own loading message: an open page is asked for sixty frames a second, which
empties batteries and makes every step wait for the next of them. It takes its name for this function before any script
of ours runs, so this goes before it; once our page is open the clock gets no more frames."""


def with_head(send, tags: bytes):
    """An ASGI `send` that puts NO_CLOCK and `tags` first in the head of a page; of two tags that say one thing, the
    first counts, and Gradio's come later."""
    begun, parts = [], []

    async def sent(message):
        if message["type"] == "http.response.start":
            return begun.append(message)
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return None
        body = b"".join(parts).replace(b"<head>", b"<head>" + NO_CLOCK + tags, 1)
        headers = [(k, v) for k, v in begun[-1].get("headers", ()) if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**begun[-1], "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return sent


def is_wrong_parameters(error: BaseException, path: str) -> bool:
    """Whether an error is Gradio's TypeError for parameters that a public endpoint does not have, or lacks."""
    return isinstance(error, TypeError) and path.startswith("/gradio_api/call/")


class LooksUpOnce:
    """Stands before gr.HTML among a component's bases: an attribute that the component lacks is looked up once.

    gr.HTML takes such a name for an event and searches the whole script for it, every time. Gradio asks for some
    whenever a session begins: 10 ms in which the server answers nobody.
    """

    def __getattr__(self, name: str):
        known = self.__dict__.setdefault("_looked_up", {})
        if name not in known:
            try:
                known[name] = super().__getattr__(name)
            except AttributeError:
                known[name] = None
        if known[name] is None:
            raise AttributeError(name)
        return known[name]
