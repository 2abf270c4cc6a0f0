"""Activations let kernels zero out irrelevant patterns; without them a network is one linear map.

Made images hold two striped patches in noise. Class 1 has one at 45 degrees, the deciding pattern;
all others, at 0, 90 or 135 degrees, are irrelevant. Two networks of two convolutions and an average
learn the class, one with ReLU behind each convolution, one with nothing. Counted is, where either
kind of patch or only noise is: the share of values near zero (within 5 % of the map's largest) in
the last maps, and the mean size of the evidence, their sum weighted as the answer weights them.
"""

import numpy as np
import torch
from figure import COLORS, arguments, canvas, interval, said, save
from fitting import accuracy, train
from torch import Tensor, nn

from convivo.layers import Conv, GlobalPool, activation
from convivo.layers.presets import gabor

SIZE, PATCH = 32, 11
PLACES = ("deciding", "irrelevant", "noise alone")
NEAR = 0.05


def images(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (count, 1, 32, 32), classes, and what is where (count, 32, 32): index in PLACES."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(count, SIZE, SIZE)), generator.integers(0, 2, count)
    where = np.full(x.shape, 2)
    for image, label, place in zip(x, y, where, strict=True):
        halves = generator.permutation([0, SIZE // 2])
        for left, deciding in zip(halves, (bool(label), False), strict=True):
            turn = np.pi / 4 * (1 if deciding else generator.choice([0, 2, 3]))
            phase = generator.uniform(0, 2 * np.pi)
            stripes = gabor(2, frequency=0.25, orientation=turn, sigma=3, phase=phase, size=PATCH)
            row, column = generator.integers(0, SIZE - PATCH), left + generator.integers(0, 5)
            image[row : row + PATCH, column : column + PATCH] += 3 * stripes / np.abs(stripes).max()
            place[row : row + PATCH, column : column + PATCH] = 3  # its rim counts as neither
            place[row + 3 : row + 8, column + 3 : column + 8] = 0 if deciding else 1
    return torch.from_numpy(x).float()[:, None], torch.from_numpy(y), torch.from_numpy(where)


def network(name: str) -> nn.Sequential:
    first, second = Conv(1, 16, 7, padding=3), Conv(16, 16, 5, padding=2)
    maps = nn.Sequential(first, activation(name), second, activation(name))
    return nn.Sequential(maps, GlobalPool(), nn.Linear(16, 2))


@torch.no_grad()
def looked(net: nn.Sequential, x: Tensor, where: Tensor) -> np.ndarray:
    """At each of PLACES: share near zero of maps that are not dead; evidence, 1 where deciding."""
    maps = net[0](x).transpose(0, 1)
    weight = net[2].weight[1] - net[2].weight[0]
    evidence = torch.tensordot(weight, maps, dims=1).abs()
    top = maps.abs().amax((1, 2, 3), keepdim=True)
    small = (maps.abs() < NEAR * top)[top.flatten() > 0].float()
    places = [where == place for place in range(len(PLACES))]
    sizes = np.array([evidence[place].mean().item() for place in places])
    return np.array([[small[:, place].mean().item() for place in places], sizes / sizes[0]])


def main() -> None:
    options = arguments(__doc__)
    seeds, steps, cases = (2, 2, 20) if options.quick else (8, 400, 1000)
    figure, axes = canvas(2)
    rows: list[tuple] = [("activation", "test accuracy", "what", *PLACES)]
    for number, (name, title) in enumerate({"relu": "ReLU", "none": "nothing"}.items()):
        found, scores = [], []
        for seed in range(seeds):
            torch.manual_seed(seed)
            net = network(name)
            train(net, *images(cases, seed)[:2], steps=steps, seed=seed)
            x, y, where = images(cases // 2, 1000 + seed)
            scores.append(accuracy(net, x, y))
            found.append(looked(net, x, where))
        for i, what in enumerate(("values near zero", "size of evidence")):
            columns = np.array(found)[:, i].T
            middle, low, high = np.transpose([interval(column) for column in columns])
            at = np.arange(len(PLACES)) + 0.4 * (number - 0.5)
            look = {"color": COLORS[number], "hatch": "//" * number, "edgecolor": "white"}
            axes[i].bar(at, middle, 0.38, label=title, **look)
            axes[i].errorbar(at, middle, [middle - low, high - middle], fmt="none", color="black")
            rows.append((title, said(scores), what, *map(said, columns)))
    for ax in axes:
        ax.set(xticks=range(len(PLACES)), xticklabels=PLACES)
    axes[0].set(ylabel=f"share of values within {NEAR:.0%} of zero", ylim=(0, 1))
    axes[1].set(ylabel="size of evidence (1: where deciding)")
    axes[0].legend(title="behind convolutions")
    save(figure, "activations", rows, options.out)


if __name__ == "__main__":
    main()
