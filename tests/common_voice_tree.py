"""Folders of Common Voice as they are unpacked, for its own tests and for those of what is made of it."""

from functools import cache
from io import BytesIO

import numpy as np
import soundfile

from wavllm_cli.data import mpeg

V4 = "client_id path sentence up_votes down_votes age gender accent"
V5_0 = "client_id path sentence up_votes down_votes age gender accent locale segment"
SHUFFLED = "locale segment accent gender age down_votes up_votes sentence path client_id"
V13 = "client_id path sentence up_votes down_votes age gender accents variant locale segment"
V17 = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
)


@cache
def mp3():
    """An mp3 of variable bit rate without a Xing header, as decoders misread it."""
    samples = np.concatenate([np.zeros(8_000), 0.3 * np.random.default_rng(0).standard_normal(16_000)])
    file = BytesIO()
    soundfile.write(file, samples, 16_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    return file.getvalue()[mpeg.scan(BytesIO(file.getvalue()), 0).first :]


def write_table(path, columns, rows):
    """Rows that give columns by name, and may give others."""
    names = columns.split()
    lines = ["\t".join(names), *("\t".join(row.get(column, "") for column in names) for row in rows)]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def language(folder, columns, clips, **tables):
    """A language's folder with clips by these names, and tables."""
    (folder / "clips").mkdir(parents=True)
    for name in clips:
        (folder / "clips" / name).write_bytes(mp3())
    for name, rows in tables.items():
        write_table(folder / f"{name}.tsv", columns, rows)
    return folder


def clip(number, sentence="Hello.", code="en", **columns):
    path = f"common_voice_{code}_{number}.mp3"
    return {"client_id": f"c{number}", "path": path, "sentence": sentence, "locale": code, **columns}
