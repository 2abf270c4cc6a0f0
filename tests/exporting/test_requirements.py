"""What an exported folder says must be installed follows from the files that its run has read."""

import re
import tomllib
from pathlib import Path

import pytest

from convivo.exporting.document import LIBRARIES, requirements

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRAS = {"dicom": "dicom", "tiff": "tiff", "hdf5": "hdf5", "itk": "volumes", "wfdb": "signals"}


def names(text: str) -> set[str]:
    return {line.partition("==")[0] for line in text.splitlines()}


@pytest.mark.parametrize(
    ("case", "libraries"),
    [
        ("imagesTr/a.nii.gz", {"nibabel"}),
        ("healthy/a #1.png", {"pillow"}),
        ("a.npz#12", set()),
        ("a.h5#0", {"h5py"}),
        ("ward/100.hea", {"wfdb"}),
        ("series 3", set(LIBRARIES["dicom"])),
        ("series#2", set(LIBRARIES["dicom"])),
        ("ECG200_TEST.arff#4", set()),
    ],
)
def test_readers_of_the_cases_are_listed(case: str, libraries: set[str]) -> None:
    assert names(requirements("onnx", [case])) == {"numpy", "scipy", "onnxruntime"} | libraries


def test_versions_are_those_here() -> None:
    import numpy as np

    assert f"numpy=={np.__version__}\n" in requirements("torch", [])
    assert "+" not in requirements("torch", []), "no build of torch that only one index has"


@pytest.mark.parametrize(("form", "extra"), EXTRAS.items())
def test_what_an_extra_brings_is_listed(form: str, extra: str) -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    brought = {re.split(r"[><=]", line)[0] for line in project["optional-dependencies"][extra]}
    assert set(LIBRARIES[form]) == brought
