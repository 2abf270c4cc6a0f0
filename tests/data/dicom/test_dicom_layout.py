"""A folder of DICOM files becomes cases: by series, labelled or not, with what is wrong told."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from convivo.data.inspection import inspect_data
from convivo.data.layouts import detect
from convivo.data.loading import load
from convivo.data.readers import write_labels
from convivo.data.readers.dicom import reads, write_segmentation
from convivo.errors import ReadError, UsageError

REAL = Path(__file__).parents[4] / "shared" / "data"


def label_map(shape=(7, 9, 5)) -> np.ndarray:
    return (np.random.default_rng(1).random(shape) * 3).astype(np.uint8)


def patients(dicom, root, number=3, **elements):
    """So many patients with a series each, in folders of no meaning."""
    for n in range(number):
        identity = {"PatientID": f"P-{n}", "FrameOfReferenceUID": f"1.7.{n}", **elements}
        array = dicom.volume() * (n + 1)
        dicom.series(root / f"d{n}/x/y", array, series=f"1.5.{n}", name="IM{}", **identity)
    return root


def codes(index):
    return sorted({problem.code for problem in index.problems})


def test_series_without_labels_are_for_prediction(dicom, tmp_path):
    index = detect(patients(dicom, tmp_path / "set"))
    assert (index.layout, index.spatial_dims, index.cases) == ("dicom", 3, ())
    assert [Path(path).parts[-3] for path in index.unlabelled] == ["d0", "d1", "d2"]
    with pytest.raises(ReadError, match=r"3 files without labels \(layout dicom, 3 spatial axes\)"):
        inspect_data(tmp_path / "set")


def test_segmentations_make_the_series_cases_of_a_segmentation(dicom, tmp_path):
    root = patients(dicom, tmp_path / "set", 5)
    names = ["background", "Anterior", "Posterior"]
    for n in range(4):
        target = root / "results" / f"of_{n}.dcm"
        target.parent.mkdir(exist_ok=True)
        given = names if n % 2 else ["background", "Posterior", "Anterior"]
        labels = label_map() if n % 2 else np.array([0, 2, 1], np.uint8)[label_map()]
        write_segmentation(target, labels, like=root / f"d{n}", classes=given)
    found = inspect_data(root)
    index = found.index
    assert (index.layout, index.task, index.spatial_dims) == ("dicom", "segment", 3)
    assert [case.id for case in index.cases] == [f"d{n}/x/y" for n in range(4)]
    assert index.classes == ("background", "Anterior", "Posterior")
    assert (found.unit, found.unit_source) == ("subject", "DICOM PatientID")
    assert len(set(found.units.values())) == 4
    assert not any("P-" in unit for unit in found.units.values())
    (missing,) = found.problems
    assert (missing.code, missing.path) == ("missing-label", "d4/x/y")
    for case in index.cases:  # the same regions, however each file numbers them
        np.testing.assert_array_equal(load(case, index).target, label_map())
    assert dict(found.case_counts)["d0/x/y"] == (1, 1, 1)
    assert dicom.name.split("^")[0] not in json.dumps(found.document())


def test_contours_are_labels_too(dicom, tmp_path):
    root = patients(dicom, tmp_path / "set", 2)
    square = np.array([(0.4, 1.0, 6.0), (2.2, 1.0, 6.0), (2.2, 9.0, 6.0), (0.4, 9.0, 6.0)])
    for n in range(2):
        dicom.contours(root / f"rs{n}.dcm", {"Heart": [square]}, series=f"1.5.{n}")
    index = detect(root)
    assert index.classes == ("background", "Heart")
    expected = np.zeros((7, 9, 5), np.uint8)
    expected[1:5, 1:5, 2] = 1
    np.testing.assert_array_equal(load(index.cases[1], index).target, expected)


def test_labels_without_their_series_and_several_of_one(dicom, tmp_path):
    root = patients(dicom, tmp_path / "set", 2)
    write_labels(root / "a.dcm", label_map(), like=root / "d0")
    write_labels(root / "b.dcm", label_map() // 2, like=root / "d0")
    write_labels(root / "c.dcm", label_map(), like=root / "d1")
    for path in (root / "d1/x/y").iterdir():
        path.unlink()
    index = detect(root)
    found = {problem.code: problem for problem in index.problems}
    assert found["missing-image"].path == "c.dcm"
    assert found["several-labels"].path == "d0/x/y"
    assert "2 label files refer to it; the latest is used" in found["several-labels"].message
    assert len(index.cases) == 1


def test_problems_of_the_stack_are_told_by_case(dicom, tmp_path):
    root = patients(dicom, tmp_path / "set", 4)
    for n in range(4):
        write_labels(root / f"label{n}.dcm", label_map(), like=root / f"d{n}")
    slices = sorted((root / "d0/x/y").iterdir(), key=lambda path: int(path.name[2:]))
    slices[0].unlink()  # a slice in the middle: numbers do not follow the place
    broken = root / "d2/x/y/IM9.dcm"
    broken.write_bytes(b"nothing")
    cut = root / "d3/x/y/IM0"
    cut.write_bytes(cut.read_bytes()[:-9])
    found = inspect_data(root)
    by_code = {problem.code: problem for problem in reversed(found.problems)}
    assert by_code["missing-slices"].severity == "error"
    assert by_code["missing-slices"].path == "d0/x/y"
    assert by_code["unreadable"].path == "d2/x/y/IM9.dcm"
    assert by_code["truncated"].path == "d3/x/y"
    assert by_code["truncated"].message.endswith("of 16 bits (d3/x/y/IM0)")
    assert [case.id for case in found.cases] == ["d1/x/y"]


def test_one_folder_of_several_series(dicom, tmp_path):
    root = tmp_path / "set"
    for n in range(3):
        identity = {"PatientID": f"P-{n}", "SeriesNumber": 9 - n}
        dicom.series(root, dicom.volume() + n, series=f"1.5.{n}", name=f"{n}_{{}}", **identity)
        write_labels(root / f"seg{n}", label_map(), like=root, like_index=0)
    index = detect(root)
    assert sorted(case.id for case in index.cases) == ["set#0", "set#1", "set#2"]
    for case in index.cases:  # the series of number 7 is the last of them
        sample = load(case, index)
        number = 2 - int(case.id[-1])
        np.testing.assert_array_equal(sample.image[0], dicom.volume() + number)
        np.testing.assert_array_equal(sample.target, label_map())


def test_several_moments_are_cases_of_one_subject(dicom, tmp_path):
    for moment in range(3):

        def stamp(dataset, k, moment=moment):
            dataset.TemporalPositionIdentifier = moment

        dicom.series(tmp_path / "s", dicom.volume(), name=f"{moment}_{{}}", change=stamp)
    index = detect(tmp_path)
    assert index.unlabelled == (str(tmp_path / "s"),)
    assert codes(index) == ["repeated-positions"]


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_folders_of_single_images_are_classes(dicom, tmp_path, suffix):
    for n in range(6):
        for name in ("sick", "well"):
            one = dicom.header(dicom.capture, PatientID=f"{name[0]}-{n // 2}", Modality="CR")
            one.SeriesInstanceUID = one.SOPInstanceUID
            dicom.pixels(one, dicom.volume((9, 7)) * (n + 1) + np.int16(ord(name[0])))
            dicom.save(one, tmp_path / name / f"{n}{suffix}")
    found = inspect_data(tmp_path)
    assert found.index.layout == ("class-folders" if suffix else "dicom")
    assert (found.index.task, found.index.spatial_dims) == ("classify", 2)
    assert found.index.classes == ("sick", "well")
    assert [row["count"] for row in found.class_counts] == [6, 6]
    assert found.unit == "subject"
    assert len(set(found.units.values())) == 6


def test_folders_of_several_patients_with_series_are_classes(dicom, tmp_path):
    for split in ("train", "test"):
        for name in ("sick", "well"):
            for n in range(2):
                identity = {"PatientID": f"{split}{name}{n}"}
                place = tmp_path / split / name / f"p{n}"
                number = f"1.5.{len(split)}.{ord(name[0])}.{n}"
                dicom.series(place, dicom.volume(), series=number, **identity)
    index = detect(tmp_path)
    assert (index.layout, index.task, index.classes) == ("dicom", "classify", ("sick", "well"))
    first = index.cases[0]
    assert (first.id, first.split, index.classes[first.target]) == ("test/sick/p0", "test", "sick")


def test_folders_of_one_patient_each_are_no_classes(dicom, tmp_path):
    for n in range(3):
        for kind in ("T1", "T2"):
            dicom.series(tmp_path / f"p{n}" / kind, dicom.volume(), series=f"1.5.{n}.{kind[1]}",
                         PatientID=f"P-{n}")  # fmt: skip
    index = detect(tmp_path)
    assert (index.layout, index.cases, len(index.unlabelled)) == ("dicom", (), 6)
    for n in range(3):  # nor are single images
        for k in range(2):
            one = dicom.header(dicom.capture, PatientID=f"P-{n}", SeriesInstanceUID=f"1.6.{n}.{k}")
            dicom.save(dicom.pixels(one, dicom.volume()[0]), tmp_path / f"x/p{n}/{k}.dcm")
    assert detect(tmp_path / "x").layout == "dicom"


def test_a_table_names_series_and_files(dicom, tmp_path):
    patients(dicom, tmp_path, 2)
    image = next((tmp_path / "d0/x/y").iterdir())
    image.rename(tmp_path / "one.dcm")
    other = next((tmp_path / "d1/x/y").iterdir())
    other.rename(tmp_path / "two.dcm")
    (tmp_path / "table.csv").write_text("path,label\none.dcm,a\ntwo.dcm,b\n")
    index = detect(tmp_path)
    assert (index.layout, index.spatial_dims) == ("manifest", 2)
    assert load(index.cases[0], index).image.shape == (1, 9, 7)


def test_images_and_masks_that_are_plain_images_are_pairs(dicom, tmp_path):
    for n in range(2):
        for part, values in (("images", dicom.volume()), ("labels", label_map())):
            one = dicom.header(dicom.capture, SeriesInstanceUID=f"1.6.{n}.{len(part)}")
            dicom.pixels(one, np.ascontiguousarray(values[n]))
            dicom.save(one, tmp_path / part / f"{n}.dcm")
    index = detect(tmp_path)
    assert (index.layout, index.task, index.spatial_dims) == ("image-mask", "segment", 2)
    np.testing.assert_array_equal(load(index.cases[1], index).target, label_map()[1])


def test_doses_plans_and_other_formats(dicom, tmp_path):
    dose = dicom.header("1.2.840.10008.5.1.4.1.1.481.2", SeriesInstanceUID="1.9", Modality="RTDOSE")
    dicom.save(dicom.pixels(dose, np.ones((3, 5, 4), np.uint16)), tmp_path / "s/dose.dcm")
    assert detect(tmp_path / "s").unlabelled == (str(tmp_path / "s/dose.dcm"),)
    patients(dicom, tmp_path / "s", 1)
    assert detect(tmp_path / "s").unlabelled == (str(tmp_path / "s/d0/x/y"),)
    plan = dicom.header("1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN")
    dicom.save(plan, tmp_path / "t/plan.dcm")
    with pytest.raises(ReadError, match="hold images; got plans, reports or other objects only"):
        detect(tmp_path / "t")
    np.save(tmp_path / "s/array.npy", np.ones((3, 4)))
    assert detect(tmp_path / "s").layout != "dicom"


def test_a_file_alone(dicom, tmp_path):
    dicom.series(tmp_path, dicom.volume((7, 9, 1)), name="IM{}")
    (path,) = tmp_path.iterdir()
    index = detect(path)
    assert (index.layout, index.spatial_dims, index.unlabelled) == ("dicom", 2, (str(path),))


def test_what_is_taken_for_dicom(tmp_path):
    (tmp_path / "README").write_text("text")
    (tmp_path / "empty").touch()
    assert not reads(tmp_path)
    (tmp_path / "z.dcm").touch()
    assert reads(tmp_path)
    assert not reads(tmp_path / "README")
    assert not reads(tmp_path / "nowhere")


def test_a_missing_package_is_named_with_its_extra(dicom, tmp_path, monkeypatch):
    dicom.series(tmp_path / "s", dicom.volume())
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"no package 'highdicom'. pip install 'convivo\[dicom\]'"):
        write_labels(tmp_path / "out.dcm", label_map(), like=tmp_path / "s")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    dicom.series(tmp_path / "t", dicom.volume())
    with pytest.raises(UsageError, match=r"no package 'pydicom'. pip install 'convivo\[dicom\]'"):
        detect(tmp_path / "t")
