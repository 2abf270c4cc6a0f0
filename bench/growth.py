"""How predicting a volume grows with its size: seconds and memory of whole `convivo predict` runs.

A small network is trained for a few steps on phantoms; cubes of noise are then predicted under a
limit of memory, each in a process of its own that is watched from outside. Told are the straight
line through the seconds, and what is held beyond the decoded input, against 1.5 slabs of the answer
and what the smallest volume needs (the network, its passes, the libraries). A slab is a tile high:
float32 probabilities of all classes.
Run: python bench/growth.py --ram 4G --out bench/results/growth.md
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

import convivo
from convivo.data.phantoms import make_volumes
from convivo.processor import processor_name
from convivo.training.process_memory import children_of, held, memory_of

SIDES = (96, 128, 192, 256, 384, 512)
LOOK_SECONDS = 0.02
MIB = 2**20


def trained(folder):
    data = make_volumes(folder / "data", count=8, shape=(64, 64, 64), seed=1)
    settings = ("train.steps=20", "net.width=0.25", "input.size=[64,64,64]")
    return convivo.train(data, out=folder / "run", settings=settings, net="unet", quiet=True)


def cube(side, path):
    rng = np.random.default_rng(side)
    values = rng.integers(0, 1000, size=(side,) * 3, dtype=np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return path


def predicted(run, source, out, ram, backend):
    """Seconds, and the most bytes that the process and its children held."""
    words = ["predict", run, source, "--out", out, "--ram", ram, "--backend", backend]
    command = [sys.executable, "-m", "convivo", *map(str, words), "--json", "-q"]
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            family = [child.pid, *children_of(child.pid)]
            peak = max(peak, sum(held(memory_of(one)) for one in family))
            time.sleep(LOOK_SECONDS)
        document = json.loads(child.stdout.read())
    if document["failed"]:
        raise SystemExit(document["failed"][0]["error"])
    return time.monotonic() - began, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ram", default="4G")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = trained(folder)
        classes, tile = len(run.plan["task_fields"]["classes"]), run.plan["sampling"]["size"][0]
        for side in args.sides:
            source = cube(side, folder / f"{side}.nii")
            rows.append((side, *predicted(run.path, source, folder / "o", args.ram, args.backend)))
            source.unlink()
            print(rows[-1], flush=True)
    text = table(rows, classes, tile, args)
    print(text)
    if args.out:
        args.out.write_text(text)


def table(rows, classes, tile, args):
    sides, seconds, peaks = map(np.array, zip(*rows, strict=True))
    voxels = sides.astype(float) ** 3
    slope, start = np.polyfit(voxels, seconds, 1)
    fit = 1 - np.var(seconds - slope * voxels - start) / np.var(seconds)
    lines = [
        "# How predicting a volume grows",
        "",
        f"{args.backend}, `--ram {args.ram}`; {processor_name()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}; "
        "n = 1 each. Made by `python bench/growth.py`.",
        "",
        f"Seconds: {start:.1f} + {slope * 1e6:.3f} a million voxels, R^2 = {fit:.4f}.",
        "",
        "| voxels | s | of the line | MiB held | decoded input (float32) | beyond it "
        "| 1.5 slabs and what the smallest holds |",
        "|---|---|---|---|---|---|---|",
    ]
    least = peaks[0] - 4 * voxels[0]
    for side, took, peak in rows:
        image, slab = 4 * side**3, 4 * classes * tile * side**2
        lines.append(
            f"| {side}^3 | {took:.1f} | {took / (start + slope * side**3):.2f} "
            f"| {peak / MIB:,.0f} | {image / MIB:,.0f} | {(peak - image) / MIB:,.0f} "
            f"| {(1.5 * slab + least) / MIB:,.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
