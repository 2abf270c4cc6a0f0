"""Seconds of a training step, ours against the peer's network of the same structure.

A step is forward, loss, backward and an SGD step with momentum, float32. Pairs alternate (ours
first in the even ones), so that what else the machine does meets both; the ratio of each pair is
kept, and the median of the ratios told with a bootstrap interval.
Run: make bench, or: python bench/step_times.py --pairs 30 --out bench/results/step_times.md
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from peers import monai_networks, torchvision_networks

import convivo

GATE = 1.10
RESAMPLES = 10_000


def classifiers():
    """name -> (our network, the peer's, the shape of the input, classes or None)."""
    models, nets = torchvision_networks(), monai_networks()
    for name, side in [
        ("alexnet", 128),
        ("vgg11", 64),
        ("googlenet", 96),
        ("resnet18", 96),
        ("resnet50", 64),
        ("resnext50_32x4d", 64),
        ("densenet121", 64),
    ]:
        options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
        peer = getattr(models, name)(weights=None, num_classes=10, **options)
        ours = convivo.create(name, in_channels=3, num_classes=10)
        yield f"{name} (torchvision)", ours, peer, (4, 3, side, side), 10
    options = {"spatial_dims": 3, "n_input_channels": 1, "num_classes": 10, "conv1_t_size": 7}
    peer = nets.resnet18(conv1_t_stride=2, shortcut_type="B", **options)
    ours = convivo.create("resnet18", spatial_dims=3, in_channels=1, num_classes=10)
    yield "resnet18 3D (MONAI)", ours, peer, (2, 1, 40, 40, 40), 10
    peer = nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=10)
    ours = convivo.create("densenet121", spatial_dims=3, in_channels=1, num_classes=10)
    yield "densenet121 3D (MONAI)", ours, peer, (2, 1, 32, 32, 32), 10


def unets():
    """Our U-Net against MONAI's DynUNet: the same levels, norms, activations, heads."""
    nets = monai_networks()
    for dims, shape in [(1, (4, 1, 2048)), (2, (4, 1, 96, 96)), (3, (1, 1, 32, 40, 24))]:
        if dims == 1:
            continue  # DynUNet has none
        levels = 4
        peer = nets.DynUNet(
            spatial_dims=dims,
            in_channels=1,
            out_channels=3,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=[32, 64, 128, 256],
            norm_name=("INSTANCE", {"affine": True}),
        )
        ours = convivo.create("unet", spatial_dims=dims, num_classes=3)
        yield f"unet {dims}D (MONAI DynUNet)", ours, peer, shape, None


def stepper(net, shape, classes):
    """A function that trains the network for one step and returns its seconds."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=generator)
    size = (shape[0],) if classes else (shape[0], *shape[2:])
    y = torch.randint(classes or 3, size, generator=generator)
    net.train()

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        return time.perf_counter() - start

    return step


def compare(ours, peer, shape, classes, pairs):
    """Median seconds of both, median ratio and its 95 % interval."""
    steps = stepper(ours, shape, classes), stepper(peer, shape, classes)
    for _ in range(3):
        for step in steps:
            step()
    seconds = np.empty((pairs, 2))
    for pair in range(pairs):
        for who in (0, 1) if pair % 2 == 0 else (1, 0):
            seconds[pair, who] = steps[who]()
    ratios = seconds[:, 0] / seconds[:, 1]
    draws = np.random.default_rng(0).integers(pairs, size=(RESAMPLES, pairs))
    low, high = np.quantile(np.median(ratios[draws], axis=1), [0.025, 0.975])
    return (*np.median(seconds, axis=0), float(np.median(ratios)), low, high)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.manual_seed(0)
    lines = [
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.pairs} alternating "
        "pairs, float32; ratio ours / peer, median with 95 % interval.",
        "",
        "| network (peer) | input | ours, ms | peer, ms | ratio | at most 1.10 |",
        "|---|---|---|---|---|---|",
    ]
    for make in (classifiers, unets):
        for name, ours, peer, shape, classes in make():
            if args.only not in name:
                continue
            counts = [sum(p.numel() for p in net.parameters()) for net in (ours, peer)]
            mine, theirs, ratio, low, high = compare(ours, peer, shape, classes, args.pairs)
            size = " x ".join(map(str, shape)) + ("" if counts[0] == counts[1] else f" {counts}")
            held = "yes" if high <= GATE else "NO"
            cells = f"{1e3 * mine:.0f} | {1e3 * theirs:.0f} | {ratio:.3f} [{low:.3f}, {high:.3f}]"
            lines.append(f"| {name} | {size} | {cells} | {held} |")
            print(lines[-1], flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
