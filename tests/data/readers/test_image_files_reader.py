"""PNG, JPEG and BMP in every mode, masks among them, and damaged files."""

import io
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convivo.data.readers import read, read_header, read_labels, write_labels
from convivo.errors import ReadError, ShapeError

GREY = np.arange(63, dtype=np.uint8).reshape(7, 9)
COLOUR = np.stack([GREY, GREY + 60, GREY + 120], axis=-1)


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG", ".gif", ".pgm"])
def test_grey_is_one_channel_rows_by_columns(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", GREY)
    header, raw = read_header(path), read(path)
    assert (header.shape, header.channels, header.dtype, header.axes) == ((7, 9), 1, "uint8", "YX")
    assert header.spacing is None
    np.testing.assert_array_equal(raw.array, GREY[np.newaxis])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_header_and_pixels_agree_for_every_mode(tmp_path, mode):
    source = Image.fromarray(COLOUR)
    image = (
        Image.fromarray(GREY.astype(np.uint16) * 900) if mode == "I;16" else source.convert(mode)
    )
    image.save(tmp_path / "a.png")
    header, raw = read_header(tmp_path / "a.png"), read(tmp_path / "a.png")
    assert raw.array.shape == (header.channels, *header.shape)
    assert raw.array.dtype == header.dtype
    assert header.channels == (3 if mode in ("P", "RGB", "RGBA") else 1)


def test_colour_comes_channels_first(tmp_path):
    raw = read(save(tmp_path / "a.png", COLOUR))
    np.testing.assert_array_equal(raw.array, np.moveaxis(COLOUR, -1, 0))


def test_transparency_is_no_channel(tmp_path):
    alpha = np.where(GREY > 30, 255, 10).astype(np.uint8)
    path = save(tmp_path / "a.png", np.dstack([COLOUR, alpha]))
    np.testing.assert_array_equal(read(path).array, np.moveaxis(COLOUR, -1, 0))


def test_sixteen_bits_are_kept(tmp_path):
    path = save(tmp_path / "a.png", GREY.astype(np.uint16) * 1000)
    np.testing.assert_array_equal(read(path).array[0], GREY.astype(np.uint16) * 1000)


def test_cmyk_jpeg_is_read_as_colour(tmp_path):
    path = save(tmp_path / "a.jpg", COLOUR, "CMYK")
    assert read(path).array.shape == (3, 7, 9)


def test_grey_palette_is_one_channel(tmp_path):
    image = Image.fromarray(GREY % 4).convert("P")
    image.putpalette([v for value in (0, 80, 160, 240) for v in (value,) * 3])
    image.save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").channels == 1
    np.testing.assert_array_equal(read(tmp_path / "a.png").array[0], (GREY % 4) * 80)


def test_palette_with_transparency_is_read_without_a_warning(tmp_path):
    image = Image.fromarray(COLOUR).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    assert read(tmp_path / "a.png").array.shape == (3, 7, 9)


@pytest.mark.parametrize("code", range(1, 9))
def test_exif_orientation_is_applied_to_image_and_header(tmp_path, code):
    exif = Image.Exif()
    exif[274] = code
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif, quality=100)
    header, raw = read_header(tmp_path / "a.jpg"), read(tmp_path / "a.jpg")
    assert header.shape == ((9, 7) if code >= 5 else (7, 9))
    assert raw.array.shape == (1, *header.shape)
    from PIL import ImageOps

    with Image.open(tmp_path / "a.jpg") as image:
        np.testing.assert_array_equal(raw.array[0], np.array(ImageOps.exif_transpose(image)))


def png_of_16_bit_colour(array: np.ndarray) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows, columns, _ = array.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)
    head = struct.pack(">IIBBBBB", columns, rows, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.skipif(find_spec("imagecodecs") is None, reason="needs the extra `tiff`")
def test_colour_of_16_bits_keeps_its_bits(tmp_path):
    deep = COLOUR.astype(np.uint16) * 300 + 7
    (tmp_path / "a.png").write_bytes(png_of_16_bit_colour(deep))
    assert read_header(tmp_path / "a.png").dtype == "uint16"
    np.testing.assert_array_equal(read(tmp_path / "a.png").array, np.moveaxis(deep, -1, 0))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".pgm", ".ppm"])
def test_truncated_files_are_never_half_read(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (70, 90, 3), dtype=np.uint8)
    path = save(tmp_path / f"a{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ReadError, match=rf"a\{suffix}: .*truncated"):
        read(path)


def test_a_webp_is_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.webp"
    Image.fromarray(COLOUR).save(path, lossless=True)
    np.testing.assert_array_equal(read(path).array, np.moveaxis(COLOUR, -1, 0))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ReadError, match=r"a\.webp: must be a readable image file"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n rest"])
def test_what_is_no_image_is_a_read_error(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ReadError, match=r"a\.png: must be a readable image file; got"):
        read(tmp_path / "a.png")


def test_decompression_bomb_is_refused(tmp_path):
    small = png_of_16_bit_colour(np.zeros((7, 9, 3), np.uint16))
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 16, 2, 0, 0, 0)
    chunk = b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "a.png").write_bytes(small[:12] + chunk + small[12 + len(chunk) :])
    with pytest.raises(ReadError, match="exceeds limit"):
        read_header(tmp_path / "a.png")


def test_animation_is_refused(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(ReadError, match="a file holds one image; got an animation"):
        read_header(tmp_path / "a.png")


def test_mask_in_equal_colours_becomes_one_channel(tmp_path):
    mask = np.where(GREY > 30, 255, 0).astype(np.uint8)
    opaque = np.full_like(mask, 255)
    path = save(tmp_path / "m.png", np.dstack([mask, mask, mask, opaque]))
    np.testing.assert_array_equal(read_labels(path), mask)


def test_palette_mask_gives_its_indices(tmp_path):
    image = Image.fromarray(GREY % 3).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "m.png"), GREY % 3)


def test_mask_in_colours_is_one_value_a_colour(tmp_path):
    labels = read_labels(save(tmp_path / "m.png", COLOUR))
    grey = (COLOUR[..., :1] == COLOUR).all(-1)
    packed = (COLOUR.astype(int) * (65536, 256, 1)).sum(-1) + 2**24
    np.testing.assert_array_equal(labels, np.where(grey, COLOUR[..., 0], packed))


def test_mask_that_is_only_transparency_is_refused(tmp_path):
    alpha = np.where(GREY > 30, 255, 0).astype(np.uint8)
    path = save(tmp_path / "m.png", np.dstack([np.zeros_like(COLOUR), alpha]))
    with pytest.raises(ReadError, match="got one colour and varying transparency"):
        read_labels(path)


@pytest.mark.parametrize(("scale", "dtype"), [(1, np.uint8), (300, np.uint16)])
def test_labels_are_written_as_png_of_8_or_16_bits(tmp_path, scale, dtype):
    image, labels = save(tmp_path / "a.png", COLOUR), (GREY % 3).astype(np.int64) * scale
    written = write_labels(tmp_path / "m.png", labels, like=image)
    back = read_labels(written)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, labels)


def test_labels_of_a_jpeg_become_a_png(tmp_path):
    image = save(tmp_path / "a.jpg", COLOUR)
    written = write_labels(tmp_path / "out.v2.jpg", GREY % 2, like=image)
    assert written == tmp_path / "out.v2.png"
    np.testing.assert_array_equal(read_labels(written), GREY % 2)
    with pytest.raises(ShapeError, match=r"the shape of its image, \(7, 9\); got \(9, 7\)"):
        write_labels(tmp_path / "m.png", GREY.T % 2, like=image)


def test_a_folder_of_masks_is_merged(tmp_path):
    for name, row in (("one.png", 1), ("two.png", 3)):
        mask = np.zeros((7, 9), np.uint8)
        mask[row] = 255
        save(tmp_path / name, mask)
    (tmp_path / ".DS_Store").write_bytes(b"")
    merged = read_labels(tmp_path)
    assert merged.dtype == np.uint8
    assert merged.sum(axis=1).tolist() == [0, 9, 0, 9, 0, 0, 0]
    save(tmp_path / "three.png", np.zeros((7, 8), np.uint8))
    with pytest.raises(ShapeError, match="the masks of one image have one shape"):
        read_labels(tmp_path)


def test_an_empty_folder_of_masks_is_refused(tmp_path):
    with pytest.raises(ReadError, match="a folder of masks holds mask files; got none"):
        read_labels(tmp_path)


def test_jpeg_named_png_is_read_for_what_it_is(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert read(tmp_path / "a.png").array.shape == (1, 7, 9)
