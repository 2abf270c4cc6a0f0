"""Batches and augmentation per second, against MONAI's and TorchIO's, with equal results.

Phantoms of one script for all three: 1,024 images of 28 x 28, and six volumes of 96 x 96 x 96 with
label maps, of which patches of 64 x 64 x 64 are drawn, half of them around the foreground. MONAI's
data lies in its CacheDataset, and its better number of workers counts. Rounds go in turns, so that
what else the machine does meets all. On a machine that is not quiet, --processor counts the seconds
of one processor instead of those of the clock, without workers.
Run: bench/.venv/bin/python bench/augmentation.py --out bench/results/augmentation.md
"""

import argparse
import dataclasses
import itertools
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import augmentation_peers as peers
import numpy as np
import torch

from convivo.arrays.preparation import Preparation
from convivo.data.augment import Augmentation, apply, default, draw
from convivo.data.augment.intensity import apply_intensity
from convivo.data.augment.spatial import apply_spatial, places
from convivo.data.batches import Batches
from convivo.data.sample import Sample
from convivo.data.store import build_store
from convivo.training.allocator import keep_memory

WANTED = {2: 10.0, 3: 3.0}
STREAM = 3


@dataclasses.dataclass(frozen=True)
class Work:
    """One comparison: the data, what is seen of it, and items a round for us and for the peers."""

    name: str
    dims: int
    images: list
    targets: list
    patch: tuple | None
    batch: int
    ours: int
    theirs: int


def phantoms(dims, count, side, seed=0):
    """Soft ellipsoids in noise, z-scored (1, *S), and label maps of what lies inside."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * dims, indexing="ij")
    images, maps = [], []
    for _ in range(count):
        centre, reach = rng.uniform(-0.3, 0.3, dims), rng.uniform(0.3, 0.6, dims)
        rows = zip(axes, centre, reach, strict=True)
        far = np.sqrt(sum(((x - c) / r) ** 2 for x, c, r in rows))
        image = 1 / (1 + np.exp(8 * (far - 1))) + 0.1 * rng.normal(size=far.shape)
        images.append(((image - image.mean()) / image.std()).astype(np.float32)[None])
        maps.append((far < 1).astype(np.uint8)[None])
    return images, maps


def works(quick):
    images, _ = phantoms(2, 128 if quick else 1024, 28)
    classes = [k % 2 for k in range(len(images))]
    yield Work(
        "28 x 28", 2, images, classes, None, 128, 128 if quick else 6400, 128 if quick else 512
    )
    volumes, maps = phantoms(3, 2 if quick else 6, 96)
    side = (64,) * 3
    yield Work("64 x 64 x 64", 3, volumes, maps, side, 4, 4 if quick else 48, 2 if quick else 12)


def settings(dims):
    """What `train` draws by itself, and every change always, with bends and bias fields."""
    usual = default(dims, "segment" if dims == 3 else "classify", True)
    values = usual.to_dict() | {"elastic": 0.3, "p_elastic": 1.0, "bias": 0.3, "p_bias": 1.0}
    always = {k: 1.0 for k in values if k.startswith("p_") and values[k]}
    return {"as train": usual, "everything": Augmentation.from_dict(values | always)}


def ours(work, how):
    """Batches without end, as `train` makes them."""
    names = [str(k) for k in range(len(work.images))]

    def load(name):
        target = work.targets[int(name)]
        target = target if isinstance(target, int) else target[0]
        return Sample(id=name, image=work.images[int(name)], target=target, unit=name)

    preparation = Preparation(spatial_dims=work.dims, channels=1, normalization="none")
    shape = work.patch or work.images[0].shape[1:]
    batches = Batches(
        build_store(load, names, preparation),
        size=shape,
        batch=work.batch,
        sampling="patch" if work.patch else "whole",
        seed=0,
    )
    for step in itertools.count():
        batch = batches(step)
        images, targets = torch.from_numpy(batch.images), torch.from_numpy(batch.targets)
        drawn = draw(how, len(images), shape, 1, np.random.default_rng((0, STREAM, step)))
        images, moved = apply(images, targets if work.patch else None, drawn, in_place=True)
        yield {"image": images, "label": targets if moved is None else moved}


def endless(loader):
    while True:
        yield from loader


def streams(work, how, clock):
    """name -> batches without end."""
    same = {"patch": work.patch}
    # The order of a batch matters to nobody; the peers' batches are as large as ours.
    found = {"convivo": ours(work, how)}
    for workers in (0, torch.get_num_threads()) if clock is time.perf_counter else (0,):
        loader = peers.cached(
            work.images, work.targets, how, batch=min(work.batch, work.theirs), workers=workers,
            **same,
        )  # fmt: skip
        found[f"MONAI, {workers} workers"] = endless(loader)
    size = min(32, work.batch)
    found["TorchIO"] = peers.torchio_stream(work.images, work.targets, how, batch=size, **same)
    return found


def rate(stream, wanted, clock):
    """Items per second over at least `wanted` items, and the last batch."""
    count, batch, start = 0, {}, clock()
    while count < wanted:
        batch = next(stream)
        count += len(batch["image"])
    return count / (clock() - start), batch


def moments(batch):
    """Mean, deviation, and share of the label map, and how much brighter it is than the rest."""
    image = torch.as_tensor(batch["image"]).float()
    found = [float(image.mean()), float(image.flatten(1).std(1).mean())]
    label = batch.get("label")
    if label is None or label.ndim < 3:
        return [*found, float("nan"), float("nan")]
    inside = torch.as_tensor(label).reshape(image.shape) > 0
    step = float(image[inside].mean() - image[~inside].mean())
    return [*found, float(inside.float().mean()), step]


def compare(work, how, rounds, clock):
    """Median items per second of each, their moments over all rounds."""
    found = streams(work, how, clock)
    rates = {name: [] for name in found}
    looks = {name: [] for name in found}
    for stream in found.values():
        next(stream)  # whatever is done once
    for _ in range(rounds):
        for name, stream in found.items():
            wanted = work.ours if name == "convivo" else work.theirs
            speed, batch = rate(stream, wanted, clock)
            rates[name].append(speed)
            looks[name].append(moments(batch))
    return rates, {name: np.mean(rows, axis=0) for name, rows in looks.items()}


def equal_results():
    """Rows (what, largest difference to MONAI's, overlap of labels) for equal choices."""
    images, maps = (np.stack(rows) for rows in phantoms(3, 4, 64))
    images, maps = torch.from_numpy(images), torch.from_numpy(maps[:, 0]).long()
    values = default(3, "segment").to_dict()
    off = {k: 0.0 for k in values if k.startswith("p_")}
    for name, more in {
        "turn, scale, shift": {"p_spatial": 1.0},
        "and bends": {"p_spatial": 1.0, "elastic": 0.3, "p_elastic": 1.0},
    }.items():
        how = Augmentation.from_dict(values | off | more)
        drawn = draw(how, 4, (64,) * 3, 1, np.random.default_rng(0)).place
        mine, labels = images.clone(), maps.clone()
        apply_spatial(mine, labels, drawn)
        where = places(drawn, (64,) * 3, "cpu")
        theirs = torch.stack(
            [peers.monai_moved(i, g, "bilinear") for i, g in zip(images, where, strict=True)]
        )
        other = torch.stack(
            [
                peers.monai_moved(m[None].float(), g, "nearest")[0]
                for m, g in zip(maps, where, strict=True)
            ]
        )
        both = float(((labels > 0) & (other > 0)).sum())
        dice = 2 * both / float((labels > 0).sum() + (other > 0).sum())
        yield name, float((mine - theirs).abs().max()), f"{dice:.5f}"
    yield from equal_greys(images)


def equal_greys(images):
    """Blur and gamma of the same strength."""
    import monai.transforms as mt

    how = Augmentation(blur=2.0, p_blur=1.0, gamma=0.4, p_gamma=1.0)
    drawn = draw(how, 4, (64,) * 3, 1, np.random.default_rng(0)).intensity
    plain = dataclasses.replace(drawn, gamma=np.ones_like(drawn.gamma))
    mine = images.clone()
    apply_intensity(mine, plain)
    theirs = torch.stack(
        [
            mt.GaussianSmooth(s.tolist(), approx="sampled")(i)
            for i, s in zip(images, drawn.blur, strict=True)
        ]
    )
    inner = (slice(None), slice(None), *[slice(8, -8)] * 3)  # borders: repeated against zero
    yield "blur (inside)", float((mine - theirs)[inner].abs().max()), "-"
    bent = dataclasses.replace(drawn, blur=np.zeros_like(drawn.blur))
    mine = images.clone()
    apply_intensity(mine, bent)
    theirs = torch.stack(
        [
            mt.AdjustContrast(float(g[0]))(i).as_tensor()
            for i, g in zip(images, drawn.gamma, strict=True)
        ]
    )
    yield "gamma", float((mine - theirs).abs().max()), "-"


def table(rows, head):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *rows, ""]


def measured(quick, rounds, clock):
    """Lines of both tables, and whether every factor is reached."""
    speeds, looks, held = [], [], True
    for work in works(quick):
        for name, how in settings(work.dims).items():
            rates, means = compare(work, how, rounds, clock)
            middle = {who: float(np.median(values)) for who, values in rates.items()}
            monai = max(value for who, value in middle.items() if who.startswith("MONAI"))
            factor = middle["convivo"] / monai
            held &= factor >= WANTED[work.dims]
            cells = " | ".join(f"{value:,.1f}" for value in middle.values())
            beside = f"{factor:.1f} | {middle['convivo'] / middle['TorchIO']:.1f}"
            reached = "yes" if factor >= WANTED[work.dims] else "NO"
            aim = f"{WANTED[work.dims]:.0f}: {reached}"
            speeds.append(f"| {work.name} | {name} | {cells} | {beside} | {aim} |")
            for who, row in means.items():
                shown = " | ".join("-" if np.isnan(v) else f"{v:.3f}" for v in row)
                looks.append(f"| {work.name} | {name} | {who} | {shown} |")
            print(speeds[-1], file=sys.stderr, flush=True)
    return speeds, looks, held


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few items: does it run?")
    parser.add_argument("--processor", action="store_true", help="processor's seconds, one thread")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    keep_memory()
    torch.manual_seed(0)
    clock = time.process_time if args.processor else time.perf_counter
    if args.processor:
        torch.set_num_threads(1)
    speeds, looks, held = measured(args.quick, args.rounds, clock)
    versions = [f"{p} {metadata.version(p)}" for p in ("torch", "monai", "torchio", "numpy")]
    workers, kind = torch.get_num_threads(), "processor" if args.processor else "wall clock"
    lines = [
        f"{', '.join(versions)}; Python {platform.python_version()}, {workers} threads; medians of "
        f"{args.rounds} rounds in turns, seed 0. Items per second ({kind}), float32, ready for the "
        "network.",
        "",
        *table(
            speeds,
            ["item", "changes", "convivo", "MONAI",
             *([] if args.processor else [f"MONAI, {workers} workers"]), "TorchIO",
             "against MONAI's better", "against TorchIO", "wanted"],
        ),
        "The same choices, given to MONAI's own resampling and filters (4 phantoms, 64 a side):",
        "",
        *table(
            [f"| {a} | {b:.2g} | {c} |" for a, b, c in equal_results()],
            ["change", "largest difference, deviations", "Dice of the label maps"],
        ),
        "What comes out, over all rounds (each draws its own choices):",
        "",
        *table(looks, ["item", "changes", "of", "mean", "deviation", "inside", "step inside"]),
        f"Command: `python bench/augmentation.py --rounds {args.rounds}"
        f"{' --processor' * args.processor}`",
        "",
    ]  # fmt: skip
    text = "\n".join(lines)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
