"""Results of operations on images whose channels lie last in memory: part of the `shortcuts`.

A rule knows tensors in the usual order of axes. It is asked about such twins, and what it makes of
four axes is laid out channels last, as torch does where all images that go in are.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from convivo.planning.makers import Maker, Rule

IMAGES = 4  # axes of a batch of them
WORDS = """_adaptive_avg_pool2d _adaptive_avg_pool2d_backward _to_copy add avg_pool2d
avg_pool2d_backward cat clone convolution convolution_backward empty_like leaky_relu
leaky_relu_backward max_pool2d_with_indices max_pool2d_with_indices_backward native_batch_norm
native_batch_norm_backward relu sigmoid sigmoid_backward tanh tanh_backward threshold_backward
zeros_like""".split()  # noqa: SIM905 - one a word
KEEPING = {f"aten::{word}" for word in WORDS}
"""Operations whose results are laid out as what they are given."""


def are_last(values: Sequence[Any]) -> bool:
    """Whether there are images, one of them in no other order, and all are channels last."""
    images = [tensor for tensor in _tensors(values) if tensor.dim() == IMAGES]
    form = torch.channels_last
    return any(not image.is_contiguous() for image in images) and all(
        image.is_contiguous(memory_format=form) for image in images
    )


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found = [value for value in values if isinstance(value, Tensor)]
    nested = [value for value in values if isinstance(value, list)]
    return found + [item for part in nested for item in part if isinstance(item, Tensor)]


class Last:
    """Makes what `make` makes, images channels last."""

    def __init__(self, make: Maker) -> None:
        self.make, self.device = make, make.device

    def blank(
        self, shape: Sequence[int], dtype: torch.dtype, stride: Sequence[int] | None = None
    ) -> Tensor:
        if len(shape) == IMAGES and stride is None:
            stride = last_strides(shape)
        return self.make.blank(shape, dtype, stride)

    def call(self, func: Any, args: tuple) -> Any:
        return self.make.call(func, args)

    def run(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        return self.make.run(func, args, kwargs)


def last_strides(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Steps in memory of a dense batch of images (N, C, H, W), channels last."""
    _, channels, rows, columns = shape
    return channels * rows * columns, 1, channels * columns, channels


def answered(make: Maker, rule: Rule, args: Sequence[Any]) -> Any:
    """What a rule makes of images that are channels last."""
    return rule(Last(make), *(_twin(make, value) for value in args))


def _twin(make: Maker, value: Any) -> Any:
    if isinstance(value, list):
        return [_twin(make, item) for item in value]
    is_image = isinstance(value, Tensor) and value.dim() == IMAGES
    return make.blank(value.shape, value.dtype) if is_image else value
