"""NRRD and MetaImage: the same volume, place and labels as the NIfTI reader gives."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import read, read_header, read_labels, write_labels
from convivo.errors import ReadError, ShapeError, UsageError

sitk = pytest.importorskip("SimpleITK")

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
TURNS = [
    np.eye(3)[list(order)] * signs
    for order in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
]


def volume(direction: np.ndarray | None = None) -> "sitk.Image":
    """(i, j, k) = (7, 9, 11), int16, oblique unless a direction is given."""
    values = np.arange(11 * 9 * 7, dtype=np.int16).reshape(11, 9, 7)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.5, 1.25, 3.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    angle = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    image.SetDirection((angle if direction is None else direction).reshape(-1).tolist())
    return image


def save(image: "sitk.Image", path: Path, packed: bool = False) -> Path:
    sitk.WriteImage(image, str(path), packed)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_nifti_reader_agrees(tmp_path, suffix, packed):
    nifti = read(save(volume(), tmp_path / "a.nii.gz"))
    raw = read(save(volume(), tmp_path / f"a{suffix}", packed))
    np.testing.assert_array_equal(raw.array, nifti.array)
    np.testing.assert_allclose(raw.header.affine, nifti.header.affine, atol=1e-5)
    assert (raw.header.axes, raw.header.shape) == (nifti.header.axes, (7, 9, 11))
    assert raw.header.spacing == pytest.approx((0.5, 1.25, 3.0))
    assert (raw.header.dtype, raw.array.dtype) == ("int16", np.int16)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_all_48_orientations_and_labels_in_them(tmp_path, suffix):
    for direction in TURNS:
        image = volume(direction)
        nifti = read_header(save(image, tmp_path / "a.nii"))
        path = save(image, tmp_path / f"a{suffix}")
        head = read_header(path)
        assert head.axes == nifti.axes
        np.testing.assert_allclose(head.affine, nifti.affine, atol=1e-5)
        labels = np.arange(7 * 9 * 11).reshape(7, 9, 11) % 3
        out = write_labels(tmp_path / f"m{suffix}", labels, like=path)
        np.testing.assert_array_equal(read_labels(out), labels)
        again = sitk.ReadImage(str(out))
        assert again.GetDirection() == pytest.approx(image.GetDirection())
        assert again.GetOrigin() == pytest.approx(image.GetOrigin())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_vectors_and_a_fourth_axis_are_channels(tmp_path, suffix):
    plain = volume()
    joined = save(sitk.JoinSeries([plain, plain * 2]), tmp_path / f"j{suffix}")
    vector = save(sitk.Compose([plain, plain * 2]), tmp_path / f"v{suffix}")
    for path in (joined, vector):
        raw = read(path)
        assert (raw.header.channels, raw.array.shape) == (2, (2, 7, 9, 11))
        first = sitk.GetArrayFromImage(plain).T
        np.testing.assert_array_equal(raw.array, np.stack([first, first * 2]))


def test_flat_images_are_rows_and_columns(tmp_path):
    image = sitk.GetImageFromArray(np.arange(63, dtype=np.float32).reshape(7, 9))
    image.SetSpacing((0.5, 2.0))
    for suffix in (".mha", ".nrrd"):
        path = save(image, tmp_path / f"a{suffix}")
        raw = read(path)
        np.testing.assert_array_equal(raw.array[0], np.arange(63).reshape(7, 9))
        assert (raw.header.axes, raw.header.affine) == ("YX", None)
        assert raw.header.spacing == (2.0, 0.5)
        labels = np.arange(63).reshape(7, 9) % 4
        out = write_labels(tmp_path / f"m{suffix}", labels, like=path)
        np.testing.assert_array_equal(read_labels(out), labels)
        assert read_header(out).spacing == (2.0, 0.5)


def test_a_header_without_a_place_has_none(tmp_path):
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "sizes: 7 9 11", "encoding: raw", "", ""]
    path = tmp_path / "a.nrrd"
    path.write_bytes("\n".join(lines).encode() + bytes(7 * 9 * 11))
    assert (read_header(path).affine, read_header(path).axes) == (None, "IJK")


def test_detached_headers_give_whole_label_files(tmp_path):
    path = save(volume(), tmp_path / "a.mhd")
    out = write_labels(tmp_path / "m.mhd", np.zeros((7, 9, 11), np.uint8), like=path)
    assert out.name == "m.mha"
    with pytest.raises(UsageError, match=r"the file format of its image \(a\.mhd\); got m\.nrrd"):
        write_labels(tmp_path / "m.nrrd", np.zeros((7, 9, 11), np.uint8), like=path)
    with pytest.raises(ShapeError, match="a label map has the shape of its image"):
        write_labels(tmp_path / "m.mhd", np.zeros((9, 7, 11), np.uint8), like=path)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/etc/hostname", "names one data file of its own folder; got '/etc/hostname'"),
        ("../a.raw", r"names one data file of its own folder; got '\.\./a\.raw'"),
        ("slice%03d.raw", "names one data file of its own folder"),
        ("gone.raw", "its data file lies beside it; got no gone.raw"),
    ],
)
def test_detached_headers_stay_in_their_folder(tmp_path, suffix, name, message):
    path = save(volume(), tmp_path / f"a{suffix}")
    data = "a.raw"
    path.write_text(path.read_text().replace(data, name))
    with pytest.raises(ReadError, match=message):
        read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_and_damaged_files_are_one_error(tmp_path, suffix, capfd):
    path = save(volume(), tmp_path / f"a{suffix}")
    data = path if suffix in (".nrrd", ".mha") else tmp_path / "a.raw"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(ReadError, match="it is truncated"):
        read(path)
    for content in (b"", b"hello", bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"must be a readable (Nrrd|Meta) file"):
            read(path)
    assert capfd.readouterr().err == ""


def test_packed_data_that_break_off(tmp_path):
    for suffix in (".nrrd", ".mha"):
        path = save(volume(), tmp_path / f"a{suffix}", packed=True)
        path.write_bytes(path.read_bytes()[:-60])
        with pytest.raises(ReadError, match=rf"a\{suffix}: "):
            read(path)


def test_more_voxels_than_a_file_can_hold(tmp_path):
    path = save(volume(), tmp_path / "a.mha")
    content = path.read_bytes().replace(b"DimSize = 7 9 11", b"DimSize = 70000 90000 11000")
    path.write_bytes(content)
    with pytest.raises(ReadError, match="it is truncated"):
        read_header(path)


def test_no_such_file(tmp_path):
    with pytest.raises(ReadError, match="the file or folder must exist"):
        read(tmp_path / "a.nrrd")
