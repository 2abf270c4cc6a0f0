"""MINC 2 files, written with h5py as the format's description has them."""

from pathlib import Path

import numpy as np
import pytest

from convivo.data.readers import read, read_header
from convivo.errors import ReadError

h5py = pytest.importorskip("h5py")
STEPS = {"zspace": 3.0, "yspace": -2.0, "xspace": 1.5}
STARTS = {"zspace": -10.0, "yspace": 20.0, "xspace": 5.0}


def minc(path: Path, shape=(5, 7, 9), names=("zspace", "yspace", "xspace"), step=None) -> Path:
    stored = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    with h5py.File(path, "w") as file:
        places = file.create_group("minc-2.0/dimensions")
        for name, length in zip(names, shape, strict=True):
            place = places.create_dataset(name, data=np.int32(length))
            place.attrs["start"] = STARTS.get(name, 0.0)
            place.attrs["step"] = STEPS.get(name, 1.0) if step is None else step
            place.attrs["length"] = np.int32(length)
            place.attrs["spacing"] = np.bytes_("regular__")
        group = file.create_group("minc-2.0/image/0")
        image = group.create_dataset("image", data=stored)
        image.attrs["dimorder"] = np.bytes_(",".join(names))
        image.attrs["valid_range"] = np.array([0.0, 65535.0])
        group.create_dataset("image-min", data=0.0)
        group.create_dataset("image-max", data=6553.5)
    return path


def test_values_are_scaled_and_lie_where_the_file_says(tmp_path: Path) -> None:
    raw = read(minc(tmp_path / "a.mnc"))
    assert raw.array.shape == (1, 5, 7, 9)
    np.testing.assert_allclose(raw.array[0], np.arange(315).reshape(5, 7, 9) / 10, atol=1e-4)
    assert (raw.header.axes, raw.header.spacing) == ("SPR", (3.0, 2.0, 1.5))
    np.testing.assert_allclose(raw.header.affine @ (1, 2, 3, 1), (9.5, 16, -7, 1))
    assert read_header(tmp_path / "a.mnc").shape == (5, 7, 9)


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    names = ("time", "zspace", "yspace", "xspace")
    moments = minc(tmp_path / "t.mnc", (2, 5, 7, 9), names)
    with pytest.raises(ReadError, match=r"t.mnc: a volume has three spatial axes"):
        read_header(moments)
    flat = minc(tmp_path / "flat.mnc", step=0.0)
    with pytest.raises(ReadError, match=r"places every voxel in space"):
        read_header(flat)
    (tmp_path / "text.mnc").write_text("no MINC at all\n" * 20)
    with pytest.raises(ReadError, match=r"text.mnc: must be a readable minc file"):
        read(tmp_path / "text.mnc")
