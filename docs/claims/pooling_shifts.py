"""Pooling makes features robust to small shifts and rotations.

Features are the answers of Gabor kernels behind ReLU: to phantom ECG (1D, moved in time) and to
phantom cells (2D, moved and turned). How far they move is measured against the distance between
features of different cases: at 0 nothing has changed, at 1 it may as well be another case. Four
windows: no pooling, every fourth sample only (as few features as pooling gives), the largest and
the average of four per axis.
"""

from collections.abc import Callable

import numpy as np
import torch
from figure import arguments, canvas, curve, said, save
from fitting import cells, signals
from scipy.ndimage import rotate, shift
from torch import Tensor, nn

from convivo.layers import Conv, Pool
from convivo.layers.presets import gabor

LENGTH, FOUR = 128, 4


def filters(spatial_dims: int) -> nn.Module:
    """Gabor kernels of four directions (1D: frequencies) and two phases, and ReLU."""
    settings = [{"orientation": a * np.pi / 4, "frequency": 0.2} for a in range(4)]
    if spatial_dims == 1:
        settings = [{"frequency": f} for f in (0.08, 0.12, 0.18, 0.27)]
    phases = (0, np.pi / 2)
    bank = [gabor(spatial_dims, phase=p, size=9, **one) for one in settings for p in phases]
    layer = Conv(1, len(bank), 9, padding="same", bias=False, spatial_dims=spatial_dims)
    layer.weight.data = torch.from_numpy(np.stack(bank)[:, None]).float()
    return nn.Sequential(layer, nn.ReLU())


def windows(spatial_dims: int) -> dict[str, Callable[[Tensor], Tensor]]:
    every = (slice(None), slice(None), *(slice(None, None, FOUR),) * spatial_dims)
    return {
        "no pooling": lambda x: x,
        "every fourth sample": lambda x: x[every],
        "maximum of four": Pool(FOUR, spatial_dims=spatial_dims),
        "average of four": Pool(FOUR, kind="avg", spatial_dims=spatial_dims),
    }


def moved(x: np.ndarray, amount: float, how: str) -> np.ndarray:
    """Signals seen through a later window, images shifted along a row or turned."""
    if how == "later":
        return x[..., LENGTH // 2 + int(amount) :][..., :LENGTH]
    if how == "aside":
        return shift(x, (0, 0, 0, amount), order=1, mode="nearest")
    return rotate(x, amount, axes=(2, 3), reshape=False, order=1, mode="nearest")


def changes(x: np.ndarray, how: str, amounts: list[float]) -> dict[str, list[np.ndarray]]:
    """For each window and amount: the change of each case's features, against other cases'."""
    dims, found = x.ndim - 2, {}
    with torch.no_grad():
        maps = [filters(dims)(torch.from_numpy(moved(x, a, how)).float()) for a in [0, *amounts]]
    for name, window in windows(dims).items():
        still, *others = [window(m).flatten(1).numpy() for m in maps]
        apart = np.linalg.norm(still - np.roll(still, 1, axis=0), axis=1).mean()
        found[name] = [np.linalg.norm(m - still, axis=1) / apart for m in others]
    return found


def main() -> None:
    options = arguments(__doc__)
    count = 16 if options.quick else 200
    beats = signals(count, 2 * LENGTH)
    # a set of eight has eight slides: each case stands for itself
    pictures = np.concatenate([cells(8, seed)[0].numpy() for seed in range(count // 8)])
    panels = [
        ("signals, shifted", beats, "later", [1, 2, 3, 4, 6, 8], "samples (1/120 s)"),
        ("images, shifted", pictures, "aside", [0.5, 1, 1.5, 2, 3, 4], "pixels"),
        ("images, rotated", pictures, "turned", [2, 5, 10, 15, 20, 30], "degrees"),
    ]
    figure, axes = canvas(3)
    rows: list[tuple] = [("what", "by", *windows(2))]
    for ax, (title, x, how, amounts, unit) in zip(axes, panels, strict=True):
        found = changes(x, how, amounts)
        for number, (name, samples) in enumerate(found.items()):
            curve(ax, amounts, samples, name, number)
        for i in (1, 3):
            rows.append((title, f"{amounts[i]} {unit}", *(said(f[i]) for f in found.values())))
        ax.set(title=title, xlabel=f"by {unit}", ylim=(0, 1.25))
    axes[0].set(ylabel="change of features\n(1: as another case)")
    axes[0].legend(fontsize=8)
    save(figure, "pooling_shifts", rows, options.out)


if __name__ == "__main__":
    main()
