"""Convolution, activation and halving pooling of images with few channels, in one operation.

Kernels for convolution are made for many channels; at one or six they and the pooling behind them
take most of a small network's time. Here a pooling window, 2 by 2 outputs of the convolution, is
one column of a matrix product: all four look at the same (k + 1) by (k + 1) samples. The items lie
innermost in memory, so that everything around the product runs over them in long rows. Same sums,
other order: results agree with the layers one by one to float's last digits. Under autocast all of
it is in bfloat16 but for the sums of the products, and those that make the parameters' gradients.
Letters: N items, C channels in, D out, k kernel, H, W padded input, Y, X pooled output.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from convivo.geometry import Axes
from convivo.layers.products import product

aten = torch.ops.aten

# in place forward; (gradient, output) -> gradient of the input. Both never fall, so that the
# maximum may be taken before them.
ACTIVATIONS: dict[type[nn.Module], tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    nn.ReLU: (torch.relu_, lambda gradient, y: aten.threshold_backward(gradient, y, 0)),
    nn.Tanh: (torch.tanh_, aten.tanh_backward),
}


@dataclass(frozen=True)
class Form:
    """Sizes of one call; a matrix of windows has C (k + 1)^2 rows and Y X N columns."""

    channels: int
    size: Axes
    items: int
    kernel: Axes
    outputs: int

    @property
    def seen(self) -> Axes:
        """Samples that a window sees along each axis."""
        return self.kernel[0] + 1, self.kernel[1] + 1

    @property
    def pooled(self) -> Axes:
        """Y and X."""
        return (self.size[0] - self.kernel[0] + 1) // 2, (self.size[1] - self.kernel[1] + 1) // 2

    def windows(self, x: Tensor) -> Tensor:
        """(C, H, W, N) -> (C (k + 1)^2, Y X N), what each window sees."""
        (rows, columns), n, step = self.size, self.items, self.size[1] * self.items
        shape = (self.channels, *self.seen, *self.pooled, n)
        strides = (rows * columns * n, step, n, 2 * step, 2 * n, 1)
        return x.as_strided(shape, strides).reshape(self.channels * self.seen[0] * self.seen[1], -1)

    def fold(self, windows: Tensor) -> Tensor:
        """The transpose of `windows`: (C (k + 1)^2, Y X N) -> (C, H, W, N), what overlaps added."""
        (y, x), (rows, columns), c = self.pooled, self.size, self.channels
        out = windows.new_zeros(c, rows // 2, 2, columns // 2, 2, self.items)
        pairs = self.seen[0] // 2, self.seen[1] // 2
        parts = windows.view(c, pairs[0], 2, pairs[1], 2, y, x, self.items)
        for i in range(pairs[0]):
            for j in range(pairs[1]):
                part = parts[:, i, :, j].permute(0, 3, 1, 4, 2, 5)
                out[:, i : i + y, :, j : j + x].add_(part)
        return out.view(c, rows, columns, self.items)

    def corners(self, wide: Tensor) -> Tensor:
        """A view (2, 2, D, C, k, k) of the kernel at each corner of what a window sees."""
        (rows, columns), each = self.seen, self.channels * self.seen[0] * self.seen[1]
        shape = (2, 2, self.outputs, self.channels, *self.kernel)
        below, right = 2 * self.outputs * each + columns, self.outputs * each + 1
        return wide.as_strided(shape, (below, right, each, rows * columns, columns, 1))

    def spread(self, weight: Tensor, kind: torch.dtype) -> Tensor:
        """(D, C, k, k) -> (4 D, C (k + 1)^2), corners in the order of ties: row by row."""
        rows = self.channels * self.seen[0] * self.seen[1]
        wide = weight.new_zeros(4 * self.outputs, rows, dtype=kind)
        self.corners(wide).copy_(weight)
        return wide

    def gather(self, wide: Tensor) -> Tensor:
        """The transpose of `spread`, in float32 at least."""
        exact = torch.promote_types(wide.dtype, torch.float32)
        return self.corners(wide.to(exact)).sum((0, 1))


class ConvPool(torch.autograd.Function):
    """pool(activation(conv(x))), (N, C, *S) -> (N, D, Y, X); gradients of the first order."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: Axes,
        activation: type[nn.Module],
        kind: str,
    ) -> Tensor:
        number = computed_in(x)
        inner = _items_last(x, padding, number)
        form = Form(x.shape[1], tuple(inner.shape[1:3]), len(x), tuple(weight.shape[2:]),
                    len(weight))  # fmt: skip
        wide = form.spread(weight, number)
        seen = form.windows(inner)
        corners = product(wide, seen).view(4, form.outputs, -1)
        overwrite, _ = ACTIVATIONS[activation]
        offset = None if bias is None else bias[:, None].to(number)
        if kind == "max":
            y = corners.amax(0)
            y = overwrite(y if offset is None else y.add_(offset))
        else:
            corners = overwrite(corners if offset is None else corners.add_(offset))
            y = corners.mean(0)
        ctx.form, ctx.padding, ctx.activation, ctx.kind = form, padding, activation, kind
        ctx.save_for_backward(seen, wide, corners, y if kind == "max" else None)
        return y.view(form.outputs, *form.pooled, form.items).permute(3, 0, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        seen, wide, corners, y = ctx.saved_tensors
        form, (_, back) = ctx.form, ACTIVATIONS[ctx.activation]
        flat = gradient.permute(1, 2, 3, 0).reshape(form.outputs, -1)
        exact = torch.promote_types(flat.dtype, torch.float32)
        if ctx.kind == "max":
            flat = back(flat, y)
            of_bias = flat.sum(1, dtype=exact)
            sent = _to_largest(flat, corners)
        else:
            sent = back((flat / 4).expand_as(corners), corners)
            of_bias = sent.sum((0, 2), dtype=exact)
        sent = sent.view(4 * form.outputs, -1)
        of_weight = form.gather(product(sent, seen.t()))
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _items_first(form.fold(product(wide.t(), sent)), ctx.padding)
        return of_x, of_weight, of_bias if ctx.needs_input_grad[2] else None, None, None, None


def computed_in(x: Tensor) -> torch.dtype:
    """What autocast asks for, else x's own."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


def _items_last(x: Tensor, padding: Axes, number: torch.dtype) -> Tensor:
    """(N, C, *S) -> (C, H, W, N), padded with zeros; no copy where it lies so already."""
    inner = x.permute(1, 2, 3, 0)
    if not any(padding):
        return inner.to(number).contiguous()
    (p, q), (c, rows, columns, n) = padding, inner.shape
    wide = x.new_zeros(c, rows + 2 * p, columns + 2 * q, n, dtype=number)
    wide[:, p : p + rows, q : q + columns] = inner
    return wide


def _items_first(inner: Tensor, padding: Axes) -> Tensor:
    (p, q), (_, rows, columns, _) = padding, inner.shape
    return inner[:, p : rows - p, q : columns - q].permute(3, 0, 1, 2)


def _to_largest(gradient: Tensor, corners: Tensor) -> Tensor:
    """Each window's gradient (D, M) at the largest of its corners (4, D, M), the first of equals.

    A difference says which is larger; a threshold then lets the gradient pass or not, which is
    several times faster than a mask of truth values.
    """
    pairs = corners.view(2, 2, *gradient.shape)  # rows of windows, columns
    left, right = pairs[:, 0], pairs[:, 1]
    largest = torch.maximum(left, right)
    below = torch.sub(largest[1], largest[0])
    of_rows = largest  # no longer needed
    aten.threshold_backward.grad_input(gradient, below, 0, grad_input=of_rows[1])
    torch.sub(gradient, of_rows[1], out=of_rows[0])
    sent = torch.empty_like(pairs)
    aten.threshold_backward.grad_input(of_rows, right - left, 0, grad_input=sent[:, 1])
    torch.sub(of_rows, sent[:, 1], out=sent[:, 0])
    return sent
