"""What the trace derives by itself must be what torch's kernels return."""

import pytest
import torch

from convivo.planning.shortcuts import PLAIN, SHORTCUTS, shortcut

aten = torch.ops.aten


class Maker:
    """Of real tensors."""

    def blank(self, shape, dtype):
        return torch.empty(shape, dtype=dtype)

    def call(self, func, args):
        return func(*args)


def short(name, arguments, op=None):
    return shortcut(Maker(), name, op, arguments)


def image(dtype=torch.float32, channels=3):
    return torch.randn(2, channels, 5, 7).to(dtype)


def norm_arguments(dtype):
    weight, bias, mean, var = torch.rand(4, 3)
    return image(dtype), weight, bias, mean, var, True, 0.1, 1e-5


def norm_backward_arguments(dtype):
    x, weight, _, mean, var, *_ = norm_arguments(dtype)
    return image(dtype), x, weight, mean, var, mean, var + 1, True, 1e-5, [True, True, True]


def slices():
    """As concatenations leave gradients: parts of wider tensors."""
    return image(channels=6)[:, :3], image(channels=5)[:, 1:4]


CALLS = [
    ("aten::native_batch_norm", aten.native_batch_norm, norm_arguments(torch.float32)),
    ("aten::native_batch_norm", aten.native_batch_norm, norm_arguments(torch.bfloat16)),
    (
        "aten::native_batch_norm_backward",
        aten.native_batch_norm_backward,
        norm_backward_arguments(torch.float32),
    ),
    (
        "aten::native_batch_norm_backward",
        aten.native_batch_norm_backward,
        norm_backward_arguments(torch.bfloat16),
    ),
    ("aten::threshold_backward", aten.threshold_backward, (image(), image(), 0)),
    ("aten::threshold_backward", aten.threshold_backward, (*slices(), 0)),
    ("aten::add", aten.add, (image(), image())),
    ("aten::add", aten.add, slices()),
    ("aten::add_", aten.add_, (image(), image())),
    ("aten::cat", aten.cat, ([image(), image(channels=5)], 1)),
    ("aten::cat", aten.cat, ([image(), image()], -1)),
    ("aten::mul_", aten.mul_, (image(), torch.tensor(2.0))),
    ("aten::relu_", aten.relu_, (image(),)),
]


def told(results):
    many = results if isinstance(results, tuple) else (results,)
    return [(t.shape, t.dtype, t.stride()) for t in many]


@pytest.mark.parametrize(("name", "op", "arguments"), CALLS)
def test_shapes_formats_and_strides_are_those_of_torch(name, op, arguments):
    assert told(short(name, arguments)) == told(op(*arguments))


def test_every_rule_that_returns_something_is_tested():
    silent = {name for name in SHORTCUTS if "_foreach_" in name or "_fused_" in name}
    assert {name for name, _, _ in CALLS} | silent == set(SHORTCUTS)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("aten::add", (image(), image(torch.float64))),
        ("aten::add", (image(), image()[:, :1])),
        ("aten::add", (image(), image().transpose(2, 3).contiguous().transpose(2, 3))),
        ("aten::add", (image(), 1)),
        ("aten::cat", ([image(), image(torch.float64)],)),
        ("aten::cat", ([image(), image().transpose(2, 3)], 1)),
        ("aten::cat", ([image(), torch.ones(0)],)),
        ("aten::add_", (image(), image()[:, :1])),
        ("aten::threshold_backward", (image()[:, :1].expand(2, 3, 5, 7), image(), 0)),
        ("aten::native_batch_norm", (image(), None, None, None, None, False, 0.1, 1e-5)),
        ("aten::conv2d", (image(), image())),
    ],
)
def test_whatever_is_unusual_is_left_to_torch(name, arguments):
    assert short(name, arguments) is NotImplemented


def test_what_is_written_in_place_is_handed_back_itself():
    x = image()
    assert short("aten::add_", (x, image())) is x
    assert short("aten::_fused_adamw_", ([x], [x])) is None


def test_views_and_copies_are_torchs_own():
    x = image()
    assert "aten::detach" in PLAIN
    assert short("aten::slice", (x, 1, 0, 2), aten.slice).shape == (2, 2, 5, 7)
