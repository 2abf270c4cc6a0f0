"""Maximum against average pooling: which one is right depends on what tells the classes apart.

Two tasks on made data of 210 samples, as signals, images and volumes. "peak": one sample of class 1
stands out of the noise. "level": all samples of class 1 are a little higher, in noise with
outliers. The same small network learns each with either pooling throughout.
"""

from math import prod

import numpy as np
import torch
from figure import COLORS, arguments, canvas, interval, said, save
from fitting import accuracy, train
from torch import Tensor, nn

from convivo.layers import Conv, GlobalPool, Pool

SIZES = {1: (210,), 2: (14, 15), 3: (5, 6, 7)}
KINDS = ("max", "avg")
TRAIN, TESTS = 500, 1000


def peak(count: int, size: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng([1, seed])
    x, y = generator.normal(size=(count, prod(size))), generator.integers(0, 2, count)
    x[np.arange(count), generator.integers(0, prod(size), count)] += 5 * y
    return torch.from_numpy(x.reshape(count, 1, *size)).float(), torch.from_numpy(y)


def level(count: int, size: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng([2, seed])
    y = generator.integers(0, 2, count)
    x = generator.standard_t(3, size=(count, 1, *size)) + 0.3 * y.reshape(
        -1, *(1,) * (len(size) + 1)
    )
    return torch.from_numpy(x).float(), torch.from_numpy(y)


TASKS = {"peak": peak, "level": level}


def network(kind: str, dims: int) -> nn.Module:
    layers: list[nn.Module] = []
    for ins, outs in ((1, 8), (8, 16)):
        layers += [Conv(ins, outs, 3, padding=1, spatial_dims=dims), nn.ReLU()]
        layers += [Pool(2, kind=kind, spatial_dims=dims)]
    return nn.Sequential(*layers, GlobalPool(kind=kind, spatial_dims=dims), nn.Linear(16, 2))


def score(task: str, kind: str, dims: int, *, seed: int, steps: int) -> float:
    torch.manual_seed(seed)
    net, draw = network(kind, dims), TASKS[task]
    train(net, *draw(TRAIN, SIZES[dims], seed), steps=steps, seed=seed)
    return accuracy(net, *draw(TESTS, SIZES[dims], 1000 + seed))


def main() -> None:
    options = arguments(__doc__)
    seeds, steps = (2, 1) if options.quick else (8, 250)
    figure, axes = canvas(2)
    rows: list[tuple] = [("task", "data", "maximum", "average", "maximum less average")]
    for ax, task in zip(axes, TASKS, strict=True):
        for dims in SIZES:
            runs = range(seeds)
            both = [[score(task, k, dims, seed=s, steps=steps) for s in runs] for k in KINDS]
            for number, (kind, scores) in enumerate(zip(KINDS, both, strict=True)):
                middle, low, high = interval(scores)
                error = [[middle - low], [high - middle]]
                style = {"fmt": "os"[number], "color": COLORS[number], "capsize": 3}
                label = {"max": "maximum", "avg": "average"}[kind] if dims == 1 else None
                ax.errorbar(dims + 0.15 * (2 * number - 1), middle, error, label=label, **style)
            rows.append((task, f"{dims}D", *map(said, both), said(np.subtract(*both))))
        ax.axhline(0.5, color="black", linewidth=0.8)
        ax.set(xticks=list(SIZES), xticklabels=[f"{d}D" for d in SIZES], xlim=(0.5, 3.5))
        ax.set(ylim=(0.4, 1.02), ylabel="test accuracy (chance: 0.5)", title=f"task: {task}")
    axes[0].legend(loc="upper right")
    save(figure, "maximum_or_average", rows, options.out)


if __name__ == "__main__":
    main()
