"""Near duplicates: planted ones found, look-alikes let pass, and the time for 100,000 images."""

import argparse
import gzip
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy
from PIL import Image

from convivo.arrays.landmarks import landmarks
from convivo.arrays.thumbnails import thumbnail
from convivo.data.closer import TOGETHER, finer, same
from convivo.data.near import Near, near_pairs
from convivo.data.overlaps import overlapping
from convivo.data.readers import read

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
WINDOW = 3_600  # samples of an ECG window: ten seconds
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def jpeg(quality: int) -> Change:
    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream))

    return change


def resized(scale: float) -> Change:
    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = [round(side * scale) for side in image.shape[::-1]]
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    return change


def mirrored(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.flip(image, axis=int(rng.integers(image.ndim)))


def turned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.rot90(image, int(rng.integers(1, 4)))


def shifted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By up to 5 % of each side, the border repeated."""
    most = [max(1, round(0.05 * side)) for side in image.shape]
    while not any(steps := [int(rng.integers(-m, m + 1)) for m in most]):
        pass
    wide = np.pad(image, [(abs(s), abs(s)) for s in steps], mode="edge")
    return wide[
        tuple(slice(abs(s) + s, abs(s) + s + n) for s, n in zip(steps, image.shape, strict=True))
    ]


def brightened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = image * rng.uniform(0.6, 1.4) + rng.uniform(-25, 25)
    return np.clip(changed, 0, 255).round().astype(np.uint8) if image.dtype == "u1" else changed


def several(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = resized(0.8)(np.ascontiguousarray(turned(shifted(image, rng), rng)), rng)
    return jpeg(75)(brightened(image, rng), rng)


IMAGES: dict[str, Change] = {
    "JPEG 50": jpeg(50), "JPEG 70": jpeg(70), "JPEG 90": jpeg(90), "mirrored": mirrored,
    "turned": turned, "shifted": shifted, "size x 0.75": resized(0.75),
    "size x 1.5": resized(1.5), "brightness": brightened, "five at once": several,
}  # fmt: skip
DIGITS = IMAGES | {"size x 0.5": resized(0.5)}  # 14 x 14: below the least that is compared at all


def volume_size(scale: float) -> Change:
    def change(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return scipy.ndimage.zoom(image.astype(np.float32), scale, order=1)

    return change


VOLUMES: dict[str, Change] = {
    "mirrored": mirrored, "turned": turned, "shifted": shifted,
    "size x 0.75": volume_size(0.75), "size x 1.5": volume_size(1.5), "brightness": brightened,
}  # fmt: skip


def mnist() -> list[np.ndarray]:
    raw = gzip.decompress((DATA / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    return list(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28))


def malaria() -> list[np.ndarray]:
    paths = sorted((DATA / "malaria_cells").rglob("*.png"))
    return [np.asarray(Image.open(path)) for path in paths]


def sections(side: int) -> list[np.ndarray]:
    paths = sorted((DATA / "isbi2012_em" / "membrane" / "train" / "image").glob("*.png"))
    whole = [np.asarray(Image.open(path).convert("L")) for path in paths]
    starts = range(0, 512, side)
    return [a[i : i + side, j : j + side] for a in whole for i in starts for j in starts]


def hippocampi() -> list[np.ndarray]:
    paths = sorted((DATA / "hippocampus_msd" / "TrainingSet" / "images").glob("h*.nii.gz"))
    return [read(str(path), None).array[0] for path in paths]


SETS: dict[str, tuple[Callable[[], list[np.ndarray]], dict[str, Change]]] = {
    "MNIST": (mnist, DIGITS),
    "malaria cells": (malaria, IMAGES),
    "ISBI 2012, tiles of 64": (lambda: sections(64), IMAGES),
    "ISBI 2012, sections": (lambda: sections(512), {}),
    "hippocampus volumes": (hippocampi, VOLUMES),
}


def audited(images: Sequence[np.ndarray]) -> list[Near]:
    """What an inspection of these images would call duplicates: both looks at them."""
    shown = {i: t for i, image in enumerate(images) if (t := thumbnail(image[None])) is not None}
    places = list(shown)
    found = near_pairs(list(shown.values()))
    pairs = [replace(p, first=places[p.first], second=places[p.second]) for p in found]
    held: list[bool] = []
    for start in range(0, len(pairs), TOGETHER):
        some = pairs[start : start + TOGETHER]
        one, other = ([finer(images[p][None]) for p in side] for side in _sides(some))
        held += same(one, other, [p.similarity for p in some])
    return [pair for pair, holds in zip(pairs, held, strict=True) if holds]


def _sides(pairs: Sequence[Near]) -> tuple[list[int], list[int]]:
    return [p.first for p in pairs], [p.second for p in pairs]


def planted(
    images: Sequence[np.ndarray], changes: dict[str, Change], per: int, seed: int
) -> tuple[dict[str, float], int, float]:
    """Share found of each change, images reported that are no copies, processor's seconds."""
    rng = np.random.default_rng(seed)
    whole, owner = list(images), {}
    for name, change in changes.items():
        for place in rng.choice(len(images), min(per, len(images)), replace=False):
            owner[len(whole)] = (name, int(place))
            whole.append(np.ascontiguousarray(change(images[place], rng)))
    began = time.process_time()
    pairs = audited(whole)
    seconds = time.process_time() - began
    root = list(range(len(whole)))  # what is linked stands in one unit, through others too

    def top(place: int) -> int:
        while root[place] != place:
            place = root[place]
        return place

    origin = [owner[place][1] if place in owner else place for place in range(len(whole))]
    false = set()
    for pair in pairs:
        root[top(pair.first)] = top(pair.second)
        if origin[pair.first] != origin[pair.second]:
            false.add(pair.second)
    hits: dict[str, list[bool]] = {}
    for place, (name, source) in owner.items():
        hits.setdefault(name, []).append(top(place) == top(source))
    return {name: float(np.mean(h)) for name, h in hits.items()}, len(false), seconds


def ecg(per: int, seed: int) -> tuple[str, str]:
    """Windows of ten seconds that share a half; and apart: windows that share nothing."""
    rng = np.random.default_rng(seed)
    records = sorted((DATA / "mitbih").glob("*.hea"))
    signals = [read(str(path), None).array for path in records]
    apart, shared = {}, {}
    for number, signal in enumerate(signals):
        starts = np.arange(0, signal.shape[1] - 2 * WINDOW, 2 * WINDOW)
        for start in rng.choice(starts, -(-per // len(signals)), replace=False):
            name = f"{number}-{start}"
            apart[f"{name}-a"] = landmarks(signal[:, start : start + WINDOW])
            middle = start + WINDOW // 2
            shared[f"{name}-b"] = landmarks(signal[:, middle : middle + WINDOW])
    found = {(o.first, o.second) for o in overlapping(apart | shared)}
    hits = sum((name, name[:-1] + "b") in found for name in apart)
    wrong = {two for one, two in found if one[:-1] != two[:-1]}
    total = len(apart) + len(shared)
    return f"{hits} of {len(apart)} ({hits / len(apart):.1%})", f"{len(wrong)} of {total}"


def textures(count: int, seed: int) -> list[np.ndarray]:
    """Windows of smoothed noise, 48 x 48, unequal."""
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < count:
        noise = rng.normal(size=(512, 512))
        wide = scipy.ndimage.gaussian_filter(noise, float(rng.uniform(0.5, 3)), mode="wrap")
        wide = np.clip(128 + 40 * wide / wide.std(), 0, 255).astype(np.uint8)
        out += [wide[i : i + 48, j : j + 48] for i in range(0, 464, 48) for j in range(0, 464, 48)]
    return out[:count]


def timed(seed: int) -> str:
    images = mnist() + textures(40_000, seed)
    began, worked = time.monotonic(), time.process_time()
    pairs = audited(images)
    whole, worked = time.monotonic() - began, time.process_time() - worked
    return (
        f"{len(images):,} images (60,000 of MNIST, 40,000 windows of noise): {whole:.0f} s by the "
        f"clock, {worked:.0f} processor seconds in {os.cpu_count()} threads; {len(pairs)} pairs "
        "reported."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per", type=int, default=500, help="duplicates planted of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help=f"parts: {', '.join(SETS)}, ECG, time")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "leaks.md")
    given = parser.parse_args()
    chosen = given.only or [*SETS, "ECG", "time"]
    lines = [
        "# Near duplicates", "",
        f"`bench/leaks.py --per {given.per} --seed {given.seed}`; numpy {np.__version__}, "
        f"scipy {scipy.__version__}. Found: share of the planted that stand in one unit with their "
        "source. False: images, planted ones too, reported as duplicates but no copies.",
        "",
    ]  # fmt: skip
    for name in [n for n in SETS if n in chosen]:
        make, changes = SETS[name]
        images = make()
        shares, false, seconds = planted(images, changes, given.per, given.seed)
        rate = 1000 * false / len(images)
        lines += [
            f"## {name}",
            "",
            f"n = {len(images):,}, at most {given.per} planted of each kind; ",
        ]
        lines[-1] += f"false: {false} ({rate:.2f} of 1,000); {seconds:.0f} processor seconds."
        lines += [""]
        if shares:
            lines += ["| planted | found |", "|---|---|"]
            lines += [f"| {kind} | {share:.1%} |" for kind, share in shares.items()] + [""]
        print("\n".join(lines[-20:]), flush=True)
    if "ECG" in chosen:
        hits, wrong = ecg(given.per, given.seed)
        lines += ["## MIT-BIH, windows of ten seconds", ""]
        lines += [f"Windows that share a half: {hits} found; false: {wrong} windows.", ""]
    if "time" in chosen:
        lines += ["## Time", "", timed(given.seed), ""]
    text = "\n".join(lines)
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
