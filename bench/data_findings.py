"""What `inspect` finds in real data sets, a row each, and how long it takes.

Run: python bench/data_findings.py --data ../shared/data --out bench/results/data_findings.md
"""

import argparse
import resource
import sys
from pathlib import Path

from convivo.data import sandbox
from convivo.errors import ConvivoError
from convivo.verbs.inspect import inspect

ODD = "odd_inputs"
SETS = (
    "adrenalmnist3d_64", "basicmotions_uea", "breastmnist", "dsb2018_nuclei", "ecg200_ucr",
    "hippocampus_msd", "hippocrop_dicom", "isbi2012_em", "malaria_cells", "medical_mnist6",
    "mitbih", "mnist", "physionet2017_af", ODD, f"{ODD}/dicom", f"{ODD}/dicom_series_mr_4d",
    f"{ODD}/edf", f"{ODD}/image_files", f"{ODD}/nifti", f"{ODD}/nifti_bids_spleen",
    f"{ODD}/nifti_corrupt", f"{ODD}/nifti_orientation", f"{ODD}/png_tif_same_image",
    f"{ODD}/text_signals/ecg.txt", f"{ODD}/tiff", f"{ODD}/tiff_3d_nuclei", f"{ODD}/wfdb",
)  # fmt: skip
HEAD = (
    "# Findings in real data sets",
    "",
    "What `convivo inspect` says of each folder as it came; errors are bold, numbers behind a",
    "class are cases, beats, or pixels of label maps. Made by `python bench/data_findings.py`;",
    "a test holds every row. Seconds are of processor time, child processes included.",
    "",
    "| set | layout | task | cases | classes | units | size | problems | s |",
    "|---|---|---|---|---|---|---|---|---|",
)
MANY = 12  # classes that are listed


def found_in(path):
    """The cells of a row but the seconds."""
    try:
        document = inspect(path, quiet=True).document()
    except ConvivoError as error:
        return ("-", "-", "-", "-", "-", "-", f"{error.rule}; got {error.got}")
    return cells_of(document)


def cells_of(document):
    """Those of a document."""
    unit = f"{document['units']} {document['unit']}{'s' * (document['units'] != 1)}"
    source = document["unit_source"]
    return (
        f"{document['layout']}, {document['spatial_dims']}D",
        document["task"] or "-",
        cases(document),
        classes(document["classes"], document["task"]),
        unit if source == "none" else f"{unit} ({source})",
        sizes(document),
        problems(document["problems"]),
    )


def cases(document):
    text = f"{document['cases']:,}"
    if document["excluded"]:
        text += f", {len(document['excluded'])} left out"
    if document["unlabelled"]:
        text += f", {document['unlabelled']} without labels"
    return text


def classes(rows, task):
    if not rows:
        return "-"
    of = "pixels" if task == "segment" else "count"
    shown = ", ".join(f"{row['name']} {row[of]:,}" for row in rows[:MANY])
    return shown + (f" ... ({len(rows)})" if len(rows) > MANY else "")


def sizes(document):
    shape, spacing = document["shape"], document["spacing"]
    usual, least, most = (" x ".join(map(str, shape[key])) for key in ("median", "min", "max"))
    text = f"{document['channels']} x {usual}"
    if least != most:
        text += f" ({least} to {most})"
    if spacing["median"]:
        numbers = " x ".join(f"{value:.4g}" for value in spacing["median"])
        text += f", {numbers} {spacing['unit']}"
    return f"{text}, {document['dtype']}"


def problems(rows):
    """Each code with how often it occurs, and where if it is but a few times."""
    paths = {}
    for row in rows:
        paths.setdefault((row["severity"], row["code"]), []).append(row["path"])
    told = []
    for (severity, code), where in sorted(paths.items()):
        mark = "**" if severity == "error" else ""
        few = ", ".join(path for path in where if path) if len(where) < 4 else ""
        told.append(f"{mark}{code}{mark} {len(where)}" + (f" ({few})" if few else ""))
    return "; ".join(told) or "none"


def processor_s():
    """Seconds of this process and of its children, which are ended so that they count."""
    sandbox.rest()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def known(page):
    """The rows that the page has, by set."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {row.split(" | ")[0].strip("| "): row for row in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("bench/results/data_findings.md"))
    parser.add_argument("--only", nargs="*", choices=SETS, help="the other rows stay")
    args = parser.parse_args()
    inspect(args.data / "ecg200_ucr", quiet=True)  # imports
    for name in args.only or SETS:
        began = processor_s()
        cells = found_in(args.data / name)
        line = f"| {name} | " + " | ".join((*cells, f"{processor_s() - began:.1f}")) + " |"
        print(line, flush=True)
        rows = known(args.out) | {name: line}
        lines = [rows[name] for name in SETS if name in rows]
        args.out.write_text("\n".join([*HEAD, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
