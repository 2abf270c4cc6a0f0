"""DenseNet's figure 3 at our scale: error against parameters, and against multiplications.

DenseNets of several growth rates and residual networks of several widths, of the same depth (21 and
18 layers), learn phantom cells, small, grey and noisy. Each seed has slides of its own to learn
from and others to be tested on, the same for all networks, and the same steps and rate. Sizes are
chosen such that the n-th DenseNet costs the multiplications of the n-th ResNet, within 3 %.
"""

import numpy as np
import torch
from figure import arguments, canvas, curve, logarithmic, said, save
from fitting import accuracy, cells, train
from torch import nn

from convivo.architectures.blocks import initialise, plan_stem
from convivo.architectures.create import create
from convivo.architectures.densenet import DenseNet, Recipe
from convivo.planning.counting import count

GROWTH, WIDTHS = (2, 4, 6, 8), (1 / 32, 1 / 16, 3 / 32, 1 / 8)
NOISE = 2.0
BLOCKS = (2, 2, 2, 2)


def densenet(growth_rate: int) -> nn.Module:
    recipe = Recipe(spatial_dims=2, growth_rate=growth_rate, dropout=0.0, memory_efficient=False)
    net = DenseNet(BLOCKS, plan_stem("small", None, 2), recipe, in_channels=1, num_classes=2)
    initialise(net, lambda weight, fan: nn.init.normal_(weight, std=(2 / fan) ** 0.5))
    return net


def resnet(width: float) -> nn.Module:
    return create("resnet18", spatial_dims=2, num_classes=2, width=width, stem="small")


FAMILIES = {"ResNet-18, narrow": (resnet, WIDTHS), "DenseNet, 21 layers": (densenet, GROWTH)}


def main() -> None:
    options = arguments(__doc__)
    seeds, steps, cases = (2, 1, 8) if options.quick else (6, 120, 600)
    data = [[cells(cases, 2 * seed + i, noise=NOISE) for i in (0, 1)] for seed in range(seeds)]
    figure, axes = canvas(2)
    rows: list[tuple] = [("network", "parameters", "multiplications", "test error in %")]
    table = []
    for number, (name, (build, sizes)) in enumerate(FAMILIES.items()):
        costs, errors = [], []
        for size in sizes:
            counts = count(build(size), (1, 24, 28))
            costs.append((counts.parameters, counts.macs))
            errors.append([])
            for seed, (training, tests) in enumerate(data):
                torch.manual_seed(seed)
                net = build(size)
                train(net, *training, steps=steps, lr=5e-3, seed=seed)
                errors[-1].append(100 * (1 - accuracy(net, *tests)))
            rows.append((name, f"{costs[-1][0]:,}", f"{costs[-1][1]:,}", said(errors[-1], 1)))
        table.append(errors)
        for ax, x in zip(axes, np.transpose(costs) / [[1e3], [1e6]], strict=True):
            curve(ax, x, errors, name, number)
    for macs, residual, dense in zip(np.array(costs)[:, 1], *table, strict=True):
        lost = said(np.subtract(residual, dense), 1)
        rows.append(("ResNet less DenseNet", "", f"about {macs / 1e6:.1f} million", lost))
    axes[0].set(xlabel="parameters (thousands)", ylabel="test error (%)", ylim=0)
    axes[1].set(xlabel="multiply-accumulates of one image (millions)", ylim=0)
    logarithmic(axes[0], (2, 5, 10, 20, 50, 100, 200))
    logarithmic(axes[1], (0.4, 0.8, 1.5, 3, 6))
    axes[0].legend(loc="lower left")
    save(figure, "densenet_figure_3", rows, options.out)


if __name__ == "__main__":
    main()
