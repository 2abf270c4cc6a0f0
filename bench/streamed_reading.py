"""What reading batches from a packed store takes: memory for few and for many cases, and time.

No network and no files: cases are made, packed, and patches drawn from them in a fresh process. It
shows in a few minutes, on a busy machine too, whether memory depends on how much is packed.

    python bench/streamed_reading.py --out bench/results/streamed_reading.md
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from convivo.arrays.preparation import Preparation
from convivo.data.ahead import Ahead
from convivo.data.batches import Batches
from convivo.data.sample import Case, Header, Index, Sample
from convivo.data.store import Wanted, opened_store, packed_store

SHAPE, PATCH, BATCH = (128, 128, 128), (64, 64, 64), 2
SETTLED = 50  # batches after which memory is looked at


def anonymous() -> int:
    """RssAnon of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def pack(folder: Path, cases: int) -> Path:
    """A packed store of so many volumes of noise, a block of class 1 in each."""
    noise = np.random.default_rng(0).normal(size=np.prod(SHAPE) + cases).astype(np.float32)
    header = Header(shape=SHAPE, channels=1, dtype="float32", axes="RAS")
    rows = []
    for number in range(cases):
        path = folder / str(number)
        path.write_text(path.name)  # what its key is made of
        rows.append(Case(id=path.name, image=(str(path),), label=str(path), header=header))

    def load(case: Case) -> Sample:
        start = int(case.id)
        labels = np.zeros(SHAPE, np.uint8)
        labels[20 + start % 40 : 60 + start % 40, 30:70, 40:80] = 1
        image = noise[start : start + np.prod(SHAPE)].reshape(1, *SHAPE)
        return Sample(id=case.id, image=image, target=labels)

    index = Index(
        layout="array", root=folder, task="segment", spatial_dims=3, cases=tuple(rows),
        classes=("background", "block"),
    )  # fmt: skip
    preparation = Preparation(spatial_dims=3, channels=1, normalization="none")
    place = folder / "stores"
    place.mkdir()
    wanted = Wanted(cases=rows, index=index, load=load, preparation=preparation, half=False)
    return packed_store(place, wanted)


def draw(folder: Path, cases: int, batches: int) -> dict[str, float]:
    """RssAnon while batches are drawn, and the processor's seconds a patch."""
    names = [str(number) for number in range(cases)]
    store = opened_store(folder, names, names, range(cases))
    drawn = Ahead(Batches(store, size=PATCH, batch=BATCH, sampling="patch", seed=0))
    began, seen = time.process_time(), []
    for step in range(batches):
        drawn(step)
        seen.append(anonymous())
    drawn.close()
    later = seen[SETTLED:]
    spent = (time.process_time() - began) / (batches * BATCH)
    return {"median": median(later), "most": max(later), "seconds": spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs=2, default=[40, 160])
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--out", type=Path, help="the table; default: printed")
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.draw:
        print(json.dumps(draw(given.draw, given.cases[0], given.batches)))
        return
    lines = [
        "# Reading from a packed store", "",
        f"`python bench/streamed_reading.py --cases {given.cases[0]} {given.cases[1]} "
        f"--batches {given.batches}`: {platform.machine()}, {os.cpu_count()} cores, seed 0. "
        f"Volumes of {SHAPE[0]}^3, float32; {given.batches} batches of {BATCH} patches of "
        f"{PATCH[0]}^3, one read ahead, in a fresh process without a network. MB of 10^6 bytes.",
        "", "| cases | uncompressed MB | RssAnon, median MB | at most MB | CPU ms a patch |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    medians = []
    for cases in given.cases:
        with tempfile.TemporaryDirectory() as name:
            packed = pack(Path(name), cases)
            command = [
                sys.executable, __file__, "--draw", str(packed), "--cases", str(cases), "0",
                "--batches", str(given.batches),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        medians.append(found["median"])
        size = cases * 5 * np.prod(SHAPE) / 1e6
        lines.append(
            f"| {cases} | {size:,.0f} | {found['median'] / 1e6:.1f} | {found['most'] / 1e6:.1f} "
            f"| {found['seconds'] * 1e3:.1f} |"
        )
    lines += ["", f"From the few to the many: {medians[1] / medians[0] - 1:+.1%}."]
    text = "\n".join(lines) + "\n"
    if given.out:
        given.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
