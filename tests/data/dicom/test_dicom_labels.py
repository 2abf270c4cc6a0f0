"""Segmentations and contours lie where they were drawn, and a written one opens elsewhere."""

import itertools

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from convivo.arrays.orientation import canonical
from convivo.data.readers import label_header, read, read_header, read_labels, write_labels
from convivo.data.readers.dicom import write_segmentation
from convivo.errors import DataError, ReadError, ShapeError, UsageError

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
SHAPE = (7, 9, 5)


def label_map(shape=SHAPE) -> np.ndarray:
    return (np.random.default_rng(1).random(shape) * 3).astype(np.uint8)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_label_goes_to_a_file_and_back_in_every_orientation(dicom, tmp_path, order, signs):
    folder = dicom.series(tmp_path / "s", dicom.volume(), dicom.affine_of(order, signs))
    labels = label_map()
    path = write_labels(tmp_path / "out", labels, like=folder)
    assert path == tmp_path / "out.dcm"
    assert not list(tmp_path.glob(".*"))
    np.testing.assert_array_equal(read_labels(path, like=folder), labels)
    # another reader, by its own means, sees each voxel at the same place
    seen = highdicom.seg.segread(path).get_volume(combine_segments=True)
    ours, ours_at, _ = canonical(labels, read_header(folder).affine)
    theirs, theirs_at, _ = canonical(seen.array, dicom.lps @ seen.affine)
    np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_allclose(theirs_at, ours_at, atol=1e-5)


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, -1), (-1, 1, -1)])
def test_an_oblique_anisotropic_series_in_reversed_order(dicom, tmp_path, signs):
    turn = np.array([[0.96, -0.28, 0.0], [0.224, 0.768, -0.6], [0.168, 0.576, 0.8]])
    affine = np.eye(4)
    affine[:3, :3] = turn * (0.5, 2.0, 3.0) * signs
    affine[:3, 3] = (12.5, -30, 4)

    def rounded(dataset, k):  # decimal strings have sixteen letters
        for keyword in ("ImageOrientationPatient", "ImagePositionPatient"):
            dataset[keyword].value = [round(float(v), 6) for v in dataset[keyword].value]

    folder = dicom.series(tmp_path / "s", dicom.volume(), affine, change=rounded)
    labels = label_map()
    path = write_labels(tmp_path / "out", labels, like=folder)
    back = read_labels(path, like=folder)
    seen = highdicom.seg.segread(path).get_volume(combine_segments=True)
    header = read_header(folder)
    np.testing.assert_array_equal(back, labels)
    assert header.spacing == pytest.approx((0.5, 2.0, 3.0), abs=1e-4)
    # every labelled voxel of the other reader is at the place where ours has the same label
    to_ours = np.linalg.inv(header.affine) @ dicom.lps @ seen.affine
    for value in (1, 2):
        there = np.argwhere(seen.array == value)
        ours = there @ to_ours[:3, :3].T + to_ours[:3, 3]
        np.testing.assert_allclose(ours, np.round(ours), atol=1e-3)
        found = labels[tuple(np.round(ours).astype(int).T)]
        assert len(found) == (labels == value).sum()
        assert (found == value).all()


def test_simpleitk_opens_a_written_segmentation_at_the_right_place(dicom, tmp_path):
    itk = pytest.importorskip("SimpleITK")
    affine = dicom.affine_of((1, 2, 0), (-1, 1, 1))
    # a multiple of eight voxels: GDCM cuts a segmentation that ends within a byte
    folder = dicom.series(tmp_path / "s", dicom.volume((8, 6, 5)), affine)
    labels = (label_map((8, 6, 5)) > 0).astype(np.uint8)
    image = itk.ReadImage(str(write_labels(tmp_path / "out.dcm", labels, like=folder)))
    header = read_header(folder)
    place = np.eye(4)
    place[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    place[:3, 3] = image.GetOrigin()
    theirs, theirs_at, _ = canonical(
        itk.GetArrayFromImage(image).transpose(2, 1, 0), dicom.lps @ place
    )
    ours, ours_at, _ = canonical(labels, header.affine)
    np.testing.assert_array_equal(theirs != 0, ours != 0)
    np.testing.assert_allclose(theirs_at, ours_at, atol=1e-5)


def test_a_tilted_and_an_enhanced_series_take_labels_too(dicom, tmp_path):
    tilted = np.diag((0.5, 2.0, 3.0, 1.0))
    tilted[1, 2] = 0.7
    folder = dicom.series(tmp_path / "s", dicom.volume(), tilted)
    enhanced = dicom.enhanced(
        tmp_path / "e.dcm", dicom.volume(), dicom.affine_of((2, 1, 0), (1,) * 3)
    )
    for image in (folder, enhanced):
        shape = read_header(image).shape
        path = write_labels(tmp_path / "out.dcm", label_map(shape), like=image)
        np.testing.assert_array_equal(read_labels(path, like=image), label_map(shape))


def test_an_image_of_one_plane(dicom, tmp_path):
    folder = dicom.series(
        tmp_path / "s", dicom.volume((7, 9, 1)), dicom.affine_of((2, 0, 1), (1,) * 3)
    )
    labels = label_map((9, 7))
    path = write_labels(tmp_path / "out.dcm", labels, like=folder)
    np.testing.assert_array_equal(read_labels(path, like=folder), labels)


def test_one_volume_of_several_in_a_folder(dicom, tmp_path):
    dicom.series(tmp_path / "s", dicom.volume((6, 5, 4)), name="a{}", series="1.2.3.4.1")
    dicom.series(tmp_path / "s", dicom.volume(), name="b{}")
    labels = label_map()
    path = write_labels(tmp_path / "out.dcm", labels, like=tmp_path / "s", like_index=1)
    back = read_labels(path, like=tmp_path / "s", like_index=1)
    np.testing.assert_array_equal(back, labels)
    with pytest.raises(ReadError, match="lies on the voxels of its image"):
        read_labels(path, like=tmp_path / "s", like_index=0)


def test_values_and_names_are_segments(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    labels = label_map().astype(np.uint16) * 300
    path = write_labels(tmp_path / "out.dcm", labels, like=folder)
    np.testing.assert_array_equal(read_labels(path, like=folder), labels)
    names = ["background", "Anterior", "Posterior", "Never"]
    path = write_segmentation(tmp_path / "b.dcm", label_map(), like=folder, classes=names)
    segments = pydicom.dcmread(path).SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == names[1:]
    algorithm = segments[0].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "convivo"
    np.testing.assert_array_equal(read_labels(path, like=folder), label_map())
    order = ("Posterior", "Other", "Anterior", "Never")
    moved = read_labels(path, like=folder, names=order)
    np.testing.assert_array_equal(moved, np.array([0, 3, 1])[label_map()])
    with pytest.raises(ReadError, match=r"regions are classes \(Anterior\); got 'Posterior'"):
        read_labels(path, like=folder, names=("Anterior",))


def test_an_empty_map_is_written(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", np.zeros(SHAPE, np.uint8), like=folder)
    assert not read_labels(path, like=folder).any()


def test_no_name_leaves_the_headers(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", label_map(), like=folder)
    content = path.read_bytes()
    for secret in (b"Beeblebrox", b"Zaphod", b"Marvin", b"19520311"):
        assert secret not in content
    written, source = pydicom.dcmread(path), pydicom.dcmread(next(folder.iterdir()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        assert written[keyword].value == source[keyword].value
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert written.PatientID == read_header(folder).subject != source.PatientID
    assert written.StudyDate == ""
    options = {"like": folder, "names": {1: "a", 2: "b"}, "keep_identifiers": True}
    kept = pydicom.dcmread(write_labels(tmp_path / "kept.dcm", label_map(), **options))
    assert (str(kept.PatientName), kept.PatientID) == (dicom.name, source.PatientID)
    assert [one.SegmentLabel for one in kept.SegmentSequence] == ["a", "b"]


def test_a_patient_has_one_pseudonym(dicom, tmp_path):
    subjects = {}
    given = ("Zaphod", "BEEBLEBROX_1952", "Some^Body", "P-17", "zaphod")
    for number, identifier in enumerate(given):
        folder = dicom.series(tmp_path / str(number), dicom.volume(), PatientID=identifier)
        subjects[identifier] = read_header(folder).subject
    assert all(one.startswith("patient-") and len(one) == 18 for one in subjects.values())
    assert len(set(subjects.values())) == 5
    again = dicom.series(tmp_path / "x", dicom.volume(), PatientID="P-17", PatientName="Another")
    assert read_header(again).subject == subjects["P-17"]
    unnamed = dicom.series(tmp_path / "y", dicom.volume(), PatientID="")
    assert read_header(unnamed).subject is None


def test_what_cannot_be_written_is_refused_and_nothing_left(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    with pytest.raises(ShapeError, match=r"shape of its image, \(7, 9, 5\)"):
        write_labels(tmp_path / "out.dcm", label_map()[1:], like=folder)
    with pytest.raises(DataError, match="labels to write are integers"):
        write_labels(tmp_path / "out.dcm", label_map().astype(float), like=folder)
    with pytest.raises(DataError, match="got -1"):
        write_labels(tmp_path / "out.dcm", label_map().astype(int) - 1, like=folder)
    with pytest.raises(UsageError, match=r"values to write have a name \(1\); got 2"):
        write_segmentation(tmp_path / "o.dcm", label_map(), like=folder, classes=["bg", "a"])
    placeless = dicom.pixels(
        dicom.header(dicom.capture, SeriesInstanceUID="1.9"), dicom.volume()[0]
    )
    image = dicom.save(placeless, tmp_path / "placeless.dcm")
    with pytest.raises(UsageError, match="refers to an image with a position"):
        write_labels(tmp_path / "out.dcm", np.zeros((9, 5), np.uint8), like=image)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["placeless.dcm", "s"]


def segmentation(dicom, folder, array, kind, **options):
    """By highdicom alone, from the images in stored order."""
    files = sorted(folder.iterdir(), key=lambda p: pydicom.dcmread(p).ImagePositionPatient[2])
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="x", family=codes.DCM.ArtificialIntelligence, version="1"
    )
    numbers = range(1, array.shape[3] + 1) if array.ndim == 4 else range(1, 3)
    described = [
        highdicom.seg.SegmentDescription(
            n, f"Part {n}", codes.SCT.Tissue, codes.SCT.Tissue, "AUTOMATIC", algorithm
        )
        for n in numbers
    ]
    return highdicom.seg.Segmentation(
        [pydicom.dcmread(p) for p in files], array, kind, described, highdicom.UID(), 1,
        highdicom.UID(), 1, "x", "x", "1", "1", **options,
    )  # fmt: skip


def test_fractional_overlapping_and_label_map_segmentations(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume(), SliceThickness=3)
    labels = label_map()
    planes = labels.transpose(2, 1, 0)  # (slices, rows, columns)
    path = tmp_path / "map.dcm"
    segmentation(dicom, folder, planes, "LABELMAP").save_as(path)
    np.testing.assert_array_equal(read_labels(path, like=folder), labels)
    part = np.random.default_rng(2).random((*planes.shape, 1)).astype(np.float32)
    segmentation(dicom, folder, part, "FRACTIONAL").save_as(path)
    expected = np.round(part[..., 0] * 255) >= 127.5
    np.testing.assert_array_equal(read_labels(path, like=folder), expected.transpose(2, 1, 0))
    both = np.zeros((*planes.shape, 2), np.uint8)
    both[1:4, 2:5, 2:4, 0] = 1  # the smaller lies within the larger
    both[:, 1:, 1:, 1] = 1
    segmentation(dicom, folder, both, "BINARY").save_as(path)
    expected = np.where(both[..., 0], 1, 2 * both[..., 1])
    np.testing.assert_array_equal(read_labels(path, like=folder), expected.transpose(2, 1, 0))


def test_a_segmentation_alone_lies_on_its_own_planes(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    labels = label_map()
    labels[:, :, 0] = 0  # a plane without a segment is not stored
    path = write_labels(tmp_path / "out.dcm", labels, like=folder)
    np.testing.assert_array_equal(read_labels(path), labels[:, :, 1:])
    raw = read(path)
    np.testing.assert_array_equal(raw.array[0], labels[:, :, 1:])
    assert raw.header.affine[2, 3] == pytest.approx(3.0)
    assert label_header(path) is None
    assert label_header(folder).shape == SHAPE


def test_an_image_of_another_format_takes_a_segmentation_by_its_place(dicom, tmp_path):
    import nibabel

    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", label_map(), like=folder)
    turned = read_header(folder).affine @ np.array(
        [[0, -1, 0, 6], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )  # i' = j, j' = 6 - i
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 7, 5), np.int16), turned), tmp_path / "i.nii")
    found = read_labels(path, like=tmp_path / "i.nii")
    np.testing.assert_array_equal(found, label_map().transpose(1, 0, 2)[:, ::-1])
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 7, 5), np.int16), None), tmp_path / "n.nii")
    with pytest.raises(ReadError, match="need an image with a place; got axes IJK"):
        read_labels(path, like=tmp_path / "n.nii")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (np.diag((0.5, 2.0, 3.2, 1.0)), "voxels aside|outside of it"),
        (np.diag((1.0, 2.0, 3.0, 1.0)), "got another pixel size"),
        (np.array([[0.5, 0, 0, 9], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]), "pixels outside"),
    ],
)
def test_a_segmentation_of_another_grid_is_refused(dicom, tmp_path, change, message):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", label_map(), like=folder)
    other = dicom.series(tmp_path / "t", dicom.volume(), change)
    with pytest.raises(ReadError, match=message):
        read_labels(path, like=other)


def test_a_segmentation_that_is_cut(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", label_map(), like=folder)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ReadError, match=r"out\.dcm: .*truncated\); got 70 bytes for 10 x 9 x 7"):
        read_labels(path, like=folder)


def test_fewer_frames_than_described(dicom, tmp_path):
    folder = dicom.series(tmp_path / "s", dicom.volume())
    path = write_labels(tmp_path / "out.dcm", label_map(), like=folder)
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = 3
    dataset.save_as(path)
    with pytest.raises(ReadError, match=r"truncated\); got 3 frames of 10 that are described"):
        read_labels(path, like=folder)


def box(low, high, k, affine):
    """Corners of a rectangle (i, j) in slice k, in RAS mm."""
    (a, b), (c, d) = low, high
    corners = np.array([(a, b, k, 1), (c, b, k, 1), (c, d, k, 1), (a, d, k, 1)], float)
    return (corners @ affine.T)[:, :3]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_contours_are_filled_with_their_holes(dicom, tmp_path, order):
    affine = dicom.affine_of(order, (1, -1, 1))
    folder = dicom.series(tmp_path / "s", dicom.volume((12, 10, 5)), affine)
    ring = [box((0.5, 0.5), (8.5, 7.5), 2, affine), box((2.5, 2.5), (5.5, 5.5), 2, affine)]
    regions = {
        "Heart": [*ring, box((1.5, 1.5), (3.5, 4.5), 3, affine), np.zeros((1, 3))],
        "Vessel": [box((2.5, 2.5), (4.5, 4.5), 2, affine)],
        "Point": [np.zeros((1, 3))],
    }
    path = dicom.contours(tmp_path / "rs.dcm", regions)
    expected = np.zeros((12, 10, 5), np.uint8)
    expected[1:9, 1:8, 2] = 1
    expected[3:6, 3:6, 2] = 0
    expected[2:4, 2:5, 3] = 1
    expected[3:5, 3:5, 2] = 2
    found = read_labels(path, like=folder, names=("Heart", "Vessel"))
    ours = read(folder)
    was, _, _ = canonical(expected, affine)
    now, _, _ = canonical(found, ours.header.affine)
    np.testing.assert_array_equal(now, was)


def test_contours_beside_their_series_are_refused(dicom, tmp_path):
    affine = np.diag((0.5, 2.0, 3.0, 1.0))
    folder = dicom.series(tmp_path / "s", dicom.volume((12, 10, 5)), affine)
    outside = dicom.contours(tmp_path / "a.dcm", {"Heart": [box((1, 1), (5, 5), 7, affine)]})
    with pytest.raises(ReadError, match=r"slices of their series; got slice 7 of 5"):
        read_labels(outside, like=folder)
    steep = box((1, 1), (5, 5), 2, affine) + np.array([(0, 0, 0), (0, 0, 9), (0, 0, 3), (0, 0, -3)])
    across = dicom.contours(tmp_path / "b.dcm", {"Heart": [steep * (1, 9, 1)]})
    with pytest.raises(ReadError, match=r"slices aside"):
        read_labels(across, like=folder)
    with pytest.raises(ReadError, match="contours are drawn on an image; got contours alone"):
        read_labels(across)
