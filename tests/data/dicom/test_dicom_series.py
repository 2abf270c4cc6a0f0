"""A folder of slices is a volume in its order, place and orientation, or said to be wrong."""

import hashlib
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from convivo.arrays.orientation import canonical
from convivo.data.readers import read, read_header, write_labels
from convivo.data.readers.dicom.catalogue import volumes_in
from convivo.errors import ReadError

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_volume_comes_back_from_its_slices_in_every_orientation(dicom, tmp_path, order, signs):
    array, affine = dicom.volume(), dicom.affine_of(order, signs)
    raw = read(dicom.series(tmp_path / "s", array, affine))
    assert raw.header.affine is not None
    was, was_at, _ = canonical(array, affine)
    now, now_at, _ = canonical(raw.array[0], raw.header.affine)
    np.testing.assert_array_equal(now, was)
    np.testing.assert_allclose(now_at, was_at, atol=1e-6)
    assert raw.header.spacing == pytest.approx((0.5, 2.0, 3.0))
    assert raw.array.shape == (1, 7, 9, 5)
    assert raw.array.flags.c_contiguous


def test_an_oblique_series_keeps_its_place(dicom, tmp_path):
    turn = np.array([[0.8, -0.6, 0], [0.6 * 0.96, 0.8 * 0.96, -0.28], [0.168, 0.224, 0.96]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag((0.5, 2.0, 3.0))
    affine[:3, 3] = (4, -5, 6)
    raw = read(dicom.series(tmp_path / "s", dicom.volume(), affine))
    np.testing.assert_allclose(raw.header.affine, affine, atol=1e-5)
    np.testing.assert_array_equal(raw.array[0], dicom.volume())


def test_files_without_suffix_among_other_files_at_any_depth(dicom, tmp_path):
    for part, name in ((slice(0, 2), "a/IM{}"), (slice(2, 5), "b/c/IM{}")):
        affine = np.diag((0.5, 2.0, 3.0, 1.0))
        affine[2, 3] = 3.0 * part.start
        dicom.series(tmp_path, dicom.volume()[:, :, part], affine, name=name)
    (tmp_path / "README").write_text("slices")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / ".hidden.dcm").write_text("no DICOM")
    np.testing.assert_array_equal(read(tmp_path).array[0], dicom.volume())


def test_the_header_tells_the_subject_and_reads_no_pixels(dicom, tmp_path):
    header = read_header(dicom.series(tmp_path / "s", dicom.volume()))
    assert (header.shape, header.channels, header.dtype) == ((7, 9, 5), 1, "int16")
    assert (header.axes, header.spacing_unit) == ("RAS", "mm")
    assert header.subject == "patient-" + hashlib.sha256(b"P-17").hexdigest()[:10]
    assert header.count == 1


def test_a_missing_slice_is_an_error_and_says_how_many(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume((4, 5, 8)))
    whole = volumes_in(folder)[0]
    for k in (3, 4):
        Path(whole.files[k]).unlink()
    with pytest.raises(ReadError, match=r"slices of a series are complete; got 2 missing among 6"):
        read(folder)
    with pytest.raises(ReadError, match=r"1 gaps; from 3 to 9 mm"):
        read_header(folder)


def test_a_slice_missing_at_the_end_is_known_from_the_announced_number(dicom, tmp_path):
    def announce(dataset, k):
        dataset.ImagesInAcquisition, dataset.InstanceNumber = 11, k + 1

    folder = dicom.series(tmp_path / "s", dicom.volume((4, 5, 11)), change=announce, name="x{}")
    assert not volumes_in(folder)[0].faults
    shutil.rmtree(folder)
    dicom.series(folder, dicom.volume((4, 5, 10)), change=announce, name="x{}")
    with pytest.raises(ReadError, match="announce 11 slices, there are 10"):
        read(folder)


def test_many_reconstructions_of_an_acquisition_miss_nothing(dicom, tmp_path):
    def announce(dataset, k):
        dataset.ImagesInAcquisition, dataset.InstanceNumber = 22, k + 1

    folder = dicom.series(tmp_path / "s", dicom.volume((4, 5, 11)), change=announce)
    assert not volumes_in(folder)[0].faults


@pytest.mark.parametrize("shear", [0.2, -0.4])
def test_a_tilted_gantry_is_in_the_affine_and_is_told(dicom, tmp_path, shear):
    affine = np.diag((0.5, 2.0, 3.0, 1.0))
    affine[1, 2] = shear * 3.0
    folder = dicom.series(tmp_path / "s", dicom.volume(), affine)

    (one,) = volumes_in(folder)
    np.testing.assert_allclose(one.header.affine, affine, atol=1e-6)
    assert [fault.code for fault in one.faults] == ["gantry-tilt"]
    degrees = np.degrees(np.arctan(abs(shear)))
    assert f"sheared by {degrees:.1f} degrees" in one.faults[0].message
    assert one.header.spacing[2] == pytest.approx(3 * np.hypot(1, shear))


def test_slices_beside_the_line_or_at_uneven_distances_are_told(dicom, tmp_path):
    def aside(dataset, k):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y + (1.5 if k == 2 else 0), z]

    def further(dataset, k):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + (1.4 if k > 2 else 0)]

    for name, change, text in (("a", aside, "beside the line"), ("b", further, "lie unevenly")):
        folder = dicom.series(tmp_path / name, dicom.volume(), change=change)
        (fault,) = volumes_in(folder)[0].faults
        assert (fault.code, fault.fatal) == ("uneven-slices", False)
        assert text in fault.message
        assert read(folder).array.shape == (1, 7, 9, 5)


def test_copies_and_doubled_places_are_left_out_and_told(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    first = sorted(folder.iterdir())[0]
    shutil.copy(first, folder / "zz_copy.dcm")
    (one,) = volumes_in(folder)
    assert [fault.code for fault in one.faults] == ["duplicate-slices"]
    assert "1 files are copies" in one.faults[0].message
    np.testing.assert_array_equal(read(folder).array[0], dicom.volume())
    (folder / "zz_copy.dcm").unlink()
    dicom.series(tmp_path / "t", dicom.volume()[:, :, :1] * 0, name="other{}", InstanceNumber=99)
    shutil.move(next((tmp_path / "t").iterdir()), folder / "again.dcm")
    (one,) = volumes_in(folder)
    assert "1 of 6 slices lie where another lies" in one.faults[0].message
    np.testing.assert_array_equal(read(folder).array[0], dicom.volume())


@pytest.mark.parametrize(
    ("keyword", "values", "means"),
    [
        ("EchoNumbers", (1, 2), "echo"),
        ("TemporalPositionIdentifier", (1, 2), "temporal position"),
        ("AcquisitionTime", ("101500", "101630"), "acquisition time"),
        (None, (1, 2), "InstanceNumber"),
    ],
)
def test_repeated_places_are_several_volumes(dicom, tmp_path, keyword, values, means):
    for number, value in enumerate(values):

        def stamp(dataset, k, number=number, value=value):
            dataset.InstanceNumber = 10 * number + k
            dataset.ContentTime = f"1200{k:02}"  # differs from slice to slice
            if keyword:
                setattr(dataset, keyword, value)

        dicom.series(tmp_path / "s", dicom.volume() + number, name=f"{number}_{{}}", change=stamp)
    found = volumes_in(tmp_path / "s")
    assert [one.header.shape for one in found] == [(7, 9, 5)] * 2
    assert found[0].faults[0].code == "repeated-positions"
    assert found[0].faults[0].message.endswith(f"2 volumes, told apart by {means}")
    for number in range(2):
        raw = read(tmp_path / "s", number)
        np.testing.assert_array_equal(raw.array[0], dicom.volume() + number)
    assert read_header(tmp_path / "s").count == 2
    with pytest.raises(ReadError, match=r"one volume .*; got 2 volumes. Name one of them, s#0 to"):
        read(tmp_path / "s")
    with pytest.raises(ReadError, match="an item from 0 to 1; got 2"):
        read(tmp_path / "s", 2)


def test_series_orientations_and_matrices_are_not_mixed(dicom, tmp_path):
    folder = tmp_path / "s"
    dicom.series(folder, dicom.volume(), name="a{}")
    dicom.series(folder, dicom.volume((7, 9, 4)), name="b{}", series="1.2.3.4.7", SeriesNumber=9)
    turned = dicom.affine_of((2, 0, 1), (1, 1, 1))
    dicom.series(folder, dicom.volume((7, 9, 3)), turned, name="c{}")
    dicom.series(folder, dicom.volume((6, 9, 2)), name="d{}")
    shapes = [one.header.shape for one in volumes_in(folder)]
    assert shapes == [(6, 9, 2), (7, 9, 5), (7, 9, 3), (7, 9, 4)]


def test_slices_without_a_position_are_ordered_by_location_or_number(dicom, tmp_path):
    def strip(dataset, k):
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.SliceThickness = 4

    def locate(dataset, k):
        strip(dataset, k)
        dataset.SliceLocation = -2.0 * k

    (one,) = volumes_in(dicom.series(tmp_path / "a", dicom.volume(), change=locate))
    assert "ordered by SliceLocation" in one.faults[0].message
    assert (one.header.axes, one.header.affine) == ("IJK", None)
    assert one.header.spacing == (0.5, 2.0, 4.0)
    np.testing.assert_array_equal(read(tmp_path / "a").array[0], dicom.volume()[:, :, ::-1])
    (one,) = volumes_in(dicom.series(tmp_path / "b", dicom.volume(), change=strip))
    assert one.faults[0].code == "slices-without-position"
    assert "ordered by InstanceNumber" in one.faults[0].message
    expected = [k for _, k in sorted(((k * 3 + 1) % 5, k) for k in range(5))]
    np.testing.assert_array_equal(read(tmp_path / "b").array[0], dicom.volume()[:, :, expected])


def test_an_enhanced_file_is_a_volume_with_values_scaled_per_frame(dicom, tmp_path):
    affine = dicom.affine_of((1, 2, 0), (1, -1, 1))
    path = dicom.enhanced(tmp_path / "e.dcm", dicom.volume(), affine)
    raw = read(path)
    was, was_at, _ = canonical(dicom.volume() * 2 + np.arange(5), affine)
    now, now_at, _ = canonical(raw.array[0], raw.header.affine)
    np.testing.assert_array_equal(now, was)
    np.testing.assert_allclose(now_at, was_at, atol=1e-6)
    assert raw.array.dtype == np.int32


def test_a_dose_is_a_volume_in_its_unit(dicom, tmp_path):
    array = np.arange(7 * 9 * 4, dtype=np.uint32).reshape(4, 9, 7) * 1000
    dataset = dicom.header("1.2.840.10008.5.1.4.1.1.481.2", SeriesInstanceUID="1.9")
    dicom.place(dicom.pixels(dataset, array), np.diag((2.0, 2.0, 3.0, 1.0)), 0)
    dataset.Modality, dataset.DoseGridScaling = "RTDOSE", "0.00025"
    dataset.GridFrameOffsetVector = [0, 3, 6, 9]
    raw = read(dicom.save(dataset, tmp_path / "dose.dcm"))
    np.testing.assert_allclose(raw.array[0], array.transpose(2, 1, 0) * 0.00025)
    np.testing.assert_allclose(raw.header.affine, np.diag((2.0, 2.0, 3.0, 1.0)), atol=1e-9)


def test_one_damaged_slice_makes_the_folder_unreadable(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = sorted(folder.iterdir())[2]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        ReadError, match=rf"{path.name}: .*truncated\); got 106 bytes for 1 x 9 x 7"
    ):
        read(folder)


def test_a_file_of_no_known_series_spoils_only_a_folder_of_one_volume(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume(), name="a{}")
    (folder / "broken.dcm").write_bytes(b"nothing")
    with pytest.raises(ReadError, match=r"broken\.dcm: must be a DICOM file"):
        read(folder)
    dicom.series(folder, dicom.volume() + 1, name="b{}", series="1.2.3.4.8")
    np.testing.assert_array_equal(read(folder, 1).array[0], dicom.volume() + 1)


def test_a_folder_without_images_is_an_error(dicom, tmp_path):
    dicom.contours(tmp_path / "s" / "rs.dcm", {"Heart": [np.zeros((3, 3))]})
    with pytest.raises(ReadError, match="folder of DICOM files holds an image; got 1 files of"):
        read(tmp_path / "s")
    with pytest.raises(ReadError, match=r"got contours \(RT Structure Set\)"):
        read(tmp_path / "s" / "rs.dcm")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="must be a file of a known format; got a folder"):
        read(tmp_path / "empty")


def test_a_segmentation_is_not_written_for_slices_that_are_missing(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    Path(volumes_in(folder)[0].files[2]).unlink()
    with pytest.raises(ReadError, match="slices of a series are complete"):
        write_labels(tmp_path / "out.dcm", np.zeros((7, 9, 4), np.uint8), like=folder)
