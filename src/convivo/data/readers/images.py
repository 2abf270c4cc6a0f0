"""PNG, JPEG, BMP, GIF, WebP and PGM/PPM through Pillow: grey is one channel, colour three.

Transparency is never a channel of data, and an EXIF orientation is applied, so that an image and
a mask drawn over it as it is shown agree.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from convivo.data.readers.failures import missing_extra
from convivo.data.readers.labels import as_label_map, check_grid, smallest_unsigned
from convivo.data.readers.writing import whole
from convivo.data.sample import Header, Raw
from convivo.errors import ReadError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm", ".pnm")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")  # JPEG covers MPO, whose first image counts
MOVING = ("PNG", "GIF", "WEBP")
GREY = {
    "1": "uint8",
    "L": "uint8",
    "LA": "uint8",
    "I;16": "uint16",
    "I;16B": "uint16",
    "I;16L": "uint16",
    "I": "int32",
    "F": "float32",
}
COLOUR = ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
ORIENTATION_TAG = 274
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def header(path: Path, index: int | None = None) -> Header:
    """Rows x columns as shown, channels and dtype, without the pixels. Raises ReadError."""
    with Image.open(path, formats=FORMATS) as image:
        return _header(image, path)


def read(path: Path, index: int | None = None) -> Raw:
    """The pixels as (C, rows, columns).

    Raises:
        ReadError: a damaged or truncated file, a mode of unknown meaning, an animation.
        UsageError: 16-bit colour without the package that can read it.
    """
    with Image.open(path, formats=FORMATS) as image:
        head = _header(image, path)
        turn = _turn(image)
        if _is_deep(image):
            return Raw(array=_deep_colour(path), header=head)
        array = pixels(image.transpose(turn) if turn is not None else image)
    return Raw(array=array, header=head)


def read_labels(path: Path, index: int | None = None) -> np.ndarray:
    """The class values (rows, columns) as stored; of a palette image its indices.

    Raises:
        ReadError: channels that differ, or a mask that is only in the transparency.
    """
    with Image.open(path, formats=FORMATS) as image:
        _header(image, path)
        turn = _turn(image)
        shown = image.transpose(turn) if turn is not None else image
        if shown.mode == "P":
            return np.array(shown)
        if shown.mode in ("LA", "RGBA"):
            _refuse_transparent_mask(np.array(shown), path)
        return as_label_map(pixels(shown), path)


def write_labels(path: Path, labels: np.ndarray, *, like: Path) -> Path:
    """Save a map (rows, columns) as grey PNG of 8 or 16 bits and return the path written.

    JPEG would change values, so that the file of a JPEG (or BMP) image is a PNG of the same stem.
    The grid is that of the image as shown, after its EXIF orientation.

    Raises:
        ShapeError: another shape than `like`. DataError: values outside 0 ... 65535.
    """
    check_grid(labels, header(like).shape, like)
    if path.suffix.lower() != ".png":
        path = path.with_suffix(".png")
    image = Image.fromarray(smallest_unsigned(labels, path))
    with whole(path) as temporary:
        image.save(temporary, format="PNG")
    return path


def pixels(image: Image.Image) -> np.ndarray:
    """An opened image of a known mode as (C, rows, columns)."""
    mode = image.mode
    if mode == "P":
        grey = _is_grey_palette(image)
        image = image.convert("RGBA")  # palettes with transparency cannot become RGB directly
        return _split(np.array(image)[..., : 1 if grey else 3])
    if mode == "1":
        return np.array(image, dtype=np.uint8)[np.newaxis]
    if mode in ("CMYK", "YCbCr"):
        image = image.convert("RGB")
    array = np.array(image)
    if array.ndim == 2:
        return array[np.newaxis]
    return _split(array[..., : 1 if mode == "LA" else 3])


def mode_of(image: Image.Image, path: Path) -> tuple[int, str]:
    """Channels and dtype of an opened image. Raises ReadError for a mode of unknown meaning."""
    if image.mode == "P":
        return (1 if _is_grey_palette(image) else 3), "uint8"
    if image.mode in GREY:
        return 1, GREY[image.mode]
    if image.mode in COLOUR:
        return 3, "uint8"
    rule = f"pixels are grey, palette or colour ({', '.join((*GREY, 'P', *COLOUR))})"
    raise ReadError(path, rule, f"mode {image.mode}", "Save it as grey or RGB")


def _header(image: Image.Image, path: Path) -> Header:
    if image.format in MOVING and getattr(image, "n_frames", 1) > 1:
        rule = "a file holds one image"
        raise ReadError(path, rule, "an animation", "Save its frames as files")
    channels, dtype = mode_of(image, path)
    if _is_deep(image):
        channels, dtype = (1 if _raw_mode(image).startswith("LA") else 3), "uint16"
    columns, rows = image.size
    turned = _turn(image) in tuple(TURNS[code] for code in (5, 6, 7, 8))
    shape = (columns, rows) if turned else (rows, columns)
    return Header(shape=shape, channels=channels, dtype=dtype, axes="YX")


def _turn(image: Image.Image) -> Image.Transpose | None:
    # in a PNG the tag may follow the pixels; only what stands before them counts, so that the
    # header and the pixels agree and a header costs no decoding
    if image.format == "PNG" and "exif" not in image.info:
        return None
    return TURNS.get(image.getexif().get(ORIENTATION_TAG, 1))


def _split(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _is_grey_palette(image: Image.Image) -> bool:
    colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _raw_mode(image: Image.Image) -> str:
    tiles: list = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    return arguments if isinstance(arguments, str) else str((arguments or [""])[0])


def _is_deep(image: Image.Image) -> bool:
    """Colour of 16 bits, of which Pillow would silently keep 8."""
    return image.mode not in GREY and _raw_mode(image).endswith(";16B")


def _deep_colour(path: Path) -> np.ndarray:
    try:
        import imagecodecs
    except ImportError as error:
        raise missing_extra("imagecodecs", "tiff", f"{path} (16-bit colour PNG)") from error
    array = np.asarray(imagecodecs.png_decode(path.read_bytes()))
    return _split(array[..., : 1 if array.shape[-1] == 2 else 3])


def _refuse_transparent_mask(array: np.ndarray, path: Path) -> None:
    colours, alpha = array[..., :-1], array[..., -1]
    flat = (colours == colours[:1, :1]).all()
    if flat and (alpha != alpha[0, 0]).any():
        rule = "the classes of a mask are in its colours"
        got, remedy = "one colour and varying transparency", "Save the mask as grey values"
        raise ReadError(path, rule, got, remedy)
