"""Where convolution, activation and halving pooling are faster as one operation: `conv_pool`.

Milliseconds of processor time, forward and backward, of the layers one by one and at once, in
turns; the rule of `convivo.layers.conv_pool` is read from it. "later": the input needs a gradient.
Run: python bench/conv_pool.py --threads 1
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from convivo.layers import Conv, Pool
from convivo.layers.conv_pool import fits, pays
from convivo.training.allocator import set_allocator

# items, channels in and out, samples a side, kernel, padding, whether the input needs a gradient
SHAPES = (
    (128, 1, 6, 28, 5, 2, False), (32, 1, 6, 28, 5, 2, False), (8, 1, 6, 28, 5, 2, False),
    (64, 1, 32, 28, 3, 1, False), (128, 2, 12, 28, 5, 2, False), (32, 3, 6, 32, 5, 2, False),
    (128, 3, 6, 32, 5, 2, False), (64, 3, 32, 32, 3, 1, False), (128, 6, 16, 14, 5, 0, True),
    (64, 6, 16, 14, 5, 0, True), (32, 6, 16, 14, 5, 0, True), (8, 6, 16, 14, 5, 0, True),
    (128, 8, 16, 16, 3, 1, True), (64, 16, 32, 16, 5, 2, True), (64, 16, 16, 32, 3, 1, True),
)  # fmt: skip
KINDS = ((nn.ReLU(inplace=True), "max"), (nn.Tanh(), "avg"))


def turns(ways, rounds, calls):
    """Median milliseconds of a call of each way."""
    found = [[] for _ in ways]
    for _ in range(rounds + 1):  # the first one warms up
        for way, times in zip(ways, found, strict=True):
            began = time.process_time()
            for _ in range(calls):
                way()
            times.append(1000 * (time.process_time() - began) / calls)
    return [statistics.median(times[1:]) for times in found]


def row(shape, rounds, calls):
    items, channels, outputs, size, kernel, padding, later = shape
    x = torch.randn(channels, size, size, items).permute(3, 0, 1, 2)  # as the operation leaves it
    conv = Conv(channels, outputs, kernel, padding=padding)
    usual = x.contiguous()
    cells = [str(items), f"{channels} -> {outputs}", str(size), str(kernel), "later" * later]
    for activation, kind in KINDS:
        pool = Pool(2, kind=kind)
        assert fits(x, conv, activation, pool)
        ways = [
            lambda pool=pool, act=activation: pool(act(conv(usual.requires_grad_(later)))),
            lambda pool=pool, act=activation: conv(x.requires_grad_(later), then=(act, pool)),
        ]
        ways = [lambda way=way: way().sum().backward() for way in ways]
        plain, fused = turns(ways, rounds, calls)
        cells += [f"{plain:.2f}", f"{fused:.2f}", f"{plain / fused:.2f}"]
    return "| " + " | ".join([*cells, "yes" if pays(x, conv) else ""]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    set_allocator("keep")  # as a training on CPU has it
    head = ["| items | channels | side | kernel | | max, relu: layers | at once | times "
            "| avg, tanh: layers | at once | times | taken |", "|" + "---|" * 12]  # fmt: skip
    text = "\n".join([*head, *(row(shape, args.rounds, args.calls) for shape in SHAPES)])
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
