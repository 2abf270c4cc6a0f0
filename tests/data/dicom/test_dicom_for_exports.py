"""DICOM in an exported folder: what is found is what predict finds, and maps go back as SEG."""

import json
import subprocess
import sys

import numpy as np
import pytest

from convivo import __version__
from convivo.data.readers import read
from convivo.errors import ReadError
from convivo.exporting.copying import NAME, copy_runner
from convivo.exporting.runner.inputs import find_items
from convivo.verbs.inputs import find_inputs

WRITING = """
import sys
sys.path.insert(0, {copy!r})
import numpy as np
from convivo_runner.data.readers import read, write_labels
labels = np.zeros((7, 9, 5), np.uint8)
labels[2:4, 3:6, 1:3] = 1
write_labels({out!r}, labels, like={like!r}, names={{1: "organ"}})
assert not [name for name in sys.modules if name.partition(".")[0] in ("convivo", "torch")]
"""


def test_series_are_found_as_predict_finds_them(dicom, tmp_path):
    for number in (2, 10):
        folder = tmp_path / "in" / f"scan{number}" / "files"
        dicom.series(folder, dicom.volume(), series=f"1.2.{number}")
    both = tmp_path / "in" / "both"
    for number in (3, 4):
        dicom.series(both, dicom.volume(), series=f"1.2.{number}", name=f"{number}_{{}}.dcm")
    (tmp_path / "in" / "notes.txt").write_text("no input")
    for given in (tmp_path / "in", both, tmp_path / "in" / "scan2" / "files"):
        mine = [(item.name, item.path, item.index) for item in find_items([str(given)])]
        theirs = [(one.id, one.path, one.index) for one in find_inputs([given])]
        assert mine == theirs
    names = [item.map_name for item in find_items([str(tmp_path / "in")])]
    assert names == ["both#0.dcm", "both#1.dcm", "scan2/files.dcm", "scan10/files.dcm"]


def test_a_series_that_lacks_slices_is_told(dicom, tmp_path):
    for number in (2, 3):
        dicom.series(
            tmp_path / "two", dicom.volume(), series=f"1.2.{number}", name=f"{number}_{{}}"
        )
    alone = dicom.series(tmp_path / "alone", dicom.volume(), series="1.2.4")
    whole = dicom.series(tmp_path / "whole", dicom.volume(), series="1.2.5")
    for path in (tmp_path / "two" / "2_2", alone / "2.dcm"):
        path.unlink()
    expected = {tmp_path: ["alone", "two#0", "two#1", "whole"], alone: ["alone"]}
    expected |= {tmp_path / "two": ["two#0", "two#1"], whole: ["whole"]}
    for given, names in expected.items():
        mine = [(item.name, item.path, item.index) for item in find_items([str(given)])]
        theirs = find_inputs([given])
        assert mine == [(one.id, one.path, one.index) for one in theirs]
        assert [one.id for one in theirs] == names
        broken = {"alone", "two#0"} & set(names)
        assert {one.id for one in theirs if _fault(one)} == broken
    assert "the slices of a series are complete; got 1 missing among" in _fault(
        find_inputs([alone])[0]
    )


def _fault(one):
    try:
        read(one.path, one.index)
    except ReadError as error:
        return str(error)
    return ""


def test_a_damaged_file_is_an_item_that_says_so(dicom, tmp_path):
    dicom.series(tmp_path / "a", dicom.volume())
    (tmp_path / "b.dcm").write_bytes(b"DICM, but no more")
    assert [item.name for item in find_items([str(tmp_path)])] == ["a", "b.dcm"]


def test_the_copy_writes_segmentations_without_convivo(dicom, tmp_path):
    pydicom, _ = pytest.importorskip("pydicom"), pytest.importorskip("highdicom")
    series, out = dicom.series(tmp_path / "scan", dicom.volume()), tmp_path / "scan.dcm"
    (tmp_path / "copy").mkdir()
    copy_runner(tmp_path / "copy")
    told = {"copy": str(tmp_path / "copy"), "out": str(out), "like": str(series)}
    done = subprocess.run(
        [sys.executable, "-c", WRITING.format(**told)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = pydicom.dcmread(out)
    assert np.asarray(found.pixel_array).sum() == 2 * 3 * 2
    assert json.dumps(str(found.SoftwareVersions)) == json.dumps(__version__)
    assert f'"{__version__}"' in (tmp_path / "copy" / NAME / "__init__.py").read_text()
