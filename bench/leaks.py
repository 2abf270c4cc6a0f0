"""Near duplicates: planted ones found, look-alikes let pass, and the time for 100,000 images.

Parts that are not run keep what the page says of them.
Run: python bench/leaks.py --out bench/results/leaks.md
"""

import argparse
import os
import re
import time
from pathlib import Path

import numpy as np
import scipy
from leak_copies import audited, searched
from leak_sets import DATA, SETS, mnist, textures
from leak_threshold import TOO_SMALL, threshold

from convivo.arrays.landmarks import landmarks
from convivo.data.overlaps import overlapping
from convivo.data.readers import read

ROOT = Path(__file__).parents[1]
WINDOW = 3_600  # samples of an ECG window: ten seconds
NO_GATE = ("five at once",)  # not one change but five


def section(name: str, per: int, seed: int) -> list[str]:
    """What was found in a set."""
    make, changes = SETS[name]
    images = make()
    found = searched(images, changes, per, seed)
    shares = {kind: float(np.mean(hits)) for kind, hits in found.hits.items()}
    gated = {kind: s for kind, s in shares.items() if kind not in (*NO_GATE, *TOO_SMALL)}
    least = min(gated, key=gated.__getitem__, default=None)
    false = len(found.look_alikes)
    lines = [
        f"n = {len(images):,}; seed {seed}; "
        + (f"least found: {least} {gated[least]:.1%}; " if least else "")
        + f"look-alikes reported: {false} ({1000 * false / len(images):.2f} of 1,000); copies "
        f"taken for other images': {found.mistaken}; {found.seconds:.0f} processor seconds for "
        f"{found.audited:,} images."
    ]
    if shares:
        lines += ["", "| planted | number | found |", "|---|---|---|"]
        lines += [f"| {kind} | {len(found.hits[kind])} | {s:.1%} |" for kind, s in shares.items()]
    return lines


def ecg(per: int, seed: int) -> list[str]:
    """Windows of ten seconds that share a half; and apart: windows that share nothing."""
    rng = np.random.default_rng(seed)
    records = sorted((DATA / "mitbih").glob("*.hea"))
    signals = [read(str(path), None).array for path in records]
    apart, shared = {}, {}
    for number, signal in enumerate(signals):
        starts = np.arange(0, signal.shape[1] - 2 * WINDOW, 2 * WINDOW)
        for start in rng.choice(starts, -(-per // len(signals)), replace=False):
            name = f"{number}-{start}"
            apart[f"{name}-a"] = landmarks(signal[:, start : start + WINDOW])
            middle = start + WINDOW // 2
            shared[f"{name}-b"] = landmarks(signal[:, middle : middle + WINDOW])
    found = {(o.first, o.second) for o in overlapping(apart | shared)}
    hits = sum((name, name[:-1] + "b") in found for name in apart)
    wrong = {two for one, two in found if one[:-1] != two[:-1]}
    return [
        f"Windows that share a half: {hits} of {len(apart)} ({hits / len(apart):.1%}) found; "
        f"false: {len(wrong)} of {len(apart) + len(shared)} windows; seed {seed}."
    ]


def timed(seed: int) -> list[str]:
    """The time for 100,000 images."""
    images = mnist() + textures(30_000, seed)
    began, worked = time.monotonic(), time.process_time()
    pairs = audited(images)
    whole, worked = time.monotonic() - began, time.process_time() - worked
    return [
        f"{len(images):,} images (70,000 of MNIST, 30,000 windows of noise): {worked:.0f} "
        f"processor seconds, {whole:.0f} s by the clock of {os.cpu_count()} cores that did other "
        f"things as well; {len(pairs)} pairs reported."
    ]


ECG, TIME, THRESHOLD = "MIT-BIH, windows of ten seconds", "Time", "Where the threshold stands"
PARTS = (*SETS, ECG, THRESHOLD, TIME)


def measured(name: str, per: int, seed: int) -> str:
    """The section of a part."""
    if name in SETS:
        lines = section(name, per, seed)
    else:
        lines = {
            ECG: lambda: ecg(per, seed),
            THRESHOLD: lambda: threshold(per, seed),
            TIME: lambda: timed(seed),
        }[name]()
    return "\n".join(lines)


def known(page: Path) -> dict[str, str]:
    """The sections that the page has."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    parts = (part.partition("\n") for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return {name: body.strip() for name, _, body in parts}


def gates(sections: dict[str, str]) -> list[str]:
    """The head's table."""
    lines = ["| set | least found of a change (95 %) | look-alikes (1 of 1,000) |", "|---|---|---|"]
    for name in SETS:
        text = sections.get(name, "")
        least = re.search(r"least found: (.*?);", text)
        false = re.search(r"look-alikes reported: \d+ \((.*?) of 1,000\)", text)
        if false:
            lines.append(f"| {name} | {least[1] if least else '-'} | {false[1]} |")
    return lines


def page(sections: dict[str, str]) -> str:
    head = [
        "# Near duplicates",
        "",
        f"`bench/leaks.py --per 500 --seed 0`; numpy {np.__version__}, scipy {scipy.__version__}. "
        "Found: share of the planted that stand in one unit with their source, through another "
        "copy of it too. Look-alikes: images of the set itself that are reported as duplicates. "
        "Not held to the gate: five changes at once; 14 x 14, below the least size that is "
        "compared; and cells made small, another set than the one the rule for small images was "
        "made with, of which JPEG leaves little.",
        "",
        *gates(sections),
    ]  # fmt: skip
    order = [name for name in PARTS if name in sections]
    order += [name for name in sections if name not in PARTS]
    return "\n".join(head) + "".join(f"\n\n## {name}\n\n{sections[name]}" for name in order) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per", type=int, default=500, help="duplicates planted of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "leaks.md")
    given = parser.parse_args()
    for name in given.only or PARTS:
        found = measured(name, given.per, given.seed)
        print(f"## {name}\n\n{found}\n", flush=True)
        given.out.parent.mkdir(exist_ok=True)
        given.out.write_text(page(known(given.out) | {name: found}), encoding="utf-8")


if __name__ == "__main__":
    main()
