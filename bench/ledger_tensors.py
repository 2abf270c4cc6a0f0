"""The ledger's peak of tensors against torch's own allocator events, over steps 1 to 3.

Draws networks, sizes, optimizers and precisions by a seed, and no more multiplications than end
within a minute or two, in bfloat16 fewer where oneDNN has no kernels for it; foretells the peak,
then takes the steps of the real training loop in a fresh process each, with the profiler counting
every allocation.
Run: make bench-ledger, or: python bench/ledger_tensors.py --count 120
"""

import argparse
import json
import math
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.checkpoint import checkpoint

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import create
from convivo.errors import ConvivoError
from convivo.layers.precision import autocast
from convivo.planning.counting import count
from convivo.planning.ledger import ledger
from convivo.planning.rehearsal import rehearse
from convivo.planning.step import cross_entropy, make_optimizer, squared_error
from convivo.tasks import TASKS, create_task
from convivo.training.schedule import Schedule
from convivo.training.state import Counters, State
from convivo.training.update import train_step

GIB = 2**30
MEDIAN_GATE, P95_GATE = 0.5, 3.0  # percent
LEAST, MOST_MACS = 0.1 * GIB, 8e9  # of a batch's forward pass: seconds on one core
EMULATED = 8  # times slower, at least, is bfloat16 where oneDNN has no kernels for it
SIDES = {1: (256, 512, 1000, 2048, 4096, 8192), 2: (32, 64, 96, 128, 160, 224), 3: (16, 24, 32, 48)}
WIDTHS = (1.0, 1.0, 0.5, 0.25, 0.125)
CLASSES = 4
SLOW_HALF = [
    "bfloat16 is slow on this processor: a forward pass in it takes at most "
    f"{MOST_MACS / EMULATED:.1e} instead of {MOST_MACS:.1e} multiplications.",
    "",
]
SCHEDULE = Schedule(
    steps=3, validate_every=3, steps_per_epoch=3, lr=1e-5, warmup=0, clip=1.0, patience=0, seed=0
)


class Recomputed(nn.Module):
    """A part that forgets what it computed, and computes it again for the backward pass."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return checkpoint(self.part, x, use_reentrant=False)


def build(case):
    """The network of a case, on the current device."""
    options = {"memory_efficient": True} if case["recompute"] == "own" else {}
    net = create(
        case["net"],
        spatial_dims=case["dims"],
        in_channels=case["channels"],
        num_classes=CLASSES,
        input_size=(case["side"],) * case["dims"],
        width=case["width"],
        **options,
    )
    if case["recompute"] == "part":
        name = largest_chain(net)
        net.set_submodule(name, Recomputed(net.get_submodule(name)))
    return net


def largest_chain(net):
    """The plain nn.Sequential with most parameters, which surely takes and gives one tensor."""
    sizes = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in net.named_modules()
        if type(part) is nn.Sequential and name
    }
    return max(sizes, key=lambda name: sizes[name], default="")


def loss_of(name):
    """What the network's task takes."""
    task = ARCHITECTURES[name].tasks[0]
    if task in TASKS:
        return create_task(task, classes=("",) * CLASSES).step
    return squared_error if task == "reconstruct" else cross_entropy


def foretell(case):
    """The ledger of a case."""
    with torch.device("meta"):
        net = build(case)
    shape = (case["channels"], *(case["side"],) * case["dims"])
    task = ARCHITECTURES[case["net"]].tasks[0]
    words = {key: case[key] for key in ("mode", "precision", "optimizer")}
    loss = loss_of(case["net"])
    return ledger(rehearse(net, shape, case["batch"], task=task, loss=loss, **words))


def draw(rng, most):
    """A case whose foretold peak lies between 0.1 GiB and `most`, and its foretold bytes."""
    while True:
        name, dims = rng.choice(list(ARCHITECTURES)), rng.choice((1, 2, 3))
        mode = rng.choice(("train", "train", "infer"))
        case = {
            "net": name,
            "dims": dims,
            "channels": rng.choice((1, 3)),
            "side": rng.choice(SIDES[dims]),
            "width": rng.choice(WIDTHS),
            "batch": 1,
            "mode": mode,
            "optimizer": rng.choice(("sgd", "momentum", "adamw")),
            "precision": rng.choice(("fp32", "bf16")),
            "recompute": "",
        }
        if mode == "train" and rng.random() < 0.25:
            case["recompute"] = "own" if name.startswith("densenet") else "part"
        low, high = math.log(1.2 * LEAST), math.log(0.8 * most)
        wanted = math.exp(low + (high - low) * rng.random() ** 2)  # small ones more often
        sized = fit(case, wanted, most)
        if sized is not None:
            return sized


def fit(case, wanted, most):
    """The case with the batch that brings its peak near `wanted` bytes, if there is one."""
    try:
        with torch.device("meta"):
            net = build(case | {"recompute": ""})
        if case["recompute"] == "part" and not largest_chain(net):
            return None
        shape = (case["channels"], *(case["side"],) * case["dims"])
        macs, most_macs = count(net, shape).macs, affordable(case["precision"])
        if 16 * sum(p.numel() for p in net.parameters()) > most or 2 * macs > most_macs:
            return None
        two, four = (foretell(case | {"batch": n}).tensors_peak for n in (2, 4))
        batch = 2 + round(2 * max(0, wanted - two) / max(1, four - two))
        sized = case | {"batch": max(2, min(batch, int(most_macs // max(1, macs)), 256))}
        held = foretell(sized)
    except (ConvivoError, AttributeError):
        return None
    if not LEAST <= held.tensors_peak <= most or sized["batch"] * macs > most_macs:
        return None
    return sized | {"foretold": held.tensors_peak, "at": held.peak_at}


def affordable(precision):
    """Multiply-accumulates of a forward pass that end within a minute or two."""
    quick = precision == "fp32" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return MOST_MACS if quick else MOST_MACS / EMULATED


def take_steps(case):
    """Three steps of the real loop, or three predictions; the allocator's highest total."""
    torch.manual_seed(0)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        net = build(case)
        task = ARCHITECTURES[case["net"]].tasks[0]
        size = (case["side"],) * case["dims"]
        images = torch.randn(case["batch"], case["channels"], *size)
        if case["mode"] == "train":
            targets = torch.zeros(case["batch"], *(size if task == "segment" else ())).long()
            optimizer = make_optimizer(case["optimizer"])(net)
            counters = Counters(precision=case["precision"])
            state = State(network=net, optimizer=optimizer, counters=counters)
            loss = loss_of(case["net"])
            with record_function("STEPS"):
                for _ in range(3):
                    train_step(state, loss, images, targets, SCHEDULE)
                    counters.step += 1
        else:
            net.eval()
            with record_function("STEPS"), torch.inference_mode():
                for _ in range(3):
                    with autocast(case["precision"], "cpu"):
                        net(images)
    return highest(profiler)


def highest(profiler):
    """Bytes allocated in all at the worst moment of the steps."""
    events = list(_walk(profiler.profiler.kineto_results.experimental_event_tree()))
    steps = next(e for e in events if e.name == "STEPS")
    totals = [
        e.extra_fields.total_allocated
        for e in events
        if e.name == "[memory]" and steps.start_time_ns <= e.start_time_ns <= steps.end_time_ns
    ]
    return max(totals)


def _walk(events):
    for event in events:
        yield event
        yield from _walk(event.children)


def measure(case):
    """The case with what was measured, in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return case | {"measured": None}
    return case | {"measured": int(done.stdout.split()[-1])}


def error(case):
    """Percent by which the foretold peak lies above the measured one."""
    return 100 * (case["foretold"] - case["measured"]) / case["measured"]


def words(case):
    """A case in a few words."""
    axes = " x ".join(
        [str(case["batch"]), str(case["channels"]), *[str(case["side"])] * case["dims"]]
    )
    how = case["optimizer"] if case["mode"] == "train" else "infer"
    again = {"own": ", recomputing", "part": ", a part recomputed"}.get(case["recompute"], "")
    return f"{case['net']} (width {case['width']:g}) {axes}, {how}, {case['precision']}{again}"


def report(cases, seed):
    """The table as Markdown lines, and whether the gate is passed."""
    sizes = sorted(abs(error(case)) for case in cases)
    p95 = sizes[min(len(sizes) - 1, math.ceil(0.95 * len(sizes)) - 1)]
    passed = median(sizes) <= MEDIAN_GATE and p95 <= P95_GATE
    peaks = sorted(case["measured"] / GIB for case in cases)
    lines = [
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}, seed {seed}, {len(cases)} combinations, peaks "
        f"of {peaks[0]:.2f} to {peaks[-1]:.2f} GiB (median {median(peaks):.2f}).",
        "",
        *(SLOW_HALF if affordable("bf16") < MOST_MACS else []),
        f"Error of the foretold peak of tensors: median {median(sizes):.3f} %, 95th percentile "
        f"{p95:.3f} %, worst {sizes[-1]:.3f} %. At most {MEDIAN_GATE} % and {P95_GATE} %: "
        f"{'yes' if passed else 'NO'}.",
        "",
        "| the worst ten | foretold, MiB | measured, MiB | error, % | foretold peak |",
        "|---|---|---|---|---|",
    ]
    for case in sorted(cases, key=lambda c: -abs(error(c)))[:10]:
        mib = f"{case['foretold'] / 2**20:.1f} | {case['measured'] / 2**20:.1f}"
        lines.append(f"| {words(case)} | {mib} | {error(case):+.3f} | {case['at']} |")
    lines += ["", "| network | combinations | median error, % | worst, % |", "|---|---|---|---|"]
    groups = defaultdict(list)
    for case in cases:
        groups[case["net"]].append(abs(error(case)))
    for name in sorted(groups):
        found = groups[name]
        lines.append(f"| {name} | {len(found)} | {median(found):.3f} | {max(found):.3f} |")
    return lines, passed


def known_cases(log):
    """What a log holds, by number, foretold anew by the code as it is now."""
    lines = log.read_text().splitlines() if log.exists() else []
    cases = {case["number"]: case for case in map(json.loads, lines) if case["measured"]}
    for case in cases.values():
        held = foretell(case)
        case |= {"foretold": held.tensors_peak, "at": held.peak_at}
    return cases


def drawn(number, args):
    """A new case, measured and written to the log."""
    rng = random.Random(f"{args.seed} {number}")
    case = measure(draw(rng, args.most * GIB) | {"number": number})
    with args.log.open("a") as file:
        file.write(json.dumps(case) + "\n")
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--most", type=float, default=8.0, help="GiB")
    parser.add_argument("--out", type=Path, default=Path("bench/results/ledger_tensors.md"))
    parser.add_argument(
        "--log",
        type=Path,
        default=Path("build/ledger_tensors.jsonl"),
        help="JSON lines; what it holds is not measured again",
    )
    parser.add_argument("--part", default="1/1", help="i/n: every n-th, from the i-th on")
    parser.add_argument("--one", help="a case as JSON: take its steps and print the peak")
    args = parser.parse_args()
    if args.one:
        print(take_steps(json.loads(args.one)))
        return 0
    args.log.parent.mkdir(parents=True, exist_ok=True)
    part, parts = map(int, args.part.split("/"))
    known, cases = known_cases(args.log), []
    for number in range(part - 1, args.count, parts):
        case = known.get(number) or drawn(number, args)
        if case["measured"]:
            cases.append(case)
            print(f"{number}: {words(case)}: {error(case):+.3f} %", flush=True)
    lines, passed = report(cases, args.seed)
    print("\n".join(lines))
    if parts > 1:
        return 0
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n")
    return 0 if passed and len(cases) == args.count else 1


if __name__ == "__main__":
    sys.exit(main())
