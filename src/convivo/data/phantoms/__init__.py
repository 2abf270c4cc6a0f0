"""Phantoms: data sets made by seed, in the layouts that real ones come in.

The start of the road where there is no data yet: signals (1D), images (2D), volumes (3D).
"""

from convivo.data.phantoms.images import make_images as make_images
from convivo.data.phantoms.signals import make_signals as make_signals
from convivo.data.phantoms.volumes import make_volumes as make_volumes

__all__ = ["make_images", "make_signals", "make_volumes"]
