"""Real DICOM files, odd and broken: each is read as its manifest says, or told what it is."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from convivo.arrays.orientation import canonical
from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.readers import read, read_header, write_labels
from convivo.errors import ReadError

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.data

REAL = Path(__file__).parents[3] / "shared" / "data"
ODD = REAL / "odd_inputs"
MOMENTS = "dicom_series_mr_4d"

READ = {
    # file: channels, shape, dtype, spacing, lowest and highest value
    "CT_small.dcm": (1, (128, 128), "int32", (0.661468, 0.661468), -896, 1167),
    "MR_small.dcm": (1, (64, 64), "int16", (0.3125, 0.3125), 127, 2145),
    "MR_small_RLE.dcm": (1, (64, 64), "int16", (0.3125, 0.3125), 127, 2145),
    "MR_small_bigendian.dcm": (1, (64, 64), "int16", (0.3125, 0.3125), 127, 2145),
    "JPEG2000.dcm": (1, (1024, 256), "int16", (2.26, 2.26), -30, 245),
    "JPEG-LL.dcm": (1, (1024, 256), "int16", (2.26, 2.26), 0, 278),
    "693_J2KR.dcm": (1, (512, 512), "int32", (0.478516, 0.478516), -3024, 1468),
    "SC_rgb_jpeg_dcmd.dcm": (3, (256, 256), "uint8", None, 134, 252),
    "examples_rgb_color.dcm": (3, (240, 320), "uint8", None, 0, 255),
    "examples_palette.dcm": (3, (350, 800), "uint8", None, 0, 255),
    "liver_1frame.dcm": (1, (512, 512), "uint8", (0.810547, 0.810547), 0, 1),
    "rtdose.dcm": (1, (10, 10, 15), "float64", (10, 10, 5), 0.795, 1.254),
    "emri_small.dcm": (1, (64, 64, 10), "uint16", None, 0, 467),
}
REFUSED = {
    # file: the message, the code that an inspection of its folder gives
    "MR_truncated.dcm": (r"truncated\); got 8,130 bytes for 1 x 64 x 64 pixels", "truncated"),
    "no_meta.dcm": (r"must be a DICOM file; got another beginning", "unreadable"),
    "meta_missing_tsyntax.dcm": (r"says what it holds \(SOP class\); got none", "unreadable"),
    "badVR.dcm": (r"readable dicom file; got invalid literal for int", "unreadable"),
    "rtplan.dcm": (r"a DICOM file holds an image; got RT Plan Storage", None),
}
SHOWN = ("read", "read-as-3D", "read-or-clear-error")


def rows() -> dict[str, str]:
    """Expected behavior by file, of the rows on DICOM."""
    with (ODD / "MANIFEST.csv").open(encoding="utf-8") as text:
        return {
            row["file"]: row["expected"]
            for row in csv.DictReader(text)
            if row["file"].startswith(("dicom/", MOMENTS))
        }


def test_every_row_is_tested_as_the_manifest_expects():
    single = {Path(f).name: e for f, e in rows().items() if f.startswith("dicom/")}
    assert set(single) == {*READ, *REFUSED}
    for name, expected in single.items():
        if name in READ:
            assert expected in SHOWN, name
            assert len(READ[name][1]) == 3 or expected != "read-as-3D", name
        else:
            assert "clear-error" in expected, name
    assert {Path(f).name for f in rows() if f.startswith(MOMENTS)} == {
        path.name for path in (ODD / MOMENTS).iterdir()
    }


@pytest.mark.parametrize("name", READ)
def test_readable(name):
    channels, shape, dtype, spacing, low, high = READ[name]
    raw = read(ODD / "dicom" / name)
    header = read_header(ODD / "dicom" / name)
    assert raw.array.shape == (channels, *shape)
    assert (header.shape, header.channels, header.dtype) == (shape, channels, dtype)
    assert (raw.array.dtype.name, header.spacing) == (dtype, spacing and pytest.approx(spacing))
    assert (raw.array.min(), raw.array.max()) == pytest.approx((low, high))


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(ReadError, match=f"{re.escape(name)}: .*{REFUSED[name][0]}"):
        read(ODD / "dicom" / name)
    with pytest.raises(ReadError, match=re.escape(name)):
        inspect_data(ODD / "dicom" / name)


def test_the_folder_of_odd_files_is_told_file_by_file():
    index = detect(ODD / "dicom")
    found = {(problem.path, problem.code) for problem in index.problems}
    expected = {(name, code) for name, (_, code) in REFUSED.items() if code}
    # one slice in three encodings; a segmentation whose series is elsewhere
    expected |= {("MR_small.dcm", "duplicate-slices"), ("liver_1frame.dcm", "missing-image")}
    assert found == expected
    assert (index.layout, index.cases) == ("dicom", ())
    beside = {"liver_1frame.dcm", "rtdose.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm"}
    assert {Path(path).name for path in index.unlabelled} == set(READ) - beside


def test_dose_and_scaled_values_are_what_the_file_says():
    for name in ("rtdose.dcm", "CT_small.dcm"):
        dataset = pydicom.dcmread(ODD / "dicom" / name)
        slope = float(dataset.get("DoseGridScaling") or dataset.RescaleSlope)
        expected = dataset.pixel_array * slope + float(dataset.get("RescaleIntercept") or 0)
        array = read(ODD / "dicom" / name).array[0]
        np.testing.assert_allclose(array.T if array.ndim == 3 else array, expected)


def test_time_points_of_one_folder_are_volumes_of_their_own():
    folder = ODD / MOMENTS
    header = read_header(folder)
    assert (header.count, header.shape, header.axes) == (4, (64, 64, 15), "LPS")
    assert header.spacing == pytest.approx((3.75, 3.75, 5.0))
    (problem,) = detect(folder).problems
    assert (problem.code, problem.severity) == ("repeated-positions", "warning")
    assert "60 slices at 15 places: 4 volumes" in problem.message
    with pytest.raises(ReadError, match=r"one volume .*; got 4 volumes"):
        read(folder)
    for moment in range(4):  # in the files the slices of one moment follow each other
        names = [
            f"axial_epi_fmri_interleaved_i_to_s-{15 * moment + k + 1:05}.dcm" for k in range(15)
        ]
        slices = [pydicom.dcmread(folder / name) for name in names]
        slices.sort(key=lambda one: one.ImagePositionPatient[2])
        expected = np.stack([one.pixel_array.T for one in slices], axis=-1)
        np.testing.assert_array_equal(read(folder, moment).array[0], expected)


def test_a_hippocampus_from_dicom_lies_as_the_nifti_files_do():
    root = REAL / "hippocrop_dicom"
    index = detect(root)
    assert (index.layout, index.spatial_dims, index.cases) == ("dicom", 3, ())
    assert index.problems == ()
    (folder,) = index.unlabelled
    assert Path(folder).name == "13_HCropVolume"
    raw = read(folder)
    assert raw.header.shape == (35, 51, 32)
    assert (raw.header.axes, raw.header.spacing) == ("LPS", (1.0, 1.0, 1.0))
    files = sorted(Path(folder).glob("*.dcm"), key=lambda path: int(path.stem))
    # right, anterior, superior: both axes of a DICOM plane run the other way
    expected = np.stack([np.flip(pydicom.dcmread(f).pixel_array).T for f in files], axis=2)
    turned, affine, _ = canonical(raw.array[0], raw.header.affine)
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_allclose(affine[:3, :3], np.eye(3))


def test_no_name_of_a_patient_is_said_or_written(tmp_path):
    root = REAL / "hippocrop_dicom"
    folder = detect(root).unlabelled[0]
    name = str(pydicom.dcmread(next(Path(folder).glob("*.dcm"))).PatientName)
    found = inspect_data(root, unlabelled=True)
    said = repr(found) + str(found.document()) + repr(read_header(folder))
    with pytest.raises(ReadError, match="the data hold a labelled case") as error:
        inspect_data(root)
    said += str(error.value)
    path = write_labels(tmp_path / "seg", np.ones((35, 51, 32), np.uint8), like=folder)
    for word in name.split("^"):
        assert word.encode() not in path.read_bytes()
        assert word not in said
    assert "PGBM" not in said
    assert b"PGBM" not in path.read_bytes()
    assert read_header(folder).subject.startswith("patient-")


def test_a_segmentation_of_a_real_series_opens_at_the_right_place(tmp_path):
    highdicom = pytest.importorskip("highdicom")
    folder = detect(REAL / "hippocrop_dicom").unlabelled[0]
    labels = (read(folder).array[0] > 300).astype(np.uint8)
    path = write_labels(tmp_path / "seg", labels, like=folder)
    seen = highdicom.seg.segread(path).get_volume(combine_segments=True)
    theirs, theirs_at, _ = canonical(seen.array, np.diag((-1.0, -1, 1, 1)) @ seen.affine)
    ours, ours_at, _ = canonical(labels, read_header(folder).affine)
    np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_allclose(theirs_at, ours_at)
