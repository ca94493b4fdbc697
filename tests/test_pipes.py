import pytest

from wavllm_cli.corpora.importers.pipes import Source, source


@pytest.mark.parametrize("text, is_", [
    ("/data/a b.wav ", Source("/data/a b.wav")),
    ("dump/wav.ark:1024", Source("dump/wav.ark", offset=1024)),
    ("/kaldi/tools/sph2pipe_v2.5/sph2pipe -f wav -p -c 2 /d/sw02001.sph |", Source("/d/sw02001.sph", 1)),
    ("sox 'a b.wav' -t wav - remix 2 |", Source("a b.wav", 1)),
    ("sox a.mp3 -r 16000 -c 1 -b 16 -t wav - |", Source("a.mp3")),
    ("flac -c -d -s /d/19-198-0000.flac |", Source("/d/19-198-0000.flac")),
    ("cat a.wav|", Source("a.wav")),
    ("ffmpeg -nostdin -i a.m4a -ar 16000 -f wav pipe:1 |", Source("a.m4a")),
])  # fmt: skip
def test_what_only_picks_a_file_and_a_channel_is_understood(text, is_):
    assert source(text) == is_


@pytest.mark.parametrize("text", [
    "sox a.wav -t wav - speed 0.9 |",
    "sox a.wav -t wav - trim 0 10 |",
    "sox -m a.wav b.wav -t wav - |",
    "sox a.wav -t wav - remix 1,2 |",
    "cat a.wav b.wav |",
    "cat a.wav; touch pwned |",
    "cat $(touch pwned) |",
    "sph2pipe -f wav -t 0:10 a.sph |",
    "sph2pipe -f wav -c 0 a.sph |",
    "sph2pipe -f wav -p a.sph | sox - -t wav - rate 16k |",
    "ffmpeg -i a.mp4 -ss 10 -f wav - |",
    "ffmpeg a.mp4 |",
    "wav-reverberate a.wav - |",
    "cat 'a.wav |",
    "|",
])  # fmt: skip
def test_what_does_more_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="command is not run"):
        source(text)
    assert not list(tmp_path.iterdir())
