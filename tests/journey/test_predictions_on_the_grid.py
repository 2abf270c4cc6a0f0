"""A predicted map lies where its image lies: shape, affine, spacing and format of the input."""

from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from convivo.data.readers import read_header

from .tiny_runs import Journey, files_below

Journeys = Callable[[str], Journey]
PAIRS = ("RL", "AP", "SI")
CODES = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in permutations(PAIRS)
    for sides in product((0, 1), repeat=3)
]
SMALL = 0.02  # share of voxels whose class may turn on the last bit of a sum


def oriented(image: nibabel.Nifti1Image, codes: str) -> nibabel.Nifti1Image:
    """The same scan, stored along other axes."""
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))
    return image.as_reoriented(turn)


def straight_scan(journey: Journeys) -> nibabel.Nifti1Image:
    """A scan of the data whose affine is plain: 1 x 1 x 2.5 mm, RAS."""
    path = sorted((journey("volumes").data / "imagesTr").iterdir())[0]
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[:3, 3] = (-7, 3, 11)
    return nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), affine)


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    """An oblique affine of 1 x 1 x 2.5 mm."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        i, j = (k for k in range(3) if k != axis)
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn * (1.0, 1.0, 2.5)
    affine[:3, 3] = (12.5, -30, 4)
    return affine


def test_all_orientations_come_back_as_they_were(journey: Journeys, tmp_path: Path) -> None:
    assert len(set(CODES)) == 48
    scan, given, out = straight_scan(journey), tmp_path / "given", tmp_path / "out"
    given.mkdir()
    for number, codes in enumerate(CODES):
        suffix = ".nii.gz" if number % 2 else ".nii"
        nibabel.save(oriented(scan, codes), given / f"{codes}{suffix}")
    document = journey("volumes").run.predict(given, out, threads=1, quiet=True)
    assert (document["done"], document["failed"]) == (48, [])
    assert files_below(out) == files_below(given)
    reference = None
    for path in sorted(out.iterdir()):
        image, labels = nibabel.load(given / path.name), nibabel.load(path)
        assert labels.shape == image.shape
        np.testing.assert_allclose(labels.affine, image.affine, atol=1e-4)
        np.testing.assert_allclose(labels.header.get_zooms(), image.header.get_zooms(), atol=1e-5)
        assert labels.get_data_dtype() == np.uint8
        assert (path.read_bytes()[:2] == b"\x1f\x8b") == path.name.endswith(".gz")
        same_way = np.asarray(oriented(labels, "RAS").dataobj)
        reference = same_way if reference is None else reference
        assert (same_way != reference).mean() <= SMALL, path.name


@pytest.mark.parametrize("degrees", [(8, -5, 12), (30, 20, -40), (-44, 3, 100)])
def test_oblique_scans_come_back_as_they_were(
    degrees: tuple[float, float, float], journey: Journeys, tmp_path: Path
) -> None:
    scan = nibabel.Nifti1Image(np.asarray(straight_scan(journey).dataobj), turned(degrees))
    scan.set_sform(scan.affine, code=1)
    scan.set_qform(scan.affine, code=1)
    scan.header.set_xyzt_units("mm")
    nibabel.save(scan, tmp_path / "oblique.nii.gz")
    journey("volumes").run.predict(tmp_path / "oblique.nii.gz", tmp_path / "out", quiet=True)
    labels = nibabel.load(tmp_path / "out" / "oblique.nii.gz")
    assert labels.shape == scan.shape
    np.testing.assert_allclose(labels.affine, scan.affine, atol=1e-4)
    np.testing.assert_allclose(labels.get_qform(), scan.get_qform(), atol=1e-4)
    assert labels.header.get_xyzt_units()[0] == "mm"


def test_another_spacing_comes_back_on_its_own_grid(journey: Journeys, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    array = generator.normal(500, 100, size=(25, 31, 17)).astype(np.float32)
    scan = nibabel.Nifti1Image(array, np.diag([0.7, 0.9, 1.3, 1.0]))
    nibabel.save(scan, tmp_path / "fine.nii")
    journey("volumes").run.predict(tmp_path / "fine.nii", tmp_path / "out", quiet=True)
    labels = nibabel.load(tmp_path / "out" / "fine.nii")
    assert labels.shape == (25, 31, 17)
    np.testing.assert_allclose(labels.header.get_zooms(), (0.7, 0.9, 1.3), atol=1e-5)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".npy"])
def test_images_of_any_size_keep_format_and_size(
    suffix: str, journey: Journeys, tmp_path: Path
) -> None:
    fields = journey("fields")
    field = np.array(Image.open(sorted(fields.inputs.iterdir())[0]))
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    for rows, columns in ((36, 44), (7, 9), (71, 40)):
        array = np.resize(field, (rows, columns, 3))
        path = given / f"{rows}_{columns}{suffix}"
        if suffix == ".npy":
            np.save(path, array[..., 0])  # colours last would be a volume
        else:
            Image.fromarray(array).save(path)
    document = fields.run.predict(given, out, quiet=True)
    assert document["failed"] == []
    assert files_below(out) == files_below(given)
    for name in files_below(out):
        header, image = read_header(out / name), read_header(given / name)
        assert (header.shape, header.channels, header.dtype) == (image.shape, 1, "uint8")


def test_a_stack_of_tiff_keeps_its_resolution(journey: Journeys, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    fields = journey("fields")
    field = np.array(Image.open(sorted(fields.inputs.iterdir())[0]))
    options = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", field, photometric="rgb", **options)
    fields.run.predict(tmp_path / "a.tif", tmp_path / "out", quiet=True)
    given, made = read_header(tmp_path / "a.tif"), read_header(tmp_path / "out" / "a.tif")
    assert (made.spacing, made.spacing_unit) == (given.spacing, given.spacing_unit)
