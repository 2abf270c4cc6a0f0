"""Whole commands under a hard limit of memory: train, evaluate, predict, each a process of its own.

A committed seed draws data x networks x limits of 2, 3, 4 and 6 GiB. `convivo plan --ram` is asked
for the largest batch and patch, and that is trained; every third time three times that batch, so
that it has to go through in passes. Predictions run at 1 GiB. The kernel ends who takes more: a
memory group where one can be made, else a limit on address space. What the processes really hold
is looked at from outside.
Run: python bench/ledger_limits.py --count 20               (some 50 minutes on two cores)
     python bench/ledger_limits.py --only 3,7 --keep DIR    (two of them; their folders stay)
     python bench/ledger_limits.py --json rows.json         (called again, it goes on from there)
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from convivo.architectures import ARCHITECTURES
from convivo.data.phantoms import make_images, make_signals, make_volumes
from convivo.planning.limits import GROUP_SHARE
from convivo.training.process_memory import children_of, held, memory_of

SEED = 4
MIB = 2**20
GIB = 2**30
LIMITS = (2, 3, 4, 6)
PREDICT_LIMIT = 1
LOOK_SECONDS = 0.01
STEPS, VALIDATE = 5, 3  # freed memory is kept from the third step on; two more come afterwards
WIDTH = "net.width=0.25"  # of all networks, or steps at 6 GiB would take minutes
TIMES, EVERY = 3, 3  # batches larger than fits: how many times, and how often one is asked for
USED = 0.75  # of what was given, where the batch was solved for
JOBS = ("train", "evaluate", "predict")
REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))


@dataclass(frozen=True)
class Data:
    """A data set to train on, and what to predict afterwards.

    make: writes it; None for real data. large: writes one input that is much larger than those
    trained on.
    """

    name: str
    nets: tuple[str, ...]
    make: Callable[[Path], Path] | None = None
    large: Callable[[Path], Path] | None = None
    settings: tuple[str, ...] = ()


CLASSIFIERS = ("resnet18", "resnet50", "densenet121", "vgg11_bn", "googlenet")
MAPPERS = ("unet", "segnet", "fcn32s")


def _long_record(out: Path) -> Path:
    return make_signals(out, records=1, seconds=3600, seed=9)


def _wide_image(out: Path) -> Path:
    return make_images(out, count=1, size=(1400, 1200), seed=9)


def _large_volume(out: Path) -> Path:
    return make_volumes(out, count=1, shape=(180, 180, 90), seed=9) / "imagesTr"


DATA = (
    Data("signals", CLASSIFIERS, lambda out: make_signals(out, records=9, seconds=240),
         _long_record),
    Data("images", MAPPERS, lambda out: make_images(out, count=16, size=(512, 448)),
         _wide_image, ("input.size=[256,256]",)),
    Data("cells", CLASSIFIERS,
         lambda out: make_images(out, count=60, size=(448, 448), task="classify"),
         None, ("input.size=[224,224]",)),
    Data("volumes", MAPPERS, lambda out: make_volumes(out, count=8, shape=(112, 104, 72)),
         _large_volume, ("input.size=[64,64,64]",)),
    Data("mitbih", CLASSIFIERS),
    Data("dsb2018_nuclei", MAPPERS),
    Data("hippocampus_msd", MAPPERS),
    Data("adrenalmnist3d_64", CLASSIFIERS),
    Data("breastmnist", CLASSIFIERS, None, None, ("input.size=[128,128]",)),
)  # fmt: skip


@dataclass(frozen=True)
class Combination:
    """One data set, one network, one limit; the batch is so many times the one that fits."""

    data: Data
    net: str
    gib: int
    times: int


@dataclass(frozen=True)
class Ended:
    """How a process ended. status: of its exit, negative for a signal. peak: private and shared."""

    status: int
    peak: int
    seconds: float
    said: str


def draw(number: int, seed: int) -> list[Combination]:
    """Combinations in which every data set and every limit occurs about equally often."""
    rng, found = random.Random(seed), []
    there = [data for data in DATA if data.make or (REAL / data.name).exists()]
    sets = [there[i % len(there)] for i in range(number)]
    limits = [LIMITS[i % len(LIMITS)] for i in range(number)]
    rng.shuffle(limits)
    for place, (data, gib) in enumerate(zip(sets, limits, strict=True)):
        nets = [name for name in data.nets if name in ARCHITECTURES]
        times = TIMES if place % EVERY == EVERY - 1 else 1
        found.append(Combination(data, rng.choice(nets), gib, times))
    return found


class Cage:
    """A hard limit for processes: a memory group, or address space where none can be made."""

    def __init__(self) -> None:
        self.top, self.kind = None, "RLIMIT_AS"
        for top in GROUPS:
            name = "memory.limit_in_bytes" if top.name == "memory" else "memory.max"
            probe = top / f"convivo_{os.getpid()}"
            try:
                probe.mkdir()
            except OSError:
                continue
            usable = (probe / name).exists()
            probe.rmdir()
            if usable:
                self.top, self.file, self.kind = top, name, "a memory group"
                return

    @contextmanager
    def limit(self, count: int) -> Iterator[Callable[[], None]]:
        """What a child calls before it becomes the command."""
        if self.top is None:
            yield lambda: resource.setrlimit(resource.RLIMIT_AS, (count, count))
            return
        group = self.top / f"convivo_{os.getpid()}"
        group.mkdir()
        try:
            (group / self.file).write_text(str(count))
            swap = group / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")
            yield lambda: _join(group)
        finally:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except OSError:  # the last process is still being taken down
                    time.sleep(0.1)


def _join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def ran(words: list[str], cage: Cage, count: int) -> Ended:
    """One command, watched from outside."""
    began, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "convivo", *words]
    with cage.limit(count) as confine, tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=confine) as child:
            while child.poll() is None:
                family = [child.pid, *children_of(child.pid)]
                peak = max(peak, sum(held(memory_of(one)) for one in family))
                time.sleep(LOOK_SECONDS)
        said.seek(0)
        text = said.read()
    return Ended(child.returncode, peak, time.monotonic() - began, text)


def go(one: Combination, folder: Path, cage: Cage) -> dict[str, Any]:
    """Plan, train, evaluate and predict; what each took, and what the plan had said."""
    data = REAL / one.data.name
    if one.data.make is not None:
        data = one.data.make(folder / "data")
    inputs = one.data.large(folder / "large") if one.data.large is not None else data
    run, limit = folder / "run", one.gib * GIB
    row: dict[str, Any] = {"data": one.data.name, "net": one.net, "gib": one.gib}
    row["times"] = one.times
    ram = ["--ram", f"{granted(one.gib)}M"]
    asked = ["plan", str(data), "--net", one.net, *ram, "--precision", "fp32"]
    planned = ran([*asked, "--json", "-q", *_set((WIDTH, *one.data.settings))], cage, limit)
    row |= {"asked": asdict(planned) | {"said": planned.said[-300:]}, "plan": {}}
    if planned.status != 0:
        return row
    words = ["train", str(data), "--out", str(run), "--net", one.net]
    words += [*ram, "--accept", "duplicate-across-splits"]
    solution = json.loads(planned.said[planned.said.index("{") :])["solution"]
    row["all_fits"] = all(step["fits"] for step in solution["steps"])
    choice = _choice(solution, one.times)
    words += _set((WIDTH, f"train.steps={STEPS}", f"train.validate_every={VALIDATE}", *choice))
    trained = ran(words, cage, limit)
    row |= {"train": asdict(trained), "plan": _planned(run)}
    if trained.status == 0:
        row["evaluate"] = asdict(ran(["evaluate", str(run)], cage, limit))
        words = ["predict", str(run), *_some(inputs), "--out", str(folder / "out")]
        row["predict"] = asdict(ran(words, cage, PREDICT_LIMIT * GIB))
    return row


def _set(wishes: Sequence[str]) -> list[str]:
    return [word for wish in wishes for word in ("--set", wish)]


def _choice(found: dict[str, Any], times: int) -> tuple[str, ...]:
    """What a plan solved for, as settings of the training."""
    size = ",".join(map(str, found["patch"]))
    return f"train.batch={times * found['batch']}", f"input.size=[{size}]", "train.precision=fp32"


def _some(inputs: Path) -> list[str]:
    """A few files of a folder, or the folder's container."""
    known = (".hea", ".png", ".nii.gz", ".npz")
    found = sorted(p for p in inputs.rglob("*") if p.name.endswith(known) and "label" not in str(p))
    found = [p for p in found if "masks" not in p.parts]
    return [str(path) for path in found[:4]]


def _planned(run: Path) -> dict[str, Any]:
    """What the plan said of memory, and what was chosen."""
    try:
        plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    keys = ("batch", "accumulate", "checkpointing", "allocator", "precision", "memory", "measured")
    return {key: plan.get(key) for key in keys} | {"size": plan["sampling"]["size"]}


def solved(row: dict[str, Any]) -> bool:
    """Whether the batch that was trained is the largest that the ledger found to fit.

    Not where all cases together fit, of which a classifier needs no more.
    """
    return row["times"] == 1 and not row.get("all_fits") and "train" in row


def share_of(row: dict[str, Any]) -> float:
    """What the training really held of what it was given."""
    return row["train"]["peak"] / (granted(row["gib"]) * MIB)


def granted(gib: int) -> int:
    """MiB of a limit that a process may plan with: it counts pages of the kernel's, too."""
    return int(gib * 1024 * GROUP_SHARE) // 16 * 16


def table(rows: list[dict[str, Any]], cage: Cage, seed: int, count: int) -> str:
    """The committed page."""
    jobs = [row.get(name) for row in rows for name in JOBS]
    done = [row for row in rows if _all_done(row)]
    used = [share_of(row) for row in rows if solved(row)]
    enough = sum(share >= USED for share in used)
    over = sum(share > 1 for share in used)
    lines = [
        "# Whole commands under a hard limit of memory",
        "",
        f"{len(rows)} of the {count} combinations drawn by seed {seed}, {STEPS} training steps "
        f"each, networks of a quarter of their width; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads; limited by {cage.kind}. "
        "Made by `python bench/ledger_limits.py`.",
        "",
        "| | measured | gate |",
        "|---|---|---|",
        f"| trained, evaluated and predicted | {len(done)} of {len(rows)} | all |",
        f"| processes ended by the kernel | {sum(j is not None and j['status'] < 0 for j in jobs)} "
        "| none |",
        f"| batch solved for: uses {USED:.0%} of the limit | {enough} of {len(used)} | all |",
        f"| batch solved for: exceeds the limit | {over} of {len(used)} | none |",
        "",
        "Bytes are private and shared ones of the process tree. Trainings and evaluations have the "
        f"limit of their row, predictions {PREDICT_LIMIT} GiB. Plans are given {GROUP_SHARE:.0%} "
        "of it: the rest is the kernel's. Seconds: plan, train, evaluate, predict.",
        "",
        "| data | network | GiB | batch x passes | patch | foretold, at most | train | of given "
        "| evaluate | predict | status | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *map(_line, rows),
    ]
    failed = [f"- {_name(row)}: {_last(row)}" for row in rows if not _all_done(row)]
    return "\n".join([*lines, *(["", "Not to the end:", "", *failed] if failed else [])]) + "\n"


def _all_done(row: dict[str, Any]) -> bool:
    return all(name in row and row[name]["status"] == 0 for name in JOBS)


def _name(row: dict[str, Any]) -> str:
    return f"{row['data']}, {row['net']}, {row['gib']} GiB"


def _last(row: dict[str, Any]) -> str:
    name = [n for n in ("asked", *JOBS) if n in row][-1]
    lines = row[name]["said"].strip().splitlines() or ["(nothing said)"]
    status = row[name]["status"]
    why = signal.Signals(-status).name if status < 0 else f"exit {status}"
    return f"{name}, {why}: {lines[-1][:300]}"


def _line(row: dict[str, Any]) -> str:
    plan, memory = row["plan"], row["plan"].get("memory") or {}
    size = "x".join(map(str, plan.get("size", [])))
    told = [memory.get(name) for name in ("process_peak", "process_bound")]
    jobs = [row[name] for name in JOBS if name in row]
    train, *others = (row[n]["peak"] / MIB if n in row else None for n in JOBS)
    share = "" if train is None else f"{share_of(row):.0%}{_why(row)}"
    cells = [
        row["data"], row["net"], row["gib"], f"{plan.get('batch')} / {plan.get('accumulate')}",
        size, ", ".join("-" if n is None else f"{n / MIB:,.0f}" for n in told),
        _mib(train), share, *map(_mib, others), " ".join(str(job["status"]) for job in jobs),
        " + ".join(f"{job['seconds']:.0f}" for job in [row["asked"], *jobs]),
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _why(row: dict[str, Any]) -> str:
    """Why more or less of the limit was used than could be."""
    if row["times"] > 1:
        return " (passes)"
    return " (all cases fit)" if row.get("all_fits") else ""


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", help="numbers of the combinations, from 0")
    parser.add_argument("--out", type=Path, default=Path("bench/results/ledger_limits.md"))
    parser.add_argument("--json", type=Path, help="keep the rows, with all that was said")
    parser.add_argument("--keep", type=Path, help="a folder for data and runs, which then stay")
    args = parser.parse_args()
    cage, done = Cage(), {}
    if args.json and args.json.exists():
        done = {row["number"]: row for row in json.loads(args.json.read_text(encoding="utf-8"))}
    for number, one in enumerate(draw(args.count, args.seed)):
        if number in done or (args.only and str(number) not in args.only.split(",")):
            continue
        folder = Path(args.keep or tempfile.mkdtemp()) / f"limits_{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        row = done[number] = {"number": number} | go(one, folder, cage)
        print(number, _line(row), flush=True)
        if not _all_done(row):
            print("   ", _last(row), flush=True)
        if args.json:
            args.json.write_text(json.dumps(list(done.values())), encoding="utf-8")
        if not args.keep:
            shutil.rmtree(folder)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(
        table([done[n] for n in sorted(done)], cage, args.seed, args.count), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
