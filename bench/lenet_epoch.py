"""Seconds of a LeNet-5 epoch on MNIST: `convivo train` against the usual tutorial script.

The tutorial: a Dataset that makes each image a picture and a tensor again, a DataLoader (64 items,
shuffled), SGD with momentum, no augmentation; all 60,000 images. Ours: as shipped (it augments, and
keeps 5,000 images to choose the weights by), and without augmentation. Both have the same number of
epochs; an epoch is told per 60,000 images. They take turns in one run.
Run: python bench/lenet_epoch.py ../shared/data/mnist --rounds 3 --epochs 3 --out FILE.md
"""

import argparse
import gzip
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

import convivo
from convivo.processor import processor_name

GATE, IMAGES = 4.0, 60_000


def idx(path, skip):
    """The bytes of an IDX file, packed or not, past its head."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=skip)


class Digits(Dataset):
    """As the tutorial's own data set."""

    def __init__(self, folder, part):
        parts = {path.name: path for path in Path(folder).iterdir() if path.name.startswith(part)}
        images, labels = (
            next(path for name, path in parts.items() if kind in name)
            for kind in ("images", "labels")
        )
        self.images = idx(images, skip=16).reshape(-1, 28, 28)
        self.labels = idx(labels, skip=8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        picture = Image.fromarray(self.images[number])
        tensor = torch.from_numpy(np.array(picture, np.float32)[None]).div(255)
        return (tensor - 0.1307) / 0.3081, int(self.labels[number])


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def tutorial(folder, epochs, seed):
    """Seconds of an epoch, and the percentage of test images it gets wrong."""
    torch.manual_seed(seed)
    train, test = Digits(folder, "train"), Digits(folder, "t10k")
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


def ours(folder, epochs, seed, settings=()):
    with tempfile.TemporaryDirectory() as out:
        run = convivo.train(
            folder, out=Path(out) / "run", net="lenet5", epochs=epochs, seed=seed,
            settings=settings, quiet=True,
        )  # fmt: skip
        lines = (Path(out) / "run" / "metrics.jsonl").read_text().splitlines()
        marks = [json.loads(line) for line in lines]
        batch, error = run.plan["batch"], 1 - run.evaluation["metrics"]["accuracy"]["value"]
    steps = np.diff([0, *(mark["step"] for mark in marks)])
    passed = np.diff([0.0, *(mark["seconds"] for mark in marks)])
    return statistics.median(passed / (steps * batch)) * IMAGES, 100 * error


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    plain = ("augment.enabled=false",)
    sides = {"tutorial": tutorial, "convivo, as shipped": ours, "convivo, no augmentation": ours}
    found = {name: [] for name in sides}
    for number in range(args.rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            more = (plain,) if name.endswith("no augmentation") else ()
            found[name].append(sides[name](args.data, args.epochs, number, *more))
            print(name, found[name][-1], flush=True)
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
