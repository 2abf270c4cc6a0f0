"""Memory of whole processes: predicted before the run, against measured.

A committed seed draws networks x dimensions x train or infer x optimizers x precisions x number of
items, as `convivo` runs them (a training keeps freed memory after its first two steps, a prediction
does not). Each takes three steps, after those two, in a fresh process; its private and shared
memory is looked at every few milliseconds.
The library's bytes are taken from a network of next to nothing first, as `convivo doctor` does.
Run: python bench/ledger_process.py --count 60
"""

import argparse
import json
import random
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from convivo.architectures import ARCHITECTURES
from convivo.errors import ConvivoError
from convivo.planning.counting import count
from convivo.planning.machine import Machine, this_machine
from convivo.planning.overhead import process
from convivo.planning.tile_kernels import has_tiles
from convivo.processor import processor_name
from convivo.verbs.calibrate_memory import library_bytes
from convivo.verbs.resident import Trial, measured

SEED = 11
LOOKED_AT = (11, 12, 13, 14, 15, 16, 17, 18, 21)  # while the model was made
SIDES = {1: (256, 512, 1024, 2048, 4096), 2: (64, 80, 96, 128, 160), 3: (16, 24, 32, 40, 48)}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # large ones are what a budget asks for
MIB = 2**20
SPAN = (40, 1536)  # MiB of tensors
GATES = (0.05, 0.12, 0.01, 0.15)  # in the order of `figures`
MACS = {True: 6e9, False: 24e9}  # more takes too long on two cores


def draw(number: int, seed: int, macs: float, span: tuple[int, int]) -> list[Trial]:
    """`number` trials whose tensors' peak lies within these MiB."""
    rng, found = random.Random(seed), []
    tasks = ("classify", "segment")
    nets = sorted(name for name, entry in ARCHITECTURES.items() if entry.tasks[0] in tasks)
    while len(found) < number:
        dims, train = rng.choice((1, 2, 3)), rng.random() < 2 / 3
        trial = Trial(
            net=rng.choice(nets),
            size=tuple(rng.choice(SIDES[dims]) for _ in range(dims)),
            channels=rng.choice((1, 3)),
            batch=rng.choice(BATCHES),
            train=train,
            optimizer=rng.choice(("sgd", "momentum", "adamw")),
            precision=rng.choice(("fp32", "bf16")),
            width=rng.choice((0.5, 1.0)),
            keeps=train,
        )
        if _fits(trial, macs, span):
            found.append(trial)
    return sorted(found, key=lambda trial: trial.train)  # one kind of process after the other


def _fits(trial: Trial, macs: float, span: tuple[int, int]) -> bool:
    try:
        with torch.device("meta"):
            network = trial.network()
        counts = count(network, (trial.channels, *trial.size), trial.batch)
        if counts.macs > macs * MACS[trial.train]:
            return False
        tensors = process(trial.trace(), train=trial.train).tensors
        return span[0] * MIB <= tensors <= span[1] * MIB
    except ConvivoError:  # a size that the network does not take
        return False


def rows_of(trials: list[Trial], machine: Machine, threads: int):
    for trial, seen in zip(trials, measured(trials, threads=threads), strict=True):
        expected = process(trial.trace(), train=trial.train, keeps=trial.keeps, machine=machine)
        print(trial.net, trial.size, seen, expected, flush=True)
        if seen is not None:
            own = {n: getattr(machine.memory, n) for n in ("library", "training")}
            yield asdict(trial) | {"expected": asdict(expected), "seen": seen, "library": own}


def figures(rows: list[dict]) -> tuple[float, float, float, float]:
    """Median and late error of the peak, share of bounds exceeded, the bound's median excess."""
    errors = sorted(abs(r["expected"]["peak"] / r["seen"] - 1) for r in rows)
    bounds = [r["expected"]["bound"] / r["seen"] - 1 for r in rows]
    late = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    exceeded = sum(b < 0 for b in bounds) / len(rows)
    return statistics.median(errors), late, exceeded, statistics.median(bounds)


def passed(rows: list[dict]) -> bool:
    return all(found <= gate for found, gate in zip(figures(rows), GATES, strict=True))


def drawn(rows: list[dict]) -> str:
    """How many runs each seed drew."""
    seeds = sorted({row["seed"] for row in rows})
    counts = [(sum(row["seed"] == seed for row in rows), seed) for seed in seeds]
    return ", ".join(
        f"{number} runs drawn by seed {seed}"
        + (" (looked at while the model was made)" if seed in LOOKED_AT else "")
        for number, seed in counts
    )


def table(rows: list[dict], machine: Machine) -> str:
    middle, late, exceeded, above = figures(rows)
    gates = [f"{100 * gate:.0f} %" for gate in GATES]
    lines = [
        "# Memory of whole processes, predicted and measured",
        "",
        f"{drawn(rows)}; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {processor_name()}"
        f"{' with matrix tiles (AMX)' if has_tiles() else ''}. "
        "Made by `python bench/ledger_process.py`.",
        "",
        "| | measured | gate |",
        "|---|---|---|",
        f"| error of `process_peak`, median | {middle:.1%} | {gates[0]} |",
        f"| 95th percentile | {late:.1%} | {gates[1]} |",
        f"| `process_bound` exceeded | {round(exceeded * len(rows))} of {len(rows)} | {gates[2]} |",
        f"| `process_bound` above the measured, median | {above:.1%} | {gates[3]} |",
        "",
        f"Constants: {machine.memory}",
        "",
        "| network | input | batch | | MiB: tensors | heap's holes | kernels | expected "
        "| measured | error | bound |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: r["expected"]["peak"] / r["seen"]):
        e, kind = row["expected"], f"train, {row['optimizer']}" if row["train"] else "infer"
        size = "x".join(map(str, (row["channels"], *row["size"])))
        mib = [f"{e[k] / MIB:.0f}" for k in ("tensors", "allocator", "kernels", "peak")]
        lines.append(
            f"| {row['net']} | {size} | {row['batch']} | {kind}, {row['precision']} | "
            f"{' | '.join(mib)} | {row['seen'] / MIB:.0f} | {e['peak'] / row['seen'] - 1:+.1%} "
            f"| {e['bound'] / row['seen'] - 1:+.1%} |"
        )
    return "\n".join([*lines, *_by_seed(rows)]) + "\n"


def _by_seed(rows: list[dict]) -> list[str]:
    """The figures of each seed: one was looked at while the model was made, the others not."""
    seeds = sorted({row["seed"] for row in rows})
    if len(seeds) < 2:
        return []
    lines = ["", "| seed | runs | error, median | 95th percentile | exceeded | bound above |"]
    lines.append("|---|---|---|---|---|---|")
    for seed in seeds:
        own = [row for row in rows if row["seed"] == seed]
        middle, late, exceeded, above = figures(own)
        lines.append(
            f"| {seed} | {len(own)} | {middle:.1%} | {late:.1%} | {round(exceeded * len(own))} "
            f"| {above:.1%} |"
        )
    return lines


def _tell_again(args: argparse.Namespace) -> int:
    """The table of earlier measurements, predicted anew."""
    rows = [row for path in args.again for row in json.loads(path.read_text(encoding="utf-8"))]
    for row in rows:
        machine = Machine(memory=replace(this_machine().memory, **row["library"]))
        fields = {name: row[name] for name in Trial.__dataclass_fields__}
        trial = Trial(**fields | {"size": tuple(row["size"])})
        again = process(trial.trace(), train=trial.train, keeps=trial.keeps, machine=machine)
        row["expected"] = asdict(again)
    args.out.write_text(table(rows, machine), encoding="utf-8")
    return 0 if passed(rows) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--macs", type=float, default=1.0, help="share of the largest networks")
    parser.add_argument("--span", type=int, nargs=2, default=SPAN, help="MiB of tensors")
    parser.add_argument("--out", type=Path, default=Path("bench/results/ledger_process.md"))
    parser.add_argument("--json", type=Path, help="keep the rows, to look closer")
    parser.add_argument("--again", type=Path, nargs="+", help="predict anew what was measured")
    args = parser.parse_args()
    if args.again:
        return _tell_again(args)
    threads = torch.get_num_threads()
    known = this_machine()
    machine = Machine(memory=library_bytes(known.memory, threads=threads), speeds=known.speeds)
    trials = draw(args.count, args.seed, args.macs, tuple(args.span))
    rows = []
    for row in rows_of(trials, machine, threads):
        rows.append(row | {"seed": args.seed})
        if args.json:
            args.json.write_text(json.dumps(rows), encoding="utf-8")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(table(rows, machine), encoding="utf-8")
    print(args.out.read_text(encoding="utf-8"))
    return 0 if passed(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
