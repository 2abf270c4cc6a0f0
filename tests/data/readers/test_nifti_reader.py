"""NIfTI in and out: every orientation, both versions, pairs, and the damage files arrive with."""

import gzip
import itertools
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from convivo.data.readers import read, read_header, read_labels, write_labels
from convivo.errors import DataError, ReadError, ShapeError, UsageError

SHAPE = (7, 9, 11)
ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def affine_of(order, signs, sizes=(0.5, 2.0, 3.0)) -> np.ndarray:
    affine = np.zeros((4, 4))
    for column, (row, sign, size) in enumerate(zip(order, signs, sizes, strict=True)):
        affine[row, column] = sign * size
    affine[:, 3] = (-12.5, 33.0, 7.25, 1.0)
    return affine


def oblique() -> np.ndarray:
    a, b = 0.3, -0.2
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag((0.8, 0.8, 5.0))
    affine[:3, 3] = (1.5, -90.0, 4.0)
    return affine


def volume(shape=SHAPE, dtype=np.int16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(path: Path, array: np.ndarray, affine=None, kind=nibabel.Nifti1Image) -> Path:
    nibabel.save(kind(array, np.eye(4) if affine is None else affine), path)
    return path


def label_map() -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3).astype(np.int64)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_is_written_back_to_the_bit(tmp_path, order, signs):
    image = save(tmp_path / "scan.nii", volume(), affine_of(order, signs))
    assert read_header(image).axes == "".join(nibabel.aff2axcodes(affine_of(order, signs)))
    written = write_labels(tmp_path / "out.nii", label_map(), like=image)
    before, after = nibabel.load(image), nibabel.load(written)
    np.testing.assert_array_equal(before.affine, after.affine)
    for name in ("qform_code", "sform_code", "pixdim", "quatern_b", "quatern_c", "quatern_d"):
        np.testing.assert_array_equal(before.header[name], after.header[name])
    np.testing.assert_array_equal(read_labels(written), label_map())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".img"])
@pytest.mark.parametrize("version", [1, 2])
def test_oblique_grid_and_codes_survive_in_every_container(tmp_path, suffix, version):
    pair = suffix in (".hdr", ".img")
    kinds = {
        (1, False): nibabel.Nifti1Image,
        (1, True): nibabel.Nifti1Pair,
        (2, False): nibabel.Nifti2Image,
        (2, True): nibabel.Nifti2Pair,
    }
    image = kinds[version, pair](volume(dtype=np.float32), oblique())
    image.set_qform(oblique(), code=1)
    image.set_sform(oblique(), code=4)
    path = tmp_path / f"scan{suffix}"
    nibabel.save(image, path)
    written = write_labels(tmp_path / f"mask{suffix}", label_map(), like=path)
    before, after = nibabel.load(path), nibabel.load(written)
    assert type(before) is type(after)
    for name in ("magic", "qform_code", "sform_code", "pixdim", "srow_x", "srow_z", "qoffset_x"):
        np.testing.assert_array_equal(before.header[name], after.header[name])
    assert after.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(after.dataobj), label_map())
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_spacing_axes_and_values(tmp_path):
    path = save(tmp_path / "a.nii.gz", volume(), affine_of((0, 1, 2), (-1, 1, 1)))
    raw = read(path)
    assert raw.array.shape == (1, *SHAPE)
    assert raw.array.dtype == np.int16
    assert raw.array.flags.c_contiguous
    assert raw.array.flags.writeable
    np.testing.assert_array_equal(raw.array[0], volume())
    assert raw.header.spacing == (0.5, 2.0, 3.0)
    assert raw.header.spacing_unit == "mm"
    assert raw.header.axes == "LAS"


def test_big_endian_values_come_back_native(tmp_path):
    image = nibabel.Nifti1Image(volume(), np.eye(4), nibabel.Nifti1Header(endianness=">"))
    image.header.set_data_dtype(">i2")
    nibabel.save(image, tmp_path / "a.nii")
    raw = read(tmp_path / "a.nii")
    assert raw.array.dtype.isnative
    assert raw.header.dtype == "int16"
    np.testing.assert_array_equal(raw.array[0], volume())
    written = write_labels(tmp_path / "m.nii", label_map() * 200, like=tmp_path / "a.nii")
    assert nibabel.load(written).get_data_dtype().newbyteorder("=") == np.uint16
    np.testing.assert_array_equal(read_labels(written), label_map() * 200)


@pytest.mark.parametrize("shape", [(7, 9, 11, 2), (7, 9, 11, 1, 2)])
def test_last_axis_is_channels(tmp_path, shape):
    raw = read(save(tmp_path / "a.nii", volume(shape)))
    assert raw.header.shape == SHAPE
    assert raw.header.channels == 2
    np.testing.assert_array_equal(raw.array[1], volume(shape).reshape(*SHAPE, 2)[..., 1])


def test_labels_of_a_many_channel_image_are_one_volume(tmp_path):
    image = save(tmp_path / "a.nii.gz", volume((*SHAPE, 2)), oblique())
    written = write_labels(tmp_path / "m.nii.gz", label_map(), like=image)
    assert nibabel.load(written).shape == SHAPE
    np.testing.assert_array_equal(nibabel.load(written).affine, nibabel.load(image).affine)


def test_colour_voxels_are_three_channels(tmp_path):
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    array = np.zeros(SHAPE, kind)
    array["G"] = 5
    raw = read(save(tmp_path / "a.nii", array))
    assert raw.array.shape == (3, *SHAPE)
    assert raw.array.max(axis=(1, 2, 3)).tolist() == [0, 5, 0]


def test_two_dimensional_file_keeps_two_axes(tmp_path):
    header = read_header(save(tmp_path / "a.nii", volume((7, 9))))
    assert (header.shape, header.axes, header.spacing) == ((7, 9), "RA", (1.0, 1.0))


def test_slope_is_applied_to_images_and_absent_from_written_labels(tmp_path):
    image = nibabel.Nifti1Image(volume(), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read(tmp_path / "a.nii").array[0], volume() * 0.5 + 10)
    written = write_labels(tmp_path / "m.nii", label_map(), like=tmp_path / "a.nii")
    assert nibabel.load(written).dataobj.slope == 1
    np.testing.assert_array_equal(read_labels(written), label_map())


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001), ("mm", 1.0)])
def test_units_become_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(volume(), np.diag((2.0, 3.0, 4.0, 1.0)))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    assert header.spacing == pytest.approx((2 * factor, 3 * factor, 4 * factor))
    assert header.affine[2, 2] == pytest.approx(4 * factor)


def test_file_without_orientation_has_no_affine(tmp_path):
    nibabel.save(nibabel.Nifti1Image(volume(), None), tmp_path / "a.nii")
    header = read_header(tmp_path / "a.nii")
    assert header.affine is None
    assert header.axes == "IJK"


def test_texts_that_may_name_a_patient_are_not_copied(tmp_path):
    image = nibabel.Nifti1Image(volume(), np.eye(4))
    image.header["descrip"] = b"Jane Doe"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nibabel.save(image, tmp_path / "a.nii")
    written = write_labels(tmp_path / "m.nii", label_map(), like=tmp_path / "a.nii")
    assert b"Jane" not in written.read_bytes()
    assert nibabel.load(written).dataobj.offset == 352


def test_whole_numbers_in_floats_are_labels(tmp_path):
    path = save(tmp_path / "m.nii", label_map().astype(np.float32))
    labels = read_labels(path)
    assert labels.dtype.kind == "i"
    np.testing.assert_array_equal(labels, label_map())


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_fractions_are_no_labels(tmp_path, value):
    array = label_map().astype(np.float32)
    array[3, 4, 5] = value
    with pytest.raises(ReadError, match=r"m\.nii: labels are whole numbers; got (0\.5|nan)"):
        read_labels(save(tmp_path / "m.nii", array))


def test_truncated_gzip_says_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 1000, SHAPE, dtype=np.int16)
    path = save(tmp_path / "a.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ReadError, match=r"a\.nii\.gz: .*truncated"):
        read(path)


def test_truncated_plain_file_is_found_by_its_header(tmp_path):
    path = save(tmp_path / "a.nii", volume())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ReadError, match=r"truncated\); got a file too short for \(7, 9, 11\)"):
        read_header(path)


def test_gzip_too_small_for_the_promised_volume(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(600)))
    with pytest.raises(ReadError, match="truncated"):
        read_header(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.nii", b"hello"), ("a.nii.gz", b""), ("a.nii.gz", b"\0" * 400), ("a.nii", b"\0" * 400)],
)
def test_what_is_no_nifti_is_a_read_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for function in (read_header, read, read_labels):
        with pytest.raises(ReadError, match=r"a\.nii.*: must be a readable nifti file; got"):
            function(tmp_path / name)


def test_header_without_its_data_file(tmp_path):
    save(tmp_path / "a.hdr", volume(), kind=nibabel.Nifti1Pair)
    (tmp_path / "a.img").unlink()
    with pytest.raises(ReadError, match=r"a\.hdr: .*got no a\.img"):
        read_header(tmp_path / "a.hdr")


@pytest.mark.parametrize("column", [(0, 0, 0), (1e9, 0, 0), (np.nan, 0, 0), (0, 1, 0)])
def test_senseless_affine_is_refused(tmp_path, column):
    image = nibabel.Nifti1Image(volume(), np.eye(4))
    for row, value in zip(("srow_x", "srow_y", "srow_z"), column, strict=True):
        image.header[row][0] = value
    image.header.set_data_dtype(np.int16)
    with (tmp_path / "a.nii").open("wb") as file:
        image.header["vox_offset"] = 352
        file.write(image.header.binaryblock + bytes(4) + volume().tobytes(order="F"))
    with pytest.raises(ReadError, match="the header places every voxel in space"):
        read_header(tmp_path / "a.nii")


def test_two_long_axes_beyond_space_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", volume((2, 3, 4, 2, 3)))
    with pytest.raises(ReadError, match="at most one of channels; got shape"):
        read_header(path)


def test_other_grid_and_other_values_are_refused(tmp_path):
    image = save(tmp_path / "a.nii", volume())
    with pytest.raises(ShapeError, match=r"a label map has the shape of its image, \(7, 9, 11\)"):
        write_labels(tmp_path / "m.nii", label_map()[:-1], like=image)
    with pytest.raises(DataError, match=r"lie in 0 \.\.\. 65535; got -1"):
        write_labels(tmp_path / "m.nii", label_map() - 1, like=image)
    with pytest.raises(DataError, match="are integers; got dtype float32"):
        write_labels(tmp_path / "m.nii", label_map().astype(np.float32), like=image)
    with pytest.raises(UsageError, match="has the file format of its image"):
        write_labels(tmp_path / "m.hdr", label_map(), like=image)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii"]


def test_a_failed_write_keeps_what_was_there(tmp_path):
    image = save(tmp_path / "a.nii", volume())
    shutil.copy(image, tmp_path / "m.nii")
    with pytest.raises(ShapeError):
        write_labels(tmp_path / "m.nii", label_map()[1:], like=image)
    assert (tmp_path / "m.nii").read_bytes() == image.read_bytes()
