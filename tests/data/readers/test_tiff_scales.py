"""The distance of a TIFF's pixels: where the file says it with a unit, and not otherwise."""

import numpy as np
import pytest

from convivo.data.readers import read, read_header

tifffile = pytest.importorskip("tifffile")

STACK = np.arange(5 * 8 * 6, dtype=np.uint16).reshape(5, 8, 6)


def test_ome_sizes_with_their_units(tmp_path):
    about = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    about |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=about)
    head = read_header(tmp_path / "a.ome.tif")
    assert (head.spacing, head.spacing_unit) == ((2.0, 0.0005, 0.00025), "mm")
    assert read(tmp_path / "a.ome.tif").header == head
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK[0], metadata={**about, "axes": "YX"})
    assert read_header(tmp_path / "b.ome.tif").spacing == (0.0005, 0.00025)


def test_imagej_stacks(tmp_path):
    about = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4.0, 2.0), metadata=about)
    assert read_header(tmp_path / "a.tif").spacing == pytest.approx((0.003, 0.0005, 0.00025))


def test_what_has_no_unit_has_no_spacing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=(72, 72), resolutionunit="INCH")
    assert read_header(tmp_path / "a.tif").spacing is None
    tifffile.imwrite(tmp_path / "b.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    assert read_header(tmp_path / "b.tif").spacing is None
    about = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "c.ome.tif", STACK, metadata=about)
    assert read_header(tmp_path / "c.ome.tif").spacing is None  # depth unknown


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32", "float64"])
def test_kinds_tiles_and_planes(tmp_path, kind, compression):
    image = (np.arange(3 * 48 * 32).reshape(3, 48, 32) % 251).astype(kind)
    options = {"compression": compression, "photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "planes.tif", image, **options)
    np.testing.assert_array_equal(read(tmp_path / "planes.tif").array, image)
    if compression is None or kind != "float64":
        tifffile.imwrite(tmp_path / "tiles.tif", image[0], tile=(16, 16), compression=compression)
        np.testing.assert_array_equal(read(tmp_path / "tiles.tif").array[0], image[0])
