"""JPEG Lossless, process 14: decoded bit by bit, signs and all."""

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1

from convivo.data.readers import read
from convivo.data.readers.dicom import lossless
from convivo.errors import ReadError

imagecodecs = pytest.importorskip("imagecodecs")


def encoded(dicom, path, array, *, bits, data=None):
    """(rows, columns) compressed; of signed numbers the lowest `bits` bits, as scanners do."""
    dataset = dicom.pixels(dicom.header(dicom.capture), array)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    unsigned = (array.astype(np.int64) & (2**bits - 1)).astype(np.uint16)
    frame = imagecodecs.ljpeg_encode(unsigned, bitspersample=bits) if data is None else data
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    return dicom.save(dataset, path)


@pytest.mark.parametrize(("kind", "bits", "low"), [("u2", 12, 0), ("u2", 16, 0), ("i2", 12, -2048)])
def test_every_value_comes_back(dicom, tmp_path, kind, bits, low):
    rng = np.random.default_rng(6)
    array = rng.integers(low, low + 2**bits, (14, 10)).astype(kind)
    raw = read(encoded(dicom, tmp_path / "a.dcm", array, bits=bits))
    np.testing.assert_array_equal(raw.array[0], array)


def test_damaged_pixels_are_told(dicom, tmp_path):
    array = np.zeros((14, 10), np.uint16)
    path = encoded(dicom, tmp_path / "a.dcm", array, bits=12, data=b"\xff\xd8" + bytes(40))
    with pytest.raises(ReadError, match=r"a\.dcm: must be a readable dicom file"):
        read(path)


def test_without_imagecodecs_the_remedy_is_true(dicom, tmp_path, monkeypatch):
    from pydicom.pixels import get_decoder

    path = encoded(dicom, tmp_path / "a.dcm", np.zeros((14, 10), np.uint16), bits=12)
    for syntax in lossless.SYNTAXES:
        if lossless.PLUGIN in get_decoder(syntax).available_plugins:
            get_decoder(syntax).remove_plugin(lossless.PLUGIN)
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(
        ReadError, match=r"JPEG Lossless.* have a decoder; .*pip install 'convivo\["
    ):
        read(path)
    monkeypatch.undo()
    for syntax in lossless.SYNTAXES:
        get_decoder(syntax).remove_plugin(lossless.PLUGIN)
    assert read(path).array.shape == (1, 14, 10)
