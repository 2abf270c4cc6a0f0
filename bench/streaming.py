"""Training on more data than memory: what the process holds, and how fast it goes.

Two synthetic sets of volumes are made, one ten times as large as the other. `convivo train` runs on
both under one `--ram` and is watched from outside; then steps on the packed large set and on a set
that lies in memory are timed in turn. What was made is removed again.

    python bench/streaming.py                          # 2 GB and 20 GB, --ram 2G
    python bench/streaming.py --small 0.5 --large 5 --ram 768M
"""

import argparse
import csv
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import nibabel as nib
import numpy as np

SHAPE = (224, 224, 160)  # 16 MB of int16
PATCH, BATCH, STEPS = 64, 2, 24
SPOTS = 24  # of each volume
RADIUS = 24  # of the ball
HELD_OUT = 2  # cases of validation, and as many of test: the measuring is not what is measured
LOOK = 0.05  # seconds between two looks at a process
SETTINGS = [
    f"input.size=[{PATCH},{PATCH},{PATCH}]", f"train.batch={BATCH}", f"train.steps={STEPS}",
    f"train.validate_every={STEPS}", "net.width=0.25", "train.precision=fp32",
]  # fmt: skip
HEAD = "| set | cases | raw MB | packed MB | before the first step, MB | training, MB | result |"


def make_set(folder: Path, gigabytes: float, seed: int) -> int:
    """Noise, spots of many sizes, and a bright ball in each volume; the number of cases.

    The spots make each another picture: noise alone is gone from the small pictures that duplicates
    are found by, and balls are alike wherever they lie.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    cases = max(2 * HELD_OUT + 2, round(gigabytes * 1e9 / (2 * np.prod(SHAPE))))
    noise = rng.normal(400, 60, np.prod(SHAPE) + 10_000).astype(np.int16)
    rows = [("path", "label", "split")]
    for number in range(cases):
        start = int(rng.integers(10_000))
        image = noise[start : start + np.prod(SHAPE)].reshape(SHAPE).copy()
        for _ in range(SPOTS):
            brighten(image, rng)
        ball = np.zeros(SHAPE, np.uint8)
        corner = [int(rng.integers(n // 4, 3 * n // 4)) - RADIUS for n in SHAPE]
        box = tuple(slice(c, c + 2 * RADIUS + 1) for c in corner)
        ball[box] = (
            sum(np.square(g) for g in np.ogrid[(slice(-RADIUS, RADIUS + 1),) * 3]) < RADIUS**2
        )
        image[box] += 250 * ball[box].astype(np.int16)
        for name, array in ((f"{number}.nii", image), (f"{number}_mask.nii.gz", ball)):
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / name)
        part = "test" if number < HELD_OUT else "val" if number < 2 * HELD_OUT else "train"
        rows.append((f"{number}.nii", f"{number}_mask.nii.gz", part))
    with (folder / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return cases


def brighten(image: np.ndarray, rng: np.random.Generator) -> None:
    """A box of a size and place by chance, brighter or darker by chance."""
    box = []
    for size in SHAPE:
        length = int(rng.integers(12, size // 2))
        start = int(rng.integers(size - length))
        box.append(slice(start, start + length))
    image[tuple(box)] += np.int16(rng.integers(-120, 120))


def anonymous(process: int) -> int:
    """RssAnon of a process and its children, in bytes."""
    total, todo = 0, [process]
    while todo:
        one = todo.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            children = [p for t in tasks for p in (t / "children").read_text().split()]
        except (OSError, ValueError):  # it has just ended
            continue
        todo += map(int, children)
        held = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        total += int(held[0].split()[1]) * 1024 if held else 0
    return total


def watched_train(data: Path, run: Path, place: Path, ram: str) -> tuple[int, int, int]:
    """Largest RssAnon before the first step and from then on, and the exit status."""
    command = [
        sys.executable, "-m", "convivo", "train", str(data / "cases.csv"), "--out", str(run),
        "--net", "unet", "--ram", ram, "--store", str(place), "--threads", "2",
    ]  # fmt: skip
    for setting in SETTINGS:
        command += ["--set", setting]
    peaks = [0, 0]
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            phase = int((run / "plan.json").exists())  # written right before the first step
            peaks[phase] = max(peaks[phase], anonymous(process.pid))
            time.sleep(LOOK)
    return peaks[0], peaks[1], process.returncode


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def steps_in_turn(packed: Path, rounds: int, steps: int) -> tuple[float, float, float]:
    """Median seconds of a step on the streamed store, on cases in memory, and of drawing alone."""
    import torch

    from convivo.architectures.create import create
    from convivo.data.ahead import Ahead
    from convivo.data.batches import Batches
    from convivo.data.store import opened_store
    from convivo.tasks import create_task
    from convivo.verbs.storing import in_memory

    torch.set_num_threads(2)
    lines = (packed / "cases.jsonl").read_text().splitlines()
    numbers = range(len(lines))
    names = [str(i) for i in numbers]
    streamed = opened_store(packed, names, names, numbers)
    memory = in_memory(streamed.some(range(16)))
    told = {"size": (PATCH,) * 3, "batch": BATCH, "sampling": "patch", "seed": 0}
    ahead = Ahead(Batches(streamed, **told))
    draws = {"streamed": ahead, "memory": Batches(memory, **told)}
    task = create_task("segment", classes=("background", "ball"))
    network = create("unet", spatial_dims=3, in_channels=1, num_classes=2, width=0.25)
    optimizer = torch.optim.AdamW(network.parameters())
    taken: dict[str, list[float]] = {name: [] for name in draws}

    def step(name: str, number: int) -> None:
        batch = draws[name](number)
        labels = torch.from_numpy(batch.targets).long()
        loss = task.step(network, torch.from_numpy(batch.images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for turn in range(rounds + 1):
        for name in draws:
            for number in range(steps):
                began = time.monotonic()
                step(name, turn * steps + number)
                # the first round warms up; the first step of a turn finds nothing read ahead
                if turn and number:
                    taken[name].append(time.monotonic() - began)
    ahead.close()
    plain, drawing = Batches(streamed, **told), []
    for number in range(20):
        began = time.monotonic()
        plain(10_000 + number)
        drawing.append(time.monotonic() - began)
    return median(taken["streamed"]), median(taken["memory"]), median(drawing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=float, default=2.0, help="GB of volumes")
    parser.add_argument("--large", type=float, default=20.0, help="GB of volumes")
    parser.add_argument("--ram", default="2G")
    parser.add_argument("--work", type=Path, default=Path("/tmp/convivo-streaming"))
    parser.add_argument("--keep", action="store_true", help="leave the sets where they are")
    parser.add_argument("--rounds", type=int, default=6, help="of timed steps; 0: only memory")
    parser.add_argument("--time-only", action="store_true", help="time on a set kept earlier")
    parser.add_argument("--out", type=Path, help="the table; default: printed")
    given = parser.parse_args()
    rows = [] if given.time_only else memory_rows(given)
    lines = [HEAD, "|---|---|---|---|---|---|---|", *rows] if rows else []
    if given.rounds:
        packed = largest_store(given.work / "stores")
        streamed, memory, drawing = steps_in_turn(packed, given.rounds, 8)
        lines += [
            "", f"Steps of {BATCH} patches of {PATCH}^3, {given.rounds} x 7 in turn, median:",
            "", f"- streamed: {BATCH / streamed:.2f} samples/s ({streamed:.3f} s a step)",
            f"- in memory: {BATCH / memory:.2f} samples/s ({memory:.3f} s a step)",
            f"- streamed / in memory: {memory / streamed:.3f}",
            f"- drawing a batch from the packed store, nothing beside it: {drawing:.3f} s",
        ]  # fmt: skip
    text = "\n".join([*_head(given), *lines]) + "\n"
    if given.out:
        given.out.write_text(text)
    print(text)
    if not given.keep:
        shutil.rmtree(given.work, ignore_errors=True)


def largest_store(place: Path) -> Path:
    return max((p for p in place.iterdir() if (p / "complete.json").exists()), key=size_of)


def memory_rows(given: argparse.Namespace) -> list[str]:
    """A row for each set; sets and stores are left in `given.work`."""
    shutil.rmtree(given.work, ignore_errors=True)
    place = given.work / "stores"
    place.mkdir(parents=True)
    rows, training = [], []
    for name, size in (("small", given.small), ("large", given.large)):
        data = given.work / name
        cases = make_set(data, size, seed=0)
        raw, before = size_of(data), size_of(place)
        peaks = watched_train(data, given.work / f"run-{name}", place, given.ram)
        training.append(peaks[1])
        status = "ended well" if peaks[2] == 0 else f"exit {peaks[2]}"
        shutil.rmtree(data)  # packed: no longer needed, and disks are not endless
        rows.append(
            f"| {name} | {cases} | {raw / 1e6:,.0f} | {(size_of(place) - before) / 1e6:,.0f} "
            f"| {peaks[0] / 1e6:,.0f} | {peaks[1] / 1e6:,.0f} | {status} |"
        )
    grown = (training[1] - training[0]) / training[0]
    return [*rows, "", f"Training: {grown:+.1%} from the small set to the large one."]


def _head(given: argparse.Namespace) -> list[str]:
    return [
        "# Training on more data than memory", "",
        "`python " + " ".join([os.path.relpath(sys.argv[0]), *sys.argv[1:]]) + "`", "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"Volumes of {' x '.join(map(str, SHAPE))}, int16; unet of width 0.25, {STEPS} steps, "
        f"`--ram {given.ram}`; MB of 10^6 bytes, RssAnon of the process and its children.", "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
