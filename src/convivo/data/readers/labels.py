"""From the array of a mask file to one integer map, and the checks before one is written."""

from pathlib import Path

import numpy as np

from convivo.errors import DataError, ReadError, ShapeError

LARGEST_LABEL = 65535
ROUNDING = 1e-3  # as far as a class value may lie from a whole number: 0.9999 of a resampled mask
COLOURED = 1 << 24  # added to the 24 bits of a colour, so that it is no grey value


def as_label_map(array: np.ndarray, path: Path) -> np.ndarray:
    """A label map (*S) of integers, as stored, from an array (C, *S).

    Equal channels (a mask saved as colour) become one; where three of 8 bits differ, grey pixels
    keep their value and a colour becomes 2^24 + 0xRRGGBB (`colour_name`). Whole numbers in
    floats, within 0.001, become integers.

    Raises:
        ReadError: other channels differ, or values are fractions or not finite.
    Example:
        >>> as_label_map(np.array([[[0.0, 2.0]], [[0.0, 2.0]]]), Path("m.nii")).tolist()
        [[0, 2]]
    """
    first = array[0]
    if not all(np.array_equal(first, other) for other in array[1:]):
        if len(array) == 3 and array.dtype == np.uint8:
            return _colours(array)
        rule = "a label map has one value per position"
        remedy = "Save the mask with one channel of class values"
        raise ReadError(path, rule, f"{len(array)} channels that differ", remedy)
    return _as_integers(first, path)


def colour_name(value: int) -> str | None:
    """How a colour of a label map is called; None for a plain value.

    Example:
        >>> colour_name(COLOURED + 0xFF0080), colour_name(255)
        ('#ff0080', None)
    """
    return f"#{value - COLOURED:06x}" if value >= COLOURED else None


def _colours(array: np.ndarray) -> np.ndarray:
    """(3, *S) uint8 -> (*S) int32."""
    red, green, blue = array.astype(np.int32)
    grey = (red == green) & (green == blue)
    return np.where(grey, red, COLOURED + (red << 16) + (green << 8) + blue)


def _as_integers(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        return values
    remedy = "Save the mask as integers, one value per class"
    if values.dtype.kind != "f":
        raise ReadError(path, "labels are whole numbers", f"dtype {values.dtype}", remedy)
    with np.errstate(invalid="ignore"):
        whole = np.round(values)
        odd = ~(np.isfinite(values) & (np.abs(values - whole) <= ROUNDING) & (abs(whole) < 2**31))
    if odd.any():
        raise ReadError(path, "labels are whole numbers", values[odd].flat[0], remedy)
    return whole.astype(np.int32)


def smallest_unsigned(labels: np.ndarray, path: Path) -> np.ndarray:
    """The map as uint8 where its values fit, else as uint16.

    Raises:
        DataError: a value below 0 or above 65535, or no integer array.
    Example:
        >>> smallest_unsigned(np.array([0, 300]), Path("m.nii")).dtype
        dtype('uint16')
    """
    remedy = f"Give integers from 0 to {LARGEST_LABEL}"
    if labels.dtype.kind not in "iub":
        raise DataError(path, "labels to write are integers", f"dtype {labels.dtype}", remedy)
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > LARGEST_LABEL:
        got = low if low < 0 else high
        raise DataError(path, f"labels to write lie in 0 ... {LARGEST_LABEL}", got, remedy)
    return labels.astype(np.uint8 if high < 256 else np.uint16)


def check_grid(labels: np.ndarray, shape: tuple[int, ...], like: Path) -> None:
    """Refuse a map that does not lie on the grid of the file it is written for.

    Raises:
        ShapeError: the shapes differ.
    """
    if labels.shape != tuple(shape):
        rule = f"a label map has the shape of its image, {tuple(shape)}"
        raise ShapeError(like, rule, tuple(labels.shape), "Bring the map back to the image's grid")
