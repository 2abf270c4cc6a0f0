"""An exported folder in an environment without torch and without convivo, against `predict`.

For each kind of input: a run of 30 steps, exported; a clean environment with what its
requirements.txt lists; ten cases by both, on one thread. Then the time until one small case is
answered, each in a process of its own, in turns.

    python bench/export_clean.py --out bench/results/export_clean.md
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

from export_cases import alike, make_data, rows

from convivo import train
from convivo.exporting.document import requirements

STEPS = ("net.width=0.25", "train.steps=30")
RUNS = {"rebuilt": ("cells", {"task": "reconstruct"})}  # others: the data of their own name


def environment(place: Path, lines: str, python: str) -> Path:
    """The interpreter of an environment that holds these packages and no others."""
    folder = place / f"environment_{zlib.crc32(lines.encode())}"
    if not folder.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
        listed = folder / "requirements.txt"
        listed.write_text(lines)
        subprocess.run([folder / "bin" / "pip", "install", "-q", "-r", listed], check=True)
    for name in ("torch", "convivo"):
        tried = [folder / "bin" / "python", "-I", "-c", f"import {name}"]
        assert subprocess.run(tried, stderr=subprocess.DEVNULL).returncode, f"{name} is there"
    return folder / "bin" / "python"


def seconds(command: list[object], out: Path) -> float:
    """Of the whole process, from nothing to the answers."""
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    subprocess.run(
        [*map(str, command), "--out", str(out), "-q"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def row(told: tuple[str, str, str, list[Path]], place: Path, python: str, pairs: int) -> str:
    name, run, to, inputs = told
    folder = place / f"{run}_{to}"
    convivo = [sys.executable, "-m", "convivo"]
    if not folder.exists():
        command = [*convivo, "export", place / run, "--to", to, "--out", folder, "-q"]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    listed = set((folder / "requirements.txt").read_text().splitlines())
    listed |= set(requirements(to, [path.name for path in inputs]).splitlines())
    clean = environment(place, "\n".join(sorted(listed)), python)
    mine = [clean, "-I", folder / "run.py", "--threads", 1]
    theirs = [*convivo, "predict", place / run, "--threads", 1]
    outs = place / "mine", place / "theirs"
    for command, out in zip((mine, theirs), outs, strict=True):
        seconds([*command, *inputs], out)
    equal, away, count = alike(*outs)
    commands = [([*c, inputs[0]], o) for c, o in zip((mine, theirs), outs, strict=True)]
    times = [[seconds(command, out) for command, out in commands] for _ in range(pairs)]
    ours, other = (median(column) for column in zip(*times, strict=True))
    ratio = median(b / a for a, b in times)
    found = f"| {name} | {to} | {count} | {equal:.6f} | {away:.2g} |"
    return f"{found} {ours:.2f} | {other:.2f} | {ratio:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--python", default="python3", help="what makes the environments")
    parser.add_argument("--keep", type=Path, help="a folder to go on with what is in it")
    parser.add_argument("--out", type=Path, help="the table; its rows are printed too")
    given = parser.parse_args()
    lines = [
        "# An exported folder where there is neither torch nor convivo", "",
        f"`python bench/export_clean.py --pairs {given.pairs}`: {platform.machine()}, "
        f"{os.cpu_count()} cores, one thread each; phantoms, runs of 30 steps. Ten cases by "
        "`run.py` and by `convivo predict`: share of equal voxels (or cells of the table, or bytes "
        "of the annotations) and largest difference. Then seconds from start to end of a process "
        f"that answers the first case, medians of {given.pairs} in turns; ratio: median of theirs "
        "over ours.",
        "", "| input | model | files | equal | difference | run.py s | predict s | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        place = given.keep or Path(name)
        data = make_data(place / "data")
        for run in (*data, *RUNS):
            source, options = RUNS.get(run, (run, {}))
            if not (place / run / "evaluation.json").exists():
                told = {"settings": STEPS, "threads": 1, "quiet": True} | options
                told["resume"] = (place / run).exists()
                train(data[source], out=place / run, **told)
        for told in rows(data, place):
            lines.append(row(told, place, given.python, given.pairs))
            print(lines[-1], flush=True)
            if given.out:  # after each row: what breaks off has said something
                given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
