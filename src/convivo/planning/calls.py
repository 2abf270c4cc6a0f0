"""What each of torch's functions does to the reach of a tensor: one rule per function name.

A rule takes the mark of the inputs, the output, then the call's arguments as torch orders them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from convivo.geometry import Axes, Sides, per_axis
from convivo.layers.windows import Windows
from convivo.planning.reach import Reach, adapt, interpolate, repeat, slide, spread


@dataclass(frozen=True)
class Mark:
    """What is known of a tensor.

    reach: per spatial axis; None where it cannot be known. whole: behind global pooling or
    flattening; `reach` is then that of the grid before it.
    """

    reach: tuple[Reach, ...] | None
    whole: bool = False


UNKNOWN = Mark(None)
Rule = Callable[..., Mark]
Size = int | Sequence[int]


def all_known(reaches: Sequence[Reach | None]) -> Mark:
    """A mark from the reaches of all axes, unknown if one of them is."""
    known = tuple(r for r in reaches if r is not None)
    return Mark(known) if len(known) == len(reaches) else UNKNOWN


def _slide(mark: Mark, kernel: Axes, stride: Axes, padding: Axes, dilation: Axes) -> Mark:
    if mark.reach is None or mark.whole:
        return mark
    return all_known(list(map(slide, mark.reach, kernel, stride, padding, dilation)))


def _axes(value: Size, dims: int) -> Axes:
    """torch also takes (3,) for all axes."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return per_axis(values[0] if len(values) == 1 else values, dims)


def _conv(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Mark:
    dims = weight.dim() - 2
    kernel, gaps = tuple(weight.shape[2:]), _axes(dilation, dims)
    if isinstance(padding, str):
        full = [d * (k - 1) // 2 for k, d in zip(kernel, gaps, strict=True)]
        padding = full if padding == "same" else 0
    return _slide(mark, kernel, _axes(stride, dims), _axes(padding, dims), gaps)


def _conv_transpose(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Mark:
    if mark.reach is None or mark.whole:
        return mark
    dims, kernel = weight.dim() - 2, tuple(weight.shape[2:])
    rows = (_axes(stride, dims), _axes(padding, dims), _axes(dilation, dims))
    return all_known(list(map(spread, mark.reach, kernel, *rows)))


def _max_pool(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *rest: object,
    **more: object,
) -> Mark:
    dims = input.dim() - 2
    kernel = _axes(kernel_size, dims)
    step = _axes(stride, dims) if stride else kernel
    return _slide(mark, kernel, step, _axes(padding, dims), _axes(dilation, dims))


def _avg_pool(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *rest: object,
    **more: object,
) -> Mark:
    return _max_pool(mark, out, input, kernel_size, stride, padding)


def _adaptive(mark: Mark, out: Tensor, input: Tensor, *rest: object, **more: object) -> Mark:
    before, after = input.shape[2:], out.shape[2:]
    if all(n == 1 for n in after):
        return Mark(mark.reach, whole=True)
    if mark.reach is None or mark.whole:
        return mark
    return all_known(list(map(adapt, mark.reach, before, after)))


def _interpolate(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    size: Size | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *rest: object,
    **more: object,
) -> Mark:
    pairs = list(zip(input.shape[2:], out.shape[2:], strict=True))
    repeats = mode in ("nearest", "nearest-exact")
    known = (repeats or mode in ("linear", "bilinear", "trilinear")) and not align_corners
    if mark.reach is None or mark.whole or not known or any(m % n for n, m in pairs):
        return mark if mark.whole else UNKNOWN
    change = repeat if repeats else interpolate
    return all_known([change(r, m // n) for r, (n, m) in zip(mark.reach, pairs, strict=True)])


def _unpool(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    indices: Tensor,
    output_size: Axes,
    windows: Windows | None = None,
) -> Mark:
    """A value may come to any sample of its window, as through a transposed convolution."""
    if mark.reach is None or mark.whole or windows is None:
        return mark if mark.whole else UNKNOWN
    before = tuple(b for b, _ in windows.padding)
    rows = (windows.kernel, windows.stride, before, windows.dilation)
    return all_known(list(map(spread, mark.reach, *rows)))


def _bed_of_nails(mark: Mark, out: Tensor, input: Tensor, factor: Axes) -> Mark:
    if mark.reach is None or mark.whole:
        return mark
    return all_known([spread(r, 1, f, 0, 1) for r, f in zip(mark.reach, factor, strict=True)])


def _crop(mark: Mark, starts: Axes, steps: Axes) -> Mark:
    ones = (1,) * len(starts)
    return _slide(mark, ones, steps, tuple(-s for s in starts), ones)


def _pad(
    mark: Mark, out: Tensor, input: Tensor, pad: Sequence, *rest: object, **more: object
) -> Mark:
    dims = input.dim() - 2
    if isinstance(pad[0], tuple):  # our own: a pair (before, after) per axis
        return _crop(mark, tuple(-before for before, _ in pad), (1,) * dims)
    before = [*pad[::2], *[0] * dims][:dims]  # the last axis comes first
    return _crop(mark, tuple(-n for n in reversed(before)), (1,) * dims)


def _fold_back(
    mark: Mark, out: Tensor, input: Tensor, amounts: Sides, *rest: object, **more: object
) -> Mark:
    """The transpose of padding; what is folded back lies at the border, which is left out."""
    return _crop(mark, tuple(before for before, _ in amounts), (1,) * len(amounts))


def _narrow(mark: Mark, out: Tensor, input: Tensor, dim: int, start: int, length: int) -> Mark:
    starts = [0] * input.dim()
    starts[dim] = int(start)
    return _crop(mark, tuple(starts[2:]), (1,) * (input.dim() - 2))


def _getitem(mark: Mark, out: Tensor, input: Tensor, index: object) -> Mark:
    items = list(index) if isinstance(index, tuple) else [index]
    if any(i is Ellipsis for i in items):
        place = next(k for k, i in enumerate(items) if i is Ellipsis)
        items[place : place + 1] = [slice(None)] * (input.dim() - len(items) + 1)
    items += [slice(None)] * (input.dim() - len(items))
    slices = [i for i in items if isinstance(i, slice)]
    if not len(slices) == len(items) == input.dim():
        return UNKNOWN
    cuts = [i.indices(n) for i, n in zip(slices[2:], input.shape[2:], strict=True)]
    return _crop(mark, tuple(c[0] for c in cuts), tuple(c[2] for c in cuts))


def _reduce(
    mark: Mark,
    out: Tensor,
    input: Tensor,
    dim: Size | None = None,
    keepdim: bool = False,
    *rest: object,
    **more: object,
) -> Mark:
    if mark.whole or dim is None:
        return Mark(mark.reach, whole=True)
    dims = {d % input.dim() for d in ([dim] if isinstance(dim, int) else dim)}
    if dims.isdisjoint(range(2, input.dim())):
        return mark if keepdim else UNKNOWN
    gone = dims.issuperset(range(2, input.dim()))
    return Mark(mark.reach, whole=True) if gone else UNKNOWN


def _reshape(mark: Mark, out: Tensor, input: Tensor, *rest: object, **more: object) -> Mark:
    if mark.whole or out.shape[2:] == input.shape[2:]:
        return mark
    return Mark(mark.reach, whole=True) if out.dim() <= 2 else UNKNOWN


def _along_channels(
    mark: Mark, out: Tensor, input: Tensor, dim: int | None = None, *rest: object, **more: object
) -> Mark:
    """Softmax: harmless along channels only."""
    return mark if mark.whole or dim in (1, 1 - input.dim()) else UNKNOWN


def _split(mark: Mark, out: Tensor, input: Tensor, *rest: object, **more: object) -> Mark:
    return mark if mark.whole or out.shape[2:] == input.shape[2:] else UNKNOWN


def _linear(mark: Mark, *rest: object, **more: object) -> Mark:
    return mark if mark.whole else UNKNOWN


def _same(mark: Mark, *rest: object, **more: object) -> Mark:
    return mark


def _cat(mark: Mark, out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Mark:
    return mark if mark.whole or dim in (1, 1 - out.dim()) else UNKNOWN


# between these, samples of other positions do not mix (but for normalisations, see the tracker)
POINTWISE = """
add iadd radd sub isub rsub mul imul rmul div idiv truediv rtruediv itruediv true_divide multiply
subtract floordiv mod remainder
pow neg abs exp log log1p expm1 sqrt rsqrt square reciprocal clamp clip sin cos sign round
floor ceil where maximum minimum lerp addcmul addcdiv sigmoid tanh relu relu6 leaky_relu elu selu
celu gelu silu mish softplus softsign hardswish hardsigmoid hardtanh prelu rrelu logsigmoid
threshold dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout
batch_norm instance_norm group_norm local_response_norm
to float half bfloat16 double type type_as contiguous clone detach requires_grad
""".split()  # noqa: SIM905 - ninety lines as a list

RULES: dict[str, Rule] = {
    **dict.fromkeys(POINTWISE, _same),
    **{f"conv{d}d": _conv for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": _conv_transpose for d in (1, 2, 3)},
    **{f"max_pool{d}d": _max_pool for d in (1, 2, 3)},
    **{f"max_pool{d}d_with_indices": _max_pool for d in (1, 2, 3)},
    **{f"avg_pool{d}d": _avg_pool for d in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{d}d": _adaptive for kind in ("max", "avg") for d in (1, 2, 3)},
    **dict.fromkeys(("mean", "sum", "amax", "amin", "std", "var", "logsumexp"), _reduce),
    **dict.fromkeys(("flatten", "reshape", "view", "squeeze", "unsqueeze"), _reshape),
    **dict.fromkeys(("softmax", "log_softmax"), _along_channels),
    **dict.fromkeys(("chunk", "split"), _split),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "interpolate": _interpolate,
    "pad": _pad,
    "fold_back": _fold_back,
    "unpool": _unpool,
    "bed_of_nails": _bed_of_nails,
    "narrow": _narrow,
    "getitem": _getitem,
    "linear": _linear,
}
