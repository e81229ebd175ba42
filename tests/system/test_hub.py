"""The Hub: what reaches it, and what is read back from it, by real HTTP from a stand-in on this machine."""

import hashlib
import inspect
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from paths import ROOT

from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.system.hub import upload

SHA = "a" * 40


@pytest.fixture
def hub(monkeypatch):
    """Records the calls of HfApi, each bound to the real signature: an argument that the Hub lacks is an error."""
    from huggingface_hub import HfApi

    calls = []
    for name in ("create_repo", "upload_folder"):
        real = inspect.signature(getattr(HfApi, name))

        def call(self, *arguments, _name=name, _real=real, **options):
            _real.bind(self, *arguments, **options)
            calls.append((_name, arguments, options))
            return "address"

        monkeypatch.setattr(HfApi, name, call)
    return calls


def test_private_and_token_reach_both_calls(recommender, hub):
    recommender.push_to_hub("me/x", private=True, token="secret", commit_message="first")
    (make, repo, made), (send, _, sent) = hub
    assert (make, send) == ("create_repo", "upload_folder")
    assert repo == ("me/x",)
    assert made["private"] is True
    assert made["token"] == sent["token"] == "secret"
    assert sent["commit_message"] == "first"


def test_an_unknown_option_is_refused_before_a_repository_is_made(recommender, hub):
    with pytest.raises(MindRecError, match="visibilty"):
        recommender.push_to_hub("me/x", visibilty="private")
    assert hub == []


class _Hub(BaseHTTPRequestHandler):
    """The part of the Hub's protocol that reading a model needs."""

    folder = None

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, body: bool):
        path = self.path.split("?")[0]
        names = sorted(p.name for p in self.folder.iterdir())
        if path.startswith("/api/models/me/x/tree"):
            rows = [self._entry(name) for name in names]
            return self._send(json.dumps(rows).encode(), body)
        if path.startswith("/api/models/me/x"):
            about = {"id": "me/x", "sha": SHA, "siblings": [{"rfilename": name} for name in names]}
            return self._send(json.dumps(about).encode(), body)
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/me/x/resolve/") and name in names:
            return self._send((self.folder / name).read_bytes(), body)
        self.send_error(404)

    def _entry(self, name: str) -> dict:
        data = (self.folder / name).read_bytes()
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def _send(self, data: bytes, body: bool):
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.send_header("etag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("x-repo-commit", SHA)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments):
        pass


READ = """
import sys
from mindrec import MindRecError, Recommender
try:
    print(Recommender.from_pretrained("me/x", "cpu").checkpoint.fingerprint)
except MindRecError as error:
    print("refused:", error)
"""


def read_from(endpoint: str, home) -> str:
    """A fresh process in an empty folder: huggingface_hub reads its endpoint when it is imported."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
    kept = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=home, env=kept | settings, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_repository_is_read_by_its_id(checkpoint, recommender, tmp_path):
    handler = type("Handler", (_Hub,), {"folder": checkpoint})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        result = read_from(f"http://127.0.0.1:{server.server_port}", tmp_path / "home")
    finally:
        server.shutdown()
    assert result == recommender.checkpoint.fingerprint


def test_without_a_network_one_sentence_says_so(tmp_path):
    said = read_from("http://127.0.0.1:9", tmp_path / "home")
    assert said.startswith("refused: me/x is no folder here, and it was not read from the Hub")
    assert len(said.splitlines()) == 1


def test_an_upload_without_a_network_is_one_sentence(tmp_path, monkeypatch):
    """Whatever HTTP library the Hub's client is made with."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MindRecError, match="me/x was not uploaded") as refusal:
        upload("me/x", tmp_path, token="made-up")
    assert str(refusal.value).endswith("; check the network, the name and the token")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_missing_folder_is_still_a_missing_folder(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MindRecError, match="checkpoints"):
        Recommender.from_pretrained("checkpoints/gone")
