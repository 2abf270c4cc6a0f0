"""The channels a network expects, out of those a file has: by name, or by known conversions."""

from collections.abc import Sequence

import numpy as np

from convivo.errors import ShapeError

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green, blue in grey (ITU-R BT.601, as Pillow's mode L)."""


def select_channels(
    image: np.ndarray, channels: int, *, wanted: Sequence[str] = (), names: Sequence[str] = ()
) -> np.ndarray:
    """Bring an image to the channels a network was made for.

    Args:
        image: (C, *S).
        channels: how many are wanted.
        wanted, names: names of the wanted channels and of those in the image; where both are
            given, channels are picked by name (case and blanks aside) and put in order.
    Returns:
        (channels, *S) in the dtype of `image`. Pictures (2 axes) also convert between grey and
        RGB, and lose an alpha channel that is opaque everywhere.
    Raises:
        ShapeError: a wanted name is missing, or no conversion is known.
    Example:
        >>> select_channels(np.array([[1, 2], [3, 4]]), 1, wanted=["V1"], names=["II", "v1"])
        array([[3, 4]])
    """
    if wanted and names:
        return _by_name(image, wanted, names)
    if image.shape[0] == channels:
        return image
    if image.ndim == 3:
        colours = image[:-1] if _has_opaque_alpha(image) else image
        if colours.shape[0] == channels:
            return colours
        if colours.shape[0] == 1 and channels == 3:
            return np.repeat(colours, 3, axis=0)
        if colours.shape[0] == 3 and channels == 1:
            return _grey(colours)
    rule = f"the network takes {channels} channel(s)"
    remedy = "Give the channels it was trained on"
    raise ShapeError("channels", rule, f"{image.shape[0]} in shape {image.shape}", remedy)


def _by_name(image: np.ndarray, wanted: Sequence[str], names: Sequence[str]) -> np.ndarray:
    if len(names) != image.shape[0]:
        rule = f"one name per channel ({image.shape[0]})"
        raise ShapeError("channels", rule, tuple(names), "Repair the header of the file")
    place = {_plain(name): i for i, name in reversed(list(enumerate(names)))}
    missing = [name for name in wanted if _plain(name) not in place]
    if missing:
        rule = f"the channel(s) {', '.join(missing)} must be there"
        remedy = "Give recordings with the channels the network was trained on"
        raise ShapeError("channels", rule, ", ".join(names), remedy)
    picks = [place[_plain(name)] for name in wanted]
    return image if picks == list(range(image.shape[0])) else image[picks]


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _has_opaque_alpha(image: np.ndarray) -> bool:
    """A last channel of four (RGBA) or two (grey and alpha) that is full everywhere."""
    full = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1.0
    return image.shape[0] in (2, 4) and bool((image[-1] == full).all())


def _grey(colours: np.ndarray) -> np.ndarray:
    grey = np.tensordot(np.asarray(LUMINANCE), colours, axes=1)[None]
    if np.issubdtype(colours.dtype, np.integer):
        grey = np.rint(grey)  # keeps the dtype, and with it the range that "fixed" scales by
    return grey.astype(colours.dtype)
