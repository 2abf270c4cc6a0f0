"""An inception module is a multi-scale filter bank: each branch answers to a scale of its own.

The naive module (1, 3 and 5 per axis side by side) gets Gabor kernels as wide as its branches; the
branch of 1 hands the image on. Gratings of one wavelength each, of random phase in noise, are shown
to it; what a branch answers is its mean over the image and its kernels. Also asked: the form of
the published weights, whose widest kernels have 3 per axis and not 5.
"""

import math

import numpy as np
import torch
from figure import arguments, canvas, curve, logarithmic, said, save
from torch import Tensor, nn

from convivo.architectures.googlenet import Inception, Recipe
from convivo.layers import Conv
from convivo.layers.presets import gabor, identity

SIZE, KERNELS = 48, 8
COUNTS = (1, KERNELS, KERNELS, KERNELS, KERNELS, 1)
WAVELENGTHS = (2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 16)


def bank(width: int) -> np.ndarray:
    """Kernels (8, width, width) of four directions and two phases, a wave to each window."""
    settings = [(a * math.pi / 4, p) for a in range(4) for p in (0, math.pi / 2)]
    size = {"frequency": 1 / width, "sigma": width / 4, "size": width}
    return np.stack([gabor(2, orientation=a, phase=p, **size) for a, p in settings])


def module(widest: int) -> nn.Module:
    """The naive module with designed kernels; its normalisation, new, changes nothing."""
    recipe = Recipe(spatial_dims=2, width=1.0, branch=widest, naive=True)
    net = Inception(1, COUNTS, recipe).eval()
    for layer in net.modules():
        if isinstance(layer, Conv):
            width = layer.kernel_size[0]
            kernels = identity(size=1)[None] if width == 1 else bank(width)
            layer.weight.data = torch.from_numpy(kernels[:, None]).float()
    return net


def gratings(wavelength: float, count: int, seed: int) -> Tensor:
    """Images (count, 1, 48, 48) of stripes with amplitude 1 and noise of 0.2."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    angles, phases = (generator.uniform(0, 2 * math.pi, (count, 1, 1)) for _ in range(2))
    along = rows * np.cos(angles) + columns * np.sin(angles)
    x = np.cos(2 * math.pi * along / wavelength + phases)
    return torch.from_numpy(x + 0.2 * generator.normal(size=x.shape)).float()[:, None]


@torch.no_grad()
def answers(net: nn.Module, count: int, seed: int) -> np.ndarray:
    """Mean answer of each convolution branch at each wavelength, (3, wavelengths)."""
    maps = [net(gratings(w, count, seed)) for w in WAVELENGTHS]
    means = [m.mean((0, 2, 3))[: 1 + 2 * KERNELS].split((1, KERNELS, KERNELS)) for m in maps]
    return np.array([[part.mean().item() for part in parts] for parts in means]).T


def peak(curve_: np.ndarray) -> float:
    """The wavelength of the largest answer, by a parabola through it and its neighbours."""
    at = int(np.clip(curve_.argmax(), 1, len(curve_) - 2))
    x = np.log(WAVELENGTHS[at - 1 : at + 2])
    a, b, _ = np.polyfit(x, curve_[at - 1 : at + 2], 2)
    return math.exp(float(np.clip(-b / (2 * a), x[0], x[-1])))


def main() -> None:
    options = arguments(__doc__)
    seeds, count = (2, 4) if options.quick else (10, 40)
    figure, axes = canvas(2)
    rows: list[tuple] = [("form", "branch", "peaks at wavelength", "answer at 12 against peak")]
    for ax, widest in zip(axes, (5, 3), strict=True):
        net = module(widest)
        found = np.array([answers(net, count, seed) for seed in range(seeds)])
        relative = found / found.mean(0).max(-1, keepdims=True)[None]
        names = ("1 x 1", "3 x 3", f"{widest} x {widest}" + " (widest)" * (widest == 3))
        for number, name in enumerate(names):
            curve(ax, WAVELENGTHS, relative[:, number].T, name, number)
            long = relative[:, number, WAVELENGTHS.index(12)]
            tops = [peak(c) for c in found[:, number]]
            form = "paper" if widest == 5 else "published weights"
            rows.append((form, name, said(tops) if number else "none: flat", said(long)))
        logarithmic(ax, (2, 3, 4, 6, 8, 12, 16))
        ax.set(xlabel="wavelength of the stripes (pixels)", ylim=(0, 1.1))
    axes[0].set(title="the paper's branches", ylabel="answer (1: its largest)")
    axes[1].set(title="3 x 3 in the widest branch")
    axes[0].legend(title="branch", loc="lower center")
    axes[1].legend(title="branch", loc="lower center")
    save(figure, "inception_bank", rows, options.out)


if __name__ == "__main__":
    main()
