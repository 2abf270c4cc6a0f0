"""Sounds: numbers, channels and rate as stored; files that are none, or end early."""

import struct

import numpy as np
import pytest
from scipy.io import wavfile

from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.data.readers import read, read_header
from convivo.errors import ReadError

RATE = 4000


def sound(kind, channels=1, count=500):
    values = np.random.default_rng(channels).normal(size=(count, channels))
    scale = 1 if np.dtype(kind).kind == "f" else 30
    offset = 128 if kind == "uint8" else 0
    return (values * scale + offset).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2])
def test_numbers_channels_and_rate(tmp_path, kind, channels):
    values = sound(kind, channels)
    wavfile.write(tmp_path / "a.wav", RATE, values if channels > 1 else values[:, 0])
    header, raw = read_header(tmp_path / "a.wav"), read(tmp_path / "a.wav")
    assert (header.shape, header.channels, header.dtype) == ((500,), channels, kind)
    assert (header.axes, header.spacing, header.spacing_unit) == ("T", (1 / RATE,), "s")
    np.testing.assert_array_equal(raw.array, values.T)


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(coding=1, channels=1, bits=16):
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", coding, channels, RATE, RATE * frame, frame, bits))


def test_24_bits_and_chunks_of_other_things(tmp_path):
    body = b"".join(int(v).to_bytes(3, "little", signed=True) for v in (-3, 0, 70000))
    note = chunk(b"LIST", b"INFOabc")
    (tmp_path / "a.wav").write_bytes(riff(note, fmt(bits=24), note, chunk(b"data", body), note))
    raw = read(tmp_path / "a.wav")
    assert (raw.array.dtype, raw.header.shape) == (np.int32, (3,))
    np.testing.assert_array_equal(raw.array[0] >> 8, [-3, 0, 70000])


@pytest.mark.parametrize(("content", "words"), [
    (b"", "begins with RIFF and WAVE; got nothing"),
    (b"ID3 and more of it", "begins with RIFF and WAVE; got ID3 and more"),
    (riff(fmt(coding=85), chunk(b"data", b"12")), r"plain numbers \(PCM or float\); got coding 85"),
    (riff(chunk(b"data", b"12")), "says its format first"),
    (riff(fmt()), "truncated.*no chunk of data"),
    (riff(fmt(), chunk(b"data", b"123456"))[:-2], "truncated.*4 of 6 bytes"),
    (riff(chunk(b"fmt ", b"1234")), "truncated.*4 bytes of its format"),
])  # fmt: skip
def test_what_is_none_or_ends_early(tmp_path, content, words):
    (tmp_path / "a.wav").write_bytes(content)
    for look in (read_header, read):
        with pytest.raises(ReadError, match=rf"a\.wav: .*{words}"):
            look(tmp_path / "a.wav")


def test_a_folder_of_sounds_a_class(tmp_path):
    for place, name in enumerate(("murmur", "normal")):
        (tmp_path / name).mkdir()
        wavfile.write(tmp_path / name / "1.wav", RATE, sound("int16", count=300 + place)[:, 0])
    index = detect(tmp_path)
    assert (index.layout, index.spatial_dims, index.classes) == (
        "class-folders", 1, ("murmur", "normal"),
    )  # fmt: skip
    assert load(index.cases[1], index).image.shape == (1, 301)
