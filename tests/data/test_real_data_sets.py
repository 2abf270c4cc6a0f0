"""What `inspect` says of each real data set is what its README says, and what the table has."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest

from convivo.data.inspection import Inspection
from convivo.errors import ReadError
from convivo.verbs.inspect import inspect

pytestmark = pytest.mark.data
ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
BENCH = runpy.run_path(str(ROOT / "bench" / "data_findings.py"))
TABLE = (ROOT / "bench" / "results" / "data_findings.md").read_text(encoding="utf-8")
ROWS = {
    line.split(" | ")[0].strip("| "): line.strip("| ").rsplit(" | ", 1)[0]
    for line in TABLE.splitlines()
    if line.startswith("| ") and "|---" not in line and not line.startswith("| set")
}
UNKNOWN = {"subjects-unknown"}


@dataclass(frozen=True)
class Says:
    """What a README says. counts: of the classes, by cases, beats, or cases that hold them."""

    layout: str
    task: str | None
    dims: int
    cases: int
    counts: dict[str, int]
    unit: tuple[str, int, str]
    codes: set[str]
    sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    channels: int = 1


def case_unit(number: int) -> tuple[str, int, str]:
    return "case", number, "none"


README = {
    "adrenalmnist3d_64": Says(
        "medmnist", "classify", 3, 1286, {"0": 1005, "1": 281}, case_unit(1286), UNKNOWN,
        ((64, 64, 64), (64, 64, 64)),
    ),
    "basicmotions_uea": Says(
        "ucr", "classify", 1, 80,
        {"Badminton": 20, "Running": 20, "Standing": 20, "Walking": 20}, case_unit(80), UNKNOWN,
        ((100,), (100,)), channels=6,
    ),
    "breastmnist": Says(
        "medmnist", "classify", 2, 780, {"0": 210, "1": 570}, case_unit(780),
        UNKNOWN | {"duplicate-across-splits"}, ((28, 28), (28, 28)),
    ),
    "dsb2018_nuclei": Says(
        "image-mask", "segment", 2, 74, {"background": 74, "1": 74}, case_unit(74), UNKNOWN,
        channels=3,
    ),
    "ecg200_ucr": Says(
        "ucr", "classify", 1, 200, {"-1": 67, "1": 133}, case_unit(200), UNKNOWN, ((96,), (96,))
    ),
    "hippocampus_msd": Says(
        "image-mask", "segment", 3, 180, {"background": 180, "1": 180, "2": 180},
        case_unit(180), UNKNOWN | {"missing-label"}, ((31, 40, 24), (43, 59, 47)),
    ),
    "hippocrop_dicom": Says(
        "dicom", None, 3, 1, {}, ("subject", 1, "DICOM PatientID"), {"no-labels"},
        ((35, 51, 32), (35, 51, 32)),
    ),
    "isbi2012_em": Says(
        "image-mask", "segment", 2, 30, {"0": 30, "255": 30}, ("section", 25, "file names"),
        {"single-subject"}, ((512, 512), (512, 512)),
    ),
    "malaria_cells": Says(
        "class-folders", "classify", 2, 4566, {"Parasitized": 1978, "Uninfected": 2588},
        ("subject", 38, "file name pattern C<number>"), set(), ((50, 50), (50, 50)),
    ),
    "medical_mnist6": Says(
        "class-folders", "classify", 2, 1500,
        dict.fromkeys(("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"), 250),
        case_unit(1500), UNKNOWN | {"constant-image"}, ((64, 64), (64, 64)),
    ),
    "mitbih": Says(
        "wfdb", "classify", 1, 22, {"N": 45866, "S": 944, "V": 3788, "F": 415, "Q": 8},
        ("subject", 22, "WFDB record"), {"class-imbalance"}, ((650000,), (650000,)), channels=2,
    ),
    "physionet2017_af": Says(
        "wfdb", "classify", 1, 225, {"A": 55, "N": 90, "O": 55, "~": 25},
        ("subject", 225, "WFDB record"), set(), ((2808,), (18258,)),
    ),
    "mnist": Says(
        "idx", "classify", 2, 70_000,
        dict(zip("0123456789", (6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958),
                 strict=True)),
        case_unit(70_000), UNKNOWN, ((28, 28), (28, 28)),
    ),
}  # fmt: skip


def test_every_folder_has_a_row() -> None:
    folders = {path.name for path in DATA.iterdir() if path.is_dir()}
    assert folders - set(ROWS) == set()
    assert folders - set(README) == {"odd_inputs"}


LARGE = ("mnist", "mitbih", "adrenalmnist3d_64", "physionet2017_af")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in README],
)
def test_it_is_what_its_readme_says(name: str) -> None:
    found, says = inspect(DATA / name, quiet=True), README[name]
    document = found.document()
    assert (document["layout"], document["task"]) == (says.layout, says.task)
    assert (document["spatial_dims"], document["cases"]) == (says.dims, says.cases)
    assert document["channels"] == says.channels
    assert {row["name"]: row["count"] for row in document["classes"]} == says.counts
    unit, number, source = says.unit
    assert (document["unit"], document["units"]) == (unit, number)
    assert document["unit_source"].startswith(source)
    assert {p["code"] for p in document["problems"]} >= says.codes
    if says.sizes:
        shape = document["shape"]
        assert (tuple(shape["min"]), tuple(shape["max"])) == says.sizes
    holds_quirk(name, found)
    held = " | ".join((name, *BENCH["cells_of"](document)))
    assert held == ROWS[name]


def holds_quirk(name: str, found: Inspection) -> None:
    """What the README calls a quirk of this set."""
    told = {(p.code, p.path) for p in found.problems}
    spacing = found.statistics.spacing
    if name == "hippocampus_msd":
        assert ("missing-label", "TrainingSet/images/hippocampus_118.nii.gz") in told
        assert spacing == (1, 1, 1)
        assert not any("DS_Store" in path for _, path in told)
    elif name == "mitbih":
        assert spacing == pytest.approx((1 / 360,))
    elif name == "physionet2017_af":
        assert spacing == pytest.approx((1 / 300,))
    elif name == "isbi2012_em":
        assert len(found.unlabelled) == 5
        assert found.cases[2].id == "membrane/train/image/2.png"
    elif name == "hippocrop_dicom":
        assert (found.statistics.axes, spacing) == ("LPS", (1, 1, 1))
    elif name == "medical_mnist6":  # the two files that are equal byte by byte
        pair = {"resized/HeadCT/002065.jpeg", "resized/HeadCT/004028.jpeg"}
        assert {path for code, path in told if code == "constant-image"} == pair
    elif name == "dsb2018_nuclei":
        assert sum(row["pixels"] for row in found.class_counts) == 11_305_448
    elif name == "malaria_cells":
        assert found.positive_class == "Parasitized"
    elif name in ("adrenalmnist3d_64", "breastmnist", "ecg200_ucr", "basicmotions_uea", "mnist"):
        assert {case.split for case in found.cases} >= {"train", "test"}


@pytest.mark.parametrize("name", [name for name in ROWS if name.startswith("odd_inputs/")])
def test_rows_of_odd_sets_still_hold(name: str) -> None:
    assert " | ".join((name, *BENCH["found_in"](DATA / name))) == ROWS[name]


def test_a_folder_of_many_sets_is_none() -> None:
    with pytest.raises(ReadError, match=r"holds one data set; got dicom, dicom_series_mr_4d, edf"):
        inspect(DATA / "odd_inputs", quiet=True)
