"""Depth starves gradients, and residual blocks feed them: a plain 34-layer net against ResNet-34.

Norm of the loss's gradient for the weights of each convolution, from the input to the output, at
the start: without normalisation, with the weights used before He (Glorot) and with He's; then with
batch normalisation as published, at the start and after a few steps; and the loss of these steps.
A quarter of the channels, batches of noisy phantom cells.
"""

import numpy as np
import torch
import torch.nn.functional as F
from figure import COLORS, arguments, canvas, curve, said, save
from fitting import cells, train
from torch import Tensor, nn

from convivo.architectures.create import create
from convivo.layers import Conv

START = {
    "no norm, Glorot's weights": {"norm": "none", "init": "glorot_normal"},
    "no norm, He's weights": {"norm": "none", "init": "paper"},
    "batch norm, He's weights": {"norm": "batch", "init": "paper"},
}
NAMES = {True: "ResNet-34", False: "plain, 34 layers"}


def network(seed: int, *, shortcuts: bool, **settings: str) -> nn.Module:
    torch.manual_seed(seed)
    size = {"spatial_dims": 2, "num_classes": 2, "width": 0.25, "stem": "small"}
    return create("resnet34", shortcuts=shortcuts, **size, **settings)


def gradients(net: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """log10 of the gradient's norm for each convolution of 3 x 3, in order."""
    net.train()
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    layers = [m for m in net.modules() if isinstance(m, Conv) and max(m.kernel_size) > 1]
    return np.log10([m.weight.grad.norm().item() for m in layers])


def main() -> None:
    options = arguments(__doc__)
    seeds, steps, shown = (2, 1, 1) if options.quick else (5, 60, 6)
    x, y = cells(8 if options.quick else 800, 1, noise=1.0)
    batch = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:32]
    found: dict[tuple, list] = {}
    for shortcuts in NAMES:
        for seed in range(seeds):
            for title, settings in START.items():
                net = network(seed, shortcuts=shortcuts, **settings)
                found.setdefault((title, shortcuts), []).append(gradients(net, x[batch], y[batch]))
            losses = train(net, x, y, steps=steps, lr=1e-3, seed=seed)
            found.setdefault(("loss", shortcuts), []).append(losses)
            after = gradients(net, x[batch], y[batch])
            found.setdefault((f"batch norm, after {steps} steps", shortcuts), []).append(after)
    titles = [*START, f"batch norm, after {steps} steps"]
    figure, axes = canvas(5, width=3.2)
    rows: list[tuple] = [("what", *NAMES.values())]
    for ax, title in zip(axes, titles, strict=False):
        cell = []
        for number, shortcuts in enumerate(NAMES):
            table = np.array(found[title, shortcuts])
            odd = range(1, table.shape[1] + 1, 2)
            curve(ax, odd, table.T[::2], NAMES[shortcuts], number)
            cell.append(said(table[:, 0], 1) + ", " + said(table[:, 16], 1))
        rows.append((f"{title}: log10 of gradient, layers 1 and 17", *cell))
        ax.set(title=title, xlabel="convolution, from the input", ylim=(-7, 3))
    rows.append(
        (
            f"loss, mean of the last {shown} of {steps} steps",
            *(said([np.mean(run[-shown:]) for run in found["loss", s]]) for s in NAMES),
        )
    )
    for number, shortcuts in enumerate(NAMES):
        parts = np.array(found["loss", shortcuts])[:, : steps // shown * shown]
        smooth = parts.reshape(seeds, -1, shown).mean(-1)
        at = (np.arange(smooth.shape[1]) + 0.5) * shown
        curve(axes[4], at, smooth.T, NAMES[shortcuts], number)
    axes[4].axhline(np.log(2), color=COLORS[3], linewidth=0.8)
    axes[4].set(title="batch norm, training", xlabel="step", ylabel="loss (line: chance)", ylim=0)
    axes[0].set(ylabel="log10 of gradient norm")
    axes[0].legend(loc="center right")
    save(figure, "depth_and_shortcuts", rows, options.out)


if __name__ == "__main__":
    main()
