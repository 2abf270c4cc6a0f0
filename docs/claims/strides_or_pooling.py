"""Strides are faster than pooling: what they save in time, and what they cost in accuracy.

Two networks alike but for how they halve the grid: a convolution that steps by 2, or one that
steps by 1 and a maximum over 2 per axis behind it. Steps of training are timed in alternating
pairs, so that whatever else the machine does meets both; the ratio is that of each pair. Accuracy
is that on 400 noisy phantom cells of other slides; all have the same data and seeds.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from figure import COLORS, arguments, canvas, interval, said, save
from fitting import accuracy, cells, train
from scipy.stats import binom
from torch import Tensor, nn

from convivo.layers import Conv, GlobalPool, Norm, Pool

SIZES = {1: (4096,), 2: (64, 64), 3: (16, 16, 16)}
BATCH = 8
# name -> strided?, times as many steps
FORMS = {"pooling": (False, 1), "strides": (True, 1), "strides, 4 x steps": (True, 4)}


def network(dims: int, *, strided: bool) -> nn.Module:
    layers: list[nn.Module] = []
    for ins, outs in ((1, 16), (16, 32), (32, 64)):
        stride = 2 if strided else 1
        layers += [Conv(ins, outs, 3, stride=stride, padding=1, bias=False, spatial_dims=dims)]
        layers += [Norm(outs, spatial_dims=dims), nn.ReLU()]
        layers += [] if strided else [Pool(2, spatial_dims=dims)]
    return nn.Sequential(*layers, GlobalPool(spatial_dims=dims), nn.Linear(64, 2))


def seconds(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Of one forward and backward pass."""
    start = time.perf_counter()
    F.cross_entropy(net(x), y).backward()
    return time.perf_counter() - start


def ratios(spatial_dims: int, pairs: int) -> np.ndarray:
    """Time of a step with pooling over that of one with strides, for each pair, sorted."""
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, 1, *SIZES[spatial_dims]), torch.zeros(BATCH, dtype=torch.long)
    nets = [network(spatial_dims, strided=strided) for strided in (False, True)]
    times = []
    for i in range(pairs + 3):
        order = (0, 1) if i % 2 else (1, 0)
        took = {n: seconds(nets[n], x, y) for n in order}
        times.append(took[0] / took[1])
    return np.sort(times[3:])  # the first ones set up memory


def median(ordered: np.ndarray) -> tuple[float, float, float]:
    """The median and its exact 95 % interval, whatever the distribution: two order statistics."""
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    low, high = ordered[max(rank - 1, 0)], ordered[min(len(ordered) - rank, len(ordered) - 1)]
    return float(np.median(ordered)), float(low), float(high)


def main() -> None:
    options = arguments(__doc__)
    pairs, seeds, steps = (6, 2, 1) if options.quick else (200, 8, 200)
    found = {dims: median(ratios(dims, pairs)) for dims in SIZES}
    count = 16 if options.quick else 400
    scores: dict[str, list[float]] = {name: [] for name in FORMS}
    for seed in range(seeds):
        training, tests = (cells(count, 2 * seed + i, noise=1.0) for i in (0, 1))
        for name, (strided, times) in FORMS.items():
            torch.manual_seed(seed)
            net = network(2, strided=strided)
            train(net, *training, steps=times * steps, seed=seed)
            scores[name].append(accuracy(net, *tests))
    figure, axes = canvas(2)
    rows = [("what", "estimate (95 % interval)", "n")]
    for at, (dims, (middle, low, high)) in enumerate(found.items()):
        axes[0].errorbar(at, middle, [[middle - low], [high - middle]], fmt="o", color=COLORS[at])
        ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        rows.append((f"time with pooling over strides, {dims}D", ratio, f"{pairs} pairs"))
    axes[0].axhline(1, color="black", linewidth=0.8)
    axes[0].set(xticks=range(3), xticklabels=[f"{d}D" for d in SIZES], xlim=(-0.5, 2.5), ylim=0)
    axes[0].set(ylabel="time of a step, pooling / strides", title="time")
    for at, (name, values) in enumerate(scores.items()):
        middle, low, high = interval(values)
        axes[1].plot(np.full(seeds, at - 0.1), values, ".", color="gray")
        axes[1].errorbar(at, middle, [[middle - low], [high - middle]], fmt="o", color=COLORS[at])
        lost = said(np.subtract(scores["pooling"], values), 3)
        rows.append((f"accuracy, {name}", said(values, 3), f"{seeds} seeds"))
        rows += [(f"lost by {name}", lost, f"{seeds} seeds")] if at else []
    axes[1].set(xticks=range(3), xticklabels=FORMS, xlim=(-0.5, 2.5))
    axes[1].set(ylabel="test accuracy", title="accuracy")
    save(figure, "strides_or_pooling", rows, options.out)


if __name__ == "__main__":
    main()
