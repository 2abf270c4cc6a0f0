"""int8 through NNCF: an OpenVINO model whose multiplications are in eight bits.

Post-training quantisation: ranges of activations are taken from items of the training part. The
means of the layers are not corrected afterwards (decision 0019: that has cost a network its score).
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from convivo.inference.backends.engine import converting
from convivo.inference.backends.openvino_engine import openvino, own_signal_stack

WAYS = ("symmetric", "mixed", "inner")
"""Ever milder ways. symmetric: activations about zero, the fastest. mixed: activations about any
middle. inner: likewise, and the first and the last layer with weights stay in float32."""
WEIGHTED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
WEIGHTED += ("GroupConvolutionBackpropData",)


class Items(Protocol):
    """Prepared images (C, *S) that can be looked at several times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...


def quantized(model: Any, items: Items, way: str = WAYS[0]) -> Any:
    """A copy of a model with multiplications in int8.

    Args:
        model: OpenVINO's, float32; it stays as it is.
        items: whose activations tell the ranges.
        way: one of `WAYS`.
    Raises:
        Unavailable: NNCF cannot take the model.
    """
    library, bare = nncf(), model.clone()
    options: dict[str, Any] = {"preset": library.QuantizationPreset.PERFORMANCE}
    plain = library.AdvancedQuantizationParameters(disable_bias_correction=True)
    options["advanced_parameters"] = plain
    if way != WAYS[0]:
        options["preset"] = library.QuantizationPreset.MIXED
    if way == WAYS[2]:
        options["ignored_scope"] = library.IgnoredScope(names=outermost(bare))
    data = library.Dataset(items, lambda item: item[None])
    with converting("int8"), own_signal_stack(), _unheard():
        return library.quantize(bare, data, subset_size=len(items), **options)


def outermost(model: Any) -> list[str]:
    """Names of the first and the last operation with weights, in the order of computation."""
    names = [
        one.get_friendly_name()
        for one in model.get_ordered_ops()
        if one.get_type_name() in WEIGHTED
    ]
    return list(dict.fromkeys([*names[:1], *names[-1:]]))


def nncf() -> ModuleType:
    """The library. Its usage statistics are kept from loading: nothing is ever sent."""
    openvino()  # which keeps them from loading
    ours = logging.getLoggerClass()
    with _unheard():
        import nncf as library
    logging.setLoggerClass(ours)  # it puts its own in everyone's place
    told = logging.getLogger("nncf")
    told.handlers[:] = [logging.NullHandler()]  # what it tells would stand in our documents
    return library


@contextmanager
def _unheard() -> Iterator[None]:
    """Its bars on stdout, and warnings that others raise inside it."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
