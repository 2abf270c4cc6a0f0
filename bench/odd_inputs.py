"""What comes of bad and odd files: each row of a manifest through `convivo inspect`.

Every file goes through the command itself, in a process of its own that may take ten seconds. The
table says what was read, or the code or error that came, and whether that is what was expected.
Run: python bench/odd_inputs.py --data ../shared/data/odd_inputs --out docs/reference/odd_inputs.md
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LIMIT_S = 10  # of processor time: the clock also counts what else the machine does
HUNG_S = 90
QUIET = {"no-labels", "subjects-unknown", "single-subject"}
BIDS, SERIES = "nifti_bids_spleen", "dicom_series_mr_4d"
FLIPPED = "nifti_orientation/label_flipped_but_consistent_affine.nii.gz"
FOLDERS = {  # parts of a data set, which only its folder makes sense of
    f"{BIDS}/participants.tsv": BIDS,
    f"{BIDS}/dataset_description.json": BIDS,
    f"{SERIES}/README-Series.txt": SERIES,
}
# what must be seen beyond "it was read": of a reading that fits the header all the same
SEEN = {
    "dicom/rtdose.dcm": "3D, 1 x 10 x 10 x 15",
    "dicom/emri_small.dcm": "3D, 1 x 64 x 64 x 10",
    "dicom/SC_rgb_jpeg_dcmd.dcm": "2D, 3 x 256 x 256",
    "dicom/examples_rgb_color.dcm": "2D, 3 x 240 x 320",
    "nifti/example4d.nii.gz": "3D, 2 x 128 x 96 x 24",
    "nifti/example_nifti2.nii.gz": "3D, 2 x 32 x 20 x 12",
    "nifti/anatomical.nii": "3D, 1 x 33 x 41 x 25 LAS",
    f"{BIDS}/sub-spleen2/ct/sub-spleen2_ct.nii.gz": "RAS float32, 0.795 x 0.795 x 5 mm",
    f"{BIDS}/participants.tsv": "layout bids, 1 case to segment",
    f"{BIDS}/dataset_description.json": "layout bids, 1 case to segment",
    f"{SERIES}/README-Series.txt": "4 cases of 3D, 1 x 64 x 64 x 15",
    "nifti_corrupt/nan_voxels.nii.gz": "error non-finite",
    FLIPPED: "error shape-mismatch",
    "png_tif_same_image/sub-png_sample-8gray_SEM.png": "2D, 1 x 266 x 278",
    "png_tif_same_image/sub-png_sample-8rgba_SEM.png": "2D, 3 x 256 x 256",
    "png_tif_same_image/sub-tif_sample-8rgba_SEM.tif": "2D, 3 x 256 x 256",
    "png_tif_same_image/sub-png_sample-16gray_SEM.png": "2D, 1 x 256 x 256 YX uint16",
    "png_tif_same_image/sub-tif_sample-16gray_SEM.tif": "2D, 1 x 256 x 256 YX uint16",
    "png_tif_same_image/sub-tif_sample-8gray_SEM.tif": "2D, 1 x 256 x 256",
    "tiff_3d_nuclei/img3d.tif": "3D, 1 x 31 x 61 x 57",
    "tiff_3d_nuclei/mask3d.tif": "3D, 1 x 31 x 61 x 57",
    "tiff/fly_3channel_CYX.ome.tif": "2D, 3 x 503 x 500",
    "image_files/p_16.png": "2D, 3 x 128 x 128",
    "image_files/pil_sample_cmyk.jpg": "2D, 3 x 100 x 100",
    "edf/test_generator.bdf": "warning mixed-rates",
    "edf/test_uneven_samp.edf": "warning mixed-rates",
    "edf/duplicate_channel_labels.edf": "warning duplicate-channels",
    "wfdb/100_3chan.dat": "1D, 3 x 999",
    "wfdb/a103l.mat": "1D, 3 x 82500",
    "wfdb/s0010_re.xyz": "1D, 15 x 38400",
    "text_signals/ecg.txt": "1D, 1 x 15000",
}


def rows_of(data):
    """The rows of MANIFEST.csv."""
    with (data / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def door_of(data, name, folder):
    """What is given to `inspect` for a row: the file, its data set, or an image with its label."""
    if name != FLIPPED:
        return data / FOLDERS.get(name, name)
    for part, source in (("images", "nifti_orientation/image.nii.gz"), ("labels", FLIPPED)):
        (folder / part).mkdir(exist_ok=True)
        shutil.copy(data / source, folder / part / "image.nii.gz")
    return folder


def through_the_command(path):
    """The JSON document of `convivo inspect`, and the seconds of processor time it took."""
    words = [sys.executable, "-m", "convivo", "inspect", str(path), "--json", "-q"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(words, stdout=out, stderr=err)
        hung = threading.Timer(HUNG_S, process.kill)
        hung.start()
        _, status, usage = os.wait4(process.pid, 0)
        hung.cancel()
        process.returncode = code = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        out.seek(0)
        err.seek(0)
        if seconds > LIMIT_S or code < 0:
            return {"crash": f"{seconds:.1f} s, exit status {code}"}, seconds
        if b"Traceback" in err.read() or code not in (0, 1, 2):
            return {"crash": f"exit status {code}"}, seconds
        return json.loads(out.read()), seconds


def told(document):
    """What happened, in a line that does not depend on where the files are."""
    if "crash" in document:
        return f"CRASH: {document['crash']}"
    if "error" in document:
        error = document["error"]
        where = re.sub(r":\d+$", "", Path(error["where"]).name)
        return f"error: {where}: {error['rule']}; got {short(error['got'])}"
    words = [seen(document)] if document["cases"] else []
    for one in document["problems"]:
        if one["code"] not in QUIET:
            name = Path(one["path"]).name or "all"
            words.append(f"{one['severity']} {one['code']}, {name}: {short(one['message'])}")
    return "; ".join(words)


def short(text):
    """Without folders, which are elsewhere on another machine, and not too long."""
    text = re.sub(r"\(?/\S+/([^/\s)]+)\)?", r"\1", text)
    return text if len(text) <= 110 else text[:107] + "..."


def seen(document):
    """Layout, task, axes and sizes as read."""
    sizes = " x ".join(map(str, [document["channels"], *document["shape"]["median"]]))
    spacing = document["spacing"]["median"]
    number = f"{document['cases']} case{'s' * (document['cases'] != 1)}"
    many = f"{number} to {document['task']}, " if document["task"] else ""
    many = many or (f"{number} of " if document["cases"] > 1 else "")
    words = f"layout {document['layout']}, {many}{document['spatial_dims']}D, {sizes} "
    words += f"{document['axes']} {document['dtype']}"
    if spacing:
        if document["spacing"]["unit"] == "s":
            return f"{words}, {1 / spacing[0]:.6g} Hz"
        words += ", " + " x ".join(f"{s:.3g}" for s in spacing) + f" {document['spacing']['unit']}"
    return words


def is_as_expected(row, document):
    """Whether it was read, or told to be wrong by its name, as the manifest wants it."""
    line, wanted = told(document), row["expected"]
    if "crash" in document:
        return False
    if row["file"] in SEEN:
        return SEEN[row["file"]] in line
    refused = "error" in document or not document["cases"]
    if not refused:
        return "clear-error" not in wanted or "read" in wanted or "group by time" in wanted
    names = Path(row["file"]).name in line
    return names and ("clear-error" in wanted or "convert or" in wanted)


def looked(data, row):
    """The document and seconds of one row."""
    with tempfile.TemporaryDirectory() as folder:
        return through_the_command(door_of(data, row["file"], Path(folder)))


def page(rows, found):
    """The whole page in Markdown."""
    good = sum(is_as_expected(row, one) for row, (one, _) in zip(rows, found, strict=True))
    refused = sum("error" in one or not one.get("cases") for one, _ in found)
    slow = max(seconds for _, seconds in found)
    lines = [
        "# Odd and broken files",
        "",
        "What `convivo inspect` makes of files that are odd, broken, or rare: those of the test",
        "suites of 17 projects, and damaged copies. Each went through the command in a process of",
        "its own. Made by `python bench/odd_inputs.py`; a test holds every row.",
        "",
        f"{len(rows)} files: {good} as expected, {len(rows) - refused} read, {refused} refused; "
        f"none took over {LIMIT_S} s of processor time: {'yes' if slow < LIMIT_S else 'no'}.",
        "",
        "Parts of a data set (a table of participants, a text among slices) were given as its",
        "folder; the flipped label was given beside its image, as `labels/image.nii.gz`.",
        "",
        "| file | what is odd | expected | what happened | |",
        "|---|---|---|---|---|",
    ]
    for row, (document, _) in zip(rows, found, strict=True):
        cells = (row["file"], row["what_is_odd"], row["expected"], told(document))
        mark = "as expected" if is_as_expected(row, document) else "NOT AS EXPECTED"
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in (*cells, mark)) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/odd_inputs"))
    parser.add_argument("--out", type=Path, default=Path("docs/reference/odd_inputs.md"))
    parser.add_argument("--jobs", type=int, default=2, help="files at a time")
    args = parser.parse_args()
    rows = rows_of(args.data)
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(lambda row: looked(args.data, row), rows))
    text = page(rows, found)
    args.out.write_text(text, encoding="utf-8")
    times = sorted(seconds for _, seconds in found)
    print(f"seconds: median {times[len(times) // 2]:.1f}, most {times[-1]:.1f}")
    wrong = [line for line in text.splitlines() if "NOT AS EXPECTED" in line]
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
