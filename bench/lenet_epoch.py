"""Seconds of a LeNet-5 epoch on MNIST: `convivo train` against the usual tutorial script.

The tutorial, as PyTorch's example for MNIST has it: torchvision's data set and transforms (to a
tensor, normalised), a DataLoader (64 items, shuffled), all 60,000 images, no augmentation; SGD with
momentum. Ours: as shipped (it augments, and keeps 5,000 images to choose the weights by), and
without augmentation. All have the same number of epochs; an epoch is told per 60,000 images. Each
side runs in a process of its own, the sides in turns; in the peers' environment.
Run: python bench/lenet_epoch.py ../shared/data/mnist --rounds 3 --epochs 3 --out FILE.md
"""

import argparse
import gzip
import importlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from peers import torchvision_networks
from torch import nn
from torch.utils.data import DataLoader

import convivo
from convivo.processor import processor_name

GATE, IMAGES = 4.0, 60_000
SIDES = ("tutorial", "convivo, as shipped", "convivo, no augmentation")


def data_sets(folder, root):
    """torchvision's, of the IDX files in `folder`, packed or not; it wants them in `root`."""
    torchvision_networks()  # makes its import possible
    datasets = importlib.import_module("torchvision.datasets")
    transforms = importlib.import_module("torchvision.transforms")
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in Path(folder).glob("*ubyte*"):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as file, (raw / path.name.removesuffix(".gz")).open("wb") as out:
            shutil.copyfileobj(file, out)
    usual = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    change = transforms.Compose(usual)
    return [datasets.MNIST(root, train=train, transform=change) for train in (True, False)]


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def tutorial(folder, epochs, seed, out):
    """Seconds of an epoch, and the percentage of test images it gets wrong."""
    torch.manual_seed(seed)
    train, test = data_sets(folder, out)
    net, seconds = lenet(), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(epochs):
        began = time.perf_counter()
        for images, labels in DataLoader(train, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - began)
    with torch.inference_mode():
        loader = DataLoader(test, batch_size=1000)
        wrong = sum(int((net(x).argmax(1) != y).sum()) for x, y in loader)
    return statistics.median(seconds), 100 * wrong / len(test)


def ours(folder, epochs, seed, out, settings):
    run = convivo.train(
        folder, out=Path(out) / "run", net="lenet5", epochs=epochs, seed=seed, settings=settings,
        quiet=True,
    )  # fmt: skip
    lines = (Path(out) / "run" / "metrics.jsonl").read_text().splitlines()
    marks = [json.loads(line) for line in lines]
    batch, error = run.plan["batch"], 1 - run.evaluation["metrics"]["accuracy"]["value"]
    steps = np.diff([0, *(mark["step"] for mark in marks)])
    passed = np.diff([0.0, *(mark["seconds"] for mark in marks)])
    return statistics.median(passed / (steps * batch)) * IMAGES, 100 * error


def work(args):
    """One side, in this process."""
    with tempfile.TemporaryDirectory() as out:
        given = args.data, args.epochs, args.seed, out
        if args.side == "tutorial":
            return tutorial(*given)
        plain = ("augment.enabled=false",) if args.side.endswith("no augmentation") else ()
        return ours(*given, plain)


def turn(args, side, seed):
    """One side, in a process of its own."""
    command = [sys.executable, __file__, args.data, "--side", side, "--seed", str(seed)]
    command += ["--epochs", str(args.epochs)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(side, found.stdout.splitlines()[-1], flush=True)
    return json.loads(found.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(work(args)))
        return
    found = {side: [] for side in SIDES}
    for number in range(args.rounds):
        for side in SIDES[:: 1 if number % 2 == 0 else -1]:
            found[side].append(turn(args, side, number))
    text = table(found, args)
    print(text)
    if args.out:
        args.out.write_text(text)


def table(found, args):
    peer = [seconds for seconds, _ in found["tutorial"]]
    rows = []
    for name, values in found.items():
        ratio = statistics.median(p / s for p, (s, _) in zip(peer, values, strict=True))
        seconds, error = (statistics.median(column) for column in zip(*values, strict=True))
        rows.append(
            f"| {name} | {seconds:.2f} | {IMAGES / seconds:,.0f} | {ratio:.2f} | {error:.2f} |"
        )
    return "\n".join([
        "# An epoch of LeNet-5 on MNIST",
        "",
        f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"{args.rounds} turns of {args.epochs} epochs (seeds 0 to {args.rounds - 1}), medians. "
        f"Gate: {GATE:g} times the tutorial at no higher test error. "
        "Made by `python bench/lenet_epoch.py`.",
        "",
        "| | s an epoch | images a second | times the tutorial | test error, % |",
        "|---|---|---|---|---|",
        *rows,
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
