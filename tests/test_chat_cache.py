from concurrent.futures import ProcessPoolExecutor

import pytest

from wavllm_cli.chat.cache import Cache
from wavllm_cli.chat.request import Reply
from wavllm_cli.chat.settings import default_cache
from wavllm_cli.errors import WavLLMError

KEY = "ab" + "0" * 62
BODY = {"model": "m", "messages": [{"role": "user", "content": "ü\u2028"}]}


def reply(text="hi"):
    return Reply(text=text, finish_reason="stop", prompt_tokens=3, completion_tokens=2)


def put_often(folder, text):
    for _ in range(50):
        Cache(folder).put(KEY, BODY, reply(text * 1000))


@pytest.mark.parametrize("kept", [reply(), reply("ü\u2028\x00"), Reply(text=None, refusal="No.", prompt_tokens=1,
                                                                     completion_tokens=1, batch=True)])  # fmt: skip
def test_what_is_put_is_got(tmp_path, kept):
    Cache(tmp_path / "new" / "cache").put(KEY, BODY, kept)
    assert Cache(tmp_path / "new" / "cache").get(KEY, BODY) == kept


def test_only_what_was_put_is_there(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get(KEY, BODY) is None
    cache.put(KEY, None, reply("one"))
    cache.put(KEY, BODY, reply("two"))
    assert cache.get(KEY, BODY) == reply("two") and cache.get(KEY[::-1], BODY) is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY}.json"]


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"null", b'{"request": null}', b'{"reply": {"text": 1}}'])
def test_a_damaged_file_counts_as_absent(tmp_path, damage):
    cache = Cache(tmp_path)
    cache.put(KEY, BODY, reply())
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(damage)
    assert cache.get(KEY, BODY) is None
    cache.put(KEY, BODY, reply())
    assert cache.get(KEY, BODY) == reply()


def test_writers_and_readers_at_once_never_see_half_a_file(tmp_path):
    put_often(tmp_path, "a")
    with ProcessPoolExecutor(2) as pool:
        writers = [pool.submit(put_often, tmp_path, letter) for letter in "ab"]
        seen = set()
        while not all(writer.done() for writer in writers):
            seen.add(Cache(tmp_path).get(KEY, BODY))
        for writer in writers:
            writer.result()
    assert seen <= {reply("a" * 1000), reply("b" * 1000)}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WavLLMError, match=r"file cannot be used as a cache: Not a directory\.$"):
        Cache(tmp_path / "file").get(KEY, BODY)
    with pytest.raises(WavLLMError, match="cannot be written"):
        Cache(tmp_path / "file").put(KEY, BODY, reply())


def test_default_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "wavllm" / "chat"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(default_cache()) == "/home/somebody/.cache/wavllm/chat"


def test_the_reply_to_another_request_is_not_believed(tmp_path, capsys):
    cache = Cache(tmp_path)
    cache.put(KEY, BODY | {"model": "other"}, reply("of another"))
    assert cache.get(KEY, BODY) is None and cache.get(KEY, BODY) is None
    said = capsys.readouterr().err
    assert said.count("warning: ") == 1 and f"{KEY}.json holds the reply to another request" in said
    cache.put(KEY, dict(reversed(BODY.items())), reply())
    assert cache.get(KEY, BODY) == reply()


def test_replies_are_for_their_owner_alone(tmp_path):
    Cache(tmp_path / "cache").put(KEY, BODY, reply())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "cache", *(tmp_path / "cache").rglob("*"))}
    assert modes == {"cache": 0o700, "ab": 0o700, f"{KEY}.json": 0o600}
