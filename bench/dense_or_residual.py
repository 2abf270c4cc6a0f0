"""DenseNet against ResNet: test error against parameters and multiplications, all else equal.

As figure 3 of Huang et al. 2017, at a size that a CPU trains in minutes: digits at 32 x 32, the
published stem for small images, the same number of steps of 64, the same seeds. Each row is a whole
`convivo train`; its interval is that of the metric, over the test images.
Run: python bench/dense_or_residual.py ../shared/data/mnist --steps 300 --seeds 0 1 --out FILE.md
"""

import argparse
import tempfile
from pathlib import Path

import torch

import convivo
from convivo.processor import processor_name

NETS = (
    ("resnet18", 0.125), ("resnet18", 0.25), ("resnet34", 0.25), ("resnet18", 0.5),
    ("densenet121", 0.25), ("densenet169", 0.25), ("densenet121", 0.375),
)  # fmt: skip
BATCH, SIDE = 64, 32


def trained(data, name, width, steps, seed, folder):
    """Parameters, multiplications of an image, the entry of the accuracy."""
    settings = (
        f"net.width={width}", "net.stem=small", f"train.steps={steps}", f"train.batch={BATCH}",
        f"input.size=[{SIDE},{SIDE}]",
    )  # fmt: skip
    run = convivo.train(data, out=folder, net=name, seed=seed, settings=settings, quiet=True)
    return run.plan["parameters"], run.plan["macs"] / BATCH, run.evaluation["metrics"]["accuracy"]


def error(entry):
    """In percent, with its interval."""
    value, low, high = (100 * (1 - entry[key]) for key in ("value", "high", "low"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]", value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for name, width in NETS:
        found, values = [], []
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as place:
                size, macs, entry = trained(
                    args.data, name, width, args.steps, seed, Path(place) / "run"
                )
            told, value = error(entry)
            found.append(told), values.append(value)
        mean = sum(values) / len(values)
        rows.append(f"| {name}, width {width:g} | {size / 1e6:.2f} | {macs / 1e6:.0f} "
                    f"| {mean:.2f} | {'; '.join(found)} |")  # fmt: skip
        print(rows[-1], flush=True)
    text = "\n".join([
        "# DenseNet against ResNet", "",
        f"{args.data.name}, {SIDE} x {SIDE}, {args.steps} steps of {BATCH}, seeds "
        f"{', '.join(map(str, args.seeds))}; {processor_name()}, {torch.get_num_threads()} "
        "threads. Made by `python bench/dense_or_residual.py`.", "",
        "| network | parameters, million | multiplications an image, million | wrong, %, mean "
        "| by seed [95 %] |",
        "|---|---|---|---|---|", *rows,
    ]) + "\n"  # fmt: skip
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
