"""What the trace derives by itself must be what torch's kernels return."""

import pytest
import torch

from convivo.planning.last_shapes import KEEPING
from convivo.planning.shortcuts import PLAIN, SHORTCUTS, shortcut

aten = torch.ops.aten
ZEROS = "aten::zeros_like"


class Maker:
    """Of real tensors."""

    device = torch.device("cpu")

    def blank(self, shape, dtype, stride=None):
        if stride is None:
            return torch.empty(shape, dtype=dtype)
        return torch.empty_strided(shape, stride, dtype=dtype)

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


ONE = """tanh sigmoid exp neg reciprocal relu leaky_relu leaky_relu_ tanh_ sigmoid_
zero_""".split()  # noqa: SIM905 - one a word
TWO = """sub mul div tanh_backward sigmoid_backward sub_ div_
copy_""".split()  # noqa: SIM905 - one a word


def window_calls():
    """With unequal axes, strides, a last window that hangs over, and gradients of every part."""
    for x, kernel in ((image(), (3, 2)), (torch.randn(2, 3, 6, 5, 7), (2, 3, 1))):
        dims = len(kernel)
        weight, turned = torch.randn(6, 3, *kernel), torch.randn(3, 6, *kernel)
        plain = ([2] * dims, [1] * dims, [1] * dims, False, [0] * dims, 1)
        back = ([2] * dims, [1] * dims, [1] * dims, True, [1] * dims, 1)
        yield "convolution", (x, weight, None, *plain)
        yield "convolution", (x, turned, torch.randn(6), *back)
        axes = ([1] * dims, [2] * dims, [1] * dims)  # padding, stride, dilation
        yield "mkldnn_convolution", (x, weight, torch.randn(6), *axes, 1)
        out = aten.convolution(x, weight, None, *plain)
        yield "convolution_backward", (out, x, weight, [6], *plain, [True, True, True])
        yield "convolution_backward", (out, x, weight, None, *plain, [False, True, False])
        windows = ([2] * dims, [2] * dims, [0] * dims)
        pooled, places = getattr(aten, f"max_pool{dims}d_with_indices")(x, *windows, 1, True)
        yield f"max_pool{dims}d_with_indices", (x, *windows, [1], True)
        yield (
            f"max_pool{dims}d_with_indices_backward",
            (pooled, x, *windows, [1] * dims, True, places),
        )
        yield f"avg_pool{dims}d", (x, *windows, True)
        mean = getattr(aten, f"avg_pool{dims}d")(x, *windows)
        yield f"avg_pool{dims}d_backward", (mean, x, *windows, False, True, None)
        small = getattr(aten, f"_adaptive_avg_pool{dims}d")(x, [2] * dims)
        yield f"_adaptive_avg_pool{dims}d", (x, [2] * dims)
        yield f"_adaptive_avg_pool{dims}d_backward", (small, x)
        strides = ([windows[1], windows[2]]) if dims == 3 else []
        even = getattr(aten, f"max_pool{dims}d_with_indices")(x, *windows)
        yield f"max_unpool{dims}d", (*even, list(x.shape[2:]), *strides)


def other_calls():
    matrix, classes = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    logits = aten._log_softmax(matrix, 1, False)
    maps, labels = torch.randn(2, 3, 5, 7), torch.zeros(2, 5, 7, dtype=torch.long)
    one = torch.tensor(1.0)
    yield "mul", (image(), 2.0)
    yield "div", (torch.randn(2, 3, 1, 1).expand(2, 3, 5, 7), 35)
    yield "add", (image(), torch.randn(3, 1, 1))
    yield "mul", (torch.randn(1, 3, 1, 1).expand(2, 3, 5, 7), image())
    yield "clamp", (image(), 0.0, 1.0)
    yield "clamp_", (image(), 0.0)
    yield "bernoulli_", (image(), 0.5)
    yield "leaky_relu_backward", (image(), image(), 0.1, False)
    yield "_softmax", (matrix, 1, False)
    yield "_softmax_backward_data", (matrix, matrix, 1, torch.float32)
    yield "_log_softmax", (matrix, 1, False)
    yield "_log_softmax_backward_data", (matrix, logits, 1, torch.float32)
    yield "sum", (image(), [0, 2], True)
    yield "sum", (image(),)
    yield "mean", (image(), [-1, -2])
    yield "linalg_vector_norm", (image(),)
    yield "nll_loss_forward", (logits, classes, None, 1, -100)
    yield "nll_loss_backward", (one, logits, classes, None, 1, -100, one * 4)
    yield "nll_loss2d_forward", (maps, labels, None, 1, -100)
    yield "nll_loss2d_backward", (one, maps, labels, None, 1, -100, one * 70)
    yield "mse_loss", (matrix, matrix)
    yield "mse_loss_backward", (one, matrix, matrix + 1, 1)
    yield "mm", (matrix, torch.randn(3, 5))
    yield "addmm", (torch.randn(5), matrix, torch.randn(5, 3).t())
    yield "stack", ([one, one, one],)
    yield "slice_backward", (image(), [2, 6, 5, 7], 1, 0, 3, 1)
    yield "gather", (matrix, 1, classes[:, None])
    yield "index_select", (matrix, 0, classes)
    yield "index_add", (matrix, 0, classes, torch.randn(4, 3))
    yield "repeat", (matrix, [2, 1, 3])
    yield "scatter_", (matrix.clone(), 1, classes[:, None], 1.0)
    yield "cat", ([image(channels=6)[:, :3], image()], 1)


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
    *((f"aten::{name}", getattr(aten, name), arguments) for name, arguments in window_calls()),
    (
        "mkldnn::_linear_pointwise",
        torch.ops.mkldnn._linear_pointwise,
        (torch.randn(4, 3), torch.randn(3, 5).t(), None, "none", [], ""),
    ),
    *((f"aten::{name}", getattr(aten, name), (image(),)) for name in ONE),
    *((f"aten::{name}", getattr(aten, name), (image(), image())) for name in TWO),
    *((f"aten::{name}", getattr(aten, name), arguments) for name, arguments in other_calls()),
]


def told(results):
    many = results if isinstance(results, tuple) else (results,)
    return [t if t is None else (t.shape, t.dtype, t.stride()) for t in many]


@pytest.mark.parametrize(("name", "op", "arguments"), CALLS)
def test_shapes_formats_and_strides_are_those_of_torch(name, op, arguments):
    assert told(short(name, arguments)) == told(op(*arguments))


def last(value):
    if isinstance(value, list):
        return [last(item) for item in value]
    image = isinstance(value, torch.Tensor) and value.dim() == 4
    return value.contiguous(memory_format=torch.channels_last) if image else value


IMAGES_LAST = [
    (name, op, tuple(map(last, arguments))) for name, op, arguments in CALLS if name in KEEPING
]


@pytest.mark.parametrize(("name", "op", "arguments"), IMAGES_LAST)
def test_of_images_with_channels_last_too(name, op, arguments):
    found = short(name, arguments, op)
    if found is not NotImplemented:
        assert told(found) == told(op(*arguments))


def test_what_networks_do_to_images_with_channels_last_is_known():
    answered = {n for n, op, given in IMAGES_LAST if short(n, given, op) is not NotImplemented}
    assert answered == KEEPING - {"aten::_to_copy", "aten::clone", "aten::empty_like", ZEROS}


@pytest.mark.parametrize(
    ("op", "words"), [(aten._to_copy, {"dtype": torch.bfloat16}), (aten.zeros_like, {})]
)
def test_copies_of_images_with_channels_last_stay_so(op, words):
    x = last(image())
    assert told(shortcut(Maker(), op._qualified_op_name, op, (x,), words)) == told(op(x, **words))


def test_images_of_different_orders_are_left_to_torch():
    assert short("aten::add", (last(image()), image())) is NotImplemented


def test_every_rule_that_returns_something_is_tested():
    silent = {name for name in SHORTCUTS if "_foreach_" in name or "_fused_" in name}
    assert {name for name, _, _ in CALLS} | silent | {"aten::promote_types"} == set(SHORTCUTS)


@pytest.mark.parametrize(
    ("op", "arguments", "words"),
    [
        (aten._to_copy, (image(),), {"dtype": torch.bfloat16}),
        (aten.clone, (image(),), {"memory_format": torch.contiguous_format}),
        (aten.empty_like, (image(),), {"memory_format": torch.preserve_format}),
        (aten.zeros_like, (image(),), {"pin_memory": False}),
        (aten.zeros, ([2, 3],), {"device": torch.device("cpu"), "dtype": torch.int64}),
        (aten.new_zeros, (image(torch.bfloat16), [4, 5]), {}),
        (aten.new_empty_strided, (image(), [4, 5], [5, 1]), {}),
    ],
)
def test_keywords_say_form_and_number_format(op, arguments, words):
    name = op._qualified_op_name
    assert told(shortcut(Maker(), name, op, arguments, words)) == told(op(*arguments, **words))


@pytest.mark.parametrize(
    ("op", "arguments", "words"),
    [
        (aten.clone, (image(),), {"memory_format": torch.channels_last}),
        (aten.clone, (image().transpose(2, 3),), {}),
        (aten.zeros, ([2, 3],), {"device": torch.device("meta")}),
        (aten.new_empty_strided, (image(), [4, 5], [1, 4]), {}),
        (aten.relu, (image(),), {"out": image()}),
    ],
)
def test_unusual_keywords_are_left_to_torch(op, arguments, words):
    name = op._qualified_op_name
    assert shortcut(Maker(), name, op, arguments, words) is NotImplemented


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("aten::add", (image(), image(torch.float64))),
        ("aten::add", (image(), image(channels=2))),
        ("aten::convolution", (image(), image(), None, [1], [0], [1], False, [0], 2)),
        ("aten::mm", (torch.ones(2, 3), torch.ones(2, 3))),
        ("aten::add", (image(), image().transpose(2, 3).contiguous().transpose(2, 3))),
        ("aten::add", (image().long(), 1)),
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
