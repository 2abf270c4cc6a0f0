"""JPEG Lossless (process 14) for pydicom, through imagecodecs: the usual decoders are GPL.

Registered once, with the first file that needs it; pydicom goes by its own decoders first.
"""

import threading
from typing import Any

import numpy as np

SYNTAXES = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
PLUGIN = "convivo"
_LOCK = threading.Lock()
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs>=2024.6",))
"""What pydicom asks of a module of decoders, and says where it is missing."""


def register() -> None:
    """Make the decoder known to pydicom."""
    from pydicom.pixels import get_decoder

    with _LOCK:
        for decoder in map(get_decoder, SYNTAXES):
            said = " ".join((*decoder.available_plugins, *decoder.missing_dependencies))
            if PLUGIN not in said:
                decoder.add_plugin(PLUGIN, (__name__, "decode"))


def is_available(syntax: str) -> bool:
    """Whether imagecodecs is there with this codec (asked by pydicom)."""
    try:
        import imagecodecs
    except ModuleNotFoundError:
        return False
    return syntax in SYNTAXES and bool(imagecodecs.LJPEG.available)


def decode(source: bytes, runner: Any) -> bytearray:
    """One frame of one or several samples as little-endian bytes (called by pydicom).

    Raises:
        ValueError: no JPEG Lossless, or not so many bits as the header says.
    """
    import imagecodecs

    frame = np.asarray(imagecodecs.ljpeg_decode(source))
    size = runner.bits_allocated // 8
    if frame.size != runner.rows * runner.columns * runner.samples_per_pixel:
        raise ValueError(f"not enough data: {frame.shape} decoded")
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    kind = "i" if runner.pixel_representation else "u"
    wide = frame.astype(f"<u{size}").view(f"<{kind}{size}")
    unused = 8 * size - runner.bits_stored
    return bytearray(np.right_shift(np.left_shift(wide, unused), unused).tobytes())  # keeps signs
