"""Downloads over a real HTTPS connection to a server of our own: broken off, resumed, verified, misdirected."""

import hashlib
import http.server
import re
import shutil
import ssl
import subprocess
import threading
import urllib.request
from functools import partial

import pytest

from mindrec.errors import MindRecError
from mindrec.sources import fetch

BODY = bytes(range(256)) * 4000
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the server's certificate")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves BODY in ranges; the first answer on /broken ends in the middle."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.path.startswith("/away"):
            return self._head(302, {"Location": f"http://127.0.0.1:{self.server.plain}/file.csv"})
        if self.path.startswith("/missing"):
            return self._head(404, {"Content-Length": "0"})
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-")).group(1))
        if start >= len(BODY):
            return self._head(416, {"Content-Length": "0"})
        self._head(206 if start else 200, {"Content-Length": str(len(BODY) - start)})
        body = BODY[start:]
        broken = self.path.startswith("/broken") and not start
        self.wfile.write(body[: len(body) // 3] if broken else body)
        self.close_connection = broken

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


class Site(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that hangs up is part of these tests."""


def serving(tls=None):
    server = Site(("127.0.0.1", 0), Handler)
    server.asked, server.plain = [], None
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """(server, its address, an opener that trusts its certificate)."""
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*made, *files], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server, plain = serving(tls), serving()
    server.plain = plain.server_address[1]
    trust = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    yield server, f"https://127.0.0.1:{server.server_address[1]}", partial(urllib.request.urlopen, context=trust)
    server.shutdown()
    plain.shutdown()


def test_a_broken_download_is_resumed_and_verified(site, tmp_path):
    server, address, opener = site
    url, good = f"{address}/broken/log.csv", "sha256:" + hashlib.sha256(BODY).hexdigest()
    with pytest.raises(MindRecError, match=r"arrived; run the command again, it resumes|broke off"):
        fetch.local(url, good, tmp_path, opener)
    (part,) = (tmp_path / "downloads").iterdir()
    held = part.stat().st_size
    assert part.suffix == ".part"
    assert 0 < held < len(BODY)
    path = fetch.local(url, good, tmp_path, opener)
    assert path.read_bytes() == BODY
    assert server.asked[-1] == ("/broken/log.csv", f"bytes={held}-")
    asked = len(server.asked)
    assert fetch.local(url, good, tmp_path, opener) == path
    assert len(server.asked) == asked, "what is there is not fetched twice"


def test_a_download_that_lacked_only_its_name_is_finished(site, tmp_path):
    _, address, opener = site
    url = f"{address}/whole.csv"
    path = fetch.local(url, None, tmp_path, opener)
    path.rename(path.with_name(path.name + ".part"))
    assert fetch.local(url, None, tmp_path, opener).read_bytes() == BODY


@pytest.mark.parametrize(
    ("where", "checksum", "says"),
    [
        ("/wrong.csv", "md5:00", "the fetched file was deleted"),
        ("/missing.csv", None, "answers 404"),
        ("/away.csv", None, "which is not https"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(site, tmp_path, where, checksum, says):
    _, address, opener = site
    with pytest.raises(MindRecError, match=says):
        fetch.local(address + where, checksum, tmp_path, opener)
    assert not [p for p in (tmp_path / "downloads").iterdir() if p.stat().st_size]


def test_a_certificate_that_no_one_vouches_for_is_refused(site, tmp_path):
    with pytest.raises(MindRecError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch.local(f"{site[1]}/file.csv", None, tmp_path)
