"""Near duplicates: changes that must be seen through, look-alikes that must be let pass."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from convivo.arrays.landmarks import landmarks
from convivo.arrays.thumbnails import SIDES, thumbnail
from convivo.data.closer import hold_closer, is_sure
from convivo.data.inspection import inspect_data
from convivo.data.near import Near, near_pairs
from convivo.data.overlaps import overlapping
from convivo.data.sample import Case
from convivo.data.split import make_split
from convivo.errors import DataError
from convivo.verbs.train import train


def texture(shape: tuple[int, ...], seed: int, blur: float = 1.0) -> np.ndarray:
    """Smoothed noise, uint8: no two seeds are alike."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, blur, mode="wrap")
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(image: np.ndarray, scale: float) -> np.ndarray:
    size = [round(side * scale) for side in image.shape[::-1]]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jpeg 50": lambda image: jpeg(image, 50),
    "jpeg 90": lambda image: jpeg(image, 90),
    "mirrored": lambda image: image[:, ::-1],
    "turned": np.rot90,
    "both": lambda image: image[::-1].T,
    "shifted": lambda image: np.pad(image, ((3, 0), (0, 2)), mode="edge")[:-3, 2:],
    "smaller": lambda image: resized(image, 0.75),
    "larger": lambda image: resized(image, 1.5),
    "darker": lambda image: (image * 0.6 + 10).round().astype(np.uint8),
    "16 bit": lambda image: image.astype(np.uint16) * 257,
    "colored": lambda image: image,  # three channels: see below
}


def shown(image: np.ndarray) -> np.ndarray:
    small = thumbnail(np.ascontiguousarray(image)[None])
    assert small is not None
    return small


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_is_known_again(name: str) -> None:
    images = [texture((60, 76), seed) for seed in range(20)]
    changed = np.ascontiguousarray(CHANGES[name](images[7]))
    as_found = thumbnail(np.stack([changed] * (3 if name == "colored" else 1)))
    assert as_found is not None
    (pair,) = near_pairs([*map(shown, images), as_found])
    assert (pair.first, pair.second) == (7, 20)
    assert pair.similarity > 0.99
    how = {"mirrored": "mirrored", "turned": "turned", "both": "turned"}
    assert pair.how == how.get(name, "")


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31), st.floats(0.5, 1.2), st.integers(-20, 20), st.integers(-3, 3),
    st.booleans(),
)  # fmt: skip
def test_changes_add_up(seed: int, gain: float, offset: int, step: int, mirror: bool) -> None:
    image = texture((64, 64), seed)
    changed = np.roll(image[:, ::-1] if mirror else image, step, axis=0)
    changed = np.clip(changed * gain + offset, 0, 255).round().astype(np.uint8)
    others = [shown(texture((64, 64), seed + n)) for n in range(1, 13)]
    pairs = near_pairs([shown(image), *others, shown(changed)])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 13)]


def test_a_negative_is_another_image() -> None:
    image = texture((40, 40), 1)
    assert near_pairs([shown(image), shown(255 - image)]) == []


def test_neighbouring_sections_are_look_alikes() -> None:
    stack = texture((30, 64, 64), 3, blur=1.5)
    assert near_pairs([shown(section) for section in stack]) == []


def test_silhouettes_are_look_alikes() -> None:
    """Blobs without anything in them: black and white, each of another outline."""
    smooth = [texture((48, 48), seed, blur=4.0) for seed in range(60)]
    blobs = [np.uint8(200) * (image > np.median(image)) for image in smooth]
    assert near_pairs([shown(blob) for blob in blobs]) == []


VOLUMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": lambda volume: volume[:, ::-1],
    "turned": lambda volume: volume.transpose(2, 0, 1),
    "larger": lambda volume: ndimage.zoom(volume, 1.4, order=1),
    "brighter": lambda volume: volume * 3.0 + 5,
}
SIGNALS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "backwards": lambda signal: signal[::-1],
    "shifted": lambda signal: np.roll(signal, 20),
    "faster": lambda signal: ndimage.zoom(signal, 1.5),
    "weaker": lambda signal: 0.2 * signal - 7,
}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_volume_is_known_again(name: str) -> None:
    volumes = [texture((22, 26, 30), seed, blur=2.0).astype(np.float32) for seed in range(12)]
    pairs = near_pairs([*map(shown, volumes), shown(VOLUMES[name](volumes[4]))])
    assert [(pair.first, pair.second) for pair in pairs] == [(4, 12)]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_known_again(name: str) -> None:
    signals = [texture((900,), seed, blur=4.0).astype(np.float64) for seed in range(12)]
    pairs = near_pairs([*map(shown, signals), shown(SIGNALS[name](signals[4]))])
    assert [(pair.first, pair.second) for pair in pairs] == [(4, 12)]


def test_nothing_comes_of_one_or_none() -> None:
    assert near_pairs([]) == near_pairs([shown(texture((19, 19), 0))]) == []


def test_a_thumbnail_forgets_size_gain_and_offset() -> None:
    image = texture((10, 9, 11), 1, blur=0.0)[None]
    small = thumbnail(image)
    assert small is not None
    assert (small.shape, small.dtype) == ((SIDES[2],) * 3, np.int8)
    scaled = thumbnail(image * 2.5 + 9.0)
    assert scaled is not None
    assert np.abs(small.astype(int) - scaled).max() <= 1
    assert thumbnail(np.full((1, 19, 19), 7)) is None
    assert thumbnail(np.full((1, 19, 19), np.nan)) is None


def recording(seed: int, length: int = 6_000) -> np.ndarray:
    return ndimage.gaussian_filter1d(np.random.default_rng(seed).normal(size=(2, length)), 3)


def test_windows_of_one_recording_are_found_and_others_are_not() -> None:
    one, other = recording(0), recording(1)
    windows = {"a": one[:, :2000], "b": one[:, 1200:3200], "c": one[:, 3300:], "d": other}
    (found,) = overlapping({name: landmarks(w) for name, w in windows.items()})
    assert (found.first, found.second, found.how) == ("a", "b", "40% of the shorter one")
    assert found.similarity > 0.999


def test_a_part_of_a_recording_with_another_gain_is_found() -> None:
    whole = recording(2)
    parts = {"whole": whole, "part": 0.01 * whole[:, 2500:4100] + 3}
    found = overlapping({name: landmarks(part) for name, part in parts.items()})
    assert [(f.first, f.second, f.how) for f in found] == [
        ("part", "whole", "100% of the shorter one")
    ]


def test_beats_of_one_heart_are_no_overlap() -> None:
    """One shape again and again, with noise and an unsteady rhythm."""
    rng = np.random.default_rng(5)
    beat = np.exp(-(((np.arange(60) - 30) / 5.0) ** 2))
    signal = np.zeros(40_000)
    place = 50
    while place < 39_900:
        signal[place : place + 60] += beat
        place += int(rng.integers(180, 260))
    signal = (signal + 0.03 * rng.normal(size=signal.size))[None]
    windows = {str(i): landmarks(signal[:, i : i + 4000]) for i in range(0, 40_000, 4000)}
    assert overlapping(windows) == []


def test_short_or_flat_recordings_have_no_landmarks() -> None:
    assert len(landmarks(np.ones((2, 900))).positions) == 0
    assert len(landmarks(recording(0, 100)).positions) == 0
    assert overlapping({"a": None, "b": landmarks(np.ones((1, 900)))}) == []


def folder(root: Path, name: str, count: int, seed: int) -> None:
    for label in ("a", "b"):
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            seed += 1
            Image.fromarray(texture((40, 40), seed)).save(root / label / name.format(i=i))


def test_a_recoded_copy_is_in_the_audit_and_in_one_part_of_a_split(tmp_path: Path) -> None:
    folder(tmp_path, "{i}x.png", 4, 0)
    copy = np.asarray(Image.open(tmp_path / "a" / "1x.png"))[:, ::-1]
    Image.fromarray(np.ascontiguousarray(copy)).save(tmp_path / "b" / "copy.jpg", quality=70)
    found = inspect_data(tmp_path)
    (problem,) = (p for p in found.problems if p.code == "duplicate")
    assert problem.path == "b/copy.jpg"
    assert problem.message.startswith("shows the same image as a/1x.png (mirrored, similarity 0.99")
    assert len(set(found.units.values())) == 9
    audit = found.document()["audit"]
    assert (audit["audited"], audit["of"]) == (9, 9)
    assert audit["pairs"] == {"equal": 0, "near": 1, "overlap": 0}
    split = make_split(found)
    assert any({"a/1x.png", "b/copy.jpg"} <= set(p) for p in (split.train, split.val, split.test))


def test_a_recoded_copy_under_another_subject(tmp_path: Path) -> None:
    folder(tmp_path, "P1_{i}.png", 3, 0)
    folder(tmp_path, "P2_{i}.png", 3, 50)
    copy = jpeg(np.asarray(Image.open(tmp_path / "a" / "P1_0.png")), 80)
    Image.fromarray(copy).save(tmp_path / "a" / "P2_9.png")
    found = inspect_data(tmp_path)
    (problem,) = (p for p in found.problems if p.code == "duplicate-across-subjects")
    assert problem.path == "a/P2_9.png"
    assert "one is of subject P1, the other of P2" in problem.message
    assert len(set(found.units.values())) == 2


def test_training_refuses_a_given_split_that_a_recoded_copy_leaks_through(tmp_path: Path) -> None:
    folder(tmp_path / "train", "{i}x.png", 4, 0)
    folder(tmp_path / "test", "{i}y.png", 2, 50)
    copy = resized(np.asarray(Image.open(tmp_path / "train" / "a" / "2x.png")), 1.5)
    Image.fromarray(copy).save(tmp_path / "test" / "a" / "copy.png")
    with pytest.raises(DataError, match=r"duplicate-across-splits.*shows the same image.*waive it"):
        train(tmp_path, out=tmp_path / "run", quiet=True)


def disc(seed: int, side: int = 120) -> np.ndarray:
    """A blank cell with a ragged outline, on black."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    angle, wave = np.arctan2(y, x), rng.uniform(0, 2 * np.pi, 12)
    ragged = sum(np.sin(k * angle + wave[k]) for k in range(3, 12)) / 12
    inside = np.hypot(x / 1.05, y) < side * 0.45 + 8 * ragged
    return (inside * (170 + rng.normal(size=(side, side)))).astype(np.uint8)


@pytest.mark.parametrize("change", ["jpeg 50", "smaller", "shifted", "darker"])
def test_a_closer_look_tells_outlines_from_one_picture(change: str, tmp_path: Path) -> None:
    images = {"a": disc(1), "b": disc(2), "changed": CHANGES[change](disc(1))}
    cases = {}
    for name, image in images.items():
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / f"{name}.png")
        cases[name] = Case(id=name, image=(str(tmp_path / f"{name}.png"),))
    pairs = [(cases["a"], cases["b"], True), (cases["a"], cases["changed"], False)]
    assert hold_closer(pairs, 2) == [False, True]


@pytest.mark.parametrize(
    ("residual", "share", "sure"),
    [
        (0.075, 0.2, True),
        (0.09, 0.2, False),
        (0.075, 0.26, False),
        (0.01, 0.9, True),  # nothing but roundings, however alike the others are
    ],
)
def test_small_images_must_be_the_more_alike(residual: float, share: float, sure: bool) -> None:
    similarity = (1 - residual**2) ** 0.5
    pair = Near(first=0, second=1, similarity=similarity, residual=residual, share=share)
    assert is_sure(pair) == sure


def test_of_small_images_the_first_look_is_believed_where_it_is_sure(tmp_path: Path) -> None:
    Image.fromarray(texture((28, 30), 1)).save(tmp_path / "a.png")
    Image.fromarray(texture((28, 30), 2)).save(tmp_path / "b.png")
    one, other = (Case(id=n, image=(str(tmp_path / f"{n}.png"),)) for n in "ab")
    assert hold_closer([(one, other, False), (one, other, True)], 2) == [False, True]
