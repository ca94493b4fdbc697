"""Recordings from a server on loopback: had, or a sentence; never too much, never too long."""

from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from wavllm_cli.data import download as module
from wavllm_cli.data.download import download, is_address, shown_address
from wavllm_cli.errors import AudioError, UsageError

SOUND = b"RIFF" * 1000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        name = self.path.partition("?")[0]
        if name == "/gone.wav":
            self.send_error(404)
            return
        if name == "/moved.wav":
            self.send_response(302)
            self.send_header("Location", "/talk.wav")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if name == "/page" else "audio/wav")
        claimed = {"/cut.wav": 5000, "/huge.wav": 10**13}.get(name)
        if claimed or name == "/talk.wav":
            self.send_header("Content-Length", str(claimed or len(SOUND)))
        self.end_headers()
        self.wfile.write(SOUND)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=partial(server.serve_forever, 0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["talk.wav", "moved.wav", "open-ended.wav", "talk.wav?key=secret"])
def test_a_recording_is_had(server, tmp_path, name):
    download(f"{server}/{name}", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == SOUND


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.wav?key=secret", r"/gone\.wav cannot be had: 127\.0\.0\.1 answers 404 \(Not Found\)\.$"),
        ("page", "is no recording but text/html: give the address of the audio file itself"),
        ("cut.wav", "the connection broke off after 4,000 of 5,000 bytes"),
        ("huge.wav", "is larger than 2 GB"),
    ],
)
def test_what_is_none_is_a_sentence_without_keys(server, tmp_path, name, sentence):
    with pytest.raises(AudioError, match=sentence) as caught:
        download(f"{server}/{name}", tmp_path / "x")
    assert "secret" not in str(caught.value)


def test_bounds(server, tmp_path):
    with pytest.raises(AudioError, match="larger than"):
        download(f"{server}/open-ended.wav", tmp_path / "x", most=3999)
    with pytest.raises(AudioError, match="takes more than"):
        download(f"{server}/open-ended.wav", tmp_path / "x", longest=-1.0)


def test_addresses_to_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 2.0)
    with pytest.raises(AudioError, match=r"^http://127\.0\.0\.1:9/x cannot be had: Connection refused\.$"):
        download("http://127.0.0.1:9/x", tmp_path / "x")
    for address in ("http://", "http://[::1/x", "http://me:secret@x:y/z", "https://?key=secret"):
        with pytest.raises(UsageError, match="is no address: it should look like") as caught:
            download(address, tmp_path / "x")
        assert "secret" not in str(caught.value)


def test_what_is_shown_of_an_address():
    assert is_address("HTTPS://x/y") and not is_address("talk.wav") and not is_address("Is http:// one?")
    assert shown_address("https://me:secret@host:8/a.mp3?key=1#x") == "https://host:8/a.mp3"
