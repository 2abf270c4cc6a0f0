"""Seconds of a training step as `convivo train` takes it, against the peers' usual loop.

Networks of the same structure on the same batch (torchvision's with the same weights). Peer:
MONAI's or torchvision's network, float32, their loss, AdamW as torch makes it, freed memory handed
back as glibc does it. Ours: our network, the number format that `train` would choose here (sound,
and faster) and the order in memory, our loss, gradient clipping, fused AdamW, freed memory kept.
Each side runs in a process of its own, the two in turns, now the one first and now the other; a
ratio is peer / ours of one turn, and the median is told.
Run: python bench/training_speed.py --rounds 5 --out bench/results/training_speed.md
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from peers import monai_networks, torchvision_networks

import convivo
from convivo.processor import processor_name
from convivo.tasks.classify import Classify
from convivo.tasks.segment import Segment
from convivo.training.allocator import keep_memory
from convivo.training.memory_layout import laid_out, memory_layout
from convivo.training.precision import has_fast_bf16, is_sound
from convivo.training.schedule import Schedule
from convivo.training.state import State
from convivo.training.update import train_step

FEATURES = [32, 64, 128, 256, 320]
CLASSES, GATE, GATE_WITHOUT_BF16, AIM = 3, 2.0, 1.2, 3.0
SHAPES = {
    "U-Net 3D (MONAI DynUNet)": (1, 1, 64, 64, 64),
    "ResNet-18 2D (torchvision)": (8, 3, 224, 224),
    "ResNet-18 1D (MONAI)": (32, 12, 1000),
    "DenseNet-121 2D (torchvision)": (8, 3, 224, 224),
}


def pair(name):
    """The peer's network and ours."""
    if name.startswith("U-Net"):
        steps = [1, 2, 2, 2, 2]
        options = {"kernel_size": [3] * 5, "strides": steps, "upsample_kernel_size": steps[1:]}
        options |= {"filters": FEATURES, "norm_name": ("INSTANCE", {"affine": True})}
        shape = {"spatial_dims": 3, "in_channels": 1}
        peer = monai_networks().DynUNet(out_channels=CLASSES, **shape, **options)
        return peer, convivo.create("unet", num_classes=CLASSES, channels=FEATURES, **shape)
    if name.startswith("ResNet-18 1D"):
        options = {"conv1_t_size": 7, "conv1_t_stride": 2, "shortcut_type": "B"}
        peer = monai_networks().resnet18(
            spatial_dims=1, n_input_channels=12, num_classes=CLASSES, **options
        )
        ours = convivo.create("resnet18", spatial_dims=1, in_channels=12, num_classes=CLASSES)
        return peer, ours
    net = "resnet18" if name.startswith("ResNet") else "densenet121"
    peer = getattr(torchvision_networks(), net)(weights=None, num_classes=CLASSES)
    return peer, convivo.create(net, in_channels=3, num_classes=CLASSES)


def batch(name):
    shape, generator = SHAPES[name], torch.Generator().manual_seed(0)
    maps = name.startswith("U-Net")
    size = (shape[0], *shape[2:]) if maps else shape[:1]
    images = torch.randn(*shape, generator=generator)
    return images, torch.randint(CLASSES, size, generator=generator)


def peer_steps(name, count):
    net = pair(name)[0].train()
    images, targets = batch(name)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    loss_of = torch.nn.functional.cross_entropy
    if name.startswith("U-Net"):
        from monai.losses import DiceCELoss

        dice = DiceCELoss(to_onehot_y=True, softmax=True)

        def loss_of(answers, targets):
            return dice(answers, targets[:, None])

    for _ in range(count):
        began = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(net(images), targets)
        loss.backward()
        optimizer.step()
        loss.item()
        yield time.perf_counter() - began, "fp32", 0


def our_steps(name, count):
    keep_memory()
    theirs, net = pair(name)
    if set(theirs.state_dict()) == set(net.state_dict()):
        net.load_state_dict(theirs.state_dict())
    images, targets = batch(name)
    net = laid_out(net, memory_layout(net, images.shape[1:], len(images)))
    kind, names = (Segment if name.startswith("U-Net") else Classify), tuple("abc")
    task = kind(classes=names)
    precision = "fp32"
    if has_fast_bf16() and is_sound(net, lambda: task.step(net, images, targets), "bf16"):
        precision = faster(net, task, images, targets)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    state = State(network=net, optimizer=optimizer)
    state.counters.precision = precision
    schedule = Schedule(
        steps=10**6, validate_every=10**6, steps_per_epoch=1, lr=1e-4, warmup=0, clip=12.0,
        patience=0, seed=0,
    )  # fmt: skip
    for _ in range(count):
        began = time.perf_counter()
        train_step(state, task.step, images, targets, schedule)
        state.counters.step += 1
        yield time.perf_counter() - began, precision, state.counters.skipped


def faster(net, task, images, targets):
    """bf16 or fp32, whichever takes the shorter for a forward and a backward pass."""
    seconds = {}
    for precision in ("bf16", "fp32", "bf16", "fp32"):
        began = time.perf_counter()
        cast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
        with cast:
            loss = task.step(net, images, targets)
        loss.backward()
        net.zero_grad()
        seconds[precision] = time.perf_counter() - began
    return min(seconds, key=seconds.get)


def work(side, name, count):
    torch.manual_seed(0)
    rows = list((our_steps if side == "ours" else peer_steps)(name, count))
    *_, precision, skipped = rows[-1]
    seconds = statistics.median(row[0] for row in rows[1:])
    print(json.dumps({"seconds": seconds, "precision": precision, "skipped": skipped}))


def run(side, name, count):
    command = [sys.executable, __file__, "--work", side, "--only", name, "--steps", str(count)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measured(name, rounds, count):
    """Ratio of each round, median seconds of both sides, and what ours was computed in."""
    seen = {"ours": [], "peer": []}
    for number in range(rounds):
        for side in ("ours", "peer") if number % 2 == 0 else ("peer", "ours"):
            seen[side].append(run(side, name, count))
    seconds = {side: [row["seconds"] for row in rows] for side, rows in seen.items()}
    ratios = [p / o for p, o in zip(seconds["peer"], seconds["ours"], strict=True)]
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    return ratios, medians, seen["ours"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="")
    parser.add_argument("--work", choices=("ours", "peer"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.work:
        work(args.work, args.only, args.steps)
        return
    lines, best = [], []
    for name, shape in SHAPES.items():
        if args.only not in name:
            continue
        ratios, seconds, ours = measured(name, args.rounds, args.steps)
        best.append(statistics.median(ratios))
        lines.append(
            f"| {name} | {' x '.join(map(str, shape))} | {seconds['peer'] * 1e3:,.0f} "
            f"| {seconds['ours'] * 1e3:,.0f} ({ours['precision']}) | {best[-1]:.2f} "
            f"[{min(ratios):.2f}, {max(ratios):.2f}] | {ours['skipped']} |"
        )
        print(lines[-1], flush=True)
    text = table(lines, statistics.geometric_mean(best), args)
    print(text)
    if args.out:
        args.out.write_text(text)


def table(lines, mean, args):
    gate = GATE if has_fast_bf16() else GATE_WITHOUT_BF16
    where = "" if has_fast_bf16() else " (this processor is no faster in bf16)"
    return "\n".join([
        "# A training step against the peers' loop",
        "",
        f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"{args.rounds} turns of {args.steps} steps; ratio peer / ours, median with least and "
        "greatest. Made by `python bench/training_speed.py`.",
        "",
        "| network (peer) | input | peer, ms | ours, ms | ratio | skipped steps |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
        f"Geometric mean {mean:.2f}; gate {gate:g}{where}: {'met' if mean >= gate else 'NOT met'}.",
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
