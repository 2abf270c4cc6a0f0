"""Seconds of a step: predicted before the run and after ten steps, against measured.

A committed seed draws networks x dimensions x train or infer x optimizers x precisions; the input
grows until the step is predicted to take about the drawn number of seconds. Speeds are those of
`convivo doctor`, measured anew here unless --speeds names a file. A quiet machine is needed; with
one thread the processor's time is counted, which others disturb less.
Run: python bench/ledger_time.py --count 30
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from pathlib import Path

import torch

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.errors import ConvivoError
from convivo.planning.speeds import measure_speeds
from convivo.planning.step import cross_entropy, make_optimizer, prediction_step, training_step
from convivo.planning.timing import refine, seconds_per_step
from convivo.planning.trace import trace
from convivo.planning.work import Tally, watched
from convivo.training.allocator import keep_memory

SEED = 4
NETWORKS = """mlp lenet5 alexnet vgg11 vgg13_bn googlenet resnet18 resnet34 resnet50
resnext50_32x4d densenet121 fcn8s segnet unet""".split()  # noqa: SIM905 - one a word
SIDES = {1: (64, 128, 256, 512, 1024, 2048, 4096, 8192), 2: (32, 48, 64, 96, 128, 192, 256),
         3: (32, 40, 48, 64, 80, 96)}  # fmt: skip
STEPS, LATER = 10, 10
GATES = {"before the run": 0.25, "after ten steps": 0.10}


def draw(count: int, seed: int):
    rng = random.Random(seed)
    for _ in range(count):
        yield {
            "net": rng.choice(NETWORKS),
            "dims": rng.choice((1, 2, 3)),
            "mode": rng.choice(("train", "train", "infer")),
            "optimizer": rng.choice(("sgd", "momentum", "adamw")),
            "precision": rng.choice(("fp32", "bf16")),
            "batch": rng.choice((1, 2, 4, 8)),
            "seconds": rng.choice((0.02, 0.05, 0.1, 0.3, 0.6)),
        }


def parts(wish: dict, side: int, device: str):
    """Network, step, shapes of what it is given."""
    dims, size = wish["dims"], (side,) * wish["dims"]
    with torch.device(device):
        net = create(wish["net"], spatial_dims=dims, in_channels=1, num_classes=3, input_size=size)
    maps = ARCHITECTURES[wish["net"]].tasks[0] == "segment"
    images = ((wish["batch"], 1, *size), torch.float32)
    targets = ((wish["batch"], *(size if maps else ())), torch.int64)
    if wish["mode"] == "infer":
        return net, prediction_step(wish["precision"]), [images]
    return net, training_step(cross_entropy, wish["precision"]), [images, targets]


def predict(wish: dict, side: int, speeds: dict) -> float:
    net, step, shapes = parts(wish, side, "meta")
    tally, train = Tally(), wish["mode"] == "train"
    optimizer = make_optimizer(wish["optimizer"]) if train else None
    trace(net, watched(step, tally), shapes, optimizer=optimizer)
    return seconds_per_step(tally, speeds)


def measure(wish: dict, side: int) -> list[float]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    net, step, shapes = parts(wish, side, "cpu")
    given = tuple(
        torch.randn(shape) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)
        for shape, dtype in shapes
    )
    optimizer = make_optimizer(wish["optimizer"])(net) if wish["mode"] == "train" else None
    seconds = []
    for _ in range(STEPS + LATER):
        start = clock()
        step(net, optimizer, given)
        seconds.append(clock() - start)
    return seconds


def fitting(wish: dict, speeds: dict) -> tuple[int, float] | None:
    """The side of which a step comes closest to the drawn number of seconds, and its prediction."""
    found = []
    for side in SIDES[wish["dims"]]:
        try:
            found.append((side, predict(wish, side, speeds)))
        except ConvivoError:  # too small for this network
            continue
        if found[-1][1] > wish["seconds"]:
            break
    return min(found, key=lambda pair: abs(pair[1] - wish["seconds"]), default=None)


def row(wish: dict, speeds: dict) -> tuple[str, float, float] | None:
    best = fitting(wish, speeds)
    if best is None or best[1] > 4 * max(wish["seconds"], 0.1):
        return None
    side, predicted = best
    seconds = measure(wish, side)
    gc.collect()
    true = statistics.median(seconds[STEPS:])
    first, later = predicted / true - 1, refine(predicted, seconds[:STEPS]) / true - 1
    how = wish["optimizer"] if wish["mode"] == "train" else ""
    text = (
        f"| {wish['net']} | {wish['dims']}D | {wish['batch']} x {side} | {wish['mode']} {how} | "
        f"{wish['precision']} | {1e3 * predicted:.1f} | {1e3 * true:.1f} | {100 * first:+.0f} % | "
        f"{100 * later:+.0f} % |"
    )
    return text, first, later


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--speeds", type=Path, help="JSON of measured speeds, instead of measuring")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/ledger_time.md"
    )
    args = parser.parse_args()
    keep_memory()
    torch.manual_seed(0)
    speeds = json.loads(args.speeds.read_text()) if args.speeds else measure_speeds()
    rows = []
    for wish in draw(10 * args.count, args.seed):
        if len(rows) == args.count:
            break
        found = row(wish, speeds)
        if found is not None:
            rows.append(found)
            print(found[0], flush=True)
    errors = list(zip(*((abs(first), abs(later)) for _, first, later in rows), strict=True))
    verdict = [
        f"- {name}: median error {100 * statistics.median(found):.1f} %, "
        f"worst {100 * max(found):.0f} % (gate: median at most {100 * gate:.0f} %)"
        for (name, gate), found in zip(GATES.items(), errors, strict=True)
    ]
    head = [
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(rows)} combinations, "
        f"seed {args.seed}; milliseconds per step, data not included.",
        "",
        *verdict,
        "",
        "| network | | batch x side | | | predicted | measured | before | after ten |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(verdict))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join([*head, *(text for text, _, _ in rows)]) + "\n")
    medians = map(statistics.median, errors)
    return 0 if all(m <= gate for m, gate in zip(medians, GATES.values(), strict=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
