"""TIFF: which axes are slices and which channels, and what tifffile would let pass."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import read, read_header, read_labels, tiff, write_labels
from convivo.errors import ReadError, ShapeError

tifffile = pytest.importorskip("tifffile", reason="needs the extra `tiff`")

STACK = np.arange(7 * 9 * 11, dtype=np.uint16).reshape(7, 9, 11)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, array, **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_one_page_is_an_image(tmp_path, dtype):
    path = save(tmp_path / "a.tif", STACK[0].astype(dtype))
    header, raw = read_header(path), read(path)
    assert (header.shape, header.channels, header.axes) == ((9, 11), 1, "YX")
    assert header.dtype == np.dtype(dtype).name
    np.testing.assert_array_equal(raw.array[0], STACK[0].astype(dtype))


def test_pages_are_slices(tmp_path):
    path = save(tmp_path / "a.tiff", STACK, photometric="minisblack")
    assert read_header(path).axes == "ZYX"
    np.testing.assert_array_equal(read(path).array, STACK[np.newaxis])


def test_named_channels_are_channels(tmp_path):
    path = save(tmp_path / "a.ome.tif", STACK, photometric="minisblack", metadata={"axes": "CYX"})
    raw = read(path)
    assert (raw.header.shape, raw.header.channels, raw.header.axes) == ((9, 11), 7, "YX")
    np.testing.assert_array_equal(raw.array, STACK)


def test_channels_of_slices(tmp_path):
    array = STACK.reshape(7, 3, 3, 11)  # Z C Y X
    path = save(tmp_path / "a.ome.tif", array, photometric="minisblack", metadata={"axes": "ZCYX"})
    raw = read(path)
    assert (raw.header.shape, raw.header.channels) == ((7, 3, 11), 3)
    np.testing.assert_array_equal(raw.array, array.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_interleaved_or_planar(tmp_path, planar):
    colour = np.random.default_rng(0).integers(0, 255, (9, 11, 3), dtype=np.uint8)
    stored = colour if planar == "contig" else np.moveaxis(colour, -1, 0)
    path = save(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read(path).array, np.moveaxis(colour, -1, 0))


def test_transparency_is_dropped(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (9, 11, 4), dtype=np.uint8)
    path = save(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["unassalpha"])
    raw = read(path)
    assert raw.header.channels == 3
    np.testing.assert_array_equal(raw.array, np.moveaxis(array[..., :3], -1, 0))


def test_palette_gives_colours_and_as_mask_its_indices(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[1, 2] = 65535
    indices = (STACK[0] % 3).astype(np.uint8)
    path = save(tmp_path / "a.tif", indices, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(read(path).array[1], np.where(indices == 2, 255, 0))
    np.testing.assert_array_equal(read_labels(path), indices)


def test_a_thumbnail_is_no_slice(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0])
        writer.write(STACK[0, ::2, ::2].astype(np.uint8))
    assert read(tmp_path / "a.tif").array.shape == (1, 9, 11)


def test_several_images_in_one_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(STACK, photometric="minisblack", metadata={"axes": "ZYX"})
        writer.write(STACK, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(ReadError, match="a file holds one image; got 2 series alike"):
        read_header(tmp_path / "a.ome.tif")


def test_more_axes_are_refused(tmp_path):
    array = STACK[:6].reshape(2, 3, 9, 11)
    path = save(tmp_path / "a.ome.tif", array, photometric="minisblack", metadata={"axes": "TZYX"})
    with pytest.raises(ReadError, match="at most one of pages and one of channels; got TZYX"):
        read_header(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_file_is_not_filled_with_zeros(tmp_path, compression):
    noise = np.random.default_rng(0).integers(0, 65535, (40, 50), dtype=np.uint16)
    path = save(tmp_path / "a.tif", noise, compression=compression)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ReadError, match="truncated"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"text", b"II*\0" + bytes(20)])
def test_what_is_no_tiff_is_a_read_error(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.tif: "):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_labels_keep_slices_and_resolution(tmp_path, suffix):
    options = {"resolution": (300, 200), "resolutionunit": "CENTIMETER"}
    options |= {"metadata": {"axes": "ZYX"}}
    image = save(tmp_path / f"a{suffix}", STACK, photometric="minisblack", **options)
    written = write_labels(tmp_path / f"m{suffix}", STACK % 3, like=image)
    np.testing.assert_array_equal(read_labels(written), STACK % 3)
    with tifffile.TiffFile(written) as file:
        assert file.series[0].axes == "ZYX"
        assert file.series[0].dtype == np.uint8
        if suffix == ".tif":
            assert file.pages[0].tags["XResolution"].value == (300, 1)
    with pytest.raises(ShapeError, match=r"the shape of its image, \(7, 9, 11\)"):
        write_labels(tmp_path / f"m{suffix}", STACK[0] % 3, like=image)


def test_pillow_reads_the_simple_ones_alike(tmp_path):
    for name, array in (("page.tif", STACK[0]), ("stack.tif", STACK)):
        path = save(tmp_path / name, array, photometric="minisblack")
        one, other = tiff.pillow_read(path), read(path)
        np.testing.assert_array_equal(one.array, other.array)
        assert (one.header.shape, one.header.axes) == (other.header.shape, other.header.axes)
