"""How long a plan takes: cold, the first in a process after torch is loaded, warm, and solved.

Every network in 2D at its published size, some in 1D and 3D, and a U-Net for 512^3 samples; each in
a fresh process, in which the plan is asked for as a user would: the rest of the package is loaded,
the network's step traced, its memory and seconds summed up. Then the same network at another batch
and size, warm. Some are asked for the largest batch within a budget, also each in a fresh process.
A quiet machine is needed.
Run: python bench/ledger_speed.py
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from convivo.architectures import ARCHITECTURES, Architecture

OTHERS = {  # name: inputs beside the published one
    "lenet5": ["1,360"],
    "resnet18": ["2,3600", "1,64,96,96"],
    "resnet50": ["1,3600", "1,64,96,96"],
    "densenet121": ["1,3600", "1,64,96,96"],
    "densenet201": ["1,64,96,96"],
    "googlenet": ["1,96,96,96"],
    "segnet": ["1,4096", "1,96,96,96"],
    "unet": ["1,4096", "1,128,128,128", "1,512,512,512"],
}
SIZES = {"lenet5_1998": 32, "unet_2015": 572, "dcgan": 64}  # what these want, beside the published
SOLVED = [
    ("mlp", "1,28,28"), ("resnet18", "3,224,224"), ("resnet50", "1,64,96,96"),
    ("vgg16", "3,224,224"), ("googlenet", "3,224,224"), ("densenet121", "3,224,224"),
    ("unet", "1,512,512"), ("unet", "1,128,128,128"), ("segnet", "3,256,256"),
]  # fmt: skip
GATES = {"cold, worst": 4.0, "cold, median": 1.0, "warm, worst": 1.0, "solved, worst": 10.0}
CHILD = """
import json, sys, time
import torch
ask = json.loads(sys.argv[1])
begun = time.perf_counter()
import convivo
seconds = []
for more in ask["plans"]:
    convivo.plan(net=ask["net"], **more)
    seconds.append(time.perf_counter() - begun)
    begun = time.perf_counter()
print(json.dumps(seconds))
"""


def published(name: str, entry: Architecture) -> str:
    side = SIZES.get(name, entry.counted["samples_per_axis"])
    return ",".join(map(str, (entry.counted["in_channels"], side, side)))


def grown(name: str, shape: str) -> str:
    """Another size that the network takes: half as long again along the first axis, or the same."""
    channels, first, *rest = map(int, shape.split(","))
    fixed = ARCHITECTURES[name].needs_input_size or name in SIZES or first % 32
    return ",".join(map(str, (channels, first if fixed else first * 3 // 2, *rest)))


def plans() -> Iterator[tuple[str, list[dict]]]:
    for name, entry in ARCHITECTURES.items():
        for shape in [published(name, entry), *OTHERS.get(name, [])]:
            cold, warm = {"input": shape, "batch": 2}, {"input": grown(name, shape), "batch": 3}
            yield name, [cold, warm]


def taken(net: str, asked: list[dict]) -> list[float]:
    """Seconds of one plan after the other, in a process of their own."""
    words = json.dumps({"net": net, "plans": asked})
    command = [sys.executable, "-c", CHILD, words]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def fastest(net: str, asked: list[dict], repeats: int) -> list[float]:
    return list(map(min, zip(*(taken(net, asked) for _ in range(repeats)), strict=True)))


def figures(rows: list[tuple], solved: list[tuple]) -> dict[str, float]:
    cold = [seconds[0] for _, _, seconds in rows]
    return {
        "cold, worst": max(cold),
        "cold, median": statistics.median(cold),
        "warm, worst": max(seconds[1] for _, _, seconds in rows),
        "solved, worst": max((seconds for *_, seconds in solved), default=0.0),
    }


def table(rows: list[tuple], solved: list[tuple], repeats: int) -> str:
    found = figures(rows, solved)
    lines = [
        "# How long a plan takes",
        "",
        f"Seconds on the clock, the faster of {repeats} processes "
        f"each, after `import torch`; torch {torch.__version__}, Python {sys.version.split()[0]}. "
        f"{len(rows)} plans of a training step (AdamW, float32), {len(solved)} solved. Made by "
        "`python bench/ledger_speed.py`.",
        "",
        "| | measured | gate |",
        "|---|---|---|",
        *(f"| {name} | {found[name]:.2f} s | {gate:.0f} s |" for name, gate in GATES.items()),
        "",
        "| network | input, batch 2 | cold | then, batch 3 | warm |",
        "|---|---|---|---|---|",
    ]
    for net, (first, then), (cold, warm) in sorted(rows, key=lambda row: -row[2][0]):
        lines.append(f"| {net} | {first['input']} | {cold:.2f} | {then['input']} | {warm:.2f} |")
    lines += ["", "| network | input | budget | solved in |", "|---|---|---|---|"]
    lines += [f"| {net} | {s} | {ram} | {seconds:.2f} |" for net, s, ram, seconds in solved]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ram", default="4G", help="the budget of the solved ones")
    parser.add_argument("--repeats", type=int, default=2, help="processes of each; the fastest")
    parser.add_argument("--nets", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, default=Path("bench/results/ledger_speed.md"))
    args = parser.parse_args()
    rows, solved = [], []
    for net, asked in plans():
        if not args.nets or net in args.nets:
            rows.append((net, asked, fastest(net, asked, args.repeats)))
            print(net, asked[0]["input"], rows[-1][2], flush=True)
    for net, shape in SOLVED:
        if not args.nets or net in args.nets:
            (seconds,) = fastest(net, [{"input": shape, "ram": args.ram}], 1)
            solved.append((net, shape, args.ram, seconds))
            print(*solved[-1], flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(table(rows, solved, args.repeats), encoding="utf-8")
    found = figures(rows, solved)
    print(found)
    return 0 if all(found[name] <= gate for name, gate in GATES.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
