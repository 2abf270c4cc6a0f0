"""More observations reduce over-fitting, more features increase it; a convolution has fewer.

Made images: noise with one faint bar near the middle, lying in class 0 and standing in class 1. A
perceptron and a convolutional network learn them; over-fitting is the accuracy on the training
images less that on 500 others. Once for more and more images, once for larger and larger ones.
"""

import numpy as np
import torch
from figure import arguments, canvas, curve, logarithmic, said, save
from fitting import accuracy, train
from torch import Tensor, nn

from convivo.architectures.create import create
from convivo.layers import Conv, GlobalPool, Pool

COUNTS, SIZES = (32, 64, 128, 256, 512, 1024), (12, 16, 24, 32, 40)
COUNT, SIZE, TESTS = 128, 16, 500


def images(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (count, 1, size, size) and classes: a bar of 7 samples, 2 at most off the middle."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(count, 1, size, size)), generator.integers(0, 2, count)
    for image, label in zip(x[:, 0], y, strict=True):
        row, column = size // 2 + generator.integers(-2, 3, 2)
        if label:
            image[row - 3 : row + 4, column] += 2
        else:
            image[row, column - 3 : column + 4] += 2
    return torch.from_numpy(x).float(), torch.from_numpy(y)


def perceptron(size: int) -> nn.Module:
    return create("mlp", spatial_dims=2, num_classes=2, input_size=size, hidden=(64,))


def convolutional(size: int) -> nn.Module:
    del size  # its parameters do not depend on it
    layers = [Conv(1, 16, 7, padding=3), nn.ReLU(), Pool(2), Conv(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, GlobalPool(kind="max"), nn.Linear(16, 2))


NETWORKS = {"perceptron": perceptron, "convolution": convolutional}


def overfitting(name: str, count: int, size: int, seed: int, steps: int) -> tuple[float, float]:
    """Accuracy on the training images less that on others, and the latter."""
    torch.manual_seed(seed)
    net = NETWORKS[name](size)
    x, y = images(count, size, 1000 + seed)
    train(net, x, y, steps=steps, seed=seed)
    test = accuracy(net, *images(TESTS, size, 9000 + seed))
    return accuracy(net, x, y) - test, test


def main() -> None:
    options = arguments(__doc__)
    seeds, steps = (2, 2) if options.quick else (8, 300)
    figure, axes = canvas(2)
    rows: list[tuple] = [
        ("network", "images", "samples per image", "over-fitting", "test accuracy")
    ]
    settings = [[(n, SIZE) for n in COUNTS], [(COUNT, s) for s in SIZES]]
    for ax, cases in zip(axes, settings, strict=True):
        cases = cases[:: len(cases) - 1] if options.quick else cases
        for number, name in enumerate(NETWORKS):
            found = [
                np.transpose([overfitting(name, n, size, s, steps) for s in range(seeds)])
                for n, size in cases
            ]
            x = [n for n, _ in cases] if ax is axes[0] else [size**2 for _, size in cases]
            curve(ax, x, [gap for gap, _ in found], name, number)
            for (n, size), (gap, test) in zip(
                cases[:: len(cases) - 1], found[:: len(found) - 1], strict=True
            ):
                rows.append((name, n, size**2, said(gap), said(test)))
        logarithmic(ax, x)
        ax.set(ylim=(-0.05, 0.6), ylabel="training less test accuracy")
    axes[0].set(xlabel="training images", title=f"more observations\n({SIZE} x {SIZE} samples)")
    axes[1].set(xlabel="samples per image", title=f"more features\n({COUNT} training images)")
    axes[0].legend()
    save(figure, "observations", rows, options.out)


if __name__ == "__main__":
    main()
