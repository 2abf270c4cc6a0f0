"""Every way that DICOM stores numbers gives the numbers that were meant."""

import struct
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from convivo.data.readers import read, read_header, read_labels
from convivo.errors import ReadError

JPEG2000 = "1.2.840.10008.1.2.4.90"
IMAGE = (np.arange(9 * 7).reshape(9, 7) * 37 % 4096).astype(np.int16)


def one(dicom, array=IMAGE, photometric="MONOCHROME2", **elements):
    elements = {"SeriesInstanceUID": "1.9", **elements}
    dataset = dicom.pixels(dicom.header(dicom.capture), array, photometric)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, 0, "int16"), (1, -1024, "int16"), (20, 5, "int32"), (0.5, 3, "float32")],
)
def test_the_scale_is_applied_in_the_smallest_type_that_holds_it(
    dicom, tmp_path, slope, intercept, dtype
):
    dataset = one(dicom, RescaleSlope=slope, RescaleIntercept=intercept, BitsStored=13, HighBit=12)
    path = dicom.save(dataset, tmp_path / "a.dcm")
    raw = read(path)
    assert (raw.array.dtype.name, read_header(path).dtype) == (dtype, dtype)
    np.testing.assert_allclose(raw.array[0], IMAGE.astype(float) * slope + intercept)


def test_scales_differ_from_slice_to_slice(dicom, tmp_path):
    def scale(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.25 * (k + 1), -k

    raw = read(dicom.series(tmp_path / "s", dicom.volume(), change=scale))
    expected = dicom.volume() * (0.25 * np.arange(1, 6)) - np.arange(5)
    np.testing.assert_allclose(raw.array[0], expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_numbers_of_all_sizes_and_signs(dicom, tmp_path, dtype):
    info = np.iinfo(dtype)
    array = np.linspace(info.min, info.max, 63).astype(dtype).reshape(9, 7)
    raw = read(dicom.save(one(dicom, array), tmp_path / "a.dcm"))
    assert raw.array.dtype == dtype
    np.testing.assert_array_equal(raw.array[0], array)
    assert raw.array.shape == (1, 9, 7)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_floats(dicom, tmp_path, kind):
    dataset = one(dicom)
    keyword = {"float32": "FloatPixelData", "float64": "DoubleFloatPixelData"}[kind]
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated = np.dtype(kind).itemsize * 8
    setattr(dataset, keyword, (IMAGE / 7).astype(kind).tobytes())
    path = dicom.save(dataset, tmp_path / "a.dcm")
    assert read_header(path).dtype == kind
    np.testing.assert_array_equal(read(path).array[0], (IMAGE / 7).astype(kind))


def test_monochrome1_is_inverted(dicom, tmp_path):
    bright = IMAGE.astype(np.uint16)
    dataset = one(dicom, bright, "MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(
        read(dicom.save(dataset, tmp_path / "a.dcm")).array[0], 4095 - bright
    )
    signed = one(dicom, IMAGE, "MONOCHROME1")
    np.testing.assert_array_equal(read(dicom.save(signed, tmp_path / "b.dcm")).array[0], -1 - IMAGE)


def test_overlays_in_unused_bits_are_no_values(dicom, tmp_path):
    drawn = (IMAGE | (np.arange(63).reshape(9, 7) % 2 << 14)).astype(np.uint16)
    dataset = one(dicom, drawn, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(dicom.save(dataset, tmp_path / "a.dcm")).array[0], IMAGE)
    negative = ((IMAGE - 2048) & 0xFFF).astype(np.int16)
    dataset = one(dicom, negative, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(
        read(dicom.save(dataset, tmp_path / "b.dcm")).array[0], IMAGE - 2048
    )


def test_one_bit_per_pixel(dicom, tmp_path):
    bits = (np.arange(63) % 3 == 0).reshape(9, 7)
    dataset = one(dicom, bits.astype(np.uint8))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    path = dicom.save(dataset, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_labels(path), bits)
    assert read_header(path).dtype == "uint8"


def test_colours_become_rgb_channels(dicom, tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    raw = read(dicom.save(one(dicom, rgb, "RGB"), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(raw.array, rgb.transpose(2, 0, 1))
    assert raw.header.channels == 3
    planar = one(dicom, rgb, "RGB", PlanarConfiguration=1)
    planar.PixelData = rgb.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read(dicom.save(planar, tmp_path / "b.dcm")).array, raw.array)
    grey = np.full((8, 6, 3), 128, np.uint8)
    grey[..., 0] = np.arange(48).reshape(8, 6)  # luminance alone
    raw = read(dicom.save(one(dicom, grey, "YBR_FULL"), tmp_path / "c.dcm"))
    np.testing.assert_array_equal(raw.array, np.stack([grey[..., 0]] * 3))


def test_a_palette_becomes_rgb(dicom, tmp_path):
    dataset = one(dicom, (np.arange(63) % 4).astype(np.uint8).reshape(9, 7), "PALETTE COLOR")
    tables = np.array([[0, 10, 20, 30], [1, 11, 21, 31], [2, 12, 22, 32]])
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        stored = (table * 257).astype("<u2").tobytes()
        setattr(dataset, f"{colour}PaletteColorLookupTableData", stored)
    raw = read(dicom.save(dataset, tmp_path / "a.dcm"))
    assert (raw.array.dtype, raw.header.channels) == (np.uint8, 3)
    np.testing.assert_array_equal(raw.array.reshape(3, -1), tables[:, np.arange(63) % 4])


def test_frames_of_a_film_are_a_volume_without_a_place(dicom, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (5, 8, 6, 3), dtype=np.uint8)
    raw = read(dicom.save(one(dicom, frames, "RGB", Modality="US"), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(raw.array, frames.transpose(3, 2, 1, 0))
    assert (raw.header.axes, raw.header.affine, raw.header.spacing) == ("IJK", None, None)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000])
def test_lossless_compressions(dicom, tmp_path, syntax):
    dataset = one(dicom, np.stack([IMAGE, IMAGE[::-1]]).astype(np.uint16), Modality="US")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax == JPEG2000:
            dataset.PixelData = encapsulate([_jpeg2000(frame) for frame in (IMAGE, IMAGE[::-1])])
            dataset.file_meta.TransferSyntaxUID = JPEG2000
        else:
            dataset.compress(syntax, generate_instance_uid=False)
    raw = read(dicom.save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(raw.array[0, :, :, 0], IMAGE.T)
    np.testing.assert_array_equal(raw.array[0, :, :, 1], IMAGE[::-1].T)


def _jpeg2000(frame):
    from io import BytesIO

    from PIL import Image, features

    if not features.check("jpg_2000"):
        pytest.skip("Pillow was built without JPEG 2000")
    stream = BytesIO()
    Image.fromarray(frame.astype(np.uint16)).save(stream, "JPEG2000", no_jp2=True)
    return stream.getvalue()


def test_other_byte_orders_and_missing_beginnings(dicom, tmp_path):
    plain = one(dicom)
    big = one(dicom)
    big.PixelData = IMAGE.astype(">i2").tobytes()
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    implicit = one(dicom)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    for name, dataset in (("plain", plain), ("big", big), ("implicit", implicit)):
        path = dicom.save(dataset, tmp_path / f"{name}.dcm")
        np.testing.assert_array_equal(read(path).array[0], IMAGE)
        assert read(path).array.dtype == np.int16
        bare = tmp_path / f"{name}_bare"  # neither preamble nor meta elements
        content = path.read_bytes()
        start = content.index(struct.pack(">HH" if name == "big" else "<HH", 8, 0x16), 132)
        bare.write_bytes(content[start:])
        np.testing.assert_array_equal(read(bare).array[0], IMAGE)
    unnamed = tmp_path / "unnamed.dcm"
    del plain.file_meta.TransferSyntaxUID
    plain.save_as(unnamed, implicit_vr=False, little_endian=True)
    np.testing.assert_array_equal(read(unnamed).array[0], IMAGE)


def test_a_compression_without_a_decoder_is_named(dicom, tmp_path):
    dataset = one(dicom)
    dataset.PixelData = encapsulate([b"nothing!"])
    # a film, for which pydicom has none, and High-Throughput JPEG 2000, for which it asks a package
    for syntax, got in (("102", "MPEG-4.*; got none known"), ("201", "High-Th.*; got none inst")):
        if syntax == "201" and find_spec("openjpeg"):
            continue
        dataset.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
        path = dicom.save(dataset, tmp_path / "a.dcm")
        with pytest.raises(ReadError, match=f"compressed as {got}"):
            read(path)


def test_damaged_compressed_pixels_are_an_error(dicom, tmp_path):
    dataset = one(dicom)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.compress(RLELossless, generate_instance_uid=False)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[:80]])
    with pytest.raises(ReadError, match=r"a\.dcm: "):
        read(dicom.save(dataset, tmp_path / "a.dcm"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Rows": 60000, "Columns": 60000}, "truncated"),
        ({"NumberOfFrames": 2_000_000_000}, "truncated"),
        ({"Rows": 0}, "rows, columns, samples and bits make sense; got 0 x 7"),
        ({"BitsStored": 20}, "bits make sense"),
        ({"SamplesPerPixel": 5}, "bits make sense"),
        ({"RescaleSlope": 0}, "the scale of the pixels is not 0; got slope 0"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "got a mosaic"),
        ({"NumberOfFrames": "many"}, "readable dicom file; got invalid"),
    ],
)
def test_headers_that_promise_nonsense_are_refused_before_memory_is_taken(
    dicom, tmp_path, change, message
):
    dataset = one(dicom)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in change.items():
            if keyword == "NumberOfFrames" and isinstance(value, str):
                dataset.add_new(keyword, "LO", value)
            else:
                setattr(dataset, keyword, value)
        path = dicom.save(dataset, tmp_path / "a.dcm")
    with pytest.raises(ReadError, match=message):
        read_header(path)


def test_compressed_pixels_that_cannot_be_so_many_are_refused(dicom, tmp_path):
    dataset = one(dicom, Rows=65535, Columns=65535)
    dataset.PixelData = encapsulate([b"\0" * 64])
    dataset.file_meta.TransferSyntaxUID = RLELossless
    with pytest.raises(ReadError, match=r"truncated\); got \d+ bytes for 1 x 65535 x 65535"):
        read_header(dicom.save(dataset, tmp_path / "a.dcm"))


def test_nested_sequences_without_end_are_an_error_not_a_crash(dicom, tmp_path):
    path = dicom.save(one(dicom), tmp_path / "a.dcm")
    content = path.read_bytes()
    item = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    at = content.index(struct.pack("<HH", 8, 0x20))
    path.write_bytes(content[:at] + item * 20000)
    with pytest.raises(ReadError, match=r"a\.dcm"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 128 + b"DICM", b"\x08\x00\x05\x00CS"])
def test_what_is_no_dicom_is_an_error(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    for function in (read_header, read, read_labels):
        with pytest.raises(ReadError, match=r"a\.dcm: "):
            function(path)


def test_a_plan_is_no_image(dicom, tmp_path):
    dataset = dicom.header("1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN")
    path = dicom.save(dataset, tmp_path / "plan.dcm")
    with pytest.raises(ReadError, match="a DICOM file holds an image; got RT Plan Storage"):
        read(path)


def test_an_image_cut_before_its_pixels_is_truncated(dicom, tmp_path):
    path = dicom.save(one(dicom), tmp_path / "a.dcm")
    content = path.read_bytes()
    for tag in ((0x28, 0x10), (0x7FE0, 0x10)):
        path.write_bytes(content[: content.rindex(struct.pack("<HH", *tag))])
        with pytest.raises(ReadError, match="truncated"):
            read_header(path)


def test_nothing_is_said_on_stderr(dicom, tmp_path, capfd):
    dataset = one(dicom)
    dataset.PixelData += b"\0" * 6  # more than needed: the package warns of it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.PatientBirthDate = "no date"
        path = dicom.save(dataset, tmp_path / "a.dcm")
    read(path)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
