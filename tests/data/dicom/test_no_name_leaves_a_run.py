"""Train and predict on DICOM: who the patients are stays in their headers."""

import numpy as np
import pydicom
import pytest
from scipy.ndimage import gaussian_filter

from convivo import train
from convivo.data.readers import read_header
from convivo.data.readers.dicom import write_segmentation
from convivo.verbs.predict import predict

pytest.importorskip("highdicom")
SHAPE = (20, 18, 12)


def patients(dicom, root):
    """Five patients with a bright block each, segmented; on disk by number alone."""
    rng = np.random.default_rng(7)
    for n in range(5):
        array = 400 * gaussian_filter(rng.normal(size=SHAPE), 1)
        labels = np.zeros(SHAPE, np.uint8)
        labels[5:12, 4 + n : 9 + n, 3:8] = 1
        array = (array + 300.0 * labels).astype(np.int16)
        identity = {
            "PatientID": f"HOSPITAL-{n}", "FrameOfReferenceUID": f"1.7.{n}",
            "PatientBirthDate": "19520311",
        }  # fmt: skip
        folder = dicom.series(root / f"d{n}", array, series=f"1.5.{n}", **identity)
        write_segmentation(
            root / f"seg{n}.dcm", labels, like=folder, classes=["background", "block"]
        )
    return root


def everything_below(*folders):
    """Names and contents of all files."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return b"".join(str(path.name).encode() + path.read_bytes() for path in files)


def test_neither_names_nor_identifiers_leave_the_headers(dicom, tmp_path, capfd):
    data = patients(dicom, tmp_path / "data")
    settings = ("net.width=0.125",)
    run = train(data, out=tmp_path / "run", epochs=1, threads=1, settings=settings, quiet=False)
    told = predict(run, [data / "d0"], out=tmp_path / "maps")
    assert (told["done"], told["failed"]) == (1, [])
    seen = everything_below(tmp_path / "run", tmp_path / "maps")
    shown = "".join(capfd.readouterr()).encode()
    for secret in (*dicom.name.replace("^", " ").split(), "HOSPITAL", "19520311"):
        assert secret.encode() not in seen
        assert secret.encode() not in shown
    assert b'"patient-' in (tmp_path / "run" / "split.json").read_bytes()


def test_a_prediction_is_a_segmentation_with_the_classes_names(dicom, tmp_path):
    data = patients(dicom, tmp_path / "data")
    settings = ("net.width=0.125",)
    run = train(data, out=tmp_path / "run", epochs=1, threads=1, settings=settings, quiet=True)
    out = tmp_path / "maps"
    predict(run, [data / "d0", data / "d1"], out=out, quiet=True)
    assert sorted(path.name for path in out.iterdir()) == ["d0.dcm", "d1.dcm"]
    assert predict(run, [data / "d0"], out=out, quiet=True)["skipped"] == 1
    written, source = pydicom.dcmread(out / "d0.dcm"), pydicom.dcmread(data / "d0" / "0.dcm")
    assert [one.SegmentLabel for one in written.SegmentSequence] == ["block"]
    assert written.StudyInstanceUID == source.StudyInstanceUID
    assert written.PatientID == read_header(data / "d0").subject
    predict(run, [data / "d0"], out=tmp_path / "kept", keep_identifiers=True, quiet=True)
    assert pydicom.dcmread(tmp_path / "kept" / "d0.dcm").PatientID == "HOSPITAL-0"
